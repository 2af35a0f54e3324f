// Package compare compares two classifiers, or readers, on the cases that both have seen.
package compare

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// Kinds of a run.
const (
	CrossValidation = "cross-validation"
	Fold            = "validation of a fold"
	Predictions     = "predictions"
	Reader          = "reader"
)

// Run is what a classifier, or a reader, says of cases.
type Run struct {
	Name     string
	Kind     string
	Labels   []task.Label
	Cases    map[string]Case
	Share    []bool // per label: the scores are probabilities
	Warnings []string
}

// Case is what a run says of a case. A run of models knows the true classes of its cases; of others they are nil.
type Case struct {
	Targets   []int
	Predicted []int       // class per label; -1 where none is given
	Scores    [][]float64 // per label one per class; nil where none are given
	Patient   string
}

// ErrNoTruth is wrapped when neither run knows the true classes of cases.
var ErrNoTruth = errors.New("the true classes of the cases are not known")

// ErrDifferent is wrapped when two runs are not about one question.
var ErrDifferent = errors.New("not about the same question")

// FromReport takes a measured report as a run.
func FromReport(name, kind string, r *evaluate.Report) *Run {
	run := &Run{Name: name, Kind: kind, Cases: map[string]Case{}, Warnings: r.Warnings}
	for _, l := range r.Labels {
		run.Labels, run.Share = append(run.Labels, task.Label{Name: l.Name, Values: l.ClassNames}), append(run.Share, true)
	}
	for _, p := range r.Predictions {
		c := Case{Targets: p.Targets, Scores: p.Probabilities, Patient: p.Patient}
		for _, of := range p.Probabilities {
			c.Predicted = append(c.Predicted, evaluate.Argmax(of))
		}
		run.Cases[p.Case] = c
	}
	return run
}

// FromTable takes the predictions of a folder, whose true classes are not known, as a run.
func FromTable(name string, t *evaluate.Table) *Run {
	labels := t.TaskLabels()
	run := &Run{Name: name, Kind: Predictions, Labels: labels, Cases: map[string]Case{}}
	for range labels {
		run.Share = append(run.Share, true)
	}
	for _, of := range t.Cases {
		if len(of.Labels) != len(labels) {
			run.Warnings = append(run.Warnings, fmt.Sprintf("case %s: %d predictions for %d labels; left out", of.Case, len(of.Labels), len(labels)))
			continue
		}
		var c Case
		for k, l := range of.Labels {
			if len(l.Probabilities) != len(labels[k].Values) {
				c.Scores, c.Predicted = append(c.Scores, nil), append(c.Predicted, -1)
				continue
			}
			c.Scores, c.Predicted = append(c.Scores, l.Probabilities), append(c.Predicted, evaluate.Argmax(l.Probabilities))
		}
		run.Cases[of.Case] = c
	}
	return run
}

// FromReading takes the table of a reader at path as a run. Where a reader gives probabilities alone, the class is the
// likeliest.
func FromReading(name, path string, labels []task.Label) (*Run, error) {
	readings, err := evaluate.ReadReading(path, labels)
	if err != nil {
		return nil, err
	}
	run := &Run{Name: name, Kind: Reader, Labels: labels, Cases: map[string]Case{}}
	for k, r := range readings {
		run.Share = append(run.Share, r.Share)
		at := func(id string) Case {
			c, known := run.Cases[id]
			if !known {
				c = Case{Predicted: slices.Repeat([]int{-1}, len(labels)), Scores: make([][]float64, len(labels))}
				run.Cases[id] = c
			}
			return c
		}
		for id, scores := range r.Scores {
			c := at(id)
			c.Scores[k] = scores
			if r.Share && r.Classes == nil {
				c.Predicted[k] = evaluate.Argmax(scores)
			}
		}
		for id, class := range r.Classes {
			at(id).Predicted[k] = class
		}
	}
	return run, nil
}

// Know tells a run the true classes and the patients of its cases; what it knows already must be the same. Classes that
// are nil and patients that are "" are not known.
func (r *Run) Know(source string, targets map[string][]int, patients map[string]string) error {
	var differ []string
	for id, c := range r.Cases {
		if t := targets[id]; t != nil {
			if c.Targets != nil && !slices.Equal(c.Targets, t) {
				differ = append(differ, id)
			}
			c.Targets = t
		}
		if p := patients[id]; p != "" {
			c.Patient = p
		}
		r.Cases[id] = c
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return fmt.Errorf("%w: %d cases of %s have other classes in %s: %s", ErrDifferent, len(differ), r.Name, source, words.Some(differ))
	}
	return nil
}

// pair is a case that both runs have.
type pair struct {
	id      string
	targets []int
	of      [2]Case
	patient string
}

// pairs finds the cases of both runs, and those of one alone. Runs with other labels or other true classes are refused.
func pairs(a, b *Run) (both []pair, only [2][]string, unknown []string, err error) {
	if !slices.EqualFunc(a.Labels, b.Labels, func(x, y task.Label) bool { return x.Name == y.Name && slices.Equal(x.Values, y.Values) }) {
		return nil, only, nil, fmt.Errorf("%w: %s has the labels %s, but %s has %s", ErrDifferent, a.Name, task.LabelsText(a.Labels), b.Name, task.LabelsText(b.Labels))
	}
	var differ []string
	for _, id := range sorted(a.Cases) {
		x := a.Cases[id]
		y, known := b.Cases[id]
		if !known {
			only[0] = append(only[0], id)
			continue
		}
		p := pair{id: id, targets: x.Targets, of: [2]Case{x, y}, patient: x.Patient}
		if p.targets == nil {
			p.targets = y.Targets
		}
		if p.patient == "" {
			p.patient = y.Patient
		}
		switch {
		case p.targets == nil:
			unknown = append(unknown, id)
			continue
		case x.Targets != nil && y.Targets != nil && !slices.Equal(x.Targets, y.Targets):
			differ = append(differ, id)
		}
		both = append(both, p)
	}
	for _, id := range sorted(b.Cases) {
		if _, known := a.Cases[id]; !known {
			only[1] = append(only[1], id)
		}
	}
	switch {
	case len(differ) > 0:
		return nil, only, nil, fmt.Errorf("%w: the true classes of %d of %d cases differ between %s and %s: %s", ErrDifferent, len(differ), len(both), a.Name, b.Name, words.Some(differ))
	case len(both) == 0 && len(unknown) > 0:
		return nil, only, nil, fmt.Errorf("%w (%d cases, %s)", ErrNoTruth, len(unknown), words.Some(unknown))
	case len(both) == 0:
		return nil, only, nil, fmt.Errorf("no case is in both: %s has %s, %s has %s", a.Name, cmp.Or(words.Some(only[0]), "none"), b.Name, cmp.Or(words.Some(only[1]), "none"))
	}
	return both, only, unknown, nil
}

func sorted(cases map[string]Case) []string {
	ids := make([]string, 0, len(cases))
	for id := range cases {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
