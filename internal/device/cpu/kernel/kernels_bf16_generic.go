package kernel

import (
	"unsafe"
)

// halfGeneric returns the portable kernels. Most widen the values, call the float32 kernel and round its result.
func halfGeneric(floats *Set) *halfKernels {
	h := &halfKernels{
		rows: floats.Rows, cols: floats.Cols,
		outer:      [4]outerFunc{1: outerHalfGeneric},
		Interleave: interleaveGeneric, PackPairs: packPairsGeneric, Narrow: narrowGeneric, Widen: widenGeneric,
		normalize: normalizeHalfGeneric, sums: sumsHalfGeneric, gradientSums: gradientSumsHalfGeneric, normalizeBack: normalizeBackHalfGeneric,
		axisMax: axisMaxHalfGeneric, windowArgMax: windowHalfGeneric, winnersSum: winnersHalfGeneric, combineMax: combineHalfGeneric, splitSum: splitHalfGeneric, max3: max3HalfGeneric,
	}
	for mr := 1; mr <= h.rows; mr++ {
		h.gemm[mr][1] = func(a *float32, aStride int, b *float32, _ int, k4 int, c *float32, _ int, tiles int, add int) {
			for m := range tiles * mr {
				var acc [Block]float32
				if add != 0 {
					acc = *vector(c, m*64)
				}
				productRowGeneric(&acc, a, aStride, m, b, k4)
				*vector(c, m*64) = acc
			}
		}
		h.product[mr][1] = func(a *float32, aStride int, b *float32, _ int, k4 int, c *float32, _ int, tiles int, add int, bias *float32, relu int) {
			for m := range tiles * mr {
				var acc [Block]float32
				if add != 0 {
					acc = loadHalf(c, m*32)
				}
				productRowGeneric(&acc, a, aStride, m, b, k4)
				if bias != nil {
					for o, f := range vector(bias, 0) {
						acc[o] += f
					}
				}
				if relu != 0 {
					for o, f := range acc {
						acc[o] = max(0, f)
					}
				}
				storeHalf(c, m*32, &acc)
			}
		}
	}
	for i, s := range Schemes {
		t := floats.Transforms[i]
		h.transforms = append(h.transforms, [transformKinds]transformFunc{
			InputTransform:      halfTransformGeneric(t[InputTransform], InputTransform, s.Inputs, s.Alpha, true, false),
			GradientTransform:   halfTransformGeneric(t[GradientTransform], GradientTransform, s.M, s.Alpha, true, false),
			OutputTransform:     halfTransformGeneric(t[OutputTransform], OutputTransform, s.Alpha, s.M, false, true),
			OutputAddTransform:  halfTransformGeneric(t[OutputAddTransform], OutputAddTransform, s.Alpha, s.M, false, true),
			OutputReLUTransform: halfTransformGeneric(t[OutputReLUTransform], OutputReLUTransform, s.Alpha, s.M, false, true),
		})
		h.TransformsV = append(h.TransformsV, halfTransformGeneric(t[InputTransform], InputTransform, s.Inputs, s.Alpha, false, true))
	}
	return h
}

// loadHalf widens the 16 bfloat16 at a byte offset.
func loadHalf(p *float32, offset int) (v [Block]float32) {
	for i, h := range halfVector(p, offset) {
		v[i] = FromHalf(h)
	}
	return v
}

// storeHalf rounds 16 values to a byte offset.
func storeHalf(p *float32, offset int, v *[Block]float32) {
	out := halfVector(p, offset)
	for i, f := range v {
		out[i] = ToHalf(f)
	}
}

// productRowGeneric adds row m of a times b to acc.
func productRowGeneric(acc *[Block]float32, a *float32, aStride, m int, b *float32, k4 int) {
	for k := 0; k < 4*k4; k += Block {
		in := loadHalf(a, k/Block*aStride+m*32)
		for i := 0; i < min(Block, 4*k4-k); i += 2 {
			for o, w := range halfPairs(b, (k+i)*32) {
				acc[o] += in[i]*FromHalf(w[0]) + in[i+1]*FromHalf(w[1])
			}
		}
	}
}

func outerHalfGeneric(a, z *float32, _ int, rows int, c *float32, _ int, add int) {
	for i := range Block {
		var acc [Block]float32
		for m := range rows {
			x := halfPairs(a, m*64)[i]
			f, g := FromHalf(x[0]), FromHalf(x[1])
			for o, w := range halfPairs(z, m*64) {
				acc[o] += f*FromHalf(w[0]) + g*FromHalf(w[1])
			}
		}
		out := vector(c, i*64)
		for o := range out {
			if add != 0 {
				acc[o] += out[o]
			}
			out[o] = acc[o]
		}
	}
}

func interleaveGeneric(dst, src *float32, count int) {
	for m := 0; m < count; m += 2 {
		var second [Block]uint16
		if m+1 < count {
			second = *halfVector(src, (m+1)*32)
		}
		out := halfPairs(dst, m*32)
		for i, first := range halfVector(src, m*32) {
			out[i] = [2]uint16{first, second[i]}
		}
	}
}

func packPairsGeneric(dst, src *float32, count int) {
	for p := range count {
		first, second, out := vector(src, p*128), vector(src, p*128+64), halfPairs(dst, p*64)
		for i := range out {
			out[i] = [2]uint16{ToHalf(first[i]), ToHalf(second[i])}
		}
	}
}

func narrowGeneric(dst, src *float32, count int) {
	for v := range count {
		storeHalf(dst, v*32, vector(src, v*64))
	}
}

func widenGeneric(dst, src *float32, count int) {
	for v := range count {
		*vector(dst, v*64) = loadHalf(src, v*32)
	}
}

// halfTransformGeneric makes a transformation of inputs to outputs elements of a line read or write bfloat16.
func halfTransformGeneric(transform transformFunc, kind, inputs, outputs int, reads, writes bool) transformFunc {
	masksIn := kind == InputTransform || kind == GradientTransform
	return func(dst, src *float32, srcOffset int, dstElement, srcElement int, n1, dst1, src1, n2, dst2, src2 int, mask int, bias *float32) {
		for l2 := range n2 {
			for l1 := range n1 {
				var in, out [8][Block]float32
				for j := range inputs {
					switch at := srcOffset + l2*src2 + l1*src1 + j*srcElement; {
					case masksIn && mask>>j&1 == 0:
					case reads:
						in[j] = loadHalf(src, at)
					default:
						in[j] = *vector(src, at)
					}
				}
				to := func(i int) int { return l2*dst2 + l1*dst1 + i*dstElement }
				exists := func(i int) bool { return masksIn || mask>>i&1 != 0 }
				for i := range outputs {
					if kind == OutputAddTransform && exists(i) {
						out[i] = loadHalf(dst, to(i))
					}
				}
				transform(&out[0][0], &in[0][0], 0, 64, 64, 1, 0, 0, 1, 0, 0, mask, bias)
				for i := range outputs {
					switch {
					case !exists(i):
					case writes:
						storeHalf(dst, to(i), &out[i])
					default:
						*vector(dst, to(i)) = out[i]
					}
				}
			}
		}
	}
}

func normalizeHalfGeneric(dst, src *float32, count int, params *float32) {
	for v := range count {
		x := loadHalf(src, v*32)
		normalizeGeneric(&x[0], &x[0], 1, params)
		storeHalf(dst, v*32, &x)
	}
}

func sumsHalfGeneric(src *float32, count int, out *float64) {
	sums := (*[2 * Block]float64)(unsafe.Pointer(out))
	*sums = [2 * Block]float64{}
	for v := range count {
		x := loadHalf(src, v*32)
		var one [2 * Block]float64
		sumsGeneric(&x[0], 1, &one[0])
		for i, f := range one {
			sums[i] += f
		}
	}
}

func gradientSumsHalfGeneric(x, g *float32, count int, params *float32, out *float64) {
	sums := (*[2 * Block]float64)(unsafe.Pointer(out))
	*sums = [2 * Block]float64{}
	for v := range count {
		xv, gv := loadHalf(x, v*32), loadHalf(g, v*32)
		var one [2 * Block]float64
		gradientSumsGeneric(&xv[0], &gv[0], 1, params, &one[0])
		for i, f := range one {
			sums[i] += f
		}
	}
}

func normalizeBackHalfGeneric(dst, x, g *float32, count int, params *float32) {
	for v := range count {
		xv, gv := loadHalf(x, v*32), loadHalf(g, v*32)
		normalizeBackGeneric(&gv[0], &xv[0], &gv[0], 1, params)
		storeHalf(dst, v*32, &gv)
	}
}

func windowHalfGeneric(dst *float32, winners *uint8, src *float32, step, count int, offsets *int, taps *[16]uint8, before, after int, zeroTap int) {
	positions := unsafe.Slice(offsets, before+after)
	values := make([][Block]float32, before+after)
	order := make([]int, before+after)
	for t := range order {
		order[t] = t * 64
	}
	for v := range count {
		for t, at := range positions {
			values[t] = loadHalf(src, v*step+at)
		}
		var best [Block]float32
		var from *float32
		var first *int
		if len(values) > 0 {
			from, first = &values[0][0], &order[0]
		}
		windowGeneric(&best[0], winners, from, 0, 1, first, taps, before, after, zeroTap)
		storeHalf(dst, v*32, &best)
		winners = (*uint8)(unsafe.Add(unsafe.Pointer(winners), Block))
	}
}

func winnersHalfGeneric(dst *float32, step int, g *float32, w *uint8, count int, offsets *int, taps *[16]uint8, windows int, add int) {
	positions, numbers := unsafe.Slice(offsets, windows), unsafe.Slice(taps, windows)
	for v := range count {
		var acc [Block]float32
		if add != 0 {
			acc = loadHalf(dst, v*step)
		}
		for t, at := range positions {
			gv, won := loadHalf(g, (v+at)*32), (*[Block]uint8)(unsafe.Add(unsafe.Pointer(w), (v+at)*Block))
			for i, tap := range won {
				if tap == numbers[t][0] {
					acc[i] += gv[i]
				}
			}
		}
		storeHalf(dst, v*step, &acc)
	}
}

func max3HalfGeneric(dst, x, y, z *float32, count int) {
	for v := range count {
		best, second, third := loadHalf(x, v*32), loadHalf(y, v*32), loadHalf(z, v*32)
		max3Generic(&best[0], &best[0], &second[0], &third[0], 1)
		storeHalf(dst, v*32, &best)
	}
}
