package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/testutil"
)

type convCase struct {
	n int
	c Conv
}

func (k convCase) String() string {
	return fmt.Sprintf("n%d %d->%d k%v s%v p%v %v->%v", k.n, k.c.In, k.c.Out, k.c.Kernel, k.c.Stride, k.c.PadLo, k.c.InSize, k.c.OutSize)
}

// convCases are the shapes that broke other libraries or are special to a kernel, then random ones.
func convCases() []convCase {
	cases := []convCase{
		{2, SameConv(2, 20, [3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{9, 8, 11})},
		{1, SameConv(3, 64, [3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{7, 13, 6})},
		{1, SameConv(2, 16, [3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{2, 2, 2})}, // the least that the kernel covers
		{2, SameConv(4, 33, [3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{3, 2, 5})},
		{1, SameConv(5, 48, [3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{8, 8, 8})},
		{3, SameConv(16, 32, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{5, 4, 4})},
		{2, SameConv(24, 40, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{7, 2, 2})},
		{5, SameConv(32, 48, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{4, 1, 1})},
		{1, SameConv(17, 15, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{1, 1, 1})},
		{2, SameConv(16, 16, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{2, 3, 9})},
		{2, SameConv(48, 80, [3]int{1, 1, 1}, [3]int{1, 1, 1}, [3]int{3, 5, 7})},
		{7, SameConv(40, 50, [3]int{1, 1, 1}, [3]int{1, 1, 1}, [3]int{2, 1, 2})},
		{1, SameConv(100, 1, [3]int{1, 1, 1}, [3]int{1, 1, 1}, [3]int{1, 1, 1})},
		{2, SameConv(16, 32, [3]int{3, 3, 3}, [3]int{2, 2, 2}, [3]int{6, 5, 2})},
		{2, SameConv(8, 20, [3]int{1, 3, 3}, [3]int{1, 2, 3}, [3]int{3, 7, 2})},
		{1, Conv{In: 18, Out: 34, Kernel: [3]int{3, 1, 5}, Stride: [3]int{1, 1, 1}, PadLo: [3]int{0, 0, 4}, InSize: [3]int{6, 3, 3}, OutSize: [3]int{4, 3, 5}}},
		{1, Conv{In: 16, Out: 16, Kernel: [3]int{3, 3, 3}, Stride: [3]int{1, 1, 1}, PadLo: [3]int{2, 0, 1}, InSize: [3]int{4, 5, 6}, OutSize: [3]int{6, 3, 6}}},
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		c := Conv{In: 1 + r.IntN(40), Out: 1 + r.IntN(40)}
		for a := range 3 {
			c.Kernel[a] = 1 + r.IntN(4)
			c.Stride[a] = 1 + r.IntN(2)
			c.InSize[a] = 1 + r.IntN(7)
			c.PadLo[a] = r.IntN(c.Kernel[a])
			c.OutSize[a] = 1 + r.IntN(5)
			if c.Stride[a] == 1 && r.IntN(2) == 0 {
				c.OutSize[a] = c.InSize[a]
			}
		}
		cases = append(cases, convCase{1 + r.IntN(3), c})
	}
	return cases
}

// convTolerance is relative to the largest value; Winograd's transformations lose a digit against plain sums.
const convTolerance = 2e-5

func TestConv(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var scratch Scratch
	for _, k := range convCases() {
		c := k.c
		x := randomTensor(r, k.n, c.In, c.InSize)
		dy := randomTensor(r, k.n, c.Out, c.OutSize)
		before := randomTensor(r, k.n, c.In, c.InSize)
		w := randomTensor(r, c.Out, c.In, c.Kernel)
		bias := testutil.Float32(randomTensor(r, 1, c.Out, [3]int{1, 1, 1}).v)
		y := naiveConv(&c, x, w.v)
		dx, dw := naiveConvBackward(&c, x, dy, w.v)
		sum, sumSq := make([]float64, c.Out), make([]float64, c.Out)
		rectified := newTensor(k.n, c.Out, c.OutSize)
		for i, v := range y.v {
			o := i / c.OutVoxels() % c.Out
			sum[o] += v
			sumSq[o] += v * v
			rectified.v[i] = max(0, v+float64(bias[o]))
		}
		t.Run(k.String(), func(t *testing.T) {
			eachPool(t, func(t *testing.T, p *Workers) {
				packed := make([]float32, PackedLen(&c))
				PackWeights(&c, w.f32(), packed)
				back := make([]float32, len(w.v))
				UnpackWeights(&c, packed, back)
				testutil.Near(t, "unpacked weights", testutil.Float64(back), w.v, 0)

				for _, planar := range []bool{false, true} {
					what := fmt.Sprintf("planar %v: ", planar)
					xa := x.act(p)
					if planar {
						xa = PlanarOn(x.f32(), k.n, c.In, c.InSize[0], c.InSize[1], c.InSize[2])
					}
					ya := randomTensor(r, k.n, c.Out, c.OutSize).act(p)
					e := Epilogue{Sum: make([]float64, c.Out), SumSq: make([]float64, c.Out)}
					ConvForward(p, &c, xa, packed, ya, &e, &scratch)
					testutil.Near(t, what+"forward", y.fromAct(p, ya).v, y.v, convTolerance)
					checkGuards(t, what+"forward", ya)
					testutil.Near(t, what+"sums", e.Sum, sum, 1e-4)
					testutil.Near(t, what+"sums of squares", e.SumSq, sumSq, 1e-4)
					ConvForward(p, &c, xa, packed, ya, &Epilogue{Bias: bias, ReLU: true}, &scratch)
					testutil.Near(t, what+"forward, bias, ReLU", y.fromAct(p, ya).v, rectified.v, convTolerance)
					checkGuards(t, what+"forward, bias, ReLU", ya)
					got := make([]float32, len(packed))
					for i := range got {
						got[i] = guard
					}
					ConvBackwardWeights(p, &c, xa, dy.act(p), got, &scratch)
					UnpackWeights(&c, got, back)
					testutil.Near(t, what+"backward weights", testutil.Float64(back), dw, convTolerance)
					PackWeights(&c, back, packed)
					for i := range got {
						if got[i] != packed[i] {
							t.Fatalf("%sgradient of filling weight %d is %g", what, i, got[i])
						}
					}
					PackWeights(&c, w.f32(), packed)
				}
				da := before.act(p)
				ConvBackwardData(p, &c, dy.act(p), packed, da, false, &scratch)
				testutil.Near(t, "backward data", dx.fromAct(p, da).v, dx.v, convTolerance)
				checkGuards(t, "backward data", da)
				da = before.act(p)
				ConvBackwardData(p, &c, dy.act(p), packed, da, true, &scratch)
				added := newTensor(k.n, c.In, c.InSize)
				for i := range added.v {
					added.v[i] = before.v[i] + dx.v[i]
				}
				testutil.Near(t, "backward data, added", dx.fromAct(p, da).v, added.v, convTolerance)
				checkGuards(t, "backward data, added", da)
			})
		})
	}
}

// TestThreadsBitEqual checks that any number of threads gives the same bits.
func TestThreadsBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, set := range cpulevel.Available() {
		for _, c := range []Conv{
			SameConv(2, 32, [3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{12, 12, 12}),
			SameConv(32, 48, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{6, 6, 6}),
			SameConv(64, 48, [3]int{1, 1, 1}, [3]int{1, 1, 1}, [3]int{4, 6, 6}),
		} {
			x, dy := randomTensor(r, 3, c.In, c.InSize), randomTensor(r, 3, c.Out, c.OutSize)
			packed := make([]float32, PackedLen(&c))
			PackWeights(&c, randomTensor(r, c.Out, c.In, c.Kernel).f32(), packed)
			var first []float32
			for _, threads := range []int{1, 2, 5} {
				p := NewWorkersAt(threads, set)
				var s Scratch
				xa, da := x.act(p), dy.act(p)
				y, dx, dw := NewAct(3, c.Out, c.OutSize[0], c.OutSize[1], c.OutSize[2]), NewAct(3, c.In, c.InSize[0], c.InSize[1], c.InSize[2]), make([]float32, len(packed))
				e := Epilogue{Sum: make([]float64, c.Out), SumSq: make([]float64, c.Out)}
				ConvForward(p, &c, xa, packed, y, &e, &s)
				ConvBackwardData(p, &c, da, packed, dx, false, &s)
				ConvBackwardWeights(p, &c, xa, da, dw, &s)
				all := append(append(append(append([]float32{}, y.Data...), dx.Data...), dw...), testutil.Float32(append(e.Sum, e.SumSq...))...)
				if first == nil {
					first = all
				}
				for i := range all {
					if all[i] != first[i] {
						t.Fatalf("%v, %d -> %d: value %d differs between 1 and %d threads: %g, %g", set, c.In, c.Out, i, threads, first[i], all[i])
					}
				}
				p.Close()
			}
		}
	}
}
