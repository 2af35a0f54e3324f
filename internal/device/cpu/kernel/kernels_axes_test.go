package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

// eachFormat runs f for the kernels of every set, on float32 and, where it has them, on bfloat16.
func eachFormat(t *testing.T, f func(t *testing.T, k *Set, bf16 bool)) {
	for _, set := range cpulevel.Available() {
		k := KernelSets[set]
		t.Run(set.String(), func(t *testing.T) { f(t, k, false) })
		if k.halved != nil {
			t.Run(set.String()+"/bfloat16", func(t *testing.T) { f(t, k.halved, true) })
		}
	}
}

// lines are random inputs of the kernels of pooling along an axis, in both formats.
type lines struct {
	count, n, span int
	values         guarded[uint16]
	floats         guarded[float32]
	winners        guarded[uint8]
	offsets        []int
	taps           [][16]uint8
}

func newLines(r *rand.Rand, value func() uint16) lines {
	const reach = 7
	l := lines{count: 1 + r.IntN(9), n: 1 + r.IntN(5), span: 1 + r.IntN(9)}
	l.values = newGuarded(r, (l.count-1+reach)*Block, value)
	i := -1
	l.floats = newGuarded(r, len(l.values.values), func() float32 { i++; return FromBF16(l.values.values[i]) })
	l.winners = newGuarded(r, len(l.values.values), func() uint8 { return uint8(r.IntN(40)) })
	first := r.IntN(3)
	for i := range l.n {
		l.offsets = append(l.offsets, r.IntN(reach))
		var tap [16]uint8
		for j := range tap {
			tap[j] = uint8(first + i*l.span)
		}
		l.taps = append(l.taps, tap)
	}
	return l
}

func (l *lines) start(bf16 bool) *float32 {
	if bf16 {
		return l.values.start()
	}
	return l.floats.start()
}

// out returns memory for count voxels in both formats and a function that reads it.
func (l *lines) out(r *rand.Rand, bf16 bool) (start *float32, read func(t *testing.T, what string) []float32) {
	values, floats := newGuarded(r, l.count*Block, randomBF16(r)), newGuarded(r, l.count*Block, randomFloat(r))
	if bf16 {
		return values.start(), func(t *testing.T, what string) []float32 { values.check(t, what); return halves32(values.values) }
	}
	return floats.start(), func(t *testing.T, what string) []float32 { floats.check(t, what); return floats.values }
}

func TestCombineMax(t *testing.T) {
	eachFormat(t, func(t *testing.T, k *Set, bf16 bool) {
		r := rand.New(rand.NewPCG(51, 52))
		for range 80 {
			l := newLines(r, func() uint16 { return ToBF16(float32(r.IntN(8) - 4)) })
			dst, read := l.out(r, bf16)
			winners := newGuarded(r, l.count*Block, func() uint8 { return 9 })
			k.CombineMax(dst, &winners.values[0], l.start(bf16), &l.winners.values[0], l.count, &l.offsets[0], &l.taps[0], l.n)
			what := fmt.Sprintf("maxima of %d for %d voxels", l.n, l.count)
			got := read(t, what)
			winners.check(t, what)
			for i := range got {
				best, which := float32(0), uint8(0)
				for j, at := range l.offsets {
					if f := l.floats.values[at*Block+i]; j == 0 || f > best {
						best, which = f, l.winners.values[at*Block+i]+l.taps[j][0]
					}
				}
				if got[i] != best || winners.values[i] != which {
					t.Fatalf("%s: value %d is %g of %d, want %g of %d", what, i, got[i], winners.values[i], best, which)
				}
			}
		}
	})
}

func TestSplitSum(t *testing.T) {
	eachFormat(t, func(t *testing.T, k *Set, bf16 bool) {
		r := rand.New(rand.NewPCG(53, 54))
		for range 80 {
			l := newLines(r, func() uint16 { return ToBF16(float32(r.IntN(64)-32) / 8) }) // sums are exact in bfloat16
			l.n = r.IntN(l.n + 1)
			dst, read := l.out(r, bf16)
			winners := newGuarded(r, l.count*Block, func() uint8 { return 9 })
			k.SplitSum(dst, &winners.values[0], l.start(bf16), &l.winners.values[0], l.count, &l.offsets[0], &l.taps[0], l.n, l.span)
			what := fmt.Sprintf("sums of %d for %d voxels, span %d", l.n, l.count, l.span)
			got := read(t, what)
			winners.check(t, what)
			for i := range got {
				sum, which := float32(0), uint8(255)
				for j, at := range l.offsets[:l.n] {
					from := int(l.winners.values[at*Block+i]) - int(l.taps[j][0])
					if from >= 0 && from < l.span {
						sum += l.floats.values[at*Block+i]
						which = uint8(from)
					}
				}
				if got[i] != sum || winners.values[i] != which {
					t.Fatalf("%s: value %d is %g of %d, want %g of %d", what, i, got[i], winners.values[i], sum, which)
				}
			}
		}
	})
}

func TestAxisMax(t *testing.T) {
	eachFormat(t, func(t *testing.T, k *Set, bf16 bool) {
		r := rand.New(rand.NewPCG(55, 56))
		bytes := 4
		if bf16 {
			bytes = 2
		}
		for range 120 {
			rows, count, gap, step, tap1, tap2, start := 1+r.IntN(4), 1+r.IntN(5), r.IntN(3), 1+r.IntN(2), r.IntN(3), r.IntN(5), r.IntN(3)-1
			const span = 20 // vectors of a line of the source
			l := lines{count: (rows-1)*(count+gap) + count}
			below := r.IntN(3) * 6 // none of the values is negative in a third of the cases
			l.values = newGuarded(r, rows*span*Block, func() uint16 { return ToBF16(float32(r.IntN(16) - below)) })
			i := -1
			l.floats = newGuarded(r, len(l.values.values), func() float32 { i++; return FromBF16(l.values.values[i]) })
			dst, read := l.out(r, bf16)
			what := fmt.Sprintf("maxima along an axis: %d lines of %d, step %d, taps %d and %d, start %d", rows, count, step, tap1, tap2, start)
			before := slices.Clone(read(t, what))
			vector := Block * bytes
			k.AxisMax(dst, l.start(bf16), rows, (count+gap)*vector, span*vector, count, step*vector, tap1*vector, tap2*vector, start)
			for i, got := range read(t, what) {
				line, voxel, c := i/Block/(count+gap), i/Block%(count+gap), i%Block
				want := before[i]
				if voxel < count {
					switch {
					case start < 0:
						want = float32(math.Inf(-1))
					case start == 0:
						want = 0
					}
					for _, at := range []int{0, tap1, tap2} {
						want = max(want, l.floats.values[(line*span+voxel*step+at)*Block+c])
					}
				}
				if got != want {
					t.Fatalf("%s: value %d is %g, want %g", what, i, got, want)
				}
			}
		}
	})
}
