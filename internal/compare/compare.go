package compare

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/hypothesis"
	"github.com/universal-classifier/uc/internal/weighted"
	"github.com/universal-classifier/uc/internal/words"
)

// Report is a comparison of two runs.
type Report struct {
	First     Side     `json:"first"`
	Second    Side     `json:"second"`
	Cases     int      `json:"cases"` // that both have
	Patients  int      `json:"patients,omitempty"`
	Clustered bool     `json:"clustered,omitempty"` // tests and intervals take the cases of a patient together
	Warnings  []string `json:"warnings,omitempty"`

	Labels []Label `json:"labels"`
}

// Side is one of the runs.
type Side struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Cases int      `json:"cases"`          // in the run
	Only  []string `json:"only,omitempty"` // cases that the other run does not have
}

// Label is the comparison for one classification label.
type Label struct {
	Name     string    `json:"name"`
	Cases    int       `json:"cases"`
	Measures []Measure `json:"measures"`
	Left     []string  `json:"not_compared,omitempty"` // what cannot be compared, and why
}

// Measure is a measure of both runs and their difference.
type Measure struct {
	Name          string            `json:"measure"`
	Class         string            `json:"class,omitempty"` // against all others; none for a measure of the label as a whole
	LowerIsBetter bool              `json:"lower_is_better,omitempty"`
	First         evaluate.Estimate `json:"first"`
	Second        evaluate.Estimate `json:"second"`
	Difference    evaluate.Estimate `json:"first_minus_second"`
	Test          string            `json:"test,omitempty"`
	P             evaluate.Number   `json:"p"`
	PHolm         evaluate.Number   `json:"p_holm"` // corrected for the labels and classes with this measure
	Better        string            `json:"better"` // "first", "second", or "neither" if no difference is shown
	Finding       string            `json:"finding"`
}

// Names of measures that evaluate does not name.
const (
	AveragePrecision = "average precision"
	BalancedAccuracy = "balanced accuracy"
	MacroAUC         = "mean AUC"
	Brier            = "Brier score"
	ECE              = "expected calibration error"
)

// Runs compares two runs on the cases that both have: areas by DeLong's paired test, shares by McNemar's exact test,
// the rest by the bootstrap; clustered by patient where a patient has several of the cases. p values are corrected for
// the number of labels and classes (Holm).
func Runs(a, b *Run) (*Report, error) {
	both, only, unknown, err := pairs(a, b)
	if err != nil {
		return nil, err
	}
	r := &Report{First: Side{a.Name, a.Kind, len(a.Cases), only[0]}, Second: Side{b.Name, b.Kind, len(b.Cases), only[1]}, Cases: len(both)}
	for _, run := range []*Run{a, b} {
		for _, w := range run.Warnings {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %s", run.Name, w))
		}
	}
	if len(unknown) > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the true classes of %d cases that both have are not known, and they are left out: %s", len(unknown), words.Some(unknown)))
	}
	var patients []string
	known := false
	for _, p := range both {
		patients, known = append(patients, p.patient), known || p.patient != ""
	}
	if known {
		r.Patients, r.Clustered = evaluate.CountPatients(patients), evaluate.Clustered(patients)
	}
	for at := range a.Labels {
		r.Labels = append(r.Labels, compareLabel(a, b, at, both))
	}
	r.correct()
	return r, nil
}

// sample is the cases of both runs for one label. What a run does not give of any case is nil.
type sample struct {
	targets   []int
	patients  []string
	predicted [2][]int
	scores    [2][][]float64 // (cases, classes)
	classes   int
}

// compareLabel compares the runs for the label at a place.
func compareLabel(a, b *Run, at int, both []pair) Label {
	label := a.Labels[at]
	l := Label{Name: label.Name}
	give := func(has func(Case) bool) [2]bool {
		var out [2]bool
		for _, p := range both {
			for side, c := range p.of {
				out[side] = out[side] || has(c)
			}
		}
		return out
	}
	scored := give(func(c Case) bool { return c.Scores[at] != nil })
	classed := give(func(c Case) bool { return c.Predicted[at] >= 0 })
	name := [2]string{a.Name, b.Name}
	for side := range 2 {
		if !scored[side] {
			l.Left = append(l.Left, fmt.Sprintf("%s gives classes, no scores: areas, average precision and calibration are not compared", name[side]))
		}
		if !classed[side] {
			l.Left = append(l.Left, fmt.Sprintf("%s gives scores, no classes: accuracy, sensitivity and specificity are not compared", name[side]))
		}
	}
	s := &sample{classes: len(label.Values)}
	var incomplete []string
	for _, p := range both {
		complete := true
		for side, c := range p.of {
			complete = complete && (!scored[side] || c.Scores[at] != nil) && (!classed[side] || c.Predicted[at] >= 0)
		}
		if !complete {
			incomplete = append(incomplete, p.id)
			continue
		}
		s.targets, s.patients = append(s.targets, p.targets[at]), append(s.patients, p.patient)
		for side, c := range p.of {
			s.scores[side], s.predicted[side] = append(s.scores[side], c.Scores[at]), append(s.predicted[side], c.Predicted[at])
		}
	}
	if len(incomplete) > 0 {
		l.Left = append(l.Left, fmt.Sprintf("%d cases lack a score or a class of %s on one side and are left out: %s", len(incomplete), label.Name, words.Some(incomplete)))
	}
	l.Cases = len(s.targets)
	if l.Cases == 0 {
		return l
	}
	share := scored[0] && scored[1]
	class := classed[0] && classed[1]
	probable := share && a.Share[at] && b.Share[at]
	if share && !probable {
		l.Left = append(l.Left, "scores that are not probabilities have no calibration")
	}
	first := 0
	if s.classes == 2 {
		first = 1
	}
	if s.classes > 2 && share {
		l.add(s.macroAUC())
	}
	for v := first; v < s.classes; v++ {
		if share {
			l.add(s.area(v, label.Values[v]))
		}
	}
	if class {
		l.add(s.shares(evaluate.MeasureAccuracy, "", func(target, predicted int) (bool, bool) { return true, target == predicted }))
		l.add(s.balanced())
	}
	for v := first; v < s.classes; v++ {
		if class {
			l.add(s.shares(evaluate.MeasureSensitivity, label.Values[v], func(target, predicted int) (bool, bool) { return target == v, predicted == v }))
			l.add(s.shares(evaluate.MeasureSpecificity, label.Values[v], func(target, predicted int) (bool, bool) { return target != v, predicted != v }))
		}
	}
	for v := first; v < s.classes; v++ {
		if share {
			l.Measures = append(l.Measures, s.resampledScores(v, label.Values[v], probable)...)
		}
	}
	return l
}

// add appends a measure that both runs have.
func (l *Label) add(m *Measure) {
	if m != nil {
		l.Measures = append(l.Measures, *m)
	}
}

func (s *sample) truth(class int) []bool {
	out := make([]bool, len(s.targets))
	for i, t := range s.targets {
		out[i] = t == class
	}
	return out
}

func (s *sample) column(side, class int) []float64 {
	out := make([]float64, len(s.targets))
	for i := range out {
		out[i] = s.scores[side][i][class]
	}
	return out
}

// area compares the areas of a class; nil if there is none.
func (s *sample) area(class int, name string) *Measure {
	truth, x, y := s.truth(class), s.column(0, class), s.column(1, class)
	first, err := evaluate.ClusteredAUC(truth, x, s.patients)
	if err != nil {
		return nil
	}
	second, err := evaluate.ClusteredAUC(truth, y, s.patients)
	if err != nil {
		return nil
	}
	difference, p, err := evaluate.ClusteredCompareAUC(truth, x, y, s.patients)
	if err != nil {
		return nil
	}
	m := &Measure{Name: evaluate.MeasureAUC, Class: name, First: first, Second: second, Difference: difference, P: p, Test: "DeLong's paired test"}
	if evaluate.Clustered(s.patients) {
		m.Test = "Obuchowski's paired test"
	}
	return m
}

// shares compares how many of some cases each run gets right, by the true and the predicted class.
func (s *sample) shares(measure, class string, of func(target, predicted int) (counts, right bool)) *Measure {
	var right [2][]bool
	var patients []string
	for i, t := range s.targets {
		counts, first := of(t, s.predicted[0][i])
		if !counts {
			continue
		}
		_, second := of(t, s.predicted[1][i])
		right[0], right[1], patients = append(right[0], first), append(right[1], second), append(patients, s.patients[i])
	}
	if len(patients) == 0 {
		return nil
	}
	clusters := evaluate.Clusters(patients)
	test := hypothesis.Paired(right[0], right[1], clusters)
	first, second := evaluate.Share(right[0], patients), evaluate.Share(right[1], patients)
	return &Measure{Name: measure, Class: class, First: first, Second: second, P: evaluate.Number(test.P), Test: test.Method,
		Difference: evaluate.Correlated(first, second, correlation(right, clusters))}
}

// correlation is that of two shares of the same cases.
func correlation(right [2][]bool, clusters []int) float64 {
	n := len(right[0])
	var mean [2]float64
	for side := range 2 {
		for _, r := range right[side] {
			if r {
				mean[side] += 1 / float64(n)
			}
		}
	}
	deviations := map[int]*[2]float64{}
	var order []int
	for i := range n {
		c := i
		if clusters != nil {
			c = clusters[i]
		}
		d := deviations[c]
		if d == nil {
			d = &[2]float64{}
			deviations[c] = d
			order = append(order, c)
		}
		for side := range 2 {
			d[side] -= mean[side]
			if right[side][i] {
				d[side]++
			}
		}
	}
	var xx, yy, xy float64
	for _, c := range order {
		d := deviations[c]
		xx, yy, xy = xx+d[0]*d[0], yy+d[1]*d[1], xy+d[0]*d[1]
	}
	if xx < 1e-12 || yy < 1e-12 {
		return 0
	}
	return max(-1, min(1, xy/math.Sqrt(xx*yy)))
}

// measured are measures of both runs and of resamples: at 3k the first, 3k+1 the second, 3k+2 the difference.
func (s *sample) measured(n int, measure func(side int, weights, out []float64)) *bootstrap.Resamples {
	return bootstrap.Run(len(s.targets), evaluate.Clusters(s.patients), 3*n, func(weights, out []float64) {
		of := make([]float64, n)
		for side := range 2 {
			measure(side, weights, of)
			for k, v := range of {
				out[3*k+side] = v
			}
		}
		for k := range n {
			out[3*k+2] = out[3*k] - out[3*k+1]
		}
	})
}

// resampled makes the k-th of measured a measure; nil if it is not defined.
func resampled(r *bootstrap.Resamples, k int, name, class string) *Measure {
	if math.IsNaN(r.Values[3*k+2]) {
		return nil
	}
	estimate := func(at int) evaluate.Estimate {
		low, high := r.Percentile(at)
		return evaluate.Estimate{Value: evaluate.Number(r.Values[at]), Low: evaluate.Number(low), High: evaluate.Number(high), Method: bootstrap.Method}
	}
	return &Measure{Name: name, Class: class, First: estimate(3 * k), Second: estimate(3*k + 1), Difference: estimate(3*k + 2),
		P: evaluate.Number(r.P(3*k + 2)), Test: "bootstrap"}
}

func (s *sample) balanced() *Measure {
	return resampled(s.measured(1, func(side int, weights, out []float64) {
		out[0] = weighted.BalancedAccuracy(s.targets, s.predicted[side], s.classes, weights)
	}), 0, BalancedAccuracy, "")
}

// macroAUC compares the mean over classes of the areas.
func (s *sample) macroAUC() *Measure {
	var sorted [2][]*weighted.Scores
	for side := range 2 {
		for class := range s.classes {
			sorted[side] = append(sorted[side], weighted.NewScores(s.truth(class), s.column(side, class)))
		}
	}
	return resampled(s.measured(1, func(side int, weights, out []float64) {
		out[0] = 0
		for _, of := range sorted[side] {
			out[0] += of.AUC(weights) / float64(s.classes)
		}
	}), 0, MacroAUC, "")
}

// resampledScores compares average precision and, of probabilities, calibration.
func (s *sample) resampledScores(class int, name string, probable bool) []Measure {
	truth := s.truth(class)
	sorted := [2]*weighted.Scores{weighted.NewScores(truth, s.column(0, class)), weighted.NewScores(truth, s.column(1, class))}
	r := s.measured(3, func(side int, weights, out []float64) {
		out[0] = sorted[side].AveragePrecision(weights)
		if probable {
			out[1], out[2] = sorted[side].Brier(weights), sorted[side].Bins(weights).ECE()
		}
	})
	var out []Measure
	if m := resampled(r, 0, AveragePrecision, name); m != nil {
		out = append(out, *m)
	}
	if !probable {
		return out
	}
	for k, measure := range []string{Brier, ECE} {
		if m := resampled(r, k+1, measure, name); m != nil {
			m.LowerIsBetter = true
			if measure == ECE { // chance makes it too large
				for side, e := range []*evaluate.Estimate{&m.First, &m.Second} {
					low, high := r.Basic(3*(k+1) + side)
					e.Low, e.High = evaluate.Number(low), max(evaluate.Number(high), e.Value)
				}
			}
			out = append(out, *m)
		}
	}
	return out
}
