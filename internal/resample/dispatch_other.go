//go:build !arm64 || noasm

package resample

func causal(row, previous []float32, gain, z float32) { causalPortable(row, previous, gain, z) }

func anticausal(row, next []float32, z float32) { anticausalPortable(row, next, z) }

func combine(out, lines []float32, start int, weight *[4]float32) {
	combinePortable(out, lines, start, weight)
}

func clipTo(out []float32, low, high float32) { clipPortable(out, low, high) }

func limits(data []float32) (low, high float32) { return limitsPortable(data) }

func gather(lines, rows []float32, w, length int) { gatherPortable(lines, rows, w, length) }

func scatter(rows, block []float32, w, n int) { scatterPortable(rows, block, w, n) }
