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

// BinCount is the number of ranges of probability of one width that calibration is counted in.
const BinCount = 10

// BinOf is the range that a probability lies in. One on an edge belongs to the range above it, 1 to the last.
func BinOf(p float64) int { return min(BinCount-1, max(0, int(p*BinCount))) }

// Bin is what a range of probability holds: the number of its cases, the sum of their probabilities and how many of
// them are positive.
type Bin struct{ Cases, Probability, Positive float64 }

// Bins are the ranges, from 0 up.
type Bins [BinCount]Bin

// Bins counts the scores, which are probabilities, by range.
func (s *Scores) Bins(times []float64) Bins {
	var bins Bins
	for i, p := range s.scores {
		b := &bins[BinOf(p)]
		b.Cases += times[i]
		b.Probability += times[i] * p
		if s.truth[i] {
			b.Positive += times[i]
		}
	}
	return bins
}

// ECE is the expected calibration error: the mean over the ranges of the distance between the mean probability and the
// share of positive cases, weighted by their cases. It is NaN without cases.
func (b Bins) ECE() float64 {
	var sum, count float64
	for _, in := range b {
		sum += math.Abs(in.Probability - in.Positive)
		count += in.Cases
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
