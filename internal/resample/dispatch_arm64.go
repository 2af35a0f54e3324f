//go:build arm64 && !noasm

package resample

import "github.com/universal-classifier/uc/internal/cpulevel"

func neon() bool { return cpulevel.Default() == cpulevel.NEON }

func causal(row, previous []float32, gain, z float32) {
	if !neon() || len(row) == 0 {
		causalPortable(row, previous, gain, z)
		return
	}
	causalNEON(&row[0], &previous[:len(row)][0], len(row), gain, z)
}

func anticausal(row, next []float32, z float32) {
	if !neon() || len(row) == 0 {
		anticausalPortable(row, next, z)
		return
	}
	anticausalNEON(&row[0], &next[:len(row)][0], len(row), z)
}

func combine(out, lines []float32, start int, weight *[4]float32) {
	if !neon() || len(out) == 0 {
		combinePortable(out, lines, start, weight)
		return
	}
	combineNEON(&out[0], &lines[start:][:4*len(out)][0], len(out), weight)
}

func clipTo(out []float32, low, high float32) {
	if !neon() || len(out) == 0 {
		clipPortable(out, low, high)
		return
	}
	clipNEON(&out[0], len(out), low, high)
}

func limits(data []float32) (low, high float32) {
	n := len(data) &^ 15
	if !neon() || n == 0 {
		return limitsPortable(data)
	}
	var ends [8]float32
	limitsNEON(&data[0], n, (*[4]float32)(ends[:4]), (*[4]float32)(ends[4:]))
	low, _ = limitsPortable(ends[:4])
	_, high = limitsPortable(ends[4:])
	if n < len(data) {
		restLow, restHigh := limitsPortable(data[n:])
		low, high = min(low, restLow), max(high, restHigh)
	}
	return low, high
}

// gather transposes four rows at a time as far as four positions fill a register, and the rest value by value.
func gather(lines, rows []float32, w, length int) {
	if !neon() {
		gatherPortable(lines, rows, w, length)
		return
	}
	transpose(lines, w, rows, length, w, length)
}

func scatter(rows, block []float32, w, n int) {
	if !neon() {
		scatterPortable(rows, block, w, n)
		return
	}
	transpose(rows, n, block, w, n, w)
}

// transpose sets dst[i*dstStride + j] = src[j*srcStride + i] for j < rows and i < n.
func transpose(dst []float32, dstStride int, src []float32, srcStride, rows, n int) {
	j, whole := 0, n&^3
	if whole > 0 {
		for ; j+4 <= rows; j += 4 {
			_, _ = dst[(whole-1)*dstStride+j+3], src[(j+3)*srcStride+whole-1]
			transposeNEON(&dst[j], 4*dstStride, &src[j*srcStride], 4*srcStride, whole)
		}
	}
	for r := range rows {
		from := whole
		if r >= j {
			from = 0
		}
		for i := from; i < n; i++ {
			dst[i*dstStride+r] = src[r*srcStride+i]
		}
	}
}
