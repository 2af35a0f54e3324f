package ops

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/npz"
)

// weighted is a loss with a known gradient: the sum of an activation times fixed weights.
type weighted struct {
	function
	gradient func() *device.Tensor
}

func newWeighted(rt *Runtime, x *gorgonia.Node, gradient func() *device.Tensor) (*gorgonia.Node, error) {
	w := &weighted{function: function{op: rt.newOp("weighted", []int{5})}, gradient: gradient}
	w.run = func(in []*device.Tensor) *device.Tensor { return rt.Arena.Alloc(device.Values) }
	return gorgonia.ApplyOp(w, x)
}

func (w *weighted) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.ScalarShape(), nil
}

func (w *weighted) DiffWRT(int) []bool { return []bool{true} }

func (w *weighted) SymDiff(in gorgonia.Nodes, output, _ *gorgonia.Node) (gorgonia.Nodes, error) {
	f := &function{op: w.rt.newOp("weights", []int{0}, in[0].Shape()...)}
	f.run = func([]*device.Tensor) *device.Tensor { return w.gradient() }
	n, err := gorgonia.ApplyOp(f, output)
	return gorgonia.Nodes{n}, err
}

type unitCase struct {
	Name           string
	Kernel, Stride int
	X, Y           []int
}

// fixture is a graph over tensors filled with reference values.
type fixture struct {
	t    *testing.T
	dev  device.Device
	rt   *Runtime
	g    *gorgonia.ExprGraph
	data map[string]npz.Array
	name string
}

func (f *fixture) values(part string) []float32 {
	f.t.Helper()
	v, ok := f.data[f.name+"/"+part].Data.([]float32)
	if !ok {
		f.t.Fatalf("%s/%s is not there", f.name, part)
	}
	return v
}

func (f *fixture) tensor(kind device.Kind, values []float32, shape ...int) *device.Tensor {
	s := device.Spec{Kind: kind, Shape: shape}
	b, err := f.dev.NewBlock(f.dev.Bytes(s))
	if err != nil {
		f.t.Fatal(err)
	}
	t := f.dev.Place(s, b, 0)
	if values != nil {
		f.dev.Upload(t, values)
	}
	return t
}

func (f *fixture) node(name string, t *device.Tensor) *gorgonia.Node {
	n := gorgonia.NewTensor(f.g, tensor.Float32, t.Shape().Dims(), gorgonia.WithShape(t.Shape()...), gorgonia.WithName(name))
	if err := gorgonia.Let(n, t); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// run plans the memory, then runs the graph.
func (f *fixture) run() {
	f.t.Helper()
	machine := gorgonia.NewTapeMachine(f.g)
	for _, dev := range []device.Device{device.DryRun(f.dev), f.dev} {
		f.rt.Device = dev
		f.rt.Arena.Begin()
		machine.Reset()
		if err := machine.RunAll(); err != nil {
			f.t.Fatal(err)
		}
		if dev != f.dev {
			b, err := f.dev.NewBlock(f.rt.Arena.Plan())
			if err != nil {
				f.t.Fatal(err)
			}
			f.rt.Arena.Settle(b)
		}
	}
}

func (f *fixture) check(what string, got *device.Tensor, want []float32, tolerance float64) {
	f.t.Helper()
	v := make([]float32, got.Size())
	f.dev.Download(got, v)
	if len(v) != len(want) {
		f.t.Fatalf("%s: %d values, reference %d", what, len(v), len(want))
	}
	scale := 1.0
	for _, w := range want {
		scale = max(scale, math.Abs(float64(w)))
	}
	for i, w := range want {
		if !(math.Abs(float64(v[i]-w)) <= tolerance*scale) {
			f.t.Errorf("%s %s[%d] = %g, reference %g", f.name, what, i, v[i], w)
			return
		}
	}
}

// TestUnits compares a unit in training mode, with all gradients by Gorgonia's symbolic differentiation, and folded.
func TestUnits(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/layers/layers.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Unit []unitCase }
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	data, err := npz.Read("../../testdata/layers/layers.npz")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range cpulevel.Available() {
		dev, err := cpu.Open(2, set.String(), false)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases.Unit {
			t.Run(fmt.Sprintf("%s/%s", set, c.Name), func(t *testing.T) {
				newFixture := func() *fixture {
					return &fixture{t: t, dev: dev, rt: &Runtime{Device: dev, Arena: device.NewArena(dev)}, g: gorgonia.NewGraph(), data: data, name: c.Name}
				}
				compareUnit(newFixture(), c)
				compareFolded(newFixture(), c)
			})
		}
		dev.Close()
	}
}

func (c unitCase) layer() (l *Layer, channels int) {
	k := []int{c.Kernel, c.Kernel, c.Kernel}
	channels = c.Y[1]
	return &Layer{Conv: device.Conv{Kernel: [3]int(k), Stride: [3]int{c.Stride, c.Stride, c.Stride}}}, channels
}

func compareUnit(f *fixture, c unitCase) {
	l, n := c.layer()
	shape := []int{n, c.X[1], c.Kernel, c.Kernel, c.Kernel}
	vector := func(part string) *device.Tensor { return f.tensor(device.Values, f.values(part), n) }
	l.Weight = f.node("w", f.tensor(device.Weights, f.values("conv3d.weight"), shape...))
	l.Gamma, l.Beta = f.node("gamma", vector("batch3d.weight")), f.node("beta", vector("batch3d.bias"))
	l.RunningMean, l.RunningVar = vector("batch3d.running_mean"), vector("batch3d.running_var")
	l.GradWeight = f.tensor(device.Weights, nil, shape...)
	l.GradGamma, l.GradBeta = f.tensor(device.Values, nil, n), f.tensor(device.Values, nil, n)
	x := f.node("x", f.tensor(device.Activation, f.values("x"), c.X...))
	y, err := Unit(f.rt, "unit", x, l, true)
	if err != nil {
		f.t.Fatal(err)
	}
	compared := 0
	f.rt.Trace = func(name string, r *device.Tensor, _ time.Duration) {
		if name == "unit" && r.Storage != nil {
			f.check("y_train", r, f.values("y_train"), 1e-5)
			compared++
		}
	}
	loss, err := newWeighted(f.rt, y, func() *device.Tensor {
		g := f.rt.activation(c.Y[0], c.Y[1], [3]int(c.Y[2:]))
		if g.Storage != nil {
			f.dev.Upload(g, f.values("gy"))
		}
		return g
	})
	if err != nil {
		f.t.Fatal(err)
	}
	grads, err := gorgonia.Grad(loss, x, l.Weight, l.Gamma, l.Beta)
	if err != nil {
		f.t.Fatal(err)
	}
	f.run()
	for i, part := range []string{"gx_train", "grad/conv3d.weight", "grad/batch3d.weight", "grad/batch3d.bias"} {
		f.check(part, grads[i].Value().(*device.Tensor), f.values(part), 1e-5)
	}
	f.check("running_mean_after", l.RunningMean, f.values("running_mean_after"), 1e-5)
	f.check("running_var_after", l.RunningVar, f.values("running_var_after"), 1e-5)
	if compared != 1 {
		f.t.Errorf("output compared %d times", compared)
	}
}

func compareFolded(f *fixture, c unitCase) {
	l, n := c.layer()
	w, bias := append([]float32(nil), f.values("conv3d.weight")...), make([]float32, n)
	row := len(w) / n
	for o := range n {
		scale := float64(f.values("batch3d.weight")[o]) / math.Sqrt(float64(f.values("batch3d.running_var")[o])+device.BatchNormEps)
		for i := range row {
			w[o*row+i] = float32(float64(w[o*row+i]) * scale)
		}
		bias[o] = float32(float64(f.values("batch3d.bias")[o]) - float64(f.values("batch3d.running_mean")[o])*scale)
	}
	l.Weight = f.node("w", f.tensor(device.Weights, w, n, c.X[1], c.Kernel, c.Kernel, c.Kernel))
	l.Bias = f.node("b", f.tensor(device.Values, bias, n))
	y, err := FoldedUnit(f.rt, "unit", f.node("x", f.tensor(device.Activation, f.values("x"), c.X...)), l)
	if err != nil {
		f.t.Fatal(err)
	}
	f.run()
	f.check("y_eval", y.Value().(*device.Tensor), f.values("y_eval"), 1e-5)
}
