package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
	"github.com/universal-classifier/uc/internal/testutil"
)

// floatTolerance bounds the rounding of sums of some tens of float32 products, of the largest value.
const floatTolerance = 1e-5

// TestProducts checks gemm of every size against sums in float64.
func TestProducts(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Set) {
		r := rand.New(rand.NewPCG(41, 42))
		for mr := 1; mr <= k.Rows; mr++ {
			for nr := 1; nr <= k.Cols; nr++ {
				for range 12 {
					k4, tiles, add := 1+r.IntN(13), 1+r.IntN(3), r.IntN(2)
					rows, blocks := tiles*mr, (4*k4+Block-1)/Block
					aRows, bRows, cRows := rows+r.IntN(3), 4*k4+r.IntN(3), rows+r.IntN(3)
					a := newGuarded(r, ((blocks-1)*aRows+rows)*Block, randomFloat(r))
					b := newGuarded(r, ((nr-1)*bRows+4*k4)*Block, randomFloat(r))
					c := newGuarded(r, ((nr-1)*cRows+rows)*Block, randomFloat(r))
					want := testutil.Float64(c.values)
					for j := range nr {
						for m := range rows {
							for o := range Block {
								at := (j*cRows+m)*Block + o
								sum := float64(add) * want[at]
								for i := range 4 * k4 {
									sum += float64(a.values[(i/Block*aRows+m)*Block+i%Block]) * float64(b.values[(j*bRows+i)*Block+o])
								}
								want[at] = sum
							}
						}
					}
					what := fmt.Sprintf("%dx%d, %d tiles, %d channels, add %d", mr, nr, tiles, 4*k4, add)
					k.gemm[mr][nr](a.start(), aRows*64, b.start(), bRows*64, k4, c.start(), cRows*64, tiles, add)
					testutil.Near(t, what, testutil.Float64(c.values), want, floatTolerance)
					c.check(t, what)
				}
			}
		}
	})
}

func TestOuter(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Set) {
		r := rand.New(rand.NewPCG(43, 44))
		for nr := 1; nr <= k.OuterCols; nr++ {
			for range 30 {
				rows, add := 1+r.IntN(20), r.IntN(2)
				zRows, cRows := rows+r.IntN(3), Block+r.IntN(3)
				a := newGuarded(r, rows*Block, randomFloat(r))
				z := newGuarded(r, ((nr-1)*zRows+rows)*Block, randomFloat(r))
				c := newGuarded(r, ((nr-1)*cRows+Block)*Block, randomFloat(r))
				want := testutil.Float64(c.values)
				for j := range nr {
					for at := range Block * Block {
						sum := float64(add) * want[j*cRows*Block+at]
						for m := range rows {
							sum += float64(a.values[m*Block+at/Block]) * float64(z.values[(j*zRows+m)*Block+at%Block])
						}
						want[j*cRows*Block+at] = sum
					}
				}
				what := fmt.Sprintf("outer x%d, %d rows, add %d", nr, rows, add)
				k.outer[nr](a.start(), z.start(), zRows*64, rows, c.start(), cRows*64, add)
				testutil.Near(t, what, testutil.Float64(c.values), want, floatTolerance)
				c.check(t, what)
			}
		}
	})
}

// TestTransforms checks the transformations of all schemes against products of their matrices in float64, for every
// mask of neighbouring elements. What a mask excludes lies outside the arrays where elements are far apart.
func TestTransforms(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Set) {
		r := rand.New(rand.NewPCG(45, 46))
		for i, s := range Schemes {
			for kind, matrix := range [transformKinds][][]float64{
				InputTransform: s.BT, WeightsTransform: s.G, OutputTransform: s.AT, OutputAddTransform: s.AT, OutputReLUTransform: s.AT,
				GradientTransform: winograd.Transpose(s.AT), WeightsBackTransform: winograd.Transpose(s.G),
			} {
				masksIn := kind == InputTransform || kind == GradientTransform
				masksOut := kind == OutputTransform || kind == OutputAddTransform || kind == OutputReLUTransform
				inputs, outputs := len(matrix[0]), len(matrix)
				elements := outputs
				if masksIn {
					elements = inputs
				}
				for from := range elements {
					for to := from + 1; to <= elements; to++ {
						mask := 1<<to - 1<<from
						if !masksIn && !masksOut {
							mask = 0 // means nothing to them
						}
						exists := func(e int) bool { return mask>>e&1 != 0 }
						n1, n2 := 1+r.IntN(3), 1+r.IntN(3)
						lines := n1 * n2
						src := newGuarded(r, inputs*lines*Block, randomFloat(r))
						dst := newGuarded(r, outputs*lines*Block, randomFloat(r))
						bias := newGuarded(r, Block, randomFloat(r))
						de, d1, d2, se, s1, s2 := lines, 1, n1, 1, inputs, inputs*n1
						if r.IntN(2) == 0 {
							de, d1, d2, se, s1, s2 = 1, outputs, outputs*n1, lines, 1, n1
						}
						want := testutil.Float64(dst.values)
						first := 0 // of the source's elements that are there
						if masksIn && se > 1 {
							first = from
							src = newGuarded(r, (to-from)*lines*Block, randomFloat(r))
						}
						for l2 := range n2 {
							for l1 := range n1 {
								for e := range outputs {
									if masksOut && !exists(e) {
										continue
									}
									for o := range Block {
										sum := 0.0
										for j := range inputs {
											if !masksIn || exists(j) {
												sum += matrix[e][j] * float64(src.values[(l2*s2+l1*s1+(j-first)*se)*Block+o])
											}
										}
										at := &want[(l2*d2+l1*d1+e*de)*Block+o]
										switch kind {
										case OutputAddTransform:
											sum += *at
										case OutputReLUTransform:
											sum = max(0, sum+float64(bias.values[o]))
										}
										*at = sum
									}
								}
							}
						}
						// a call before it, so that registers are full
						full, wide := make([]float32, 8*Block), newGuarded(r, 8*Block, randomFloat(r))
						k.Transforms[i][kind](&full[0], wide.start(), 0, 64, 64, 1, 0, 0, 1, 0, 0, 1<<elements-1, bias.start())
						k.Transforms[i][kind](dst.start(), src.start(), -first*se*64, de*64, se*64, n1, d1*64, s1*64, n2, d2*64, s2*64, mask, bias.start())
						what := fmt.Sprintf("%s, kind %d, %dx%d lines, mask %b, strides %d -> %d", s.Name, kind, n1, n2, mask, se, de)
						testutil.Near(t, what, testutil.Float64(dst.values), want, floatTolerance)
						dst.check(t, what)
					}
				}
			}
		}
	})
}

// TestTransformsNotANumber checks that an output that is not a number does not become 0.
func TestTransformsNotANumber(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Set) {
		for i, s := range Schemes {
			src, dst, bias := make([]float32, s.Alpha*Block), make([]float32, s.M*Block), make([]float32, Block)
			for o := range Block {
				src[o] = float32(math.NaN())
			}
			k.Transforms[i][OutputReLUTransform](&dst[0], &src[0], 0, 64, 64, 1, 0, 0, 1, 0, 0, 1<<s.M-1, &bias[0])
			for o, f := range dst[:Block] {
				if f == f {
					t.Errorf("%s: channel %d is %g", s.Name, o, f)
				}
			}
		}
	})
}

func TestTranspose(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Set) {
		r := rand.New(rand.NewPCG(47, 48))
		src, dst := newGuarded(r, Block*Block, randomFloat(r)), newGuarded(r, Block*Block, randomFloat(r))
		k.Transpose(dst.start(), src.start())
		want := make([]float32, Block*Block)
		for i := range want {
			want[i] = src.values[i%Block*Block+i/Block]
		}
		exact(t, "transpose", dst.values, want)
		dst.check(t, "transpose")
	})
}

// TestCeiling has the loop that measures the ceiling end.
func TestCeiling(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Set) {
		if k.Ceiling(3); k.CeilingFlops < 16 {
			t.Errorf("%g operations a round", k.CeilingFlops)
		}
	})
}
