package outlier

import (
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/numeric"
)

// Measure is a number that cases have, with what is usual for it.
type Measure struct {
	Name string `json:"name"`
	Log  bool   `json:"log,omitempty"` // it differs by factors: its logarithm counts
	// Unit, above 0, is where a number of either sign begins to differ by factors: sign(v) ln(1 + |v| / Unit) counts.
	Unit float64 `json:"unit,omitempty"`
	// Least is the smallest spread that is believed: differences below it mean nothing.
	Least  float64 `json:"least"`
	Median float64 `json:"median"`
	// Spread is that of normal numbers whose absolute deviations from the median have the same 95 % quantile: heavy tails
	// make it wide, so that a number with such tails does not drown the others.
	Spread float64 `json:"spread"`
	Low    float64 `json:"low"` // of the cases
	High   float64 `json:"high"`
}

// scale takes a value to where it counts.
func (m Measure) scale(v float64) float64 {
	switch {
	case m.Log:
		return math.Log(v)
	case m.Unit > 0:
		return math.Copysign(math.Log1p(math.Abs(v)/m.Unit), v)
	}
	return v
}

// The quantile of absolute deviations that sets the spread, and where it lies for normal numbers of spread 1.
const (
	spreadQuantile = 0.95
	normalQuantile = 1.959963984540054
)

// Ranges are the usual values of several numbers.
type Ranges struct {
	Measures []Measure `json:"measures"`
	Scores   []float64 `json:"scores"` // of the cases, ascending
}

// NewRanges learns from the values (cases, measures) of cases, which must be finite, and above 0 where logarithms
// count. Name, Log, Unit and Least of the measures are given.
func NewRanges(measures []Measure, values [][]float64) *Ranges {
	r := &Ranges{Measures: slices.Clone(measures)}
	column, scaled := make([]float64, len(values)), make([]float64, len(values))
	for k := range r.Measures {
		m := &r.Measures[k]
		for i, v := range values {
			column[i], scaled[i] = v[k], m.scale(v[k])
		}
		m.Median, m.Low, m.High = numeric.Median(column), slices.Min(column), slices.Max(column)
		for i, v := range scaled {
			scaled[i] = math.Abs(v - m.scale(m.Median))
		}
		slices.Sort(scaled)
		m.Spread = bootstrap.Quantile(scaled, spreadQuantile) / normalQuantile
		m.Spread = math.Max(m.Spread, m.Least)
	}
	for _, v := range values {
		score, _ := r.Score(v)
		r.Scores = append(r.Scores, score)
	}
	slices.Sort(r.Scores)
	return r
}

// Score is by how many spreads the most unusual number of a case differs from the median, and each number's own. What
// is not finite differs without end.
func (r *Ranges) Score(values []float64) (score float64, each []float64) {
	each = make([]float64, len(r.Measures))
	for k, m := range r.Measures {
		if each[k] = math.Abs(m.scale(values[k])-m.scale(m.Median)) / m.Spread; math.IsNaN(each[k]) {
			each[k] = math.Inf(1)
		}
		score = math.Max(score, each[k])
	}
	return score, each
}

// Tail is the share of cases that score at least as high as a new one, counting the new one in: were it like the
// others, it would be at most a with probability a. sorted are the others' scores, ascending.
func Tail(sorted []float64, score float64) float64 {
	if math.IsNaN(score) {
		return 1 / float64(len(sorted)+1)
	}
	below, _ := slices.BinarySearch(sorted, score)
	return float64(len(sorted)-below+1) / float64(len(sorted)+1)
}
