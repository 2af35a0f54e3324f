package evaluate

import "math"

// Argmax is the index of the largest value, the first one among equals; a NaN counts as the largest, as in NumPy.
// It is -1 for no values.
func Argmax(values []float64) int {
	best := -1
	for i, v := range values {
		if math.IsNaN(v) {
			return i
		}
		if best < 0 || v > values[best] {
			best = i
		}
	}
	return best
}

// Softmax turns logits into probabilities.
func Softmax(logits []float64) []float64 {
	highest := math.Inf(-1)
	for _, v := range logits {
		highest = math.Max(highest, v)
	}
	out := make([]float64, len(logits))
	var sum float64
	for i, v := range logits {
		out[i] = math.Exp(v - highest)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// Confusion counts cases, (true class, predicted class).
func Confusion(targets, predicted []int, classes int) [][]int {
	counts := make([][]int, classes)
	for i := range counts {
		counts[i] = make([]int, classes)
	}
	for i, t := range targets {
		counts[t][predicted[i]]++
	}
	return counts
}

// BalancedAccuracy is the mean over classes of the share of their cases that are recognised; classes without cases
// are left out, as in scikit-learn. NaN without any cases.
func BalancedAccuracy(confusion [][]int) float64 {
	var recalls float64
	present := 0
	for t, row := range confusion {
		if n := sum(row); n > 0 {
			recalls += float64(row[t]) / float64(n)
			present++
		}
	}
	if present == 0 {
		return math.NaN()
	}
	return recalls / float64(present)
}

func sum(counts []int) int {
	total := 0
	for _, c := range counts {
		total += c
	}
	return total
}
