package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/testutil"
)

// eachBF16 runs f for every kernel set of this processor that has kernels on bfloat16.
func eachBF16(t *testing.T, f func(t *testing.T, h *bf16Kernels)) {
	for _, set := range cpulevel.Available() {
		if h := KernelSets[set].BF16; h != nil {
			t.Run(set.String(), func(t *testing.T) { f(t, h) })
		}
	}
}

// margin is the number of guard values around the memory of a kernel's operand.
const margin = 40

// guarded is memory of a kernel between guard values, 77 in its format; it begins at no multiple of anything.
type guarded[T float32 | uint16 | uint8 | float64] struct {
	all    []T
	values []T // what the kernel may touch
	guard  T
}

func newGuarded[T float32 | uint16 | uint8 | float64](r *rand.Rand, n int, value func() T) guarded[T] {
	all := make([]T, n+2*margin+8)
	g := guarded[T]{all: all, guard: 77}
	if h, ok := any(&g.guard).(*uint16); ok {
		*h = ToBF16(77)
	}
	from := margin + r.IntN(8)
	g.values = all[from : from+n : from+n]
	for i := range all {
		all[i] = g.guard
	}
	for i := range g.values {
		g.values[i] = value()
	}
	return g
}

func (g guarded[T]) check(t *testing.T, what string) {
	t.Helper()
	size := int(unsafe.Sizeof(g.guard))
	from := (int(uintptr(unsafe.Pointer(unsafe.SliceData(g.values)))) - int(uintptr(unsafe.Pointer(unsafe.SliceData(g.all))))) / size
	for i, v := range g.all {
		if (i < from || i >= from+len(g.values)) && v != g.guard {
			t.Fatalf("%s: wrote element %d of %d", what, i-from, len(g.values))
		}
	}
}

// at returns the address of element i as the kernels take it; i may be one past the end.
func (g guarded[T]) at(i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(g.values)), i*int(unsafe.Sizeof(g.guard))))
}

func (g guarded[T]) start() *float32 { return g.at(0) }

func (g guarded[T]) copy(r *rand.Rand) guarded[T] {
	i := -1
	return newGuarded(r, len(g.values), func() T { i++; return g.values[i] })
}

func randomBF16(r *rand.Rand) func() uint16 {
	return func() uint16 { return ToBF16(float32(r.NormFloat64())) }
}

func randomFloat(r *rand.Rand) func() float32 {
	return func() float32 { return float32(r.NormFloat64()) }
}

func halves64(v []uint16) []float64 {
	out := make([]float64, len(v))
	for i, h := range v {
		out[i] = float64(FromBF16(h))
	}
	return out
}

func halves32(v []uint16) []float32 { return testutil.Float32(halves64(v)) }

// bf16Tolerance bounds the rounding of a result to bfloat16 where kernels may sum in another order, of the largest
// value.
const bf16Tolerance = 1.0 / 256

// exact fails unless all bits agree.
func exact[T float32 | uint16 | uint8](t *testing.T, what string, got, want []T) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: value %d of %d is %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}

func TestBF16Rounding(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		in, out float64
	}{
		{0, 0}, {1, 1}, {-1.5, -1.5}, {1 + 1.0/256, 1}, {1 + 3.0/256, 1 + 4.0/256}, {1 + 1.0/256 + 1.0/8192, 1 + 1.0/128},
		{255.5, 256}, {-257, -256}, {3e38, float64(FromBF16(0x7f62))}, {math.MaxFloat32, inf}, {-inf, -inf}, {inf, inf}, {1e-40, 0}, {0x1p-126, 0x1p-126},
	} {
		if got := float64(FromBF16(ToBF16(float32(c.in)))); got != c.out {
			t.Errorf("%g rounds to %g, want %g", c.in, got, c.out)
		}
	}
	for _, bits := range []uint32{0x7fc00000, 0x7f800001, 0xffffffff, 0x7fffffff} {
		if f := FromBF16(ToBF16(math.Float32frombits(bits))); f == f {
			t.Errorf("%#x, not a number, rounds to %g", bits, f)
		}
	}
	if got := ToBF16(math.Float32frombits(0x80000001)); got != 0x8000 {
		t.Errorf("a denormal below zero rounds to %#x, want 0x8000", got)
	}
}

// roundings are all kinds of float32 bits that rounding tells apart.
func roundings(r *rand.Rand) func() float32 {
	i := 0
	return func() float32 {
		i++
		switch i % 8 {
		case 0:
			return math.Float32frombits(r.Uint32()&0xffff0000 | 0x8000) // a tie, or infinity's neighbour
		case 1:
			return math.Float32frombits(r.Uint32() & 0x807fffff) // a denormal
		case 2:
			return math.Float32frombits(r.Uint32() | 0x7f800000) // not a number
		case 3:
			return float32(math.Inf(1 - 2*r.IntN(2)))
		default:
			return math.Float32frombits(r.Uint32())
		}
	}
}

func TestBF16Rearrangements(t *testing.T) {
	eachBF16(t, func(t *testing.T, h *bf16Kernels) {
		r := rand.New(rand.NewPCG(21, 22))
		for count := 1; count <= 37; count++ {
			what := fmt.Sprintf("%d vectors", count)
			floats := newGuarded(r, count*32, roundings(r))
			rounded := make([]uint16, count*32)
			for i, f := range floats.values {
				rounded[i] = ToBF16(f)
			}
			out := newGuarded(r, count*16, randomBF16(r))
			h.Narrow(out.start(), floats.start(), count)
			exact(t, "narrow: "+what, out.values, rounded[:count*16])
			out.check(t, "narrow: "+what)

			values := newGuarded(r, count*16, func() uint16 { return uint16(r.Uint32()) })
			wide := newGuarded(r, count*16, randomFloat(r))
			h.Widen(wide.start(), values.start(), count)
			exact(t, "widen: "+what, wide.values, halves32(values.values))
			wide.check(t, "widen: "+what)

			pairs := newGuarded(r, count*32, randomBF16(r))
			h.PackPairs(pairs.start(), floats.start(), count)
			want := make([]uint16, count*32)
			for i, f := range rounded {
				want[i/32*32+i%16*2+i/16%2] = f
			}
			exact(t, "pairs: "+what, pairs.values, want)
			pairs.check(t, "pairs: "+what)

			both := newGuarded(r, (count+1)/2*32, randomBF16(r))
			clear(want)
			for i, f := range values.values {
				want[i/32*32+i%16*2+i/16%2] = f
			}
			h.Interleave(both.start(), values.start(), count)
			exact(t, "interleave: "+what, both.values, want[:(count+1)/2*32])
			both.check(t, "interleave: "+what)
		}
	})
}

// TestBF16Products checks gemm and product of every size against sums in float64.
func TestBF16Products(t *testing.T) {
	eachBF16(t, func(t *testing.T, h *bf16Kernels) {
		r := rand.New(rand.NewPCG(23, 24))
		for mr := 1; mr <= h.rows; mr++ {
			for nr := 1; nr <= h.cols; nr++ {
				for range 12 {
					k4, tiles := 1+r.IntN(13), 1+r.IntN(3)
					rows, blocks := tiles*mr, (4*k4+Block-1)/Block
					aRows, bRows, cRows := rows+r.IntN(3), 2*k4+r.IntN(3), rows+r.IntN(3)
					a := newGuarded(r, ((blocks-1)*aRows+rows)*Block, randomBF16(r))
					b := newGuarded(r, ((nr-1)*bRows+2*k4)*2*Block, randomBF16(r))
					size := ((nr-1)*cRows + rows) * Block
					av, bv := halves64(a.values), halves64(b.values)
					bias, biased := newGuarded(r, nr*Block, randomFloat(r)), r.IntN(2) == 1
					add, relu := r.IntN(2), r.IntN(2)
					// sums adds the products to what is in c where add, and leaves what lies between the blocks of c
					sums := func(c []float64) []float64 {
						for j := range nr {
							for m := range rows {
								for o := range Block {
									at := (j*cRows+m)*Block + o
									sum := float64(add) * c[at]
									for k := range 4 * k4 {
										sum += av[(k/Block*aRows+m)*Block+k%Block] * bv[((j*bRows+k/2)*Block+o)*2+k%2]
									}
									c[at] = sum
								}
							}
						}
						return c
					}
					what := fmt.Sprintf("%dx%d, %d tiles, %d channels, add %d, bias %v, ReLU %d", mr, nr, tiles, 4*k4, add, biased, relu)

					c := newGuarded(r, size, randomFloat(r))
					want := sums(testutil.Float64(c.values))
					h.gemm[mr][nr](a.start(), aRows*32, b.start(), bRows*64, k4, c.start(), cRows*64, tiles, add)
					testutil.Near(t, "gemm "+what, testutil.Float64(c.values), want, 1e-5)
					c.check(t, "gemm "+what)

					d := newGuarded(r, size, randomBF16(r))
					want = sums(halves64(d.values))
					between := append([]uint16{}, d.values...)
					var shift *float32
					if biased {
						shift = bias.start()
					}
					h.product[mr][nr](a.start(), aRows*32, b.start(), bRows*64, k4, d.start(), cRows*32, tiles, add, shift, relu)
					for i := range want {
						if i/Block%cRows >= rows {
							if d.values[i] != between[i] {
								t.Fatalf("product %s: wrote between blocks of channels", what)
							}
							continue
						}
						if biased {
							want[i] += float64(bias.values[i/(cRows*Block)*Block+i%Block])
						}
						if relu != 0 {
							want[i] = max(0, want[i])
						}
					}
					testutil.Near(t, "product "+what, halves64(d.values), want, bf16Tolerance)
					d.check(t, "product "+what)
				}
			}
		}
	})
}

func TestBF16Outer(t *testing.T) {
	eachBF16(t, func(t *testing.T, h *bf16Kernels) {
		r := rand.New(rand.NewPCG(25, 26))
		for nr, outer := range h.outer {
			if outer == nil {
				continue
			}
			for range 30 {
				pairs, add := 1+r.IntN(20), r.IntN(2)
				zPairs, cRows := pairs+r.IntN(3), Block+r.IntN(3)
				a := newGuarded(r, pairs*2*Block, randomBF16(r))
				z := newGuarded(r, ((nr-1)*zPairs+pairs)*2*Block, randomBF16(r))
				c := newGuarded(r, ((nr-1)*cRows+Block)*Block, randomFloat(r))
				av, zv, want := halves64(a.values), halves64(z.values), testutil.Float64(c.values)
				for j := range nr {
					for at := range Block * Block {
						i, o := at/Block, at%Block
						sum := float64(add) * want[j*cRows*Block+at]
						for m := range 2 * pairs {
							sum += av[(m/2*Block+i)*2+m%2] * zv[((j*zPairs+m/2)*Block+o)*2+m%2]
						}
						want[j*cRows*Block+at] = sum
					}
				}
				what := fmt.Sprintf("outer x%d, %d pairs, add %d", nr, pairs, add)
				outer(a.start(), z.start(), zPairs*64, pairs, c.start(), cRows*64, add)
				testutil.Near(t, what, testutil.Float64(c.values), want, 1e-5)
				c.check(t, what)
			}
		}
	})
}

// TestBF16Transforms checks the transformations of all schemes against those on float32.
func TestBF16Transforms(t *testing.T) {
	floats := KernelSets[cpulevel.Generic]
	eachBF16(t, func(t *testing.T, h *bf16Kernels) {
		r := rand.New(rand.NewPCG(27, 28))
		for i, s := range Schemes {
			for _, k := range []struct {
				name            string
				kernel          transformFunc
				kind            int
				inputs, outputs int
				reads, writes   bool
			}{
				{"input", h.transforms[i][InputTransform], InputTransform, s.Inputs, s.Alpha, true, false},
				{"gradient", h.transforms[i][GradientTransform], GradientTransform, s.M, s.Alpha, true, false},
				{"output", h.transforms[i][OutputTransform], OutputTransform, s.Alpha, s.M, false, true},
				{"output, added", h.transforms[i][OutputAddTransform], OutputAddTransform, s.Alpha, s.M, false, true},
				{"output, ReLU", h.transforms[i][OutputReLUTransform], OutputReLUTransform, s.Alpha, s.M, false, true},
				{"input to products", h.TransformsV[i], InputTransform, s.Inputs, s.Alpha, false, true},
			} {
				for try := range 30 {
					n1, n2 := 1+r.IntN(4), 1+r.IntN(3)
					masksIn := k.kind == InputTransform || k.kind == GradientTransform
					elements := k.outputs
					if masksIn {
						elements = k.inputs
					}
					from := r.IntN(elements)
					to := from + 1 + r.IntN(elements-from)
					if try < 5 {
						from, to = 0, elements // for which there may be a path of its own
					}
					if !masksIn {
						from = 0
					}
					mask := 1<<to - 1<<from
					// A line's elements lie n1*n2 vectors apart, or side by side; lines follow each other. What the mask excludes lies
					// outside.
					strides := func(elements int) (element, one, two int) {
						if r.IntN(2) == 0 {
							return n1 * n2, 1, n1
						}
						return 1, elements, elements * n1
					}
					de, d1, d2 := strides(k.outputs)
					se, s1, s2 := strides(k.inputs)
					first, last := 0, k.inputs
					if masksIn && se > 1 {
						first, last = from, to
					}
					src := newGuarded(r, (last-first)*n1*n2*Block, randomBF16(r))
					srcFloats := newGuarded(r, len(src.values), randomFloat(r))
					if k.reads {
						copy(srcFloats.values, halves32(src.values))
					}
					last = k.outputs
					if !masksIn && de > 1 {
						last = to
					}
					dst := newGuarded(r, last*n1*n2*Block, randomBF16(r))
					dstFloats := newGuarded(r, len(dst.values), randomFloat(r))
					if k.writes {
						copy(dstFloats.values, halves32(dst.values))
					}
					bias := newGuarded(r, Block, randomFloat(r))
					want := dstFloats.copy(r)
					const vec = Block * 4
					floats.Transforms[i][k.kind](want.start(), srcFloats.start(), -first*se*vec, de*vec, se*vec, n1, d1*vec, s1*vec, n2, d2*vec, s2*vec, mask, bias.start())
					pd, ps, dv, sv := dstFloats.start(), srcFloats.start(), vec, vec
					if k.reads {
						ps, sv = src.start(), vec/2
					}
					if k.writes {
						pd, dv = dst.start(), vec/2
					}
					k.kernel(pd, ps, -first*se*sv, de*dv, se*sv, n1, d1*dv, s1*sv, n2, d2*dv, s2*sv, mask, bias.start())
					what := fmt.Sprintf("%s %s, %dx%d lines, mask %b, strides %d -> %d", s.Name, k.name, n1, n2, mask, se, de)
					if k.writes {
						testutil.Near(t, what, halves64(dst.values), testutil.Float64(want.values), bf16Tolerance)
						dst.check(t, what)
					} else {
						testutil.Near(t, what, testutil.Float64(dstFloats.values), testutil.Float64(want.values), 1e-6)
						dstFloats.check(t, what)
					}
				}
			}
		}
	})
}

// TestBF16Normalization checks the kernels of batch norm against those on float32.
func TestBF16Normalization(t *testing.T) {
	floats := KernelSets[cpulevel.Generic]
	eachBF16(t, func(t *testing.T, h *bf16Kernels) {
		r := rand.New(rand.NewPCG(29, 30))
		for count := 1; count <= 40; count++ {
			what := fmt.Sprintf("%d voxels", count)
			x, g := newGuarded(r, count*Block, randomBF16(r)), newGuarded(r, count*Block, randomBF16(r))
			// Scales are powers of two and shifts have few digits, so that all kernels see the same side of the floor.
			params := newGuarded(r, 5*Block, func() float32 { return float32(r.IntN(33)-16) / 16 })
			for i := range Block {
				params.values[i] = []float32{-2, -0.5, 0, 0.25, 1, 4}[r.IntN(6)]
				if r.IntN(4) == 0 {
					params.values[2*Block+i] = float32(math.Inf(-1))
				}
			}
			xf, gf := halves32(x.values), halves32(g.values)
			want := make([]float32, count*Block)

			floats.Normalize(&want[0], &xf[0], count, params.start())
			y := newGuarded(r, count*Block, randomBF16(r))
			h.normalize(y.start(), x.start(), count, params.start())
			testutil.Near(t, "normalize: "+what, halves64(y.values), testutil.Float64(want), bf16Tolerance)
			y.check(t, "normalize: "+what)
			y = x.copy(r)
			h.normalize(y.start(), y.start(), count, params.start())
			testutil.Near(t, "normalize in place: "+what, halves64(y.values), testutil.Float64(want), bf16Tolerance)

			floats.NormalizeBack(&want[0], &xf[0], &gf[0], count, params.start())
			y = g.copy(r)
			h.normalizeBack(y.start(), x.start(), y.start(), count, params.start())
			testutil.Near(t, "normalize back: "+what, halves64(y.values), testutil.Float64(want), bf16Tolerance)
			y.check(t, "normalize back: "+what)

			sums, wantSums := newGuarded(r, 2*Block, r.Float64), make([]float64, 2*Block)
			floats.Sums(&xf[0], count, &wantSums[0])
			h.sums(x.start(), count, &sums.values[0])
			testutil.Near(t, "sums: "+what, sums.values, wantSums, 1e-6)
			sums.check(t, "sums: "+what)
			floats.GradientSums(&xf[0], &gf[0], count, params.start(), &wantSums[0])
			h.gradientSums(x.start(), g.start(), count, params.start(), &sums.values[0])
			testutil.Near(t, "gradient sums: "+what, sums.values, wantSums, 1e-6)
			sums.check(t, "gradient sums: "+what)
		}
	})
}

// fewHalves returns few different values, so that there are ties, with some that are not numbers or infinite if wild.
func fewHalves(r *rand.Rand, wild bool) func() uint16 {
	return func() uint16 {
		if wild && r.IntN(8) == 0 {
			return []uint16{0x7fc0, 0xffc1, 0x7f80, 0xff80}[r.IntN(4)]
		}
		return ToBF16(float32(r.IntN(8)) - 4.5)
	}
}

// TestBF16Windows checks the kernels of max pooling against those on float32.
func TestBF16Windows(t *testing.T) {
	floats := KernelSets[cpulevel.Generic]
	eachBF16(t, func(t *testing.T, h *bf16Kernels) {
		r := rand.New(rand.NewPCG(31, 32))
		for trial := range 60 {
			count, step, n := 1+r.IntN(9), 1+r.IntN(3), r.IntN(9)
			zeroTap, before := -1, n
			if n == 0 || r.IntN(2) == 0 {
				zeroTap, before = r.IntN(255), r.IntN(n+1)
			}
			reach := 12
			x := newGuarded(r, ((count-1)*step+reach)*Block, fewHalves(r, trial%2 == 0))
			taps, offsets := make([][16]uint8, n+1), make([]int, n+1)
			wide := make([]int, n+1)
			for i := range n {
				at := r.IntN(reach)
				offsets[i], wide[i] = at*32, at*64
				for l := range taps[i] {
					taps[i][l] = uint8(i*17 + 3)
				}
			}
			xf := halves32(x.values)
			want, winners := make([]float32, count*Block), make([]uint8, count*Block)
			floats.WindowArgMax(&want[0], &winners[0], &xf[0], step*64, count, &wide[0], &taps[0], before, n-before, zeroTap)
			what := fmt.Sprintf("%d windows of %d taps, zero %d", count, n, zeroTap)
			y, w := newGuarded(r, count*Block, randomBF16(r)), newGuarded(r, count*Block, func() uint8 { return 1 })
			h.windowArgMax(y.start(), &w.values[0], x.start(), step*32, count, &offsets[0], &taps[0], before, n-before, zeroTap)
			exact(t, "maxima: "+what, halves32(y.values), want)
			exact(t, "winners: "+what, w.values, winners)
			y.check(t, "maxima: "+what)
			w.check(t, "winners: "+what)
		}
	})
}

func TestBF16Winners(t *testing.T) {
	floats := KernelSets[cpulevel.Generic]
	eachBF16(t, func(t *testing.T, h *bf16Kernels) {
		r := rand.New(rand.NewPCG(33, 34))
		for range 60 {
			count, step, n, add := 1+r.IntN(9), 1+r.IntN(3), r.IntN(9), r.IntN(2)
			const reach = 7
			g := newGuarded(r, (count-1+reach)*Block, randomBF16(r))
			w := newGuarded(r, len(g.values), func() uint8 { return uint8(r.IntN(4)) })
			taps, offsets := make([][16]uint8, n+1), make([]int, n+1)
			for i := range n {
				offsets[i] = r.IntN(reach)
				for l := range taps[i] {
					taps[i][l] = uint8(i % 4)
				}
			}
			dst := newGuarded(r, ((count-1)*step+1)*Block, randomBF16(r))
			want, gf := halves32(dst.values), halves32(g.values)
			floats.WinnersSum(&want[0], step*64, &gf[0], &w.values[0], count, &offsets[0], &taps[0], n, add)
			h.winnersSum(dst.start(), step*32, g.start(), &w.values[0], count, &offsets[0], &taps[0], n, add)
			what := fmt.Sprintf("winners' sum: %d voxels, %d windows, add %d", count, n, add)
			for i, f := range want {
				want[i] = FromBF16(ToBF16(f))
			}
			exact(t, what, halves32(dst.values), want)
			dst.check(t, what)
		}
	})
}

// largest is what max3 computes of one triple.
func largest(x, y, z float32) float32 {
	for _, f := range [2]float32{y, z} {
		if !(f <= x) {
			x = f
		}
	}
	return x
}

func TestMax3(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	for count := 1; count <= 35; count++ {
		var in [3]guarded[uint16]
		var inFloats [3]guarded[float32]
		for i := range in {
			in[i] = newGuarded(r, count*Block, fewHalves(r, true))
			values, at := halves32(in[i].values), -1
			inFloats[i] = newGuarded(r, count*Block, func() float32 { at++; return values[at] })
		}
		want := make([]float32, count*Block)
		for i := range want {
			want[i] = largest(inFloats[0].values[i], inFloats[1].values[i], inFloats[2].values[i])
		}
		for _, set := range cpulevel.Available() {
			what := fmt.Sprintf("%v: %d vectors", set, count)
			k := KernelSets[set]
			out := newGuarded(r, count*Block, randomFloat(r))
			k.Max3(out.start(), inFloats[0].start(), inFloats[1].start(), inFloats[2].start(), count)
			exact(t, what, out.values, want)
			out.check(t, what)
			out = inFloats[0].copy(r)
			k.Max3(out.start(), out.start(), inFloats[1].start(), inFloats[2].start(), count)
			exact(t, what+", in place", out.values, want)
			if k.BF16 == nil {
				continue
			}
			bf16 := newGuarded(r, count*Block, randomBF16(r))
			k.BF16.max3(bf16.start(), in[0].start(), in[1].start(), in[2].start(), count)
			exact(t, what+", bfloat16", halves32(bf16.values), want)
			bf16.check(t, what+", bfloat16")
			bf16 = in[0].copy(r)
			k.BF16.max3(bf16.start(), bf16.start(), in[1].start(), in[2].start(), count)
			exact(t, what+", bfloat16, in place", halves32(bf16.values), want)
		}
	}
}
