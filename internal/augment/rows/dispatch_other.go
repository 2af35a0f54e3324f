//go:build (!amd64 && !arm64) || noasm

package rows

func combine(dst, src []float32, stride int, weights []float32) {
	combinePortable(dst, src, stride, weights)
}

func combine4(dst []float32, dstStride, n int, src []float32, stride int, weights []float32) {
	combine4Portable(dst, dstStride, n, src, stride, weights)
}

func smooth(dst []float32, dstStride int, src []float32, stride, n int, weights []float32) {
	smoothPortable(dst, dstStride, src, stride, 0, n, weights)
}

func decay(dst, previous []float32, pole float32) { decayPortable(dst, previous, pole) }

func decayBack(dst, next []float32, pole float32) { decayBackPortable(dst, next, pole) }

func splineRow(dst, src []float32, gain float32) { splineRowPortable(dst, src, gain) }

func taps4(dst, src []float32, index []int32, weights []float32) {
	taps4Portable(dst, src, index, weights)
}

func locate(p *Places, l *Line) { locatePortable(p, l) }

func cubic(p *Places, dst [][]float32, coefficients []float32, rowStride, planeStride int) {
	cubicPortable(p, dst, coefficients, rowStride, planeStride)
}

func describe(x []float32, about float32, s *sums) { describePortable(x, about, s) }

func affine(x []float32, scale, shift, low, high float32) { affinePortable(x, scale, shift, low, high) }

func scale(x []float32, factor float32) { scalePortable(x, factor) }

func power(x []float32, shift, scale float32, p *powers, about float32, s *sums) {
	powerPortable(x, shift, scale, p, about, s)
}

func reverse(x []float32) { reversePortable(x) }

func swapReversed(a, b []float32) { swapReversedPortable(a, b) }

func swap(a, b []float32) { swapPortable(a, b) }

func symmetric(g *Generator, dst []float32) { symmetricPortable(g, dst) }

func addNormal(g *Generator, dst []float32, sd float32) { addNormalPortable(g, dst, sd) }

func interleave(dst, a, b []float32) { interleavePortable(dst, a, b) }
