package outlier

import (
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Measure is a number that cases have, with what is usual for it.
type Measure struct {
	Name string `json:"name"`
	Log  bool   `json:"log,omitempty"` // it differs by factors: its logarithm counts
	// Least is the smallest spread that is believed: differences below it mean nothing.
	Least  float64 `json:"least"`
	Median float64 `json:"median"`
	Spread float64 `json:"spread"` // 1.4826 x the median absolute deviation, the standard deviation where that is 0
	Low    float64 `json:"low"`    // of the cases
	High   float64 `json:"high"`
}

// scale takes a value to where it counts.
func (m Measure) scale(v float64) float64 {
	if m.Log {
		return math.Log(v)
	}
	return v
}

// Ranges are the usual values of several numbers.
type Ranges struct {
	Measures []Measure `json:"measures"`
	Scores   []float64 `json:"scores"` // of the cases, ascending
}

// madToSD makes a median absolute deviation a standard deviation of normal numbers.
const madToSD = 1.4826

// NewRanges learns from the values (cases, measures) of cases, which must be finite, and above 0 where logarithms
// count. Name, Log and Least of the measures are given.
func NewRanges(measures []Measure, values [][]float64) *Ranges {
	r := &Ranges{Measures: slices.Clone(measures)}
	column, scaled := make([]float64, len(values)), make([]float64, len(values))
	for k := range r.Measures {
		m := &r.Measures[k]
		var mean, square float64
		for i, v := range values {
			column[i], scaled[i] = v[k], m.scale(v[k])
			mean += scaled[i] / float64(len(values))
		}
		for _, v := range scaled {
			square += (v - mean) * (v - mean) / float64(len(values))
		}
		m.Median, m.Low, m.High = numeric.Median(column), slices.Min(column), slices.Max(column)
		for i, v := range scaled {
			scaled[i] = math.Abs(v - m.scale(m.Median))
		}
		if m.Spread = madToSD * numeric.Median(scaled); m.Spread == 0 {
			m.Spread = math.Sqrt(square)
		}
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
