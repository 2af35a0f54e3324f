// Package rows holds the inner loops of augmentation over contiguous rows of float32.
//
// Each function checks its slices and then runs the fastest version that the machine has. The portable version in
// portable*.go is the specification; the others may differ from it by rounding only. Two different versions of
// the machine code may round differently, one version always gives the same result.
package rows

import "fmt"

// Combine sets dst[i] = sum over k of weights[k] * src[i + k*stride]. dst may be one of the rows of src.
// With stride 1 it is a correlation along the row, with a longer one it combines rows of a volume.
func Combine(dst, src []float32, stride int, weights []float32) {
	if len(dst) == 0 || len(weights) == 0 {
		clear(dst)
		return
	}
	_ = src[(len(weights)-1)*stride+len(dst)-1]
	combine(dst, src, stride, weights)
}

// Combine4 makes four neighbouring rows of a correlation along a strided axis: for j in 0..3 and i in 0..n-1
//
//	dst[j*dstStride + i] = sum over k of weights[k] * src[(j+k)*stride + i]
//
// dst and src must not overlap.
func Combine4(dst []float32, dstStride, n int, src []float32, stride int, weights []float32) {
	if n == 0 {
		return
	}
	_ = dst[3*dstStride+n-1]
	if len(weights) == 0 {
		for j := range 4 {
			clear(dst[j*dstStride:][:n])
		}
		return
	}
	_ = src[(len(weights)+2)*stride+n-1]
	combine4(dst, dstStride, n, src, stride, weights)
}

// SmoothRows is how many rows Smooth filters together.
const SmoothRows = 8

// Smooth filters SmoothRows rows of length n along themselves with an odd number of symmetric weights, of which k is
// the middle one, and zeros beyond the ends: for j in 0..7 and i in 0..n-1
//
//	dst[j*dstStride + i] = sum over m in -k..k of weights[k+m] * src[j*stride + i + m]
//
// dst and src must not overlap.
func Smooth(dst []float32, dstStride int, src []float32, stride, n int, weights []float32) {
	if n == 0 {
		return
	}
	_, _ = dst[(SmoothRows-1)*dstStride+n-1], src[(SmoothRows-1)*stride+n-1]
	smooth(dst, dstStride, src, stride, n, weights)
}

// Decay is the causal step of a first-order recursion over rows: dst[i] += pole * previous[i].
func Decay(dst, previous []float32, pole float32) {
	decay(dst, previous[:len(dst)], pole)
}

// DecayBack is the anticausal step: dst[i] = pole * (next[i] - dst[i]).
func DecayBack(dst, next []float32, pole float32) {
	decayBack(dst, next[:len(dst)], pole)
}

// SplineReach is how many values beyond each end of its result SplineRow reads.
const SplineReach = 12

// SplineRow writes gain times the cubic B-spline coefficients of a row. src holds SplineReach values of the extended
// row, then the row itself, then SplineReach values more; what lies further out is lost in float32.
func SplineRow(dst, src []float32, gain float32) {
	if len(src) != len(dst)+2*SplineReach {
		panic(fmt.Sprintf("rows: spline of %d values from %d", len(dst), len(src)))
	}
	splineRow(dst, src, gain)
}

// Taps4 resamples a row: dst[i] = sum over k in 0..3 of weights[4*i+k] * src[index[i]+k].
func Taps4(dst, src []float32, index []int32, weights []float32) {
	_, _ = index[:len(dst)], weights[:4*len(dst)]
	for _, i := range index[:len(dst)] {
		_ = src[i : i+4]
	}
	taps4(dst, src, index, weights)
}

// Interleave sets dst[2i] = a[i] and dst[2i+1] = b[i].
func Interleave(dst, a, b []float32) {
	_, _ = dst[:2*len(a)], b[:len(a)]
	interleave(dst, a, b)
}
