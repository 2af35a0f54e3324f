package calibrate

import (
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/weighted"
)

// minPerBin is how many cases a bin of the debiased error should hold at least.
const minPerBin = 10

// smallest is the probability that stands for 0 in logarithms, as in scikit-learn of float64.
const smallest = 2.220446049250313e-16

// Measures of probabilities. With two classes they are about class 1, with more about each class against all others:
// the Brier score and its parts are then sums over the classes, the calibration errors means.
type Measures struct {
	LogLoss float64 // mean of -ln p(true class)
	Brier   float64 // Brier score (Monthly Weather Review 78, 1950), of two classes halved, as is the custom
	// Murphy's parts (Journal of Applied Meteorology 12, 1973) over ten bins of equal width; Brier is Reliability -
	// Resolution + Uncertainty + WithinBins, the last of which is 0 where all probabilities in a bin are equal
	// (Stephenson et al., Weather and Forecasting 23, 2008).
	Reliability, Resolution, Uncertainty, WithinBins float64
	// Expected calibration error: mean over cases of the distance between mean probability and share in their bin.
	ECE float64
	// Root mean square calibration error over bins of equally many cases, less what chance adds (Kumar et al., NeurIPS
	// 2019).
	DebiasedRMS float64
}

// Sample is a set of cases with their probabilities, prepared for measuring.
type Sample struct {
	probabilities [][]float64 // (cases, classes)
	targets       []int
	classes       []int // that are measured
	logLoss       []float64
	of            []oneClass // per measured class
}

// oneClass is a class against all others.
type oneClass struct {
	scores *weighted.Scores
	truth  []float64 // 1 or 0
	p      []float64
	logit  []float64
	order  []int // by probability
}

// NewSample prepares cases with probabilities (cases, classes) and their classes.
func NewSample(probabilities [][]float64, targets []int, classes int) *Sample {
	s := &Sample{probabilities: probabilities, targets: targets, logLoss: make([]float64, len(targets))}
	first := 0
	if classes == 2 {
		first = 1
	}
	for i, p := range probabilities {
		s.logLoss[i] = -math.Log(math.Max(p[targets[i]], smallest))
	}
	for class := first; class < classes; class++ {
		s.classes = append(s.classes, class)
		c := oneClass{}
		positive := make([]bool, len(targets))
		for i, p := range probabilities {
			var others float64
			for k, v := range p {
				if k != class {
					others += v
				}
			}
			y := 0.0
			if targets[i] == class {
				y, positive[i] = 1, true
			}
			c.truth, c.p = append(c.truth, y), append(c.p, p[class])
			c.logit = append(c.logit, math.Log(math.Max(p[class], smallest))-math.Log(math.Max(others, smallest)))
			c.order = append(c.order, i)
		}
		slices.SortStableFunc(c.order, func(a, b int) int {
			switch {
			case c.p[a] < c.p[b]:
				return -1
			case c.p[a] > c.p[b]:
				return 1
			}
			return 0
		})
		c.scores = weighted.NewScores(positive, c.p)
		s.of = append(s.of, c)
	}
	return s
}

// Classes are those that are measured against all others.
func (s *Sample) Classes() []int { return s.classes }

// Measure measures the cases, each as often as its weight says. Without any weight all measures are NaN.
func (s *Sample) Measure(weights []float64) Measures {
	var m Measures
	var total float64
	for i, w := range weights {
		total += w
		m.LogLoss += w * s.logLoss[i]
	}
	m.LogLoss /= total
	var squares float64
	for k := range s.of {
		part, square := s.of[k].measure(weights, total)
		m.Brier += part.Brier
		m.Reliability += part.Reliability
		m.Resolution += part.Resolution
		m.Uncertainty += part.Uncertainty
		m.WithinBins += part.WithinBins
		m.ECE += part.ECE / float64(len(s.of))
		squares += square / float64(len(s.of))
	}
	m.DebiasedRMS = math.Sqrt(math.Max(0, squares))
	if math.IsNaN(squares) {
		m.DebiasedRMS = squares
	}
	return m
}

// measure is about one class; debiased is its mean square calibration error, which may be negative.
func (c *oneClass) measure(weights []float64, total float64) (m Measures, debiased float64) {
	bins := c.scores.Bins(weights)
	m.Brier, m.ECE = c.scores.Brier(weights), bins.ECE()
	var positives float64
	for _, b := range bins {
		positives += b.Positive
	}
	share := positives / total
	m.Uncertainty = share * (1 - share)
	for _, b := range bins {
		if b.Cases == 0 {
			continue
		}
		p, y := b.Probability/b.Cases, b.Positive/b.Cases
		m.Reliability += b.Cases / total * (p - y) * (p - y)
		m.Resolution += b.Cases / total * (y - share) * (y - share)
	}
	m.WithinBins = m.Brier - (m.Reliability - m.Resolution + m.Uncertainty)
	return m, c.debiased(weights, total)
}

// debiased is the mean square calibration error over bins of equally many cases, from each of which the variance of its
// share of positives is taken off.
func (c *oneClass) debiased(weights []float64, total float64) float64 {
	bins := max(1, min(weighted.BinCount, int(total)/minPerBin))
	perBin := total / float64(bins)
	var square, seen, n, sumP, sumY float64
	close := func() {
		if n > 1 {
			p, y := sumP/n, sumY/n
			square += n / total * ((p-y)*(p-y) - y*(1-y)/(n-1))
		}
		n, sumP, sumY = 0, 0, 0
	}
	next := perBin
	for _, i := range c.order {
		w := weights[i]
		if w == 0 {
			continue
		}
		n += w
		sumP += w * c.p[i]
		sumY += w * c.truth[i]
		if seen += w; seen >= next-1e-9 {
			close()
			for next <= seen+1e-9 {
				next += perBin
			}
		}
	}
	close()
	return square
}

// Bin are the cases whose probability of a class lies in a range.
type Bin struct {
	Low, High   float64
	Cases       []int // their places
	Probability float64
}

// Bins are the ranges of equal width that hold cases, for the k-th of Classes.
func (s *Sample) Bins(k int) []Bin {
	var all [weighted.BinCount]Bin
	for i, p := range s.of[k].p {
		b := &all[weighted.BinOf(p)]
		b.Cases = append(b.Cases, i)
		b.Probability += p
	}
	var out []Bin
	for i, b := range all {
		if n := len(b.Cases); n > 0 {
			b.Low, b.High = float64(i)/weighted.BinCount, float64(i+1)/weighted.BinCount
			b.Probability /= float64(n)
			out = append(out, b)
		}
	}
	return out
}
