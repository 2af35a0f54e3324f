//go:build arm64 && !noasm

package rows

import "github.com/universal-classifier/uc/internal/cpulevel"

// lanes is how many float32 values a register of NEON holds.
const lanes = 4

// neon reports whether the kernels in machine code are to be used.
func neon() bool { return cpulevel.Default() == cpulevel.NEON }

// whole returns the part of n values, from the first on, that fills registers: none where the portable version is to do
// all of it.
func whole(n int) int {
	if !neon() {
		return 0
	}
	return n &^ (lanes - 1)
}

func combine(dst, src []float32, stride int, weights []float32) {
	if !neon() {
		combinePortable(dst, src, stride, weights)
		return
	}
	combineNEON(&dst[0], &src[0], len(dst), 4*stride, &weights[0], len(weights))
}

func combine4(dst []float32, dstStride, n int, src []float32, stride int, weights []float32) {
	if !neon() || len(weights) > maxTaps {
		combine4Portable(dst, dstStride, n, src, stride, weights)
		return
	}
	var padded [maxTaps + 6]float32
	copy(padded[3:], weights)
	combine4NEON(&dst[0], 4*dstStride, n, &src[0], 4*stride, &padded[0], len(weights)+3)
}

// smooth makes two vectors of each row at a time: every value of the rows is multiplied with the weights that it has in
// the results.
func smooth(dst []float32, dstStride int, src []float32, stride, n int, weights []float32) {
	if !neon() || len(weights) > maxTaps {
		smoothPortable(dst, dstStride, src, stride, 0, n, weights)
		return
	}
	const pad = 2 * lanes
	var padded [maxTaps + 2*pad]float32
	copy(padded[pad:], weights)
	radius := len(weights) / 2
	x := 0
	for ; x+2*lanes <= n; x += 2 * lanes {
		first, last := max(0, x-radius), min(n, x+2*lanes+radius)
		smoothNEON(&dst[x], 4*dstStride, &src[first], 4*stride, &padded[pad+x-first+radius], last-first)
	}
	smoothPortable(dst, dstStride, src, stride, x, n, weights)
}

func decay(dst, previous []float32, pole float32) {
	if !neon() || len(dst) == 0 {
		decayPortable(dst, previous, pole)
		return
	}
	decayNEON(&dst[0], &previous[0], len(dst), pole)
}

func decayBack(dst, next []float32, pole float32) {
	if !neon() || len(dst) == 0 {
		decayBackPortable(dst, next, pole)
		return
	}
	decayBackNEON(&dst[0], &next[0], len(dst), pole)
}

func taps4(dst, src []float32, index []int32, weights []float32) {
	n := whole(len(dst))
	if n > 0 {
		taps4NEON(&dst[0], &src[0], &index[0], &weights[0], n)
	}
	taps4Portable(dst[n:], src, index[n:], weights[4*n:])
}

func interleave(dst, a, b []float32) {
	n := whole(len(a))
	if n > 0 {
		interleaveNEON(&dst[0], &a[0], &b[0], n)
	}
	interleavePortable(dst[2*n:], a[n:], b[n:])
}

func locate(p *Places, l *Line) {
	n := whole(len(p.Start))
	if n > 0 {
		args := argsOf(l, n)
		locateNEON(n, &args.base[0], &p.Start[0], &p.F[0][0], &p.F[1][0], &p.F[2][0])
	}
	locateRest(p, l, n)
}

func cubic(p *Places, dst [][]float32, coefficients []float32, rowStride, planeStride int) {
	n := len(p.Start)
	switch {
	case !neon() || n == 0 || len(dst) > 2:
		cubicPortable(p, dst, coefficients, rowStride, planeStride)
	case len(dst) == 2:
		cubic2NEON(n, &p.Start[0], &p.F[0][0], &p.F[1][0], &p.F[2][0], &coefficients[0], 8*rowStride, 8*planeStride, &dst[0][0], &dst[1][0])
	case len(dst) == 1:
		cubic1NEON(n, &p.Start[0], &p.F[0][0], &p.F[1][0], &p.F[2][0], &coefficients[0], 4*rowStride, 4*planeStride, &dst[0][0])
	}
}

// describeBlock is how many values describe sums in float32, in four registers; power has one register, and sums as
// many values in each lane.
const (
	describeBlock = 16384
	powerBlock    = describeBlock / 4
)

func describe(x []float32, about float32, s *sums) {
	n := whole(len(x)) &^ (4*lanes - 1)
	describePortable(x[n:], about, s)
	var sums [64]float32
	for at := 0; at < n; at += describeBlock {
		describeNEON(&x[at], min(describeBlock, n-at), about, &sums)
		s.add(&sums, 4*lanes)
	}
}

func power(x []float32, shift, scale float32, p *powers, about float32, s *sums) {
	n := whole(len(x))
	powerPortable(x[n:], shift, scale, p, about, s)
	var sums [64]float32
	for at := 0; at < n; at += powerBlock {
		powerNEON(&x[at], min(powerBlock, n-at), shift, scale, about, &p.scale[smallestExponent], &p.poly[0], &sums)
		s.add(&sums, lanes)
	}
}

// add takes the lane-wise accumulators of a kernel, each in room for 16 lanes.
func (s *sums) add(of *[64]float32, lanes int) {
	for i := range lanes {
		s.sum += float64(of[i])
		s.squares += float64(of[16+i])
		s.min = min(s.min, of[32+i])
		s.max = max(s.max, of[48+i])
	}
}

func affine(x []float32, scale, shift, low, high float32) {
	if !neon() || len(x) == 0 {
		affinePortable(x, scale, shift, low, high)
		return
	}
	affineNEON(&x[0], len(x), scale, shift, low, high)
}

func scale(x []float32, factor float32) {
	if !neon() || len(x) == 0 {
		scalePortable(x, factor)
		return
	}
	scaleNEON(&x[0], len(x), factor)
}

func swapReversed(a, b []float32) {
	n, m := whole(len(a)), len(a)
	if n > 0 {
		swapReversedNEON(&a[0], &b[m-lanes], n)
	}
	swapReversedPortable(a[n:], b[:m-n])
}

func swap(a, b []float32) {
	if !neon() || len(a) == 0 {
		swapPortable(a, b)
		return
	}
	swapNEON(&a[0], &b[0], len(a))
}

func symmetric(g *Generator, dst []float32) {
	if !neon() || len(dst) == 0 {
		symmetricPortable(g, dst)
		return
	}
	symmetricNEON(&g.state, &dst[0], len(dst))
}

func addNormal(g *Generator, dst []float32, sd float32) {
	if !neon() || len(dst) == 0 {
		addNormalPortable(g, dst, sd)
		return
	}
	addNormalNEON(&g.state, &dst[0], len(dst), sd)
}
