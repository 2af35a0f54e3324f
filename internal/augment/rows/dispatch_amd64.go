//go:build amd64 && !noasm

package rows

import "github.com/universal-classifier/uc/internal/cpulevel"

// whole returns the part of n that fills vectors of the level.
func whole(n int) int {
	if cpulevel.Default() >= cpulevel.AVX512 {
		return n &^ 15
	}
	return n &^ 7
}

func combine(dst, src []float32, stride int, weights []float32) {
	switch cpulevel.Default() {
	case cpulevel.AVX512, cpulevel.AMX:
		combineAVX512(&dst[0], &src[0], len(dst), 4*stride, &weights[0], len(weights))
	case cpulevel.AVX2:
		combineAVX2(&dst[0], &src[0], len(dst), 4*stride, &weights[0], len(weights))
	default:
		combinePortable(dst, src, stride, weights)
	}
}

func combine4(dst []float32, dstStride, n int, src []float32, stride int, weights []float32) {
	level := cpulevel.Default()
	if level == cpulevel.Generic || len(weights) > maxTaps {
		combine4Portable(dst, dstStride, n, src, stride, weights)
		return
	}
	var padded [maxTaps + 6]float32
	copy(padded[3:], weights)
	if level >= cpulevel.AVX512 {
		combine4AVX512(&dst[0], 4*dstStride, n, &src[0], 4*stride, &padded[0], len(weights)+3)
	} else {
		combine4AVX2(&dst[0], 4*dstStride, n, &src[0], 4*stride, &padded[0], len(weights)+3)
	}
}

// smooth makes a vector of each row at a time: every value of the rows is multiplied with the vector of weights
// that it has in the results.
func smooth(dst []float32, dstStride int, src []float32, stride, n int, weights []float32) {
	level := cpulevel.Default()
	lanes := 8
	if level >= cpulevel.AVX512 {
		lanes = 16
	}
	if level == cpulevel.Generic || len(weights) > maxTaps {
		smoothPortable(dst, dstStride, src, stride, 0, n, weights)
		return
	}
	const pad = 16
	var padded [maxTaps + 2*pad]float32
	copy(padded[pad:], weights)
	radius := len(weights) / 2
	x := 0
	for ; x+lanes <= n; x += lanes {
		first, last := max(0, x-radius), min(n, x+lanes+radius)
		w := &padded[pad+x-first+radius]
		if level >= cpulevel.AVX512 {
			smoothAVX512(&dst[x], 4*dstStride, &src[first], 4*stride, w, last-first)
		} else {
			smoothAVX2(&dst[x], 4*dstStride, &src[first], 4*stride, w, last-first)
		}
	}
	smoothPortable(dst, dstStride, src, stride, x, n, weights)
}

func decay(dst, previous []float32, pole float32) {
	if len(dst) == 0 {
		return
	}
	switch cpulevel.Default() {
	case cpulevel.AVX512, cpulevel.AMX:
		decayAVX512(&dst[0], &previous[0], len(dst), pole)
	case cpulevel.AVX2:
		decayAVX2(&dst[0], &previous[0], len(dst), pole)
	default:
		decayPortable(dst, previous, pole)
	}
}

func decayBack(dst, next []float32, pole float32) {
	if len(dst) == 0 {
		return
	}
	switch cpulevel.Default() {
	case cpulevel.AVX512, cpulevel.AMX:
		decayBackAVX512(&dst[0], &next[0], len(dst), pole)
	case cpulevel.AVX2:
		decayBackAVX2(&dst[0], &next[0], len(dst), pole)
	default:
		decayBackPortable(dst, next, pole)
	}
}

func taps4(dst, src []float32, index []int32, weights []float32) {
	n := 0
	if cpulevel.Default() != cpulevel.Generic {
		if n = len(dst) &^ 3; n > 0 {
			taps4AVX2(&dst[0], &src[0], &index[0], &weights[0], n)
		}
	}
	taps4Portable(dst[n:], src, index[n:], weights[4*n:])
}

func interleave(dst, a, b []float32) {
	level := cpulevel.Default()
	n := 0
	if level != cpulevel.Generic {
		if n = whole(len(a)); n > 0 {
			if level >= cpulevel.AVX512 {
				interleaveAVX512(&dst[0], &a[0], &b[0], n)
			} else {
				interleaveAVX2(&dst[0], &a[0], &b[0], n)
			}
		}
	}
	interleavePortable(dst[2*n:], a[n:], b[n:])
}

func locate(p *Places, l *Line) {
	level := cpulevel.Default()
	n := len(p.Start) &^ 3
	if level >= cpulevel.AVX512 {
		n = len(p.Start) &^ 7
	}
	if level == cpulevel.Generic || n == 0 {
		locatePortable(p, l)
		return
	}
	args := argsOf(l, n)
	if level >= cpulevel.AVX512 {
		locateAVX512(n, &args.base[0], &p.Start[0], &p.F[0][0], &p.F[1][0], &p.F[2][0])
	} else {
		locateAVX2(n, &args.base[0], &p.Start[0], &p.F[0][0], &p.F[1][0], &p.F[2][0])
	}
	locateRest(p, l, n)
}

func cubic(p *Places, dst [][]float32, coefficients []float32, rowStride, planeStride int) {
	n := len(p.Start)
	switch {
	case cpulevel.Default() == cpulevel.Generic || n == 0 || len(dst) > 2:
		cubicPortable(p, dst, coefficients, rowStride, planeStride)
	case len(dst) == 2:
		cubic2AVX2(n, &p.Start[0], &p.F[0][0], &p.F[1][0], &p.F[2][0], &coefficients[0], 8*rowStride, 8*planeStride, &dst[0][0], &dst[1][0])
	case len(dst) == 1:
		cubic1AVX2(n, &p.Start[0], &p.F[0][0], &p.F[1][0], &p.F[2][0], &coefficients[0], 4*rowStride, 4*planeStride, &dst[0][0])
	}
}

// sumsBlock is how many values the kernels sum in float32.
const sumsBlock = 16384

func describe(x []float32, about float32, s *sums) {
	level := cpulevel.Default()
	n := 0
	if level != cpulevel.Generic {
		n = whole(len(x))
	}
	describePortable(x[n:], about, s)
	var lanes [128]float32
	for at := 0; at < n; at += sumsBlock {
		size := min(sumsBlock, n-at)
		if level >= cpulevel.AVX512 {
			describeAVX512(&x[at], size, about, &lanes)
		} else {
			describeAVX2(&x[at], size, about, &lanes)
		}
		s.add(lanes[:64])
		s.add(lanes[64:])
	}
}

func power(x []float32, shift, scale float32, p *powers, about float32, s *sums) {
	level := cpulevel.Default()
	n := 0
	if level != cpulevel.Generic {
		n = whole(len(x))
	}
	powerPortable(x[n:], shift, scale, p, about, s)
	var lanes [128]float32
	for at := 0; at < n; at += sumsBlock {
		size := min(sumsBlock, n-at)
		if level >= cpulevel.AVX512 {
			powerAVX512(&x[at], size, shift, scale, about, &p.scale[smallestExponent], &p.poly[0], &lanes)
		} else {
			powerAVX2(&x[at], size, shift, scale, about, &p.scale[0], &p.poly[0], &lanes)
		}
		s.add(lanes[:64])
	}
}

// add takes the lane-wise accumulators of a kernel, in room for 16 lanes each.
func (s *sums) add(lanes []float32) {
	width := 8
	if cpulevel.Default() >= cpulevel.AVX512 {
		width = 16
	}
	for i := range width {
		s.sum += float64(lanes[i])
		s.squares += float64(lanes[16+i])
		s.min = min(s.min, lanes[32+i])
		s.max = max(s.max, lanes[48+i])
	}
}

func affine(x []float32, scale, shift, low, high float32) {
	if len(x) == 0 {
		return
	}
	switch cpulevel.Default() {
	case cpulevel.AVX512, cpulevel.AMX:
		affineAVX512(&x[0], len(x), scale, shift, low, high)
	case cpulevel.AVX2:
		affineAVX2(&x[0], len(x), scale, shift, low, high)
	default:
		affinePortable(x, scale, shift, low, high)
	}
}

func scale(x []float32, factor float32) {
	if len(x) == 0 {
		return
	}
	switch cpulevel.Default() {
	case cpulevel.AVX512, cpulevel.AMX:
		scaleAVX512(&x[0], len(x), factor)
	case cpulevel.AVX2:
		scaleAVX2(&x[0], len(x), factor)
	default:
		scalePortable(x, factor)
	}
}

func swapReversed(a, b []float32) {
	level := cpulevel.Default()
	n, m := 0, len(a)
	if level != cpulevel.Generic {
		if n = whole(m); n > 0 {
			if level >= cpulevel.AVX512 {
				swapReversedAVX512(&a[0], &b[m-16], n)
			} else {
				swapReversedAVX2(&a[0], &b[m-8], n)
			}
		}
	}
	swapReversedPortable(a[n:], b[:m-n])
}

func swap(a, b []float32) {
	level := cpulevel.Default()
	n := 0
	if level != cpulevel.Generic {
		if n = whole(len(a)); n > 0 {
			if level >= cpulevel.AVX512 {
				swapAVX512(&a[0], &b[0], n)
			} else {
				swapAVX2(&a[0], &b[0], n)
			}
		}
	}
	swapPortable(a[n:], b[n:])
}

func symmetric(g *Generator, dst []float32) {
	level := cpulevel.Default()
	switch {
	case len(dst) == 0:
	case level >= cpulevel.AVX512:
		symmetricAVX512(&g.state, &dst[0], len(dst))
	case level == cpulevel.AVX2:
		symmetricAVX2(&g.state, &dst[0], len(dst))
	default:
		symmetricPortable(g, dst)
	}
}

func addNormal(g *Generator, dst []float32, sd float32) {
	level := cpulevel.Default()
	switch {
	case len(dst) == 0:
	case level >= cpulevel.AVX512:
		addNormalAVX512(&g.state, &dst[0], len(dst), sd)
	case level == cpulevel.AVX2:
		addNormalAVX2(&g.state, &dst[0], len(dst), sd)
	default:
		addNormalPortable(g, dst, sd)
	}
}
