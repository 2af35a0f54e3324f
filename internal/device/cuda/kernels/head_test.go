package kernels_test

import (
	"math"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

func TestLinear(t *testing.T) {
	eachType(t, func(b *bench) {
		rows, in, out := 3, 300, 5
		x, w, bias, dy := b.random(rows*in), b.random(out*in), b.random(out), b.random(rows*out)
		tx, tw := b.tensor(device.Values, x, rows, in), b.tensor(device.Values, w, out, in)
		y, dx, dw, db := b.tensor(device.Values, nil, rows, out), b.tensor(device.Values, nil, rows, in), b.tensor(device.Values, nil, out, in), b.tensor(device.Values, nil, out)
		b.Device.Linear(tx, tw, b.tensor(device.Values, bias, out), y)
		b.Device.LinearBackward(tx, b.tensor(device.Values, dy, rows, out), tw, dx, dw, db)
		px, pw, pdy := b.floats(x), b.floats(w), b.floats(dy)
		py, pdx, pdw, pdb := b.Alloc(int64(4*rows*out)), b.Alloc(int64(4*rows*in)), b.Alloc(int64(4*out*in)), b.Alloc(int64(4*out))
		b.run(b.typ.Linear(px, pw, b.floats(bias), py, rows, in, out))
		b.run(b.typ.LinearBackward(px, pdy, pw, pdx, pdw, pdb, rows, in, out)...)
		b.near("y", b.readFloats(py, rows*out), b.values(y), 1e-6)
		b.near("dx", b.readFloats(pdx, rows*in), b.values(dx), 1e-6)
		b.near("dw", b.readFloats(pdw, out*in), b.values(dw), 1e-6)
		b.near("db", b.readFloats(pdb, out), b.values(db), 1e-6)
		b.Reset()
	})
}

func TestCrossEntropy(t *testing.T) {
	eachType(t, func(b *bench) {
		classes, rows := []int{2, 5, 3}, 150 // more rows than a block has threads
		logits, targets := b.random(rows*10), make([]float32, rows*3)
		for i := range targets {
			targets[i] = float32(b.r.IntN(classes[i%3]))
		}
		for i := range logits {
			logits[i] *= 20
		}
		loss, grad := b.tensor(device.Values, nil), b.tensor(device.Values, nil, rows, 10)
		b.Device.CrossEntropy(classes, b.tensor(device.Values, logits, rows, 10), b.tensor(device.Values, targets, rows, 3), loss, grad)
		control := kernels.Control{LossScale: 1024}
		at := b.Alloc(kernels.ControlBytes)
		b.Write(at, control.Encode())
		for _, c := range []struct {
			control kernels.Ptr
			scale   float32
		}{{0, 1}, {at, 1024}} {
			pl, pg := b.Alloc(4), b.Alloc(int64(4*rows*10))
			b.run(b.typ.CrossEntropy(classes, rows, b.floats(logits), b.floats(targets), pl, pg, c.control)...)
			b.near("loss", b.readFloats(pl, 1), b.values(loss), 1e-6)
			want := b.values(grad)
			for i := range want {
				want[i] *= c.scale
			}
			b.near("gradient", b.readFloats(pg, rows*10), want, 1e-6)
		}
		b.Reset()
	})
}

// optimiser is a step's memory.
type optimiser struct {
	b                                        *bench
	n                                        int
	params, momentum, working, control, room kernels.Ptr
}

func (b *bench) optimiser(params []float32, c kernels.Control) *optimiser {
	n := len(params)
	o := &optimiser{b, n, b.floats(params), b.Alloc(int64(4 * n)), b.Alloc(int64(n * b.typ.Bytes())), b.Alloc(kernels.ControlBytes), b.Alloc(b.typ.StepScratch(n))}
	b.Write(o.control, c.Encode())
	return o
}

// step returns what the card decided.
func (o *optimiser) step(grads []float32) (c kernels.Control) {
	o.b.t.Helper()
	o.b.run(o.b.typ.Step(o.params, o.b.floats(grads), o.momentum, o.working, o.n, o.control, o.room)...)
	data := make([]byte, kernels.ControlBytes)
	o.b.Read(o.control, data)
	if err := c.Decode(data); err != nil {
		o.b.t.Fatal(err)
	}
	return c
}

func (o *optimiser) read(p kernels.Ptr) []float32 {
	o.b.t.Helper()
	return o.b.readFloats(p, o.n)
}

func TestStep(t *testing.T) {
	eachType(t, func(b *bench) {
		for _, n := range []int{1, 300, 40000} { // the last in several pieces
			start := b.random(n)
			params, momentum := b.tensor(device.Values, start, n), b.tensor(device.Values, nil, n)
			o := b.optimiser(start, kernels.Control{})
			for i, clip := range []float64{0, 12, 1e6} {
				cfg := device.SGD{LR: 0.01, Momentum: 0.99, WeightDecay: 3e-5, ClipNorm: clip, First: i == 0}
				c := kernels.Control{LR: 0.01, Momentum: 0.99, WeightDecay: 3e-5, ClipNorm: float32(clip), Keep: 0.99, LossScale: 1}
				if cfg.First {
					c.Keep = 0
				}
				b.Write(o.control, c.Encode())
				grads := b.random(n)
				norm := b.Device.Step(cfg, params, b.tensor(device.Values, grads, n), momentum)
				if got := o.step(grads); math.Abs(got.Norm/norm-1) > 1e-6 || got.Skipped != 0 {
					b.t.Fatalf("step %d: norm %g, want %g, skipped %d", i, got.Norm, norm, got.Skipped)
				}
				b.near("params", o.read(o.params), b.values(params), 1e-6)
				b.near("momentum", o.read(o.momentum), b.values(momentum), 1e-6)
				back := b.Alloc(int64(4 * n))
				b.run(b.typ.ConvertBack(o.working, back, n))
				b.near("working copy", b.readFloats(back, n), b.values(params), b.tolerance)
			}
			b.Reset()
		}
	})
}

func TestStepAdamW(t *testing.T) {
	eachType(t, func(b *bench) {
		for _, n := range []int{7, 300, 40000} {
			start := b.random(n)
			params, first, second := b.tensor(device.Values, start, n), b.tensor(device.Values, nil, n), b.tensor(device.Values, nil, n)
			o := b.optimiser(start, kernels.Control{})
			moment := b.floats(make([]float32, n))
			for i := range 3 {
				cfg := device.AdamW{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.05, ClipNorm: 12, Step: i + 1}
				c := kernels.Control{ClipNorm: 12, LossScale: 1}
				b.Write(o.control, c.Encode())
				grads := b.random(n)
				norm := b.Device.StepAdamW(cfg, params, b.tensor(device.Values, grads, n), first, second)
				step := float64(i + 1)
				numbers := kernels.AdamW{Beta1: 0.9, Beta2: 0.999, Shrink: 1 - 0.01*0.05, Rate: 0.01 / (1 - math.Pow(0.9, step)),
					Root: 1 / math.Sqrt(1-math.Pow(0.999, step)), Eps: 1e-8, Fresh: i == 0}
				b.run(b.typ.StepAdamW(numbers, o.params, b.floats(grads), o.momentum, moment, o.working, n, o.control, o.room)...)
				data := make([]byte, kernels.ControlBytes)
				b.Read(o.control, data)
				if err := c.Decode(data); err != nil || math.Abs(c.Norm/norm-1) > 1e-6 || c.Skipped != 0 {
					b.t.Fatalf("step %d: norm %g, want %g, skipped %d, %v", i, c.Norm, norm, c.Skipped, err)
				}
				b.near("params", o.read(o.params), b.values(params), 1e-5)
				b.near("first moment", o.read(o.momentum), b.values(first), 1e-6)
				b.near("second moment", o.read(moment), b.values(second), 1e-6)
			}
			b.Reset()
		}
	})
}

func TestAverage(t *testing.T) {
	eachType(t, func(b *bench) {
		n := 3000
		dst, src := b.random(n), b.random(n)
		for _, keep := range []float64{0, 0.75} {
			want, from := b.tensor(device.Values, dst, n), b.tensor(device.Values, src, n)
			b.Device.Average(want, from, keep)
			got := b.floats(dst)
			b.run(b.typ.Average(got, b.floats(src), n, keep)...)
			b.near("average", b.readFloats(got, n), b.values(want), 1e-6)
		}
	})
}

// TestLossScale lets gradients overflow, on the first step too: the step is skipped and the scale halved, and two good
// ones double it.
func TestLossScale(t *testing.T) {
	eachType(t, func(b *bench) {
		n := 100
		start := b.random(n)
		o := b.optimiser(start, kernels.Control{LR: 0.5, Momentum: 0.9, ClipNorm: 0, LossScale: 8, Growth: 2})
		params, momentum := b.tensor(device.Values, start, n), b.tensor(device.Values, nil, n)
		first, scale := true, float32(8)
		for i, overflow := range []bool{true, false, false, true, false} {
			grads := b.random(n)
			scaled := make([]float32, n)
			for j := range scaled {
				scaled[j] = grads[j] * scale
			}
			if overflow {
				scaled[n-1] = float32(math.Inf(1 - 2*(i%2)))
			}
			got := o.step(scaled)
			if overflow {
				scale /= 2
			} else {
				norm := b.Device.Step(device.SGD{LR: 0.5, Momentum: 0.9, First: first}, params, b.tensor(device.Values, grads, n), momentum)
				if math.Abs(got.Norm/norm-1) > 1e-6 {
					b.t.Fatalf("step %d: norm %g, want %g", i, got.Norm, norm)
				}
				first = false
			}
			if i == 2 {
				scale *= 2
			}
			if (got.Skipped != 0) != overflow || got.LossScale != scale {
				b.t.Fatalf("step %d: skipped %d, loss scale %g; want %v, %g", i, got.Skipped, got.LossScale, overflow, scale)
			}
			b.near("params", o.read(o.params), b.values(params), 1e-6)
			if i == 0 {
				for _, m := range o.read(o.momentum) {
					if m != 0 {
						b.t.Fatalf("a skipped first step left momentum %g", m)
					}
				}
			}
			if !first {
				got.Keep = 0.9
				b.Write(o.control, got.Encode())
			}
		}
		if got := o.step(make([]float32, n)); got.SkippedTotal != 2 {
			b.t.Errorf("%d steps skipped in all, want 2", got.SkippedTotal)
		}
		b.Reset()
	})
}

// TestNotFinite leaves what is not a number to the host where the loss scale is fixed.
func TestNotFinite(t *testing.T) {
	eachType(t, func(b *bench) {
		o := b.optimiser(b.random(2), kernels.Control{LR: 1, ClipNorm: 12, LossScale: 1})
		if got := o.step([]float32{float32(math.NaN()), 1}); !math.IsNaN(got.Norm) || got.Skipped != 0 {
			b.t.Errorf("norm %g, skipped %d", got.Norm, got.Skipped)
		}
		b.Reset()
	})
}
