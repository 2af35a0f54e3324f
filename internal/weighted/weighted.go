// Package weighted measures scores of cases that count several times or not at all, as resamples have them.
package weighted

import (
	"math"
	"slices"
)

// Scores are scores of cases and whether each is positive, in an order that makes measures of samples quick. Every
// method takes how often each case counts, in the order in which the cases were given, and is NaN where the sample
// leaves the measure undefined.
type Scores struct {
	truth  []bool
	scores []float64
	order  []int // cases from the highest score down
}

// NewScores sorts finite scores.
func NewScores(truth []bool, scores []float64) *Scores {
	s := &Scores{truth: truth, scores: scores, order: make([]int, len(scores))}
	for i := range s.order {
		s.order[i] = i
	}
	slices.SortStableFunc(s.order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return s
}

// steps calls f at each distinct score, from the highest down, with the weights of the positive and the negative cases
// that have it.
func (s *Scores) steps(times []float64, f func(positives, negatives float64)) {
	var p, n float64
	for k, i := range s.order {
		if s.truth[i] {
			p += times[i]
		} else {
			n += times[i]
		}
		if k+1 == len(s.order) || s.scores[s.order[k+1]] != s.scores[i] {
			f(p, n)
			p, n = 0, 0
		}
	}
}

// AUC is the area under the receiver operating characteristic, ties counting half.
func (s *Scores) AUC(times []float64) float64 {
	var won, positives, negatives float64
	s.steps(times, func(p, n float64) {
		won += n * (positives + p/2)
		positives, negatives = positives+p, negatives+n
	})
	return won / (positives * negatives)
}

// AveragePrecision is the sum over thresholds of precision times the gain in recall.
func (s *Scores) AveragePrecision(times []float64) float64 {
	var sum, positives, negatives float64
	s.steps(times, func(p, n float64) {
		positives, negatives = positives+p, negatives+n
		if p > 0 {
			sum += p * positives / (positives + negatives)
		}
	})
	return sum / positives
}

// Brier is the mean squared distance of the scores, which are probabilities, from 1 for positive and 0 for negative
// cases.
func (s *Scores) Brier(times []float64) float64 {
	var sum, count float64
	for i, p := range s.scores {
		if s.truth[i] {
			p = 1 - p
		}
		sum, count = sum+times[i]*p*p, count+times[i]
	}
	return sum / count
}

// bins of the expected calibration error.
const bins = 10

// ECE is the expected calibration error of the scores, which are probabilities: the mean over ten bins of one width of
// the distance between the mean probability and the share of positive cases, weighted by the bins' cases. A probability
// on an edge belongs to the bin above it, 1 to the last.
func (s *Scores) ECE(times []float64) float64 {
	var probability, positive [bins]float64
	var count float64
	for i, p := range s.scores {
		b := min(bins-1, max(0, int(p*bins)))
		probability[b] += times[i] * p
		if s.truth[i] {
			positive[b] += times[i]
		}
		count += times[i]
	}
	var sum float64
	for b := range bins {
		sum += math.Abs(probability[b] - positive[b])
	}
	return sum / count
}

// BalancedAccuracy is the mean over the classes that are there of the share of their cases whose class is predicted.
func BalancedAccuracy(targets, predicted []int, classes int, times []float64) float64 {
	right, all := make([]float64, classes), make([]float64, classes)
	for i, t := range targets {
		all[t] += times[i]
		if predicted[i] == t {
			right[t] += times[i]
		}
	}
	var sum float64
	present := 0
	for class, n := range all {
		if n > 0 {
			sum += right[class] / n
			present++
		}
	}
	return sum / float64(present)
}
