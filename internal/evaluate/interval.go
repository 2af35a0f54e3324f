package evaluate

import (
	"math"
	"sort"
)

// z95 is the 97.5 % quantile of the standard normal distribution: half of what a 95 % interval leaves out on each side.
const z95 = 1.959963984540054

// Methods of an interval, as they stand in the reports.
const (
	MethodDeLong   = "DeLong"
	MethodNewcombe = "Newcombe"
	MethodWilson   = "Wilson"
)

// aucComponents are the structural components of DeLong et al. (1988): for each positive case the share of negatives
// it beats, for each negative case the share of positives that beat it.
type aucComponents struct {
	auc                  float64
	positives, negatives []float64

	positiveOf, negativeOf []int // clusters of the cases; nil if they are independent
}

// components computes them in O(n log n) by midranks (Sun & Xu, Fast implementation of DeLong's algorithm, IEEE Signal
// Processing Letters 21(11), 2014).
func components(truth []bool, scores []float64) (aucComponents, error) {
	if _, err := descending(truth, scores); err != nil {
		return aucComponents{}, err
	}
	var pos, neg []float64
	for i, t := range truth {
		if t {
			pos = append(pos, scores[i])
		} else {
			neg = append(neg, scores[i])
		}
	}
	if len(pos) == 0 || len(neg) == 0 {
		return aucComponents{}, ErrOneClass
	}
	m, n := float64(len(pos)), float64(len(neg))
	all := midranks(append(append([]float64{}, pos...), neg...))
	within, without := midranks(pos), midranks(neg)
	d := aucComponents{positives: make([]float64, len(pos)), negatives: make([]float64, len(neg))}
	var won float64 // pairs won, ties half: multiples of one half, so the sum is exact
	for i := range pos {
		won += all[i] - within[i]
		d.positives[i] = (all[i] - within[i]) / n
	}
	for j := range neg {
		d.negatives[j] = 1 - (all[len(pos)+j]-without[j])/m
	}
	d.auc = won / (m * n)
	return d, nil
}

// midranks returns the rank (from 1) of every value, equal values sharing the mean of their ranks.
func midranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return values[order[a]] < values[order[b]] })
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			ranks[order[k]] = float64(i+j+1) / 2
		}
		i = j
	}
	return ranks
}

// AUCInterval is the area under the ROC curve with its 95 % interval: area +- z x DeLong's standard error, cut to [0,
// 1], as pROC's ci.auc gives it. Where DeLong's variance is 0 (every positive case above every negative one, or below)
// that interval would claim certainty; there it is Newcombe's method 5 (Statistics in Medicine 25, 2006), a score
// interval that stays open. With fewer than two positive or two negative cases DeLong's variance does not exist, and
// Newcombe's is used too. The error is ErrOneClass if the area itself is not defined.
func AUCInterval(truth []bool, scores []float64) (Estimate, error) {
	return ClusteredAUC(truth, scores, nil)
}

// variance is that of the area; NaN with fewer than two cases, or clusters, on a side.
func (d aucComponents) variance() float64 {
	return areaVariance(d.positives, d.negatives, d.positiveOf, d.negativeOf)
}

func sampleVariance(values []float64) float64 {
	if len(values) < 2 {
		return math.NaN()
	}
	var mean, sum float64
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return sum / float64(len(values)-1)
}

// newcombe solves |auc - t| = z sqrt(V(t)) for the two bounds t, with Hanley and McNeil's variance under exponential
// distributions, (m+n)/2 - 1 in place of m-1 and n-1.
func newcombe(auc float64, m, n int) (low, high float64) {
	extra := float64(m+n)/2 - 1
	inside := func(t float64) bool {
		v := t * (1 - t) * (1 + extra*((1-t)/(2-t)+t/(1+t))) / (float64(m) * float64(n))
		return math.Abs(auc-t) <= z95*math.Sqrt(v)
	}
	return bisect(auc, 0, inside), bisect(auc, 1, inside)
}

// bisect finds where inside turns false on the way from a value where it holds to an end.
func bisect(from, to float64, inside func(float64) bool) float64 {
	if from == to {
		return to
	}
	for range 60 {
		middle := (from + to) / 2
		if inside(middle) {
			from = middle
		} else {
			to = middle
		}
	}
	return (from + to) / 2
}

// Proportion is hits of total with Wilson's 95 % score interval (JASA 22, 1927), which stays inside [0, 1] and is
// sound for few cases. Without cases it is not defined.
func Proportion(hits, total int) Estimate {
	if total == 0 {
		return Estimate{Value: undefined, Low: undefined, High: undefined}
	}
	return wilson(float64(hits)/float64(total), float64(total))
}

// wilson is the interval of the share p of n cases.
func wilson(p, n float64) Estimate {
	scale := 1 / (1 + z95*z95/n)
	centre := scale * (p + z95*z95/(2*n))
	half := scale * z95 * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	return Estimate{
		Value:  Number(p),
		Low:    Number(math.Max(0, centre-half)),
		High:   Number(math.Min(1, centre+half)),
		Method: MethodWilson,
	}
}
