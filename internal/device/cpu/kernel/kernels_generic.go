package kernel

import (
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
)

func gemmGeneric(a *float32, aStride int, b *float32, k4 int, c *float32, rows int, add bool) {
	for m := range rows {
		var acc [Block]float32
		out := vector(c, m*64)
		if add {
			acc = *out
		}
		for k := 0; k < 4*k4; k += Block {
			in := vector(a, k/Block*aStride+m*64)
			for i := range min(Block, 4*k4-k) {
				w, f := vector(b, (k+i)*64), in[i]
				for o := range acc {
					acc[o] += f * w[o]
				}
			}
		}
		*out = acc
	}
}

func outerGeneric(a, z *float32, rows int, c *float32, add bool) {
	var acc [Block * Block]float32
	for m := range rows {
		x, g := vector(a, m*64), vector(z, m*64)
		for i, f := range x {
			row := (*[Block]float32)(acc[i*Block:])
			for o := range g {
				row[o] += f * g[o]
			}
		}
	}
	for i := range Block {
		out, row := vector(c, i*64), (*[Block]float32)(acc[i*Block:])
		for o := range out {
			if add {
				out[o] += row[o]
			} else {
				out[o] = row[o]
			}
		}
	}
}

// genericTransforms builds the portable transformations of a scheme from its matrices.
func genericTransforms(s winograd.Scheme) (t [transformKinds]transformFunc) {
	t[InputTransform] = genericTransform(s.BT, InputTransform)
	t[WeightsTransform] = genericTransform(s.G, WeightsTransform)
	for _, kind := range []int{OutputTransform, OutputAddTransform, OutputReLUTransform} {
		t[kind] = genericTransform(s.AT, kind)
	}
	t[GradientTransform] = genericTransform(winograd.Transpose(s.AT), GradientTransform)
	t[WeightsBackTransform] = genericTransform(winograd.Transpose(s.G), WeightsBackTransform)
	return t
}

func genericTransform(matrix [][]float64, kind int) transformFunc {
	type term struct {
		from int
		by   float32
	}
	terms := make([][]term, len(matrix))
	for i, row := range matrix {
		for j, f := range row {
			if f != 0 {
				terms[i] = append(terms[i], term{j, float32(f)})
			}
		}
	}
	columns := len(matrix[0])
	maskIn := kind == InputTransform || kind == GradientTransform
	maskOut := kind == OutputTransform || kind == OutputAddTransform || kind == OutputReLUTransform
	return func(dst, src *float32, srcOffset int, dstElement, srcElement int, n1, dst1, src1, n2, dst2, src2 int, mask int, bias *float32) {
		for l2 := range n2 {
			for l1 := range n1 {
				var in [8][Block]float32
				for j := range columns {
					if !maskIn || mask>>j&1 != 0 {
						in[j] = *vector(src, srcOffset+l2*src2+l1*src1+j*srcElement)
					}
				}
				for i, row := range terms {
					if maskOut && mask>>i&1 == 0 {
						continue
					}
					var sum [Block]float32
					for _, t := range row {
						x := &in[t.from]
						for o := range sum {
							sum[o] += t.by * x[o]
						}
					}
					out := vector(dst, l2*dst2+l1*dst1+i*dstElement)
					switch kind {
					case OutputAddTransform:
						for o := range sum {
							sum[o] += out[o]
						}
					case OutputReLUTransform:
						b := vector(bias, 0)
						for o := range sum {
							sum[o] = max(0, sum[o]+b[o])
						}
					}
					*out = sum
				}
			}
		}
	}
}

func normalizeGeneric(dst, src *float32, count int, params *float32) {
	scale, shift, floor := vector(params, 0), vector(params, 64), vector(params, 128)
	for v := range count {
		x, y := vector(src, v*64), vector(dst, v*64)
		for i, f := range x {
			y[i] = max(f*scale[i]+shift[i], floor[i])
		}
	}
}

func sumsGeneric(src *float32, count int, out *float64) {
	var s1, s2 [Block]float64
	for v := range count {
		for i, f := range vector(src, v*64) {
			s1[i] += float64(f)
			s2[i] += float64(f) * float64(f)
		}
	}
	*(*[Block]float64)(unsafe.Pointer(out)) = s1
	*(*[Block]float64)(unsafe.Add(unsafe.Pointer(out), 8*Block)) = s2
}

func gradientSumsGeneric(x, g *float32, count int, params *float32, out *float64) {
	scale, shift, floor, mean := vector(params, 0), vector(params, 64), vector(params, 128), vector(params, 192)
	var s1, s2 [Block]float64
	for v := range count {
		gv := vector(g, v*64)
		for i, f := range vector(x, v*64) {
			if f*scale[i]+shift[i] > floor[i] {
				s1[i] += float64(gv[i])
				s2[i] += float64(gv[i]) * float64(f-mean[i])
			}
		}
	}
	*(*[Block]float64)(unsafe.Pointer(out)) = s1
	*(*[Block]float64)(unsafe.Add(unsafe.Pointer(out), 8*Block)) = s2
}

func normalizeBackGeneric(dst, x, g *float32, count int, params *float32) {
	scale, shift, floor, slope, offset := vector(params, 0), vector(params, 64), vector(params, 128), vector(params, 192), vector(params, 256)
	for v := range count {
		gv, out := vector(g, v*64), vector(dst, v*64)
		for i, f := range vector(x, v*64) {
			r := f*slope[i] + offset[i]
			if f*scale[i]+shift[i] > floor[i] {
				r += gv[i] * scale[i]
			}
			out[i] = r
		}
	}
}

func sgdGeneric(w, g, m *float32, count int, scale, decay, keep, momentum, negativeRate float32) {
	for v := range count {
		wv, gv, mv := vector(w, v*64), vector(g, v*64), vector(m, v*64)
		for i := range wv {
			f := scale*gv[i] + decay*wv[i]
			mv[i] = keep*mv[i] + f
			wv[i] += negativeRate * (f + momentum*mv[i])
		}
	}
}

func windowGeneric(dst *float32, winners *uint8, src *float32, step, count int, offsets *int, taps *[16]uint8, before, after int, zeroTap int) {
	positions, numbers := unsafe.Slice(offsets, before+after), unsafe.Slice(taps, before+after)
	var zeros [Block]float32
	for v := range count {
		var best [Block]float32
		var which [Block]uint8
		for i := range best {
			best[i] = float32(math.Inf(-1))
		}
		take := func(x *[Block]float32, tap uint8) {
			for i, f := range x {
				if !(f <= best[i]) {
					best[i], which[i] = f, tap
				}
			}
		}
		for t, at := range positions {
			if t == before && zeroTap >= 0 {
				take(&zeros, uint8(zeroTap))
			}
			take(vector(src, v*step+at), numbers[t][0])
		}
		if after == 0 && zeroTap >= 0 {
			take(&zeros, uint8(zeroTap))
		}
		*vector(dst, v*64) = best
		*(*[Block]uint8)(unsafe.Add(unsafe.Pointer(winners), v*Block)) = which
	}
}

func winnersGeneric(dst *float32, step int, g *float32, w *uint8, count int, offsets *int, taps *[16]uint8, windows int, add int) {
	positions, numbers := unsafe.Slice(offsets, windows), unsafe.Slice(taps, windows)
	for v := range count {
		out := vector(dst, v*step)
		var acc [Block]float32
		if add != 0 {
			acc = *out
		}
		for t, at := range positions {
			gv, won := vector(g, (v+at)*64), (*[Block]uint8)(unsafe.Add(unsafe.Pointer(w), (v+at)*Block))
			for i, tap := range won {
				if tap == numbers[t][0] {
					acc[i] += gv[i]
				}
			}
		}
		*out = acc
	}
}

func transposeGeneric(dst, src *float32) {
	d, s := (*[Block * Block]float32)(unsafe.Pointer(dst)), (*[Block * Block]float32)(unsafe.Pointer(src))
	for i := range Block {
		for j := range Block {
			d[j*Block+i] = s[i*Block+j]
		}
	}
}

// ceilingSink keeps the compiler from dropping the multiply-adds.
var ceilingSink atomic.Uint32

func ceilingGeneric(n int) {
	var a, b, c, d, e, f, g, h float32 = 1, 2, 3, 4, 5, 6, 7, 8
	const x, y = 0.999, 0.001
	for range n {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
	}
	ceilingSink.Store(math.Float32bits(a + b + c + d + e + f + g + h))
}

func max3Generic(dst, x, y, z *float32, count int) {
	for v := range count {
		a, b, c, out := vector(x, v*64), vector(y, v*64), vector(z, v*64), vector(dst, v*64)
		for i, best := range a {
			if f := b[i]; !(f <= best) {
				best = f
			}
			if f := c[i]; !(f <= best) {
				best = f
			}
			out[i] = best
		}
	}
}

// Adamw is the step on slices of one length.
func Adamw(w, g, m, v []float32, k *[9]float32) {
	scale, b1, c1, b2, c2, shrink, negativeRate, root, eps := k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], k[8]
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		f := scale * g[i]
		m[i] = b1*m[i] + c1*f
		v[i] = b2*v[i] + c2*(f*f)
		w[i] = shrink*w[i] + negativeRate*(m[i]/(float32(math.Sqrt(float64(v[i])))*root+eps))
	}
}

func adamwGeneric(w, g, m, v *float32, count int, k *[9]float32) {
	n := count * Block
	Adamw(unsafe.Slice(w, n), unsafe.Slice(g, n), unsafe.Slice(m, n), unsafe.Slice(v, n), k)
}
