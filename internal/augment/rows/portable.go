package rows

import "math"

func combinePortable(dst, src []float32, stride int, weights []float32) {
	n := len(dst)
	k := 0
	// The first group of taps stores, the following ones add. Several rows per pass keep dst in registers.
	first := true
	for ; k+4 <= len(weights); k += 4 {
		w0, w1, w2, w3 := weights[k], weights[k+1], weights[k+2], weights[k+3]
		s0, s1 := src[k*stride:][:n], src[(k+1)*stride:][:n]
		s2, s3 := src[(k+2)*stride:][:n], src[(k+3)*stride:][:n]
		if first {
			if len(weights) > 4 && overlaps(dst, src) {
				combineInPlace(dst, src, stride, weights)
				return
			}
			for i := range dst {
				dst[i] = w0*s0[i] + w1*s1[i] + w2*s2[i] + w3*s3[i]
			}
			first = false
			continue
		}
		for i := range dst {
			dst[i] += w0*s0[i] + w1*s1[i] + w2*s2[i] + w3*s3[i]
		}
	}
	if first {
		combineInPlace(dst, src, stride, weights)
		return
	}
	for ; k < len(weights); k++ {
		w, s := weights[k], src[k*stride:][:n]
		for i := range dst {
			dst[i] += w * s[i]
		}
	}
}

// combineInPlace reads all that a value needs before it writes the value.
func combineInPlace(dst, src []float32, stride int, weights []float32) {
	for i := range dst {
		var sum float32
		for k, w := range weights {
			sum += w * src[k*stride+i]
		}
		dst[i] = sum
	}
}

// overlaps reports whether dst is the first row of src.
func overlaps(dst, src []float32) bool { return &dst[0] == &src[0] }

func combine4Portable(dst []float32, dstStride, n int, src []float32, stride int, weights []float32) {
	for j := range 4 {
		combinePortable(dst[j*dstStride:][:n], src[j*stride:], stride, weights)
	}
}

func decayPortable(dst, previous []float32, pole float32) {
	previous = previous[:len(dst)]
	for i := range dst {
		dst[i] += pole * previous[i]
	}
}

func decayBackPortable(dst, next []float32, pole float32) {
	next = next[:len(dst)]
	for i := range dst {
		dst[i] = pole * (next[i] - dst[i])
	}
}

// SplinePole is the pole of the cubic B-spline prefilter (Unser 1999).
var SplinePole = math.Sqrt(3) - 2

func splineRowPortable(dst, src []float32, gain float32) {
	pole := float32(SplinePole)
	var causal float32
	for _, v := range src[:SplineReach] {
		causal = v + pole*causal
	}
	n := len(dst)
	for i, v := range src[SplineReach : SplineReach+n] {
		causal = v + pole*causal
		dst[i] = causal
	}
	// next is the anticausal value just after the row: minus the sum of pole^(k+1) times the causal values beyond.
	var next, power float32 = 0, 1
	for _, v := range src[SplineReach+n:] {
		causal = v + pole*causal
		power *= pole
		next -= power * causal
	}
	gain *= 6
	for i := n - 1; i >= 0; i-- {
		next = pole * (next - dst[i])
		dst[i] = gain * next
	}
}

func taps4Portable(dst, src []float32, index []int32, weights []float32) {
	for i := range dst {
		s := src[index[i]:][:4]
		w := weights[4*i:][:4]
		dst[i] = w[0]*s[0] + w[1]*s[1] + w[2]*s[2] + w[3]*s[3]
	}
}

func interleavePortable(dst, a, b []float32) {
	for i, v := range a {
		dst[2*i], dst[2*i+1] = v, b[i]
	}
}

func smoothPortable(dst []float32, dstStride int, src []float32, stride, first, n int, weights []float32) {
	radius := len(weights) / 2
	for j := range SmoothRows {
		row, out := src[j*stride:][:n], dst[j*dstStride:][:n]
		for i := first; i < n; i++ {
			low, high := max(0, i-radius), min(n, i+radius+1)
			var sum float32
			for k, w := range weights[low-i+radius : high-i+radius] {
				sum += w * row[low+k]
			}
			out[i] = sum
		}
	}
}
