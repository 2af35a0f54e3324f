//go:build !noasm

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

// bothFormats runs f for NEON's kernels beside the portable ones.
func bothFormats(t *testing.T, f func(t *testing.T, neon, portable *Set, bf16 bool)) {
	for _, bf16 := range []bool{false, true} {
		neon, portable := KernelSets[cpulevel.NEON].On(bf16), KernelSets[cpulevel.Generic].On(bf16)
		if neon != nil {
			t.Run(fmt.Sprintf("bfloat16 %v", bf16), func(t *testing.T) { f(t, neon, portable, bf16) })
		}
	}
}

// anyBits returns bfloat16 of all kinds, many of them equal.
func anyBits(r *rand.Rand) func() uint16 {
	return func() uint16 {
		switch r.IntN(4) {
		case 0:
			return uint16(r.Uint32())
		case 1:
			return uint16(r.Uint32()) & 0x807f // zeros and denormals
		case 2:
			return uint16(r.Uint32()) | 0x7f80 // infinite or not numbers
		default:
			return ToBF16(float32(r.IntN(5) - 2))
		}
	}
}

// anyLines are inputs of such bits, in both formats.
func anyLines(r *rand.Rand) lines { return newLines(r, anyBits(r)) }

// TestNEONEqualsPortable checks, bit by bit, that maxima and the sums of winners equal those of the portable kernels:
// with ties, zeros of both signs, denormals, infinities and what is not a number.
func TestNEONEqualsPortable(t *testing.T) {
	bothFormats(t, func(t *testing.T, neon, portable *Set, bf16 bool) {
		r := rand.New(rand.NewPCG(71, 72))
		voxel := 64
		if bf16 {
			voxel = 32
		}
		// both has f run with both sets on equal memory.
		both := func(l lines, what string, f func(k *Set, dst *float32, winners *uint8)) {
			t.Helper()
			seed := r.Uint64()
			var values [2][]float32
			var winners [2]guarded[uint8]
			for i, k := range []*Set{portable, neon} {
				again := rand.New(rand.NewPCG(seed, 0))
				bits := anyBits(again)
				half := newGuarded(again, l.count*Block, bits)
				float := newGuarded(again, l.count*Block, func() float32 { return FromBF16(bits()) })
				winners[i] = newGuarded(again, l.count*Block, func() uint8 { return 9 })
				dst := float.start()
				if bf16 {
					dst = half.start()
				}
				f(k, dst, &winners[i].values[0])
				half.check(t, what)
				float.check(t, what)
				winners[i].check(t, what)
				values[i] = float.values
				if bf16 {
					values[i] = halves32(half.values)
				}
			}
			sameBits(t, what, values[1], values[0])
			exact(t, "winners: "+what, winners[1].values, winners[0].values)
		}
		for range 150 {
			l := anyLines(r)
			what := fmt.Sprintf("%d voxels, %d vectors", l.count, l.n)
			x := func(i int) *float32 {
				if bf16 {
					return l.values.at(i * Block)
				}
				return l.floats.at(i * Block)
			}
			both(l, "max3: "+what, func(k *Set, dst *float32, _ *uint8) { k.Max3(dst, x(0), x(3), x(6), l.count) })
			both(l, "combine: "+what, func(k *Set, dst *float32, winners *uint8) {
				k.CombineMax(dst, winners, x(0), &l.winners.values[0], l.count, &l.offsets[0], &l.taps[0], l.n)
			})
			for _, span := range []int{l.span, 256, 400} {
				both(l, fmt.Sprintf("split, span %d: %s", span, what), func(k *Set, dst *float32, winners *uint8) {
					k.SplitSum(dst, winners, x(0), &l.winners.values[0], l.count, &l.offsets[0], &l.taps[0], l.n, span)
				})
			}
			for add := range 2 {
				both(l, fmt.Sprintf("winners, add %d: %s", add, what), func(k *Set, dst *float32, _ *uint8) {
					k.WinnersSum(dst, voxel, x(0), &l.winners.values[0], l.count, &l.offsets[0], &l.taps[0], l.n, add)
				})
			}
			for start := -1; start <= 1; start++ {
				both(l, fmt.Sprintf("axis, start %d: %s", start, what), func(k *Set, dst *float32, _ *uint8) {
					k.AxisMax(dst, x(0), 1, 0, 0, l.count, voxel, 2*voxel, 6*voxel, start)
				})
			}
			for i := range l.offsets {
				l.offsets[i] *= voxel
			}
			for before := range l.n + 1 {
				zeroTap := r.IntN(3) - 1
				both(l, fmt.Sprintf("windows, zero %d after %d: %s", zeroTap, before, what), func(k *Set, dst *float32, winners *uint8) {
					k.WindowArgMax(dst, winners, x(0), voxel, l.count, &l.offsets[0], &l.taps[0], before, l.n-before, zeroTap)
				})
			}
		}
	})
}

// TestNEONGradientSums checks that voxels which the ReLU cuts off add nothing, whatever they hold.
func TestNEONGradientSums(t *testing.T) {
	bothFormats(t, func(t *testing.T, neon, _ *Set, bf16 bool) {
		var params [5 * Block]float32
		for i := range Block {
			params[i], params[3*Block+i] = 1, 0.5 // scales, means; shifts and floors are 0
		}
		r := rand.New(rand.NewPCG(73, 74))
		cut := []uint16{0x7fc0, 0xffc0, 0xff80, ToBF16(-1)}
		for count := 1; count <= 33; count++ {
			l := lines{values: newGuarded(r, count*Block, func() uint16 { return cut[r.IntN(len(cut))] })}
			l.floats = guarded[float32]{values: halves32(l.values.values)}
			g := lines{values: newGuarded(r, count*Block, randomBF16(r)), floats: newGuarded(r, count*Block, randomFloat(r))}
			sums := newGuarded(r, 2*Block, r.Float64)
			neon.GradientSums(l.start(bf16), g.start(bf16), count, &params[0], &sums.values[0])
			for i, f := range sums.values {
				if f != 0 {
					t.Fatalf("%d voxels: sum %d is %g", count, i, f)
				}
			}
			sums.check(t, "gradient sums")
		}
	})
}

// TestNEONRounding checks the rounding to bfloat16 of what batch norm's kernels compute.
func TestNEONRounding(t *testing.T) {
	k := KernelSets[cpulevel.NEON].On(true)
	if k == nil {
		t.Skip("no FEAT_BF16")
	}
	r := rand.New(rand.NewPCG(75, 76))
	value := roundings(r)
	for range 2000 {
		var params [5 * Block]float32 // scales and slopes are 0
		want := make([]float32, Block)
		for i := range Block {
			f := value()
			params[Block+i], params[2*Block+i], params[4*Block+i] = f, float32(math.Inf(-1)), f // shifts, floors, offsets
			want[i] = FromBF16(ToBF16(f))
		}
		what := fmt.Sprintf("%x rounded", params[Block:2*Block])
		x, y := newGuarded(r, Block, func() uint16 { return 0 }), newGuarded(r, Block, randomBF16(r))
		k.Normalize(y.start(), x.start(), 1, &params[0])
		sameBits(t, what, halves32(y.values), want)
		k.NormalizeBack(y.start(), x.start(), x.start(), 1, &params[0])
		sameBits(t, "back, "+what, halves32(y.values), want)
	}
}
