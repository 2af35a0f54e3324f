// Package devicetest holds what every device must compute: one suite of tests against recorded outputs of PyTorch.
package devicetest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/exercise"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/weights"
)

// layerCase is one entry of testdata/layers/layers.json.
type layerCase struct {
	Name      string
	Kernel    json.RawMessage
	Stride    json.RawMessage
	X, Y      []int
	Bias      bool
	InputKey  string `json:"input_key"`
	Loss      float64
	LR        []float64
	Momentum  float64
	MaxNorm   float64   `json:"max_norm"`
	Decay     float64   `json:"weight_decay"`
	NormsWant []float64 `json:"norm_before_clip"`
}

type vectors struct {
	Salt         string
	Conv         []layerCase
	Maxpool      []layerCase
	Batchnorm    []layerCase
	Head         []layerCase
	CrossEntropy []layerCase `json:"cross_entropy"`
	SGD          []layerCase
	arrays       map[string]npz.Array
}

func loadVectors(t *testing.T) *vectors {
	t.Helper()
	v := &vectors{}
	testutil.ReadJSON(t, "../../../testdata/layers/layers.json", v)
	var err error
	if v.arrays, err = npz.Read("../../../testdata/layers/layers.npz"); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vectors) get(t *testing.T, c layerCase, part string) []float32 {
	t.Helper()
	a, ok := v.arrays[c.Name+"/"+part].Data.([]float32)
	if !ok {
		t.Fatalf("%s/%s is not there", c.Name, part)
	}
	return a
}

// three reads a kernel or stride: one number or three.
func three(t *testing.T, raw json.RawMessage) [3]int {
	t.Helper()
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return [3]int{n, n, n}
	}
	var k [3]int
	if err := json.Unmarshal(raw, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// Options say what a device is held to.
type Options struct {
	Mixed    bool                 // activations are in 16 bits
	AnyOrder bool                 // sums are taken in float32, in whatever order
	Single   func() device.Device // opens a device in float32 that passes, to compare with
}

// Run opens a device for the suite, runs it in subtests and closes the device. The working folder of the test is three
// below the root.
func Run(t *testing.T, open func(t *testing.T) device.Device, o Options) {
	dev := open(t)
	defer dev.Close()
	if s, ok := dev.(device.LossScaler); ok {
		s.SetLossScale(1, 0) // the gradients given here are not scaled
	}
	v := loadVectors(t)
	for _, part := range []struct {
		name string
		run  func(t *testing.T, v *vectors, d testDevice)
	}{{"Convolutions", convolutions}, {"MaxPoolings", maxPoolings}, {"BatchNorms", batchNorms}, {"ReLUs", relus}, {"Heads", heads}, {"CrossEntropies", crossEntropies}, {"Optimisers", optimisers}, {"Exercise", exercised}} {
		t.Run(part.name, func(t *testing.T) { part.run(t, v, testDevice{dev, t, o}) })
	}
}

// exercised runs the cases by which a card is tested before it is used, against another device.
func exercised(t *testing.T, _ *vectors, d testDevice) {
	single := d.Single()
	defer single.Close()
	if err := exercise.Compare(d.Device, single, exercise.Tolerance(d.Device)); err != nil {
		t.Error(err)
	}
}

// Place puts a tensor into a block of its own.
func Place(t *testing.T, d device.Device, kind device.Kind, shape ...int) *device.Tensor {
	t.Helper()
	return testDevice{Device: d, t: t}.empty(kind, shape...)
}

// Filled is Place with values.
func Filled(t *testing.T, d device.Device, values []float32, shape ...int) *device.Tensor {
	t.Helper()
	return testDevice{Device: d, t: t}.tensor(device.Values, values, shape...)
}

// Values reads a tensor.
func Values(d device.Device, t *device.Tensor) []float32 { return testDevice{Device: d}.values(t) }

// testDevice is a device with shorthands for tests.
type testDevice struct {
	device.Device
	t *testing.T
	Options
}

func (d testDevice) empty(kind device.Kind, shape ...int) *device.Tensor {
	s := device.Spec{Kind: kind, Shape: shape}
	b, err := d.NewBlock(d.Bytes(s))
	if err != nil {
		d.t.Fatal(err)
	}
	return d.Place(s, b, 0)
}

func (d testDevice) tensor(kind device.Kind, values []float32, shape ...int) *device.Tensor {
	t := d.empty(kind, shape...)
	d.Upload(t, values)
	return t
}

func (d testDevice) check(what string, got *device.Tensor, want []float32, tolerance float64) {
	d.t.Helper()
	checkValues(d.t, what, d.values(got), want, d.allowed(tolerance))
}

// allowed is the tolerance for what has passed through activations.
func (d testDevice) allowed(tolerance float64) float64 {
	switch {
	case d.Mixed:
		return max(tolerance, mixedTolerance)
	case d.AnyOrder:
		return max(tolerance, gpuTolerance)
	}
	return tolerance
}

// mixedTolerance is what rounding to 8 bits may cost, relative to the largest value.
const mixedTolerance = 2e-2

// gpuTolerance is what sums in float32, in any order, may cost.
const gpuTolerance = 1e-4

func (d testDevice) values(t *device.Tensor) []float32 {
	v := make([]float32, t.Size())
	d.Download(t, v)
	return v
}

// checkValues allows tolerance relative to the largest value.
func checkValues(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, reference %d", what, len(got), len(want))
	}
	scale := 1.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i])-float64(w)) <= tolerance*scale) {
			t.Errorf("%s[%d] = %g, reference %g", what, i, got[i], w)
			return
		}
	}
}

func convolutions(t *testing.T, v *vectors, d testDevice) {
	for _, c := range v.Conv {
		k := three(t, c.Kernel)
		conv := device.Conv{Kernel: k, Stride: three(t, c.Stride)}
		if got := conv.OutSize([3]int(c.X[2:])); got != [3]int(c.Y[2:]) {
			t.Fatalf("%s: output %v, reference %v", c.Name, got, c.Y)
		}
		w := d.tensor(device.Weights, v.get(t, c, "w"), c.Y[1], c.X[1], k[0], k[1], k[2])
		var e device.Epilogue
		if c.Bias {
			e.Bias = d.tensor(device.Values, v.get(t, c, "b"), c.Y[1])
		}
		gy := d.tensor(device.Activation, v.get(t, c, "gy"), c.Y...)
		for _, kind := range []device.Kind{device.Input, device.Activation} {
			x, y, dw := d.tensor(kind, v.get(t, c, "x"), c.X...), d.empty(device.Activation, c.Y...), d.empty(device.Weights, w.Shape()...)
			d.ConvForward(conv, x, w, y, e)
			d.check(c.Name+"/y", y, v.get(t, c, "y"), 1e-5)
			d.ConvBackwardWeights(conv, x, gy, dw)
			d.check(c.Name+"/gw", dw, v.get(t, c, "gw"), 1e-5)

			// With fixed weights the device may keep what it makes of them; an upload must do away with that.
			fixed, relu := conv, device.Epilogue{Bias: e.Bias, ReLU: true}
			fixed.Fixed = true
			want, zero := slices.Clone(v.get(t, c, "y")), d.empty(device.Weights, w.Shape()...)
			for i := range want {
				want[i] = max(0, want[i])
			}
			for _, weights := range [][]float32{make([]float32, w.Size()), v.get(t, c, "w")} {
				d.Upload(zero, weights)
				d.ConvForward(fixed, x, zero, y, relu)
			}
			d.check(c.Name+"/y fixed", y, want, 1e-5)
			d.ConvForward(fixed, x, zero, y, relu)
			d.check(c.Name+"/y fixed again", y, want, 1e-5)
		}
		dx := d.empty(device.Activation, c.X...)
		d.ConvBackwardData(conv, gy, w, dx, false)
		d.check(c.Name+"/gx", dx, v.get(t, c, "gx"), 1e-5)
		d.ConvBackwardData(conv, gy, w, dx, true)
		twice := append([]float32(nil), v.get(t, c, "gx")...)
		for i := range twice {
			twice[i] *= 2
		}
		d.check(c.Name+"/gx twice", dx, twice, 1e-5)
	}
}

func maxPoolings(t *testing.T, v *vectors, d testDevice) {
	for _, c := range v.Maxpool {
		p := device.Pooling{Kernel: three(t, c.Kernel), Stride: three(t, c.Stride)}
		if got := p.OutSize([3]int(c.X[2:])); got != [3]int(c.Y[2:]) {
			t.Fatalf("%s: output %v, reference %v", c.Name, got, c.Y)
		}
		x, gxWant := d.tensor(device.Activation, v.get(t, c, "x"), c.X...), v.get(t, c, "gx")
		if d.Mixed {
			// Rounding makes equals of neighbours: single precision sees the same when its input is rounded, too.
			gxWant = d.singleMaxPoolGradient(p, d.values(x), c.X, v.get(t, c, "gy"), c.Y)
		}
		y, winners := d.empty(device.Activation, c.Y...), d.empty(device.Winners, c.Y...)
		d.MaxPool(p, x, y, winners)
		d.check(c.Name+"/y", y, v.get(t, c, "y"), 0)
		alone := d.empty(device.Activation, c.Y...)
		d.MaxPool(p, x, alone, nil)
		d.check(c.Name+"/y without winners", alone, v.get(t, c, "y"), 0)
		gy, dx := d.tensor(device.Activation, v.get(t, c, "gy"), c.Y...), d.empty(device.Activation, c.X...)
		d.MaxPoolBackward(p, gy, winners, dx, false)
		d.check(c.Name+"/gx", dx, gxWant, 1e-6)
	}
}

// singleMaxPoolGradient is the gradient of a max pooling's input in single precision.
func (d testDevice) singleMaxPoolGradient(p device.Pooling, x []float32, xShape []int, gy []float32, yShape []int) []float32 {
	single := testDevice{Device: d.Single(), t: d.t}
	defer single.Close()
	y, winners, dx := single.empty(device.Activation, yShape...), single.empty(device.Winners, yShape...), single.empty(device.Activation, xShape...)
	single.MaxPool(p, single.tensor(device.Activation, x, xShape...), y, winners)
	single.MaxPoolBackward(p, single.tensor(device.Activation, gy, yShape...), winners, dx, false)
	return single.values(dx)
}

// relus takes channels of a wider tensor for the gradient.
func relus(t *testing.T, _ *vectors, d testDevice) {
	shape, wide := []int{2, 21, 3, 4, 5}, []int{2, 37, 3, 4, 5}
	size, voxels := device.Count(shape), device.Count(shape[2:])
	y := weights.FormulaInput("relu y", size, 1)
	for i := range y {
		y[i] = max(0, y[i])
	}
	all := d.tensor(device.Activation, weights.FormulaInput("relu dy", device.Count(wide), 1), wide...)
	ty := d.tensor(device.Activation, y, shape...)
	want := d.values(all)
	y = d.values(ty) // as the device holds it
	for n := range 2 {
		for i := range 21 * voxels {
			if y[n*21*voxels+i] == 0 {
				want[(n*37+16)*voxels+i] = 0
			}
		}
	}
	d.ReLUBackward(ty, d.Slice(all, 16, 21))
	checkValues(t, "ReLU backward", d.values(all), want, 0)
}

// batchNorms compares batch norm without ReLU although the device fuses the two: with scale and shift negated the other
// half shows, batchnorm(x) = relu(batchnorm(x)) - relu(-batchnorm(x)), and likewise for all gradients.
func batchNorms(t *testing.T, v *vectors, d testDevice) {
	identity := device.Conv{Kernel: [3]int{1, 1, 1}, Stride: [3]int{1, 1, 1}}
	for _, c := range v.Batchnorm {
		channels := c.X[1]
		eye := make([]float32, channels*channels)
		for i := range channels {
			eye[i*channels+i] = 1
		}
		w := d.tensor(device.Weights, eye, channels, channels, 1, 1, 1)
		size := device.Count(c.X)
		sum := map[string][]float32{"y": make([]float32, size), "gx": make([]float32, size), "gweight": make([]float32, channels), "gbias": make([]float32, channels)}
		for _, sign := range []float32{1, -1} {
			signed := func(part string) []float32 {
				out := append([]float32(nil), v.get(t, c, part)...)
				for i := range out {
					out[i] *= sign
				}
				return out
			}
			add := func(part string, tensor *device.Tensor, f float32) {
				got := make([]float32, tensor.Size())
				d.Download(tensor, got)
				for i := range got {
					sum[part][i] += f * got[i]
				}
			}
			vector := func(values []float32) *device.Tensor { return d.tensor(device.Values, values, channels) }
			bn := device.BatchNorm{Gamma: vector(signed("weight")), Beta: vector(signed("bias")), Mean: d.empty(device.Values, channels), InvStd: d.empty(device.Values, channels),
				RunningMean: vector(v.get(t, c, "running_mean")), RunningVar: vector(v.get(t, c, "running_var"))}
			x, raw, sums := d.tensor(device.Activation, v.get(t, c, "x"), c.X...), d.empty(device.Activation, c.X...), d.empty(device.Sums, channels)
			forward := func() {
				d.ConvForward(identity, x, w, raw, device.Epilogue{Sums: sums})
				d.BatchNormStats(sums, size/channels, bn)
			}
			forward()
			y, dgamma, dbeta := d.empty(device.Activation, c.X...), d.empty(device.Values, channels), d.empty(device.Values, channels)
			d.BatchNormReLU(raw, bn, y)
			add("y", y, sign)
			gy := d.tensor(device.Activation, signed("gy"), c.X...)
			d.BatchNormReLUBackward(raw, gy, bn, gy, dgamma, dbeta)
			add("gx", gy, 1)
			add("gweight", dgamma, sign)
			add("gbias", dbeta, sign)
			d.check(c.Name+"/running_mean_after_1", bn.RunningMean, v.get(t, c, "running_mean_after_1"), 1e-6)
			d.check(c.Name+"/running_var_after_1", bn.RunningVar, v.get(t, c, "running_var_after_1"), 1e-6)
			half := append([]float32(nil), v.get(t, c, "x")...)
			for i := range half {
				half[i] *= 0.5
			}
			d.Upload(x, half)
			forward()
			d.check(c.Name+"/running_mean_after_2", bn.RunningMean, v.get(t, c, "running_mean_after_2"), 1e-6)
			d.check(c.Name+"/running_var_after_2", bn.RunningVar, v.get(t, c, "running_var_after_2"), 1e-6)
		}
		for part, got := range sum {
			checkValues(t, c.Name+"/"+part, got, v.get(t, c, part+"_train"), d.allowed(1e-5))
		}
	}
}

func heads(t *testing.T, v *vectors, d testDevice) {
	sd := weights.NewStateDict()
	for label, n := range []int{2, 3} {
		sd.Set(fmt.Sprintf("linear_list.%d.weight", label), weights.NewTensor(n, 1024))
		sd.Set(fmt.Sprintf("linear_list.%d.bias", label), weights.NewTensor(n))
	}
	weights.Formula(sd, v.Salt, 1)
	for _, c := range v.Head {
		n, channels := c.X[0], c.X[1]
		x := d.tensor(device.Activation, weights.FormulaInput(c.InputKey, device.Count(c.X), 1.7), c.X...)
		features, dfeatures := d.empty(device.Values, n, channels), d.empty(device.Values, n, channels)
		d.AvgPoolMean([3]int{2, 2, 7}, x, features)
		d.check(c.Name+"/features", features, v.get(t, c, "features"), 1e-5)
		total := make([]float32, n*channels)
		for label, classes := range []int{2, 3} {
			w := d.tensor(device.Values, sd.Get(fmt.Sprintf("linear_list.%d.weight", label)).F32, classes, channels)
			b := d.tensor(device.Values, sd.Get(fmt.Sprintf("linear_list.%d.bias", label)).F32, classes)
			logits := d.empty(device.Values, n, classes)
			d.Linear(features, w, b, logits)
			d.check(fmt.Sprintf("%s/logits%d", c.Name, label), logits, v.get(t, c, fmt.Sprintf("logits%d", label)), 1e-5)
			ones := make([]float32, n*classes)
			for i := range ones {
				ones[i] = float32(1 + label)
			}
			d.LinearBackward(features, d.tensor(device.Values, ones, n, classes), w, dfeatures, d.empty(device.Values, classes, channels), d.empty(device.Values, classes))
			part := make([]float32, n*channels)
			d.Download(dfeatures, part)
			for i := range part {
				total[i] += part[i]
			}
		}
		dx := d.empty(device.Activation, c.X...)
		d.AvgPoolMeanBackward([3]int{2, 2, 7}, d.tensor(device.Values, total, n, channels), dx)
		all := make([]float32, dx.Size())
		d.Download(dx, all)
		voxels := device.Count(c.X[2:])
		checkValues(t, c.Name+"/gx_n0_c0", all[:voxels], v.get(t, c, "gx_n0_c0"), d.allowed(1e-6))
		checkValues(t, c.Name+"/gx_n1_c1023", all[len(all)-voxels:], v.get(t, c, "gx_n1_c1023"), d.allowed(1e-6))
	}
}

// crossEntropies gives the device two labels at once, the second with a constant loss.
func crossEntropies(t *testing.T, v *vectors, d testDevice) {
	for _, c := range v.CrossEntropy {
		logits := v.get(t, c, "logits")
		target := v.arrays[c.Name+"/target"].Data.([]int64)
		n := len(target)
		classes := len(logits) / n
		var both, labels []float32
		for i := range n {
			both = append(append(both, logits[i*classes:(i+1)*classes]...), 7, 7)
			labels = append(labels, float32(target[i]), 1)
		}
		loss, grad := d.empty(device.Values), d.empty(device.Values, n, classes+2)
		d.CrossEntropy([]int{classes, 2}, d.tensor(device.Values, both, n, classes+2), d.tensor(device.Values, labels, n, 2), loss, grad)
		checkValues(t, c.Name+"/loss", d.values(loss), []float32{float32(c.Loss + math.Ln2)}, 1e-6)
		want := v.get(t, c, "grad")
		var wantBoth []float32
		for i := range n {
			wantBoth = append(append(wantBoth, want[i*classes:(i+1)*classes]...), float32(0.5/float64(n)), float32(-0.5/float64(n)))
		}
		checkValues(t, c.Name+"/grad", d.values(grad), wantBoth, 1e-6)
	}
}

func optimisers(t *testing.T, v *vectors, d testDevice) {
	for _, c := range v.SGD {
		join := func(part string, step int) []float32 {
			return append(append([]float32(nil), v.get(t, c, fmt.Sprintf("%s0_step%d", part, step))...), v.get(t, c, fmt.Sprintf("%s1_step%d", part, step))...)
		}
		start := join("p", 0)
		params, momentum := d.tensor(device.Values, start, len(start)), d.empty(device.Values, len(start))
		for i, lr := range c.LR {
			grads := d.tensor(device.Values, join("g", i+1), len(start))
			norm := d.Step(device.SGD{LR: lr, Momentum: c.Momentum, WeightDecay: c.Decay, ClipNorm: c.MaxNorm, First: i == 0}, params, grads, momentum)
			if math.Abs(norm/c.NormsWant[i]-1) > 1e-6 {
				t.Errorf("%s step %d: norm %g, reference %g", c.Name, i+1, norm, c.NormsWant[i])
			}
			checkValues(t, fmt.Sprintf("%s/p_step%d", c.Name, i+1), d.values(params), join("p", i+1), 1e-6)
			checkValues(t, fmt.Sprintf("%s/m_step%d", c.Name, i+1), d.values(momentum), join("m", i+1), 1e-6)
		}
	}
}
