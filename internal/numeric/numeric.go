// Package numeric computes what several packages need of plain numbers.
package numeric

import (
	"math"
	"slices"
)

// Finite reports whether v is neither infinite nor NaN.
func Finite[F float32 | float64](v F) bool { return v-v == 0 }

// AllFinite reports whether every value is finite.
func AllFinite(values []float32) bool {
	var sum float32 // v-v is 0 for a finite number and NaN otherwise
	for _, v := range values {
		sum += v - v
	}
	return sum == 0
}

// Median is the median of values, the mean of the middle two if their number is even; NaN for none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Exponentials returns the largest logit of a row and the sum of exp(logit - largest): the softmax of class c is
// exp(row[c] - largest) / sum, without overflow.
func Exponentials(row []float32) (largest, sum float64) {
	largest = float64(row[0])
	for _, v := range row {
		largest = max(largest, float64(v))
	}
	for _, v := range row {
		sum += math.Exp(float64(v) - largest)
	}
	return largest, sum
}

// CrossEntropy is the cross-entropy of a class, given its logit and what Exponentials returned for its row.
func CrossEntropy(logit float32, largest, sum float64) float64 {
	return largest + math.Log(sum) - float64(logit)
}
