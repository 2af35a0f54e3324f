package open

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/env"
)

// InProcess is a Prober that looks and tests in this process, which a broken driver may end.
func InProcess(q driver.Question, _ time.Duration, answer any) error {
	b, err := json.Marshal(answerOf(q))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, answer)
}

// AnswerProbe writes the answer to the question that a driver.Child was started with.
func AnswerProbe(question string, w io.Writer) error {
	var q driver.Question
	if err := json.Unmarshal([]byte(question), &q); err != nil {
		return fmt.Errorf("not a question about the GPU: %w", err)
	}
	b, err := json.Marshal(answerOf(q))
	if err != nil {
		return err
	}
	_, err = w.Write(append(append([]byte{'\n'}, b...), '\n')) // on a line of its own, whatever libraries print
	return err
}

func answerOf(q driver.Question) any {
	if q.Test {
		return runTest(q)
	}
	return driver.Probe(q.CUDALibs)
}

// testLimit is how long a card may take for its test: the first time all kernels are compiled.
const testLimit = 3 * time.Minute

// testAnswer is what the process that tests a card says.
type testAnswer struct {
	Problem string `json:"problem,omitempty"`
}

// testedGPU has a card compared with the CPU in a process of its own, unless it has passed before with the same driver,
// libraries and kernels.
func testedGPU(card int, libraries *driver.Report, o Options) error {
	info := libraries.Cards[card]
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v %d %s %+v %+v %v %q %s", info, libraries.CUDA, libraries.Version, libraries.NVRTC, libraries.CuDNN, o.Mixed, env.Get(env.CUDAGraph), kernels.Source()))
	mark := ""
	if dir := driver.CacheDir(); dir != "" {
		mark = filepath.Join(dir, "tested-"+hex.EncodeToString(sum[:12]))
		if _, err := os.Stat(mark); err == nil {
			return nil
		}
	}
	var a testAnswer
	if err := o.GPU.Probe(driver.Question{Test: true, Card: card, CUDALibs: o.GPU.libraries(), Mixed: o.Mixed}, testLimit, &a); err != nil {
		return err
	}
	if a.Problem != "" {
		return errors.New(a.Problem)
	}
	if mark != "" && os.MkdirAll(filepath.Dir(mark), 0o755) == nil {
		_ = atomicfile.WriteBytes(mark, []byte(info.Name+"\n"))
	}
	return nil
}

// runTest answers the question whether a card computes what the CPU does.
func runTest(q driver.Question) (a testAnswer) {
	o := Options{Mixed: q.Mixed}
	d, err := openGPU(q.Card, driver.Probe(q.CUDALibs), o)
	if err == nil {
		defer d.Close()
		reference := cpu.New(1, false)
		defer reference.Close()
		err = compareDevices(d, reference, testTolerance(d))
	}
	if err != nil {
		a.Problem = err.Error()
	}
	return a
}

// testTolerance is how far a device may be from the CPU's float32.
func testTolerance(d device.Device) float64 {
	if d.Precision() == "fp32" {
		return 1e-4
	}
	return 2e-2
}

// compareDevices runs a small network's worth of operations, forward, backward and one step, on two devices and returns
// an error if results are further apart than the tolerance, relative to the largest value of each.
func compareDevices(dev, reference device.Device, tolerance float64) (err error) {
	defer device.Recover(&err)
	got, err := exercise(dev)
	if err != nil {
		return err
	}
	want, err := exercise(reference)
	if err != nil {
		return err
	}
	for i, w := range want {
		scale, worst := 0.0, 0.0
		for k, v := range w.values {
			scale = max(scale, math.Abs(float64(v)))
			if d := math.Abs(float64(got[i].values[k] - v)); !(d <= worst) {
				worst = d
			}
		}
		if !(worst <= tolerance*scale) {
			return fmt.Errorf("%s failed its test: %s differs from the CPU's by %.2g, largest value %.2g", dev.Name(), w.name, worst, scale)
		}
	}
	return nil
}

type namedValues struct {
	name   string
	values []float32
}

// exercise runs the operations of the test. Values come from a sine and are multiples of 1/64 below 1, so that every
// number format holds the inputs exactly.
func exercise(dev device.Device) (results []namedValues, err error) {
	tensor := func(kind device.Kind, fill float64, shape ...int) *device.Tensor {
		s := device.Spec{Kind: kind, Shape: shape}
		b, e := dev.NewBlock(dev.Bytes(s))
		if e != nil {
			err = errors.Join(err, e)
			return nil
		}
		t := dev.Place(s, b, 0)
		if fill != 0 {
			values := make([]float32, t.Size())
			for i := range values {
				values[i] = float32(math.Round(64*fill*math.Sin(float64(i)*0.7+float64(len(shape))+fill)) / 64)
			}
			dev.Upload(t, values)
		}
		return t
	}
	read := func(name string, t *device.Tensor) {
		values := make([]float32, t.Size())
		dev.Download(t, values)
		results = append(results, namedValues{name, values})
	}
	const batch, classes = 2, 3
	cube := func(n int) [3]int { return [3]int{n, n, n} }
	stem := device.Conv{Kernel: cube(7), Stride: cube(2)}
	cubic, point := device.Conv{Kernel: cube(3), Stride: cube(1)}, device.Conv{Kernel: cube(1), Stride: cube(1)}
	pool := device.Pooling{Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}}

	input := tensor(device.Input, 0.9, batch, 2, 16, 18, 15)
	w1, g1 := tensor(device.Weights, 0.5, 64, 2, 7, 7, 7), tensor(device.Weights, 0, 64, 2, 7, 7, 7)
	raw := tensor(device.Activation, 0, batch, 64, 8, 9, 7)
	sums := tensor(device.Sums, 0, 64)
	vector := func(fill float64, n int) *device.Tensor { return tensor(device.Values, fill, n) }
	bn := device.BatchNorm{Gamma: vector(0.8, 64), Beta: vector(0.4, 64), Mean: vector(0, 64), InvStd: vector(0, 64), RunningMean: vector(0.1, 64), RunningVar: vector(0.9, 64)}
	normed := tensor(device.Activation, 0, batch, 64, 8, 9, 7)
	pooled := tensor(device.Activation, 0, batch, 64, 8, 5, 4)
	winners := tensor(device.Winners, 0, batch, 64, 8, 5, 4)
	w2, g2 := tensor(device.Weights, 0.3, 32, 64, 1, 1, 1), tensor(device.Weights, 0, 32, 64, 1, 1, 1)
	w3, g3 := tensor(device.Weights, 0.2, 48, 32, 3, 3, 3), tensor(device.Weights, 0, 48, 32, 3, 3, 3)
	middle := tensor(device.Activation, 0, batch, 32, 8, 5, 4)
	joined := tensor(device.Activation, 0.2, batch, 80, 8, 5, 4)
	bias := vector(0.5, 48)
	features, wl, bl := tensor(device.Values, 0, batch, 80), tensor(device.Values, 0.6, classes, 80), vector(0.3, classes)
	logits, dlogits, loss := tensor(device.Values, 0, batch, classes), tensor(device.Values, 0, batch, classes), tensor(device.Values, 0)
	targets := tensor(device.Values, 0, batch, 1)
	dfeatures, gwl, gbl := tensor(device.Values, 0, batch, 80), tensor(device.Values, 0, classes, 80), vector(0, classes)
	djoined, dmiddle := tensor(device.Activation, 0, batch, 80, 8, 5, 4), tensor(device.Activation, 0, batch, 32, 8, 5, 4)
	dpooled, dnormed := tensor(device.Activation, 0.7, batch, 64, 8, 5, 4), tensor(device.Activation, 0, batch, 64, 8, 9, 7)
	dgamma, dbeta := vector(0, 64), vector(0, 64)
	given, given32 := tensor(device.Activation, 0.8, batch, 80, 8, 5, 4), tensor(device.Activation, 0.6, batch, 32, 8, 5, 4)
	given64 := tensor(device.Activation, 0.9, batch, 64, 8, 9, 7)
	params, grads, momentum, second := vector(0.7, 1000), vector(0.5, 1000), vector(0, 1000), vector(0, 1000)
	if err != nil {
		return nil, err
	}
	dev.Upload(targets, []float32{2, 0})
	if s, ok := dev.(device.LossScaler); ok {
		s.SetLossScale(1, 0) // the gradients given here are not scaled
	}

	dev.ConvForward(stem, input, w1, raw, device.Epilogue{Sums: sums})
	read("the first convolution", raw)
	dev.BatchNormStats(sums, batch*8*9*7, bn)
	dev.BatchNormReLU(raw, bn, normed)
	read("batch norm", normed)
	read("a running variance", bn.RunningVar)
	dev.MaxPool(pool, normed, pooled, winners)
	dev.ConvForward(point, pooled, w2, middle, device.Epilogue{})
	read("a convolution of one voxel", middle)
	dev.ConvForward(cubic, middle, w3, dev.Slice(joined, 32, 48), device.Epilogue{Bias: bias, ReLU: true})
	read("a convolution into channels of a tensor", joined)
	dev.AvgPoolMean([3]int{2, 2, 4}, joined, features)
	dev.Linear(features, wl, bl, logits)
	dev.CrossEntropy([]int{classes}, logits, targets, loss, dlogits)
	read("the loss", loss)
	// From here on gradients are fixed inputs, so that rounding cannot flip a ReLU or a maximum.
	dev.Upload(dlogits, []float32{0.5, -0.25, -0.25, -0.75, 0.5, 0.25})
	dev.LinearBackward(features, dlogits, wl, dfeatures, gwl, gbl)
	read("the gradient of features", dfeatures)
	dev.AvgPoolMeanBackward([3]int{2, 2, 4}, dfeatures, djoined)
	read("the gradient of the average", djoined)
	dev.ConvBackwardWeights(cubic, given32, dev.Slice(given, 32, 48), g3)
	read("the gradient of weights, from channels of a tensor", g3)
	dev.ConvBackwardData(cubic, dev.Slice(given, 32, 48), w3, dmiddle, false)
	read("the gradient of an input", dmiddle)
	dev.ConvBackwardWeights(point, dpooled, given32, g2)
	read("the gradient of weights of one voxel", g2)
	dev.ConvBackwardWeights(stem, input, given64, g1)
	read("the gradient of the first convolution", g1)
	dev.MaxPoolBackward(pool, dpooled, winners, dnormed, false)
	dev.BatchNormReLUBackward(raw, dnormed, bn, dnormed, dgamma, dbeta)
	dev.Step(device.SGD{LR: 0.5, Momentum: 0.9, WeightDecay: 1e-3, ClipNorm: 8, First: true}, params, grads, momentum)
	read("the optimiser's step", params)
	for step := 1; step <= 2; step++ {
		dev.StepAdamW(device.AdamW{LR: 0.05, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.05, ClipNorm: 8, Step: step}, params, grads, momentum, second)
	}
	read("AdamW's step", params)
	dev.Average(second, params, 0.75)
	read("the running average", second)

	// A pass that has run before is repeated as a whole, on another input.
	again := func() error {
		dev.ConvForward(stem, input, w1, raw, device.Epilogue{Sums: sums})
		dev.BatchNormStats(sums, batch*8*9*7, bn)
		dev.BatchNormReLU(raw, bn, normed)
		dev.MaxPool(pool, normed, pooled, winners)
		dev.ConvForward(point, pooled, w2, middle, device.Epilogue{})
		return nil
	}
	_ = again()
	values := make([]float32, input.Size())
	for i := range values {
		values[i] = float32(math.Round(64*math.Cos(float64(i)*0.3)) / 64)
	}
	var recording device.Recording
	if recorder := device.RecorderOf(dev); recorder != nil {
		if recording, err = recorder.Record(again); err != nil {
			return nil, err
		}
	}
	dev.Upload(input, values)
	if recording == nil || !recording.Run() {
		_ = again()
	}
	read("a recorded pass ("+env.CUDAGraph+"=0 does without)", middle)
	return results, nil
}
