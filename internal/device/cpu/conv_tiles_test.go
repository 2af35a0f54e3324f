package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
	"github.com/universal-classifier/uc/internal/testutil"
)

// rounded returns t in numbers that bfloat16 holds.
func (t tensor) rounded() tensor {
	for i, v := range t.v {
		t.v[i] = float64(kernel.FromBF16(kernel.ToBF16(float32(v))))
	}
	return t
}

// bf16Within returns t in bfloat16 as blocks of a wider array whose other blocks hold guard.
func (t tensor) bf16Within(p *Workers) Act {
	blocks := Blocks(t.c) + 2
	data := kernel.AlignedFloats(ActLen(t.n, blocks*kernel.Block, t.size[0], t.size[1], t.size[2]) / 2)
	for i := range data {
		data[i] = guard
	}
	a := BF16On(data, t.n, blocks*kernel.Block, t.size[0], t.size[1], t.size[2]).Slice(kernel.Block, t.c)
	PackActivations(p, t.f32(), a)
	return a
}

// checkBF16 compares a, of bf16Within, with the values that it should have, and looks for writes beside it.
func checkBF16(t *testing.T, what string, p *Workers, a Act, want tensor) {
	t.Helper()
	testutil.Near(t, what, want.fromAct(p, a).v, want.v, 1.0/200)
	size := Blocks(a.C) * a.Voxels() * a.vec()
	for n := range a.N {
		for i := size; i < a.NStride && n*a.NStride+i < len(a.Data); i++ {
			if a.Data[n*a.NStride+i] != guard {
				t.Fatalf("%s: sample %d: wrote %d floats beyond its channels", what, n, i-size+1)
			}
		}
		for b := range Blocks(a.C) {
			for i, v := range halves(a.block(n, b)) {
				if b*kernel.Block+i%kernel.Block >= a.C && v != 0 {
					t.Fatalf("%s: channel %d of %d is not zero", what, b*kernel.Block+i%kernel.Block, a.C)
				}
			}
		}
	}
}

// TestConvTiles compares convolutions by tiles with plain sums, for random shapes and those of odd sizes, odd numbers
// of blocks and few voxels.
func TestConvTiles(t *testing.T) {
	if !slices.Contains(cpulevel.Available(), cpulevel.AMX) {
		t.Skip("this processor has no tiles (AMX), or its system does not let this process use them")
	}
	cases := convCases()
	one, three := [3]int{1, 1, 1}, [3]int{3, 3, 3}
	cases = append(cases,
		convCase{1, SameConv(48, 33, three, one, [3]int{2, 18, 20})},
		convCase{2, SameConv(112, 80, three, one, [3]int{4, 4, 4})},
		convCase{17, SameConv(32, 48, three, one, [3]int{4, 1, 1})},
		convCase{3, SameConv(20, 70, three, one, [3]int{7, 2, 2})},
		convCase{2, SameConv(16, 16, three, one, [3]int{5, 7, 7})},
		convCase{1, SameConv(40, 16, three, one, [3]int{3, 9, 40})},
		convCase{1, SameConv(64, 48, one, one, [3]int{9, 11, 13})},
		convCase{1, SameConv(16, 32, [3]int{4, 4, 4}, one, [3]int{9, 8, 10})},
	)
	for _, k := range cases {
		c := k.c
		if c.Stride != one {
			continue
		}
		t.Run(k.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(9, 9))
			x, dy := randomTensor(r, k.n, c.In, c.InSize).rounded(), randomTensor(r, k.n, c.Out, c.OutSize).rounded()
			w := randomTensor(r, c.Out, c.In, c.Kernel).rounded()
			packed := kernel.AlignedFloats(PackedLen(&c))
			PackWeights(&c, w.f32(), packed)
			y := naiveConv(&c, x, w.v)
			dx, dw := naiveConvBackward(&c, x, dy, w.v)
			bias := make([]float32, c.Out)
			for i := range bias {
				bias[i] = float32(r.NormFloat64())
			}
			shifted, added := newTensor(k.n, c.Out, c.OutSize), newTensor(k.n, c.In, c.InSize)
			for i, v := range y.v {
				shifted.v[i] = max(0, v+float64(bias[i/c.OutVoxels()%c.Out]))
			}
			before := randomTensor(r, k.n, c.In, c.InSize).rounded()
			for i, v := range dx.v {
				added.v[i] = v + before.v[i]
			}
			var first []float32
			for _, threads := range []int{1, 2, 5} {
				p := NewWorkersAt(threads, cpulevel.AMX)
				defer p.Close()
				var s Scratch
				defer s.free()
				if _, ok := c.tilePlan(p, Act{N: k.n, BF16: true}); !ok {
					t.Skip("no tap reaches into the input")
				}
				xa, dya := x.bf16Within(p), dy.bf16Within(p)
				out := newTensor(k.n, c.Out, c.OutSize).bf16Within(p)
				sum, sumSq := make([]float64, c.Out), make([]float64, c.Out)
				ConvForward(p, &c, xa, packed, out, &Epilogue{Sum: sum, SumSq: sumSq}, &s)
				checkBF16(t, "forward", p, out, y)
				all := slices.Clone(out.Data)
				ConvForward(p, &c, xa, packed, out, &Epilogue{Bias: bias, ReLU: true, Forms: &Forms{}}, &s)
				checkBF16(t, "forward with bias and ReLU", p, out, shifted)
				all = append(all, out.Data...)
				back := before.bf16Within(p)
				ConvBackwardData(p, &c, dya, packed, back, true, &s)
				checkBF16(t, "backward data, added", p, back, added)
				ConvBackwardData(p, &c, dya, packed, back, false, &s)
				checkBF16(t, "backward data", p, back, dx)
				all = append(all, back.Data...)
				gradient := kernel.AlignedFloats(len(packed))
				for i := range gradient {
					gradient[i] = guard
				}
				ConvBackwardWeights(p, &c, xa, dya, gradient, &s)
				got := make([]float32, len(w.v))
				UnpackWeights(&c, gradient, got)
				testutil.Near(t, "backward weights", testutil.Float64(got), dw, 1e-5)
				all = append(append(all, gradient...), testutil.Float32(append(sum, sumSq...))...)
				if first == nil {
					first = all
				}
				if !slices.Equal(halves(all), halves(first)) {
					t.Errorf("%d threads give other bits than 1", threads)
				}
			}
		})
	}
}
