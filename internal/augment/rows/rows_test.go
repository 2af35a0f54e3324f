package rows

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
)

// guard is written around every result; a kernel that writes it has gone too far.
const guard = float32(-12345.5)

// guarded returns n values within room for guards, shifted by up to 7 values from where the room begins.
func guarded(rng *rand.Rand, n int) (all, values []float32) {
	shift := 16 + rng.IntN(8)
	all = make([]float32, shift+n+32)
	for i := range all {
		all[i] = guard
	}
	values = all[shift : shift+n]
	for i := range values {
		values[i] = rng.Float32()*2 - 1
	}
	return all, values
}

// compareLevels runs f at every level on the same random numbers. f returns its whole results, guards included.
func compareLevels(t *testing.T, tolerance float64, f func(rng *rand.Rand, n int) []float32) {
	t.Helper()
	sizes := []int{1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 95, 96, 100, 160, 163, 326}
	for _, n := range sizes {
		for seed := range uint64(4) {
			var want []float32
			for _, l := range cpulevel.Available() {
				restore := cpulevel.Use(l)
				got := f(rand.New(rand.NewPCG(seed, uint64(n))), n)
				restore()
				if want == nil {
					want = got
					continue
				}
				for i := range got {
					if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance) {
						t.Fatalf("%v n=%d seed %d: value %d of %d is %v, portable %v", l, n, seed, i, len(got), got[i], want[i])
					}
				}
			}
		}
	}
}

func weightsOf(rng *rand.Rand, n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = rng.Float32() - 0.5
	}
	return w
}

func TestCombine(t *testing.T) {
	compareLevels(t, 2e-5, func(rng *rand.Rand, n int) []float32 {
		taps, stride := 1+rng.IntN(30), 1+rng.IntN(n+3)
		all, dst := guarded(rng, n)
		_, src := guarded(rng, (taps-1)*stride+n)
		Combine(dst, src, stride, weightsOf(rng, taps))
		return all
	})
}

func TestCombineInPlace(t *testing.T) {
	compareLevels(t, 2e-5, func(rng *rand.Rand, n int) []float32 {
		taps := 1 + rng.IntN(14)
		all, block := guarded(rng, taps*n)
		Combine(block[:n], block, n, weightsOf(rng, taps))
		Combine(block[(taps-1)*n:], block[max(taps-2, 0)*n:], n, weightsOf(rng, min(taps, 2)))
		return all
	})
}

func TestCombine4(t *testing.T) {
	compareLevels(t, 5e-5, func(rng *rand.Rand, n int) []float32 {
		taps, stride, dstStride := rng.IntN(40), n+rng.IntN(3), n+rng.IntN(5)
		if n == 17 {
			taps = 260 // more than the fast versions take
		}
		all, dst := guarded(rng, 3*dstStride+n)
		for i := range dst {
			dst[i] = guard
		}
		_, src := guarded(rng, (taps+2)*stride+n)
		Combine4(dst, dstStride, n, src, stride, weightsOf(rng, taps))
		return all
	})
}

func TestSmooth(t *testing.T) {
	compareLevels(t, 5e-5, func(rng *rand.Rand, n int) []float32 {
		radius, stride, dstStride := rng.IntN(53), n+rng.IntN(3), n+rng.IntN(5)
		weights := weightsOf(rng, 2*radius+1)
		for i := range radius {
			weights[i] = weights[2*radius-i]
		}
		all, dst := guarded(rng, 7*dstStride+n)
		for i := range dst {
			dst[i] = guard
		}
		_, src := guarded(rng, 7*stride+n)
		Smooth(dst, dstStride, src, stride, n, weights)
		return all
	})
}

func TestDecay(t *testing.T) {
	compareLevels(t, 1e-6, func(rng *rand.Rand, n int) []float32 {
		all, a := guarded(rng, n)
		_, b := guarded(rng, n)
		Decay(a, b, -0.27)
		DecayBack(a, b, -0.27)
		return all
	})
}

// The coefficients, put back through the B-spline, give the row.
func TestSplineRow(t *testing.T) {
	compareLevels(t, 5e-6, func(rng *rand.Rand, n int) []float32 {
		all, dst := guarded(rng, n)
		_, src := guarded(rng, n+2*SplineReach)
		SplineRow(dst, src, 1)
		for i := 1; i < n-1; i++ {
			if back := (dst[i-1] + 4*dst[i] + dst[i+1]) / 6; math.Abs(float64(back-src[SplineReach+i])) > 2e-6 {
				t.Fatalf("%v n=%d: value %d comes back as %v, was %v", cpulevel.Default(), n, i, back, src[SplineReach+i])
			}
		}
		return all
	})
}

func TestTaps4(t *testing.T) {
	compareLevels(t, 1e-6, func(rng *rand.Rand, n int) []float32 {
		all, dst := guarded(rng, n)
		_, src := guarded(rng, 40)
		index := make([]int32, n)
		for i := range index {
			index[i] = rng.Int32N(37)
		}
		Taps4(dst, src, index, weightsOf(rng, 4*n))
		return all
	})
}

func TestInterleave(t *testing.T) {
	compareLevels(t, 0, func(rng *rand.Rand, n int) []float32 {
		all, dst := guarded(rng, 2*n)
		_, a := guarded(rng, n)
		_, b := guarded(rng, n)
		Interleave(dst, a, b)
		for i := range a {
			if dst[2*i] != a[i] || dst[2*i+1] != b[i] {
				t.Fatalf("%v n=%d: pair %d is %v", cpulevel.Default(), n, i, dst[2*i:2*i+2])
			}
		}
		return all
	})
}

func TestReverseAndSwap(t *testing.T) {
	compareLevels(t, 0, func(rng *rand.Rand, n int) []float32 {
		allA, a := guarded(rng, n)
		allB, b := guarded(rng, n)
		wantA, wantB := slices.Clone(b), slices.Clone(a)
		slices.Reverse(wantA)
		Swap(a, b)
		Reverse(a)
		SwapReversed(a, b)
		slices.Reverse(a)
		// a: swapped to b, reversed, then swapped with the other reversed: the old a reversed, turned again.
		if !slices.Equal(a, wantB) {
			t.Fatalf("%v n=%d: first row is wrong", cpulevel.Default(), n)
		}
		slices.Reverse(b)
		if !slices.Equal(b, wantA) {
			t.Fatalf("%v n=%d: second row is wrong", cpulevel.Default(), n)
		}
		return append(allA, allB...)
	})
}

func TestAffineAndScale(t *testing.T) {
	compareLevels(t, 1e-6, func(rng *rand.Rand, n int) []float32 {
		all, x := guarded(rng, n)
		Affine(x, 1.5, 0.1, -0.7, 0.8)
		Scale(x, 1.25)
		return all
	})
}

func TestDescribe(t *testing.T) {
	for _, l := range cpulevel.Available() {
		defer cpulevel.Use(l)()
		for _, n := range []int{1, 5, 16, 33, 1000, 20000} {
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			x := make([]float32, n)
			var sum, low, high float64 = 0, math.Inf(1), math.Inf(-1)
			for i := range x {
				x[i] = 1000 + float32(rng.NormFloat64())
				sum += float64(x[i])
				low, high = min(low, float64(x[i])), max(high, float64(x[i]))
			}
			mean := sum / float64(n)
			var squares float64
			for _, v := range x {
				squares += (float64(v) - mean) * (float64(v) - mean)
			}
			sd := math.Sqrt(squares / float64(n))
			s := Describe(x)
			if math.Abs(s.Mean-mean) > 1e-5 || math.Abs(s.SD-sd) > 1e-5 || float64(s.Min) != low || float64(s.Max) != high {
				t.Errorf("%v n=%d: %+v, want mean %v sd %v range %v %v", l, n, s, mean, sd, low, high)
			}
		}
	}
}

// TestDescribeLanes puts the extremes, and the only value that is not 1, into every place of a row.
func TestDescribeLanes(t *testing.T) {
	for _, l := range cpulevel.Available() {
		defer cpulevel.Use(l)()
		for i := range 100 {
			for _, v := range []float32{-3, 4} {
				x := slices.Repeat([]float32{1}, 100)
				x[i] = v
				s := Describe(x)
				d := float64(v) - 1
				if s.Min != min(v, 1) || s.Max != max(v, 1) || math.Abs(s.Mean-(1+d/100)) > 1e-6 || math.Abs(s.SD-math.Abs(d)*math.Sqrt(0.01-1e-4)) > 1e-6 {
					t.Fatalf("%v: %v at %d: %+v", l, v, i, s)
				}
				exponent := 0.75 + float32(i%4)
				p := Power(slices.Repeat([]float32{0.75}, i+1), 0.5, 2, exponent)
				if math.Abs(p.Mean-math.Pow(0.5, float64(exponent))) > 1e-6 || p.SD > 1e-6 || p.Min != p.Max || math.Abs(p.Mean-float64(p.Min)) > 1e-6 {
					t.Fatalf("%v: power %v of %d times 1/2: %+v", l, exponent, i+1, p)
				}
			}
		}
	}
}

// Powers are within 1e-6 of the truth over the whole range of bases, and their statistics those of the result.
func TestPower(t *testing.T) {
	const n = 100000
	for _, l := range cpulevel.Available() {
		defer cpulevel.Use(l)()
		for _, exponent := range []float32{0.7, 0.99, 1, 1.5, 4} {
			x := make([]float32, n+3)
			for i := range x {
				x[i] = float32(math.Exp(-40 * (1 - float64(i)/n))) // spread over 17 decades, the last just above 1
			}
			x[0], x[1] = 0, -1e-9
			for i := range 40 { // bases below 0 count as 0
				x[2+i] = -float32(math.Exp(float64(i) - 39))
			}
			bases := slices.Clone(x)
			s := Power(x, 0, 1, exponent)
			var worst float64
			for i, v := range x {
				want := math.Pow(max(float64(bases[i]), 0), float64(exponent))
				worst = max(worst, math.Abs(float64(v)-want))
				if bases[i] < smallestBase && v != 0 {
					t.Fatalf("%v exponent %v: %v for %v, which counts as 0", l, exponent, v, bases[i])
				}
			}
			if worst > 1e-6 {
				t.Errorf("%v exponent %v: error %g", l, exponent, worst)
			}
			if d := Describe(x); math.Abs(d.Mean-s.Mean) > 1e-6 || math.Abs(d.SD-s.SD) > 1e-6 || d.Min != s.Min || d.Max != s.Max {
				t.Errorf("%v exponent %v: statistics %+v, want %+v", l, exponent, s, d)
			}
		}
	}
}

func TestRandomRows(t *testing.T) {
	compareLevels(t, 1e-5, func(rng *rand.Rand, n int) []float32 {
		all, x := guarded(rng, 3*n)
		var g Generator
		g.Seed([2]uint64{uint64(n), 7})
		g.Symmetric(x)
		g.AddNormal(x, 0.5)
		return all
	})
}

// The generator is xoshiro128++: the first numbers of a known state, computed by its authors' C code's recurrence.
func TestGeneratorRecurrence(t *testing.T) {
	var g Generator
	for i := range 4 {
		g.state[i][0] = uint32(i + 1)
	}
	for i, want := range []uint32{641, 1573767, 3222811527, 3517856514, 836907274} {
		if got := g.next(0); got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
}

// A line through a volume, with and without displacement: the kernels find the portable version's places.
func TestLocateAndCubic(t *testing.T) {
	size := [3]int{9, 11, 13}
	row := size[2] + 3
	plane := row * (size[1] + 3)
	for _, flat := range []bool{false, true} {
		for _, displaced := range []bool{false, true} {
			for channels := 1; channels <= 3; channels++ {
				t.Run(fmt.Sprintf("flat=%v displaced=%v channels=%d", flat, displaced, channels), func(t *testing.T) {
					compareLevels(t, 2e-5, func(rng *rand.Rand, n int) []float32 {
						line := Line{Size: size, RowStride: row, PlaneStride: plane}
						planes := size[0] + 3
						if flat {
							line.Size[0], line.PlaneStride, planes = 1, 0, 1
						}
						for a, s := range line.Size {
							line.Center[a] = float64(s)/2 - 0.5
							if flat && a == 0 {
								continue
							}
							line.Base[a] = rng.Float64()*4 - 2
							line.Step[a] = rng.Float64()*0.4 - 0.2
							for b := range line.Size {
								if !flat || b > 0 {
									line.Matrix[a][b] = rng.Float32() - 0.5
								}
							}
						}
						line.First = -float64(n-1) / 2
						if displaced {
							for a := range line.Displacement {
								_, line.Displacement[a] = guarded(rng, n)
							}
						}
						p := NewPlaces(n)
						p.Locate(&line)
						_, coefficients := guarded(rng, planes*(size[1]+3)*row*channels)
						var result []float32
						dst, guards := make([][]float32, channels), make([][]float32, channels)
						for c := range dst {
							guards[c], dst[c] = guarded(rng, n)
						}
						p.Cubic(dst, coefficients, line.RowStride, line.PlaneStride)
						for _, g := range guards {
							result = append(result, g...)
						}
						for _, s := range p.Start {
							result = append(result, float32(s))
						}
						return result
					})
				})
			}
		}
	}
}

// Labels against the rule written out: the share of each label by eight weighted corners.
func TestLabels(t *testing.T) {
	size := [3]int{6, 7, 8}
	rng := rand.New(rand.NewPCG(1, 1))
	codes := Codes{RowStride: size[2] + 3}
	codes.PlaneStride = codes.RowStride * (size[1] + 3)
	codes.Codes = make([]uint8, codes.PlaneStride*(size[0]+3))
	for i := range codes.Codes {
		codes.Codes[i] = uint8(rng.IntN(8) / 6 * rng.IntN(4)) // mostly 0
	}
	codes.Settle()
	var values [256]float32
	for i := range values {
		values[i] = float32(i) * 10
	}
	const n = 4000
	p := NewPlaces(n)
	for i := range p.Start {
		z, y, x := rng.IntN(size[0]), rng.IntN(size[1]), rng.IntN(size[2])
		p.Start[i] = int32(z*codes.PlaneStride + y*codes.RowStride + x)
		for a := range p.F {
			p.F[a][i] = float32(rng.IntN(5)) / 5 // with exact ties at halves of none
		}
		if i%9 == 0 {
			p.Start[i] = -1
		}
	}
	got := make([]float32, n)
	p.Labels(got, &codes, 1, &values)
	for i, start := range p.Start {
		want := uint8(1)
		if start >= 0 {
			for label := range uint8(4) {
				var share float64
				for corner := range 8 {
					e, w := int(start)+codes.PlaneStride+codes.RowStride+1, 1.
					for a, stride := range [3]int{codes.PlaneStride, codes.RowStride, 1} {
						f := float64(p.F[a][i])
						if corner>>a&1 != 0 {
							e += stride
							w *= f
						} else {
							w *= 1 - f
						}
					}
					if codes.Codes[e] == label {
						share += w
					}
				}
				if math.Abs(share-0.5) < 1e-6 {
					want = 255 // a tie within rounding: either will do
					break
				}
				if share >= 0.5 {
					want = label
				}
			}
		}
		if want != 255 && got[i] != values[want] {
			t.Fatalf("voxel %d is %v, want label %d", i, got[i], want)
		}
	}
}
