// Package reliability measures what the probabilities of a report mean: how well they are calibrated, which thresholds
// they need, whom acting on them serves, and how many classes it takes to be sure.
//
// Whatever is learned from cases, a temperature, a threshold, the scores of prediction sets, is applied to other cases:
// those of a fold get what the other folds taught. The same is then learned from all cases, for new ones.
package reliability

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/evaluate"
)

// Prevalence is the share of cases of a class where predictions are to be used.
type Prevalence struct {
	Label, Class string // empty: every label with two classes, and class 1 of a label
	Value        float64
}

// Options of Add.
type Options struct {
	Prevalence []Prevalence // none: the shares among the cases of the report
	Ordinal    func(label string) bool
}

// prevalence is that of a class, if it was stated.
func (o Options) prevalence(l *evaluate.LabelReport, v *evaluate.ValueReport) (share float64, stated bool) {
	for _, p := range o.Prevalence { // later ones count
		switch {
		case p.Label == "" && len(l.Values) == 1, p.Label == l.Name && p.Class == "" && len(l.Values) == 1, p.Label == l.Name && p.Class == v.Name:
			share, stated = p.Value, true
		}
	}
	return share, stated
}

// shareOfParts is how many parts the cases of one fold are divided in.
const shareOfParts = 5

// Kinds of parts.
const (
	PartsFolds = "folds"
	PartsCases = "cases"
)

// notOutOfFold is why nothing is learned from predictions of the fold that trained on all cases.
const notOutOfFold = "fold all trained on these cases"

// sample is the cases of a report, in parts that learn from one another.
type sample struct {
	r       *evaluate.Report
	cluster []int    // patient of each case, nil where every case is of another
	part    []string // of each case
	kind    string
	why     string // nothing can be learned from these cases; empty otherwise
}

func newSample(r *evaluate.Report) *sample {
	s := &sample{r: r, part: make([]string, len(r.Predictions)), kind: PartsFolds}
	numbers := map[string]int{}
	of := make([]int, len(r.Predictions))
	patients := make([]string, len(r.Predictions))
	for i, p := range r.Predictions {
		patients[i] = p.Patient
		n, known := numbers[p.Patient]
		if !known || p.Patient == "" {
			n = i
			numbers[p.Patient] = n
		}
		of[i] = n
	}
	if evaluate.Clustered(patients) {
		s.cluster = of
	}
	folds := map[string]bool{}
	for i, p := range r.Predictions {
		s.part[i] = p.Fold
		for _, f := range strings.Split(p.Fold, "+") {
			folds[f] = true
		}
	}
	switch {
	case folds["all"]:
		s.why = notOutOfFold
	case len(folds) == 1 && !folds[""]:
		s.kind = PartsCases
		next, known := 0, map[int]int{}
		for i := range s.part { // one after the other, patients kept together
			k, seen := known[of[i]]
			if !seen {
				k = next % shareOfParts
				next++
				known[of[i]] = k
			}
			s.part[i] = strconv.Itoa(k)
		}
	}
	return s
}

// parts are the different parts, in order.
func (s *sample) parts() []string {
	var names []string
	for _, p := range s.part {
		if !slices.Contains(names, p) {
			names = append(names, p)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX == nil && errY == nil {
			return x - y
		}
		return strings.Compare(a, b)
	})
	return names
}

// others are the cases that a part learns from: those of parts that share no fold with it.
func (s *sample) others(part string) []int {
	mine := strings.Split(part, "+")
	var out []int
	for i, p := range s.part {
		if !slices.ContainsFunc(strings.Split(p, "+"), func(f string) bool { return slices.Contains(mine, f) }) {
			out = append(out, i)
		}
	}
	return out
}

// of are the cases of a part.
func (s *sample) of(part string) []int {
	var out []int
	for i, p := range s.part {
		if p == part {
			out = append(out, i)
		}
	}
	return out
}

// targets are the classes of a label.
func (s *sample) targets(at int) []int {
	out := make([]int, len(s.r.Predictions))
	for i, p := range s.r.Predictions {
		out[i] = p.Targets[at]
	}
	return out
}

func (s *sample) patients() []string {
	out := make([]string, len(s.r.Predictions))
	for i, p := range s.r.Predictions {
		out[i] = p.Patient
	}
	return out
}

// probabilities are the raw ones of a label.
func (s *sample) probabilities(at int) [][]float64 {
	out := make([][]float64, len(s.r.Predictions))
	for i, p := range s.r.Predictions {
		out[i] = p.Probabilities[at]
	}
	return out
}

// calibrated are the calibrated ones of a label; nil unless all cases have them.
func (s *sample) calibrated(at int) [][]float64 {
	out := make([][]float64, len(s.r.Predictions))
	for i, p := range s.r.Predictions {
		if p.Calibrated == nil || p.Calibrated[at] == nil {
			return nil
		}
		out[i] = p.Calibrated[at]
	}
	return out
}

// method says how intervals came about.
func (s *sample) method() string {
	if s.cluster != nil {
		return "bootstrap of patients"
	}
	return "bootstrap of cases"
}

// Add fills in what a report says of probabilities and doubt. It is for the predictions of a cross-validation, each of
// a fold, or for those of new cases, whose calibrated probabilities and sets are measured as they are.
func Add(r *evaluate.Report, o Options) {
	if len(r.Predictions) == 0 {
		return
	}
	s := newSample(r)
	crossValidated := r.Predictions[0].Fold != ""
	for at := range r.Labels {
		l := &r.Labels[at]
		if crossValidated {
			s.calibrate(at)
			s.sets(at)
		}
		s.measureCalibration(at)
		s.thresholds(at, o, crossValidated)
		s.decisionCurves(at, o)
		if o.Ordinal != nil && o.Ordinal(l.Name) {
			s.ordinal(at)
		}
	}
	for i := range r.Predictions {
		s.members(i)
	}
	for at := range r.Labels {
		s.doubt(at)
	}
}

// number is an estimate from the resamples.
func number(value, low, high float64) evaluate.Estimate {
	return evaluate.Estimate{Value: evaluate.Number(value), Low: evaluate.Number(low), High: evaluate.Number(high)}
}

// percentile and basic are the k-th measure with its interval.
func percentile(b *bootstrap.Resamples, k int) evaluate.Estimate {
	low, high := b.Percentile(k)
	return number(b.Values[k], low, high)
}

func basic(b *bootstrap.Resamples, k int) evaluate.Estimate {
	low, high := b.Basic(k)
	return number(b.Values[k], low, high)
}

func undefined() evaluate.Estimate { return number(math.NaN(), math.NaN(), math.NaN()) }

// pick are some of the rows.
func pick[T any](rows []T, at []int) []T {
	out := make([]T, len(at))
	for k, i := range at {
		out[k] = rows[i]
	}
	return out
}
