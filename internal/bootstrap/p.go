package bootstrap

import (
	"math"
	"slices"
)

// Method names the interval in reports.
const Method = "bootstrap"

// P is the two-sided p value of a measure, such as a difference, being 0: twice the smaller share of draws on one side
// of it, those on it counted on both, with one more draw on each so that it is never 0 (Davison and Hinkley, Bootstrap
// Methods and their Application, 1997). It is NaN where too few draws define the measure.
func (r *Resamples) P(k int) float64 {
	d := r.draws[k]
	if math.IsNaN(r.Values[k]) || float64(len(d)) < minDefined*Draws {
		return math.NaN()
	}
	below, _ := slices.BinarySearchFunc(d, 0.0, func(v, zero float64) int { // those that are 0 or less
		if v <= zero {
			return -1
		}
		return 1
	})
	negative, _ := slices.BinarySearch(d, 0)
	return min(1, 2*float64(1+min(below, len(d)-negative))/float64(len(d)+1))
}
