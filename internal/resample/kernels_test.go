package resample

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

// guard surrounds every result; a kernel that writes it has gone too far.
const guard = float32(-12345.5)

// guarded returns n random values within guards, shifted by up to 7 values from where those begin.
func guarded(rng *rand.Rand, n int) (all, values []float32) {
	shift := 16 + rng.IntN(8)
	all = slices.Repeat([]float32{guard}, shift+n+32)
	values = all[shift : shift+n]
	for i := range values {
		values[i] = rng.Float32()*2 - 1
	}
	return all, values
}

// TestKernels: every level gives the portable version's bits, whatever the length.
func TestKernels(t *testing.T) {
	kernels := map[string]func(rng *rand.Rand, n int) []float32{
		"causal": func(rng *rand.Rand, n int) []float32 {
			all, row := guarded(rng, n)
			_, previous := guarded(rng, n)
			causal(row, previous, 6, -0.27)
			return all
		},
		"anticausal": func(rng *rand.Rand, n int) []float32 {
			all, row := guarded(rng, n)
			_, next := guarded(rng, n)
			anticausal(row, next, -0.27)
			return all
		},
		"combine": func(rng *rand.Rand, n int) []float32 {
			all, out := guarded(rng, n)
			_, lines := guarded(rng, 7*n)
			combine(out, lines, 2*n, &[4]float32{0.1, 0.7, 0.3, -0.2})
			return all
		},
		"clip": func(rng *rand.Rand, n int) []float32 {
			all, out := guarded(rng, n)
			clipTo(out, -0.3, 0.6)
			return all
		},
		"limits": func(rng *rand.Rand, n int) []float32 {
			_, data := guarded(rng, n)
			low, high := limits(data)
			if low != slices.Min(data) || high != slices.Max(data) {
				t.Errorf("limits of %d values at %v: %v, %v", n, cpulevel.Default(), low, high)
			}
			return []float32{low, high}
		},
		"gather": func(rng *rand.Rand, n int) []float32 {
			w := 1 + rng.IntN(blockWidth)
			all, lines := guarded(rng, w*n)
			_, rows := guarded(rng, w*n)
			gather(lines, rows, w, n)
			return all
		},
		"scatter": func(rng *rand.Rand, n int) []float32 {
			w := 1 + rng.IntN(blockWidth)
			all, rows := guarded(rng, w*n)
			_, block := guarded(rng, w*n)
			scatter(rows, block, w, n)
			return all
		},
	}
	for name, kernel := range kernels {
		for n := 1; n < 70; n++ {
			var want []float32
			for _, l := range cpulevel.Available() {
				restore := cpulevel.Use(l)
				got := kernel(rand.New(rand.NewPCG(uint64(n), 5)), n)
				restore()
				if want == nil {
					want = got
				}
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%s of %d at %v: value %d is %v, portable %v", name, n, l, i, got[i], want[i])
					}
				}
			}
		}
	}
}

// TestSameBitsEverywhere: a resampled array is the same on every processor and at every level, as no product is fused
// with a sum.
func TestSameBitsEverywhere(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	size := [3]int{13, 70, 45}
	data := make([]float32, size[0]*size[1]*size[2])
	mask := make([]int16, len(data))
	for i := range data {
		data[i] = float32(rng.Float32()*2000) - 1000 // not fused either
		mask[i] = int16(rng.IntN(12)/9) - 1
	}
	for _, c := range []struct {
		to   [3]int
		axis int
		want uint32
	}{
		{[3]int{17, 61, 66}, -1, 0x97120458}, {[3]int{17, 61, 66}, 0, 0xecbf22c0},
		{[3]int{19, 93, 45}, -1, 0x405b6b14}, {[3]int{19, 93, 45}, 2, 0x819d9a5d},
	} {
		for _, l := range cpulevel.Available() {
			restore := cpulevel.Use(l)
			out := resampled(data, size, c.to, c.axis)
			labels := Labels(mask, size, c.to, c.axis)
			restore()
			sum := crc32.NewIEEE()
			if err := binary.Write(sum, binary.LittleEndian, out); err != nil {
				t.Fatal(err)
			}
			if err := binary.Write(sum, binary.LittleEndian, labels); err != nil {
				t.Fatal(err)
			}
			if got := sum.Sum32(); got != c.want {
				t.Errorf("%v to %v, axis %d at %v: checksum %#08x, want %#08x", size, c.to, c.axis, l, got, c.want)
			}
		}
	}
}
