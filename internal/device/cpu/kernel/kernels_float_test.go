package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/testutil"
)

// eachSet runs f for the float32 kernels of every set of this processor.
func eachSet(t *testing.T, f func(t *testing.T, k *Set)) {
	for _, set := range cpulevel.Available() {
		t.Run(set.String(), func(t *testing.T) { f(t, KernelSets[set]) })
	}
}

// positive returns float32 whose logarithms are spread over many orders of magnitude.
func positive(r *rand.Rand) func() float32 {
	return func() float32 { return float32(math.Exp(4 * r.NormFloat64())) }
}

// TestNormalization checks the kernels of batch norm against their formulas in float64.
func TestNormalization(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Set) {
		r := rand.New(rand.NewPCG(61, 62))
		for count := 1; count <= 21; count++ {
			x, g := newGuarded(r, count*Block, randomFloat(r)), newGuarded(r, count*Block, randomFloat(r))
			// Scales are powers of two, so that all kernels see the same side of the floor.
			params := newGuarded(r, 5*Block, func() float32 { return float32(r.IntN(33)-16) / 16 })
			for i := range Block {
				params.values[i] = []float32{-2, -0.5, 0, 0.25, 1, 4}[r.IntN(6)]
				if r.IntN(4) == 0 {
					params.values[2*Block+i] = float32(math.Inf(-1))
				}
			}
			param := func(which, i int) float64 { return float64(params.values[which*Block+i%Block]) }
			forward, backward := make([]float64, count*Block), make([]float64, count*Block)
			sums, gradientSums := make([]float64, 2*Block), make([]float64, 2*Block)
			for i, f := range x.values {
				v, d := float64(f), float64(g.values[i])
				y := float64(float32(v*param(0, i) + param(1, i)))
				forward[i] = max(y, param(2, i))
				backward[i] = v*param(3, i) + param(4, i)
				sums[i%Block] += v
				sums[Block+i%Block] += v * v
				if y > param(2, i) {
					backward[i] += d * param(0, i)
					gradientSums[i%Block] += d
					gradientSums[Block+i%Block] += d * float64(f-params.values[3*Block+i%Block])
				}
			}
			what := fmt.Sprintf("%d voxels", count)

			y := newGuarded(r, count*Block, randomFloat(r))
			k.Normalize(y.start(), x.start(), count, params.start())
			testutil.Near(t, "normalize: "+what, testutil.Float64(y.values), forward, 1e-6)
			y.check(t, "normalize: "+what)
			y = x.copy(r)
			k.Normalize(y.start(), y.start(), count, params.start())
			testutil.Near(t, "normalize in place: "+what, testutil.Float64(y.values), forward, 1e-6)

			y = g.copy(r)
			k.NormalizeBack(y.start(), x.start(), y.start(), count, params.start())
			testutil.Near(t, "normalize back: "+what, testutil.Float64(y.values), backward, 1e-6)
			y.check(t, "normalize back: "+what)

			out := newGuarded(r, 2*Block, r.Float64)
			k.Sums(x.start(), count, &out.values[0])
			testutil.Near(t, "sums: "+what, out.values, sums, 1e-13)
			out.check(t, "sums: "+what)
			k.GradientSums(x.start(), g.start(), count, params.start(), &out.values[0])
			testutil.Near(t, "gradient sums: "+what, out.values, gradientSums, 1e-13)
			out.check(t, "gradient sums: "+what)
		}
	})
}

// TestNormalizeNaN checks that what is not a number stays so through the ReLU and that gradients stop there.
func TestNormalizeNaN(t *testing.T) {
	nan := float32(math.NaN())
	eachFormat(t, func(t *testing.T, k *Set, bf16 bool) {
		r := rand.New(rand.NewPCG(63, 64))
		var params [5 * Block]float32
		for i := range Block {
			params[i], params[3*Block+i] = 1, 0.5 // scales, slopes; shifts and floors are 0
		}
		x := lines{count: 1, values: newGuarded(r, Block, func() uint16 { return ToBF16(nan) }), floats: newGuarded(r, Block, func() float32 { return nan })}
		dst, read := x.out(r, bf16)
		k.Normalize(dst, x.start(bf16), 1, &params[0])
		for i, f := range read(t, "normalize") {
			if f == f {
				t.Fatalf("value %d is %g", i, f)
			}
		}
		g := lines{count: 1, values: newGuarded(r, Block, randomBF16(r)), floats: newGuarded(r, Block, randomFloat(r))}
		var sums [2 * Block]float64
		k.GradientSums(x.start(bf16), g.start(bf16), 1, &params[0], &sums[0])
		for i, f := range sums[:Block] {
			if f != 0 {
				t.Fatalf("the sum of the gradients %d is %g", i, f)
			}
		}
	})
}

// TestOptimizers checks the steps of SGD and AdamW against their formulas in float64, value by value.
func TestOptimizers(t *testing.T) {
	near := func(t *testing.T, what string, got []float32, want []float64) {
		t.Helper()
		for i, f := range want {
			if !(math.Abs(float64(got[i])-f) <= 1e-6*math.Abs(f)) {
				t.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(want), got[i], f)
			}
		}
	}
	eachSet(t, func(t *testing.T, k *Set) {
		r := rand.New(rand.NewPCG(65, 66))
		for count := 1; count <= 9; count++ {
			n := count * Block
			what := fmt.Sprintf("%d vectors", count)
			// All terms are above zero, so that none cancels another's digits.
			w, g, m, v := newGuarded(r, n, positive(r)), newGuarded(r, n, positive(r)), newGuarded(r, n, positive(r)), newGuarded(r, n, positive(r))
			all := []guarded[float32]{w, g, m, v}
			check := func(name string) {
				t.Helper()
				for _, a := range all {
					a.check(t, name+": "+what)
				}
			}
			wantW, wantM, wantV := make([]float64, n), make([]float64, n), make([]float64, n)
			gradients := testutil.Float64(g.values)

			const scale, decay, keep, momentum, rate = 0.5, 0.125, 0.75, 0.875, 0.03125
			for i, d := range gradients {
				f := scale*d + decay*float64(w.values[i])
				wantM[i] = keep*float64(m.values[i]) + f
				wantW[i] = float64(w.values[i]) + rate*(f+momentum*wantM[i])
			}
			k.Sgd(w.start(), g.start(), m.start(), count, scale, decay, keep, momentum, rate)
			near(t, "SGD's momenta: "+what, m.values, wantM)
			near(t, "SGD's parameters: "+what, w.values, wantW)
			check("SGD")

			numbers := [9]float32{0.5, 0.875, 0.125, 0.75, 0.25, 0.9375, 0.5, 2, 0.0625}
			var q [9]float64
			copy(q[:], testutil.Float64(numbers[:]))
			for i, d := range gradients {
				f := q[0] * d
				wantM[i] = q[1]*float64(m.values[i]) + q[2]*f
				wantV[i] = q[3]*float64(v.values[i]) + q[4]*f*f
				wantW[i] = q[5]*float64(w.values[i]) + q[6]*(wantM[i]/(math.Sqrt(wantV[i])*q[7]+q[8]))
			}
			k.Adamw(w.start(), g.start(), m.start(), v.start(), count, &numbers)
			near(t, "AdamW's first moments: "+what, m.values, wantM)
			near(t, "AdamW's second moments: "+what, v.values, wantV)
			near(t, "AdamW's parameters: "+what, w.values, wantW)
			check("AdamW")
		}
	})
}

// wildFloats returns few different values, so that there are ties, with some that are not numbers, infinite or zeros of
// both signs.
func wildFloats(r *rand.Rand) func() float32 {
	halves, negativeZero := fewHalves(r, true), float32(math.Copysign(0, -1))
	return func() float32 {
		if r.IntN(8) == 0 {
			return []float32{0, negativeZero}[r.IntN(2)]
		}
		return FromBF16(halves())
	}
}

// sameBits fails unless all bits agree; what is not a number equals its kind.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	exact(t, what, got, want)
	for i, f := range want {
		if f == 0 && math.Signbit(float64(f)) != math.Signbit(float64(got[i])) {
			t.Fatalf("%s: value %d of %d is %g, want %g", what, i, len(want), got[i], f)
		}
	}
}

// TestWindows checks max pooling and its gradient against the portable kernels, bit by bit.
func TestWindows(t *testing.T) {
	portable := KernelSets[cpulevel.Generic]
	eachSet(t, func(t *testing.T, k *Set) {
		r := rand.New(rand.NewPCG(67, 68))
		for range 80 {
			const reach = 12
			count, step, n, add := 1+r.IntN(9), 1+r.IntN(3), r.IntN(9), r.IntN(2)
			zeroTap, before := -1, n
			if n == 0 || r.IntN(2) == 0 {
				zeroTap, before = r.IntN(255), r.IntN(n+1)
			}
			x := newGuarded(r, ((count-1)*step+reach)*Block, wildFloats(r))
			taps, offsets, bytes := make([][16]uint8, n+1), make([]int, n+1), make([]int, n+1)
			for i := range n {
				offsets[i] = r.IntN(reach)
				bytes[i] = offsets[i] * 64
				for l := range taps[i] {
					taps[i][l] = uint8(i*17 + 3)
				}
			}
			want, wantWinners := make([]float32, count*Block), make([]uint8, count*Block)
			portable.WindowArgMax(&want[0], &wantWinners[0], x.start(), step*64, count, &bytes[0], &taps[0], before, n-before, zeroTap)
			y, w := newGuarded(r, count*Block, randomFloat(r)), newGuarded(r, count*Block, func() uint8 { return 1 })
			k.WindowArgMax(y.start(), &w.values[0], x.start(), step*64, count, &bytes[0], &taps[0], before, n-before, zeroTap)
			what := fmt.Sprintf("%d windows of %d taps, zero %d", count, n, zeroTap)
			sameBits(t, "maxima: "+what, y.values, want)
			exact(t, "winners: "+what, w.values, wantWinners)
			y.check(t, "maxima: "+what)
			w.check(t, "winners: "+what)

			g := newGuarded(r, (count-1+reach)*Block, randomFloat(r))
			won := newGuarded(r, len(g.values), func() uint8 { return uint8(r.IntN(4)) })
			for i := range n {
				for l := range taps[i] {
					taps[i][l] = uint8(i % 4)
				}
			}
			sum := newGuarded(r, ((count-1)*step+1)*Block, randomFloat(r))
			expected := sum.copy(r)
			portable.WinnersSum(expected.start(), step*64, g.start(), &won.values[0], count, &offsets[0], &taps[0], n, add)
			k.WinnersSum(sum.start(), step*64, g.start(), &won.values[0], count, &offsets[0], &taps[0], n, add)
			what = fmt.Sprintf("winners' sum: %d voxels, %d windows, add %d", count, n, add)
			exact(t, what, sum.values, expected.values)
			sum.check(t, what)
		}
	})
}

// TestCombineMaxOrder checks the order of ties, of zeros of both signs and of what is not a number, against the
// portable kernels.
func TestCombineMaxOrder(t *testing.T) {
	eachFormat(t, func(t *testing.T, k *Set, bf16 bool) {
		portable := KernelSets[cpulevel.Generic].On(bf16)
		r := rand.New(rand.NewPCG(69, 70))
		for range 80 {
			floats := wildFloats(r)
			l := newLines(r, func() uint16 { return uint16(math.Float32bits(floats()) >> 16) })
			want, readWant := l.out(r, bf16)
			wantWinners := make([]uint8, l.count*Block)
			portable.CombineMax(want, &wantWinners[0], l.start(bf16), &l.winners.values[0], l.count, &l.offsets[0], &l.taps[0], l.n)
			dst, read := l.out(r, bf16)
			winners := newGuarded(r, l.count*Block, func() uint8 { return 9 })
			k.CombineMax(dst, &winners.values[0], l.start(bf16), &l.winners.values[0], l.count, &l.offsets[0], &l.taps[0], l.n)
			what := fmt.Sprintf("maxima of %d for %d voxels", l.n, l.count)
			sameBits(t, what, read(t, what), readWant(t, what))
			exact(t, "winners: "+what, winners.values, wantWinners)
		}
	})
}
