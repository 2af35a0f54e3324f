// Package subgroup measures a report's predictions by site and covariate, to show whom a classifier fails.
package subgroup

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/hypothesis"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weighted"
)

// Fewer cases than these are not measured: any number about them would be noise with an interval of nearly 0 to 1.
const (
	FewestCases = 10 // of a group
	FewestSide  = 5  // positive cases for a sensitivity, negative ones for a specificity, both for an area
)

// Add measures r's predictions in the groups of every column, tests whether the groups differ, and corrects for the
// number of tests. rules cut columns by name. A rule for a column that is not there is an error. What t warns of joins
// the warnings of r.
func Add(r *evaluate.Report, t *covariate.Table, rules map[string]covariate.Rule) error {
	columns, err := ruled(t, rules)
	if err != nil {
		return err
	}
	r.Warnings = append(r.Warnings, t.Warnings...)
	ids := make([]string, len(r.Predictions))
	for i, p := range r.Predictions {
		ids[i] = p.Case
	}
	for _, c := range columns {
		p := c.column.Partition(ids, c.rule, FewestCases)
		for i := range r.Predictions {
			if r.Predictions[i].Groups == nil {
				r.Predictions[i].Groups = map[string]string{}
			}
			r.Predictions[i].Groups[c.column.Name] = p.Of[ids[i]]
		}
		for at := range r.Labels {
			l := &r.Labels[at]
			l.Subgroups = append(l.Subgroups, measure(r, at, p))
		}
	}
	correct(r)
	warn(r)
	return nil
}

// Known is what the table at path says of the predicted cases, where nothing else does; nothing if path is empty.
func Known(r *evaluate.Report, path string) (*covariate.Table, error) {
	var cases []task.Case
	for _, p := range r.Predictions {
		cases = append(cases, task.Case{ID: p.Case, Patient: p.Patient})
	}
	var labels []task.Label
	for _, l := range r.Labels {
		labels = append(labels, task.Label{Name: l.Name})
	}
	return covariate.Known(cases, labels, path)
}

// significant is the corrected p value below which a difference is a warning.
const significant = 0.05

// warn adds a warning for every difference between groups that the number of tests does not explain.
func warn(r *evaluate.Report) {
	tests := 0
	for _, l := range r.Labels {
		for _, g := range l.Subgroups {
			tests += len(g.Tests)
		}
	}
	for _, l := range r.Labels {
		for _, g := range l.Subgroups {
			for _, t := range g.Tests {
				if !(t.PHolm < significant) {
					continue
				}
				what := t.Measure
				if t.Class != "" {
					what = fmt.Sprintf("%s of %s", t.Measure, t.Class)
				}
				r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %s differs by %s: %s for %s, %s for %s (p %s, corrected for %d tests %s)",
					l.Name, what, g.Name, valueOf(g, t, t.Lowest), t.Lowest, valueOf(g, t, t.Highest), t.Highest, t.P.P(), tests, t.PHolm.P()))
			}
		}
	}
}

// valueOf is the measure of a test in a group.
func valueOf(g evaluate.Grouping, t evaluate.SubgroupTest, group string) evaluate.Number {
	for _, s := range g.Groups {
		if s.Name != group {
			continue
		}
		if t.Class == "" {
			return s.Accuracy.Value
		}
		for _, v := range s.Values {
			if v.Name == t.Class {
				switch t.Measure {
				case evaluate.MeasureAUC:
					return v.AUC.Value
				case evaluate.MeasureSensitivity:
					return v.Sensitivity.Value
				case evaluate.MeasureSpecificity:
					return v.Specificity.Value
				}
			}
		}
	}
	return evaluate.Undefined("").Value
}

type ruledColumn struct {
	column *covariate.Column
	rule   covariate.Rule
}

// ruled finds the columns with their rules.
func ruled(t *covariate.Table, rules map[string]covariate.Rule) ([]ruledColumn, error) {
	byColumn := map[*covariate.Column]covariate.Rule{}
	for name, rule := range rules {
		c := t.Column(name)
		if c == nil {
			return nil, t.Missing(name)
		}
		byColumn[c] = rule
	}
	var out []ruledColumn
	for _, c := range t.Columns {
		rule := byColumn[c]
		as, err := c.Apply(rule)
		if err != nil {
			return nil, err
		}
		out = append(out, ruledColumn{as, rule})
	}
	return out, nil
}

// group is the cases of a subgroup for one label.
type group struct {
	name      string
	targets   []int
	predicted []int
	scores    [][]float64 // (cases, classes)
	patients  []string
	measured  bool // it has enough cases
	known     bool // its cases have a value
}

// measure measures the groups of a partition for the label at a place.
func measure(r *evaluate.Report, at int, p *covariate.Partition) evaluate.Grouping {
	l := &r.Labels[at]
	g := evaluate.Grouping{Name: p.Column.Name, Kind: p.Column.Kind, Rule: p.Rule, Cuts: p.Cuts, Pooled: p.Pooled}
	groups := make([]*group, len(p.Groups))
	place := map[string]*group{}
	for i, name := range p.Groups {
		groups[i] = &group{name: name, known: true}
		place[name] = groups[i]
	}
	if unknown := place[covariate.Unknown]; unknown != nil {
		unknown.known = false
	}
	for _, c := range r.Predictions {
		of := place[p.Of[c.Case]]
		of.targets = append(of.targets, c.Targets[at])
		of.predicted = append(of.predicted, evaluate.Argmax(c.Probabilities[at]))
		of.scores = append(of.scores, c.Probabilities[at])
		of.patients = append(of.patients, c.Patient)
	}
	for _, of := range groups {
		s := evaluate.Subgroup{Name: of.name, Unknown: !of.known, Cases: len(of.targets)}
		if r.Patients > 0 {
			s.Patients = evaluate.CountPatients(of.patients)
		}
		of.measured = len(of.targets) >= FewestCases
		if of.measured {
			of.fill(&s, l)
		} else {
			s.TooFew = fmt.Sprintf("%d cases, fewer than %d", len(of.targets), FewestCases)
		}
		g.Groups = append(g.Groups, s)
	}
	g.Tests = tests(l, groups)
	if len(g.Tests) == 0 {
		g.Warnings = append(g.Warnings, fmt.Sprintf("%s, %s: fewer than two groups have enough cases for a comparison", l.Name, p.Column.Name))
	}
	return g
}

// resampled are the places of measures whose intervals the bootstrap gives: the balanced accuracy of the label, and
// those of each class.
const (
	atPrecision = iota
	atBalanced
	atBrier
	atECE
	perClass
)

// fill measures a group.
func (g *group) fill(s *evaluate.Subgroup, l *evaluate.LabelReport) {
	right := make([]bool, len(g.targets))
	for i, t := range g.targets {
		right[i] = g.predicted[i] == t
	}
	s.Accuracy = evaluate.Share(right, g.patients)
	classes := len(l.ClassNames)
	of := make([]*sides, len(l.Values))
	for k, v := range l.Values {
		of[k] = g.sides(v.Value)
	}
	samples := bootstrap.Run(len(g.targets), evaluate.Clusters(g.patients), 1+perClass*len(of), func(weights, out []float64) {
		out[0] = weighted.BalancedAccuracy(g.targets, g.predicted, classes, weights)
		for k, s := range of {
			out := out[1+perClass*k:]
			out[atPrecision], out[atBalanced] = s.sorted.AveragePrecision(weights), weighted.BalancedAccuracy(s.targets, s.predicted, 2, weights)
			out[atBrier], out[atECE] = s.sorted.Brier(weights), s.sorted.Bins(weights).ECE()
		}
	})
	s.BalancedAccuracy = estimate(samples, 0, "")
	for class := range classes {
		if n := count(g.targets, class); n < FewestSide {
			s.BalancedAccuracy = evaluate.Undefined(fmt.Sprintf("%d cases of %s, fewer than %d", n, l.ClassNames[class], FewestSide))
		}
	}
	for k, v := range l.Values {
		s.Values = append(s.Values, g.value(v.Value, v.Name, of[k], samples, 1+perClass*k))
	}
}

// estimate is a resampled measure with the interval of percentiles, unless there is a reason against it.
func estimate(samples *bootstrap.Resamples, at int, why string) evaluate.Estimate {
	if why != "" || math.IsNaN(samples.Values[at]) {
		return evaluate.Undefined(why)
	}
	low, high := samples.Percentile(at)
	return evaluate.Estimate{Value: evaluate.Number(samples.Values[at]), Low: evaluate.Number(low), High: evaluate.Number(high), Method: bootstrap.Method}
}

func count(values []int, of int) int {
	n := 0
	for _, v := range values {
		if v == of {
			n++
		}
	}
	return n
}

// sides are the cases of a group for one class against all others.
type sides struct {
	truth  []bool
	scores []float64
	right  [3][]bool   // all cases, negative ones, positive ones
	whose  [3][]string // their patients

	targets, predicted []int // 1 for the class, 0 for the others
	sorted             *weighted.Scores
}

func (g *group) sides(class int) *sides {
	s := &sides{}
	for i, t := range g.targets {
		positive := t == class
		s.truth, s.scores = append(s.truth, positive), append(s.scores, g.scores[i][class])
		side, predicted := 1, 0
		if positive {
			side = 2
		}
		if g.predicted[i] == class {
			predicted = 1
		}
		s.targets, s.predicted = append(s.targets, side-1), append(s.predicted, predicted)
		for _, k := range []int{0, side} {
			s.right[k] = append(s.right[k], positive == (g.predicted[i] == class))
			s.whose[k] = append(s.whose[k], g.patients[i])
		}
	}
	s.sorted = weighted.NewScores(s.truth, s.scores)
	return s
}

// few says which side of a class has too few cases, "" if none has.
func (s *sides) few(positives, negatives bool) string {
	switch {
	case positives && len(s.right[2]) < FewestSide:
		return fmt.Sprintf("%d positive cases, fewer than %d", len(s.right[2]), FewestSide)
	case negatives && len(s.right[1]) < FewestSide:
		return fmt.Sprintf("%d negative cases, fewer than %d", len(s.right[1]), FewestSide)
	}
	return ""
}

// value measures one class against all others; its resampled measures begin at a place.
func (g *group) value(class int, name string, s *sides, samples *bootstrap.Resamples, at int) evaluate.SubgroupValue {
	v := evaluate.SubgroupValue{Value: class, Name: name, Positives: len(s.right[2]), Negatives: len(s.right[1])}
	both := s.few(true, true)
	if both != "" {
		v.AUC = evaluate.Undefined(both)
	} else if e, err := evaluate.ClusteredAUC(s.truth, s.scores, g.patients); err != nil {
		v.AUC = evaluate.Undefined(err.Error())
	} else {
		v.AUC = e
	}
	share := func(side int, why string) evaluate.Estimate {
		if why != "" {
			return evaluate.Undefined(why)
		}
		return evaluate.Share(s.right[side], s.whose[side])
	}
	v.Accuracy, v.Sensitivity, v.Specificity = share(0, ""), share(2, s.few(true, false)), share(1, s.few(false, true))
	v.AveragePrecision, v.BalancedAccuracy = estimate(samples, at+atPrecision, both), estimate(samples, at+atBalanced, both)
	v.Brier, v.ECE = estimate(samples, at+atBrier, ""), estimate(samples, at+atECE, "")
	low, high := samples.Basic(at + atECE)
	v.ECE.Low, v.ECE.High = evaluate.Number(low), max(evaluate.Number(high), v.ECE.Value)
	return v
}

// correct sets the p values that are corrected for the number of all tests in the report.
func correct(r *evaluate.Report) {
	var all []*evaluate.SubgroupTest
	var p []float64
	for at := range r.Labels {
		for g := range r.Labels[at].Subgroups {
			tests := r.Labels[at].Subgroups[g].Tests
			for i := range tests {
				all, p = append(all, &tests[i]), append(p, float64(tests[i].P))
			}
		}
	}
	for i, v := range hypothesis.Holm(p) {
		all[i].PHolm = evaluate.Number(v)
	}
}
