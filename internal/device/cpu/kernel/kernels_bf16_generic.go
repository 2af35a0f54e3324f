package kernel

import (
	"unsafe"
)

// bf16Generic returns the portable kernels. Most widen the values, call the float32 kernel and round its result.
func bf16Generic(floats *Set) *bf16Kernels {
	h := &bf16Kernels{
		rows: floats.Rows, cols: floats.Cols,
		outer:      [4]outerFunc{1: outerBF16Generic},
		Interleave: interleaveGeneric, PackPairs: packPairsGeneric, Narrow: narrowGeneric, Widen: widenGeneric,
		normalize: normalizeBF16Generic, sums: sumsBF16Generic, gradientSums: gradientSumsBF16Generic, normalizeBack: normalizeBackBF16Generic,
		axisMax: axisMaxBF16Generic, windowArgMax: windowBF16Generic, winnersSum: winnersBF16Generic, combineMax: combineBF16Generic, splitSum: splitBF16Generic, max3: max3BF16Generic,
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
					acc = loadBF16(c, m*32)
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
				storeBF16(c, m*32, &acc)
			}
		}
	}
	for i, s := range Schemes {
		t := floats.Transforms[i]
		h.transforms = append(h.transforms, [transformKinds]transformFunc{
			InputTransform:      bf16TransformGeneric(t[InputTransform], InputTransform, s.Inputs, s.Alpha, true, false),
			GradientTransform:   bf16TransformGeneric(t[GradientTransform], GradientTransform, s.M, s.Alpha, true, false),
			OutputTransform:     bf16TransformGeneric(t[OutputTransform], OutputTransform, s.Alpha, s.M, false, true),
			OutputAddTransform:  bf16TransformGeneric(t[OutputAddTransform], OutputAddTransform, s.Alpha, s.M, false, true),
			OutputReLUTransform: bf16TransformGeneric(t[OutputReLUTransform], OutputReLUTransform, s.Alpha, s.M, false, true),
		})
		h.TransformsV = append(h.TransformsV, bf16TransformGeneric(t[InputTransform], InputTransform, s.Inputs, s.Alpha, false, true))
	}
	return h
}

// loadBF16 widens the 16 bfloat16 at a byte offset.
func loadBF16(p *float32, offset int) (v [Block]float32) {
	for i, h := range bf16Vector(p, offset) {
		v[i] = FromBF16(h)
	}
	return v
}

// storeBF16 rounds 16 values to a byte offset.
func storeBF16(p *float32, offset int, v *[Block]float32) {
	out := bf16Vector(p, offset)
	for i, f := range v {
		out[i] = ToBF16(f)
	}
}

// productRowGeneric adds row m of a times b to acc.
func productRowGeneric(acc *[Block]float32, a *float32, aStride, m int, b *float32, k4 int) {
	for k := 0; k < 4*k4; k += Block {
		in := loadBF16(a, k/Block*aStride+m*32)
		for i := 0; i < min(Block, 4*k4-k); i += 2 {
			for o, w := range bf16Pairs(b, (k+i)*32) {
				acc[o] += in[i]*FromBF16(w[0]) + in[i+1]*FromBF16(w[1])
			}
		}
	}
}

func outerBF16Generic(a, z *float32, _ int, rows int, c *float32, _ int, add int) {
	for i := range Block {
		var acc [Block]float32
		for m := range rows {
			x := bf16Pairs(a, m*64)[i]
			f, g := FromBF16(x[0]), FromBF16(x[1])
			for o, w := range bf16Pairs(z, m*64) {
				acc[o] += f*FromBF16(w[0]) + g*FromBF16(w[1])
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
			second = *bf16Vector(src, (m+1)*32)
		}
		out := bf16Pairs(dst, m*32)
		for i, first := range bf16Vector(src, m*32) {
			out[i] = [2]uint16{first, second[i]}
		}
	}
}

func packPairsGeneric(dst, src *float32, count int) {
	for p := range count {
		first, second, out := vector(src, p*128), vector(src, p*128+64), bf16Pairs(dst, p*64)
		for i := range out {
			out[i] = [2]uint16{ToBF16(first[i]), ToBF16(second[i])}
		}
	}
}

func narrowGeneric(dst, src *float32, count int) {
	for v := range count {
		storeBF16(dst, v*32, vector(src, v*64))
	}
}

func widenGeneric(dst, src *float32, count int) {
	for v := range count {
		*vector(dst, v*64) = loadBF16(src, v*32)
	}
}

// bf16TransformGeneric makes a transformation of inputs to outputs elements of a line read or write bfloat16.
func bf16TransformGeneric(transform transformFunc, kind, inputs, outputs int, reads, writes bool) transformFunc {
	masksIn := kind == InputTransform || kind == GradientTransform
	return func(dst, src *float32, srcOffset int, dstElement, srcElement int, n1, dst1, src1, n2, dst2, src2 int, mask int, bias *float32) {
		for l2 := range n2 {
			for l1 := range n1 {
				var in, out [8][Block]float32
				for j := range inputs {
					switch at := srcOffset + l2*src2 + l1*src1 + j*srcElement; {
					case masksIn && mask>>j&1 == 0:
					case reads:
						in[j] = loadBF16(src, at)
					default:
						in[j] = *vector(src, at)
					}
				}
				to := func(i int) int { return l2*dst2 + l1*dst1 + i*dstElement }
				exists := func(i int) bool { return masksIn || mask>>i&1 != 0 }
				for i := range outputs {
					if kind == OutputAddTransform && exists(i) {
						out[i] = loadBF16(dst, to(i))
					}
				}
				transform(&out[0][0], &in[0][0], 0, 64, 64, 1, 0, 0, 1, 0, 0, mask, bias)
				for i := range outputs {
					switch {
					case !exists(i):
					case writes:
						storeBF16(dst, to(i), &out[i])
					default:
						*vector(dst, to(i)) = out[i]
					}
				}
			}
		}
	}
}

func normalizeBF16Generic(dst, src *float32, count int, params *float32) {
	for v := range count {
		x := loadBF16(src, v*32)
		normalizeGeneric(&x[0], &x[0], 1, params)
		storeBF16(dst, v*32, &x)
	}
}

func sumsBF16Generic(src *float32, count int, out *float64) {
	sums := (*[2 * Block]float64)(unsafe.Pointer(out))
	*sums = [2 * Block]float64{}
	for v := range count {
		x := loadBF16(src, v*32)
		var one [2 * Block]float64
		sumsGeneric(&x[0], 1, &one[0])
		for i, f := range one {
			sums[i] += f
		}
	}
}

func gradientSumsBF16Generic(x, g *float32, count int, params *float32, out *float64) {
	sums := (*[2 * Block]float64)(unsafe.Pointer(out))
	*sums = [2 * Block]float64{}
	for v := range count {
		xv, gv := loadBF16(x, v*32), loadBF16(g, v*32)
		var one [2 * Block]float64
		gradientSumsGeneric(&xv[0], &gv[0], 1, params, &one[0])
		for i, f := range one {
			sums[i] += f
		}
	}
}

func normalizeBackBF16Generic(dst, x, g *float32, count int, params *float32) {
	for v := range count {
		xv, gv := loadBF16(x, v*32), loadBF16(g, v*32)
		normalizeBackGeneric(&gv[0], &xv[0], &gv[0], 1, params)
		storeBF16(dst, v*32, &gv)
	}
}

func windowBF16Generic(dst *float32, winners *uint8, src *float32, step, count int, offsets *int, taps *[16]uint8, before, after int, zeroTap int) {
	positions := unsafe.Slice(offsets, before+after)
	values := make([][Block]float32, before+after)
	order := make([]int, before+after)
	for t := range order {
		order[t] = t * 64
	}
	for v := range count {
		for t, at := range positions {
			values[t] = loadBF16(src, v*step+at)
		}
		var best [Block]float32
		var from *float32
		var first *int
		if len(values) > 0 {
			from, first = &values[0][0], &order[0]
		}
		windowGeneric(&best[0], winners, from, 0, 1, first, taps, before, after, zeroTap)
		storeBF16(dst, v*32, &best)
		winners = (*uint8)(unsafe.Add(unsafe.Pointer(winners), Block))
	}
}

func winnersBF16Generic(dst *float32, step int, g *float32, w *uint8, count int, offsets *int, taps *[16]uint8, windows int, add int) {
	positions, numbers := unsafe.Slice(offsets, windows), unsafe.Slice(taps, windows)
	for v := range count {
		var acc [Block]float32
		if add != 0 {
			acc = loadBF16(dst, v*step)
		}
		for t, at := range positions {
			gv, won := loadBF16(g, (v+at)*32), (*[Block]uint8)(unsafe.Add(unsafe.Pointer(w), (v+at)*Block))
			for i, tap := range won {
				if tap == numbers[t][0] {
					acc[i] += gv[i]
				}
			}
		}
		storeBF16(dst, v*step, &acc)
	}
}

func max3BF16Generic(dst, x, y, z *float32, count int) {
	for v := range count {
		best, second, third := loadBF16(x, v*32), loadBF16(y, v*32), loadBF16(z, v*32)
		max3Generic(&best[0], &best[0], &second[0], &third[0], 1)
		storeBF16(dst, v*32, &best)
	}
}
