package doubt

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/conformal"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/outlier"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/reliability"
)

// minMeasured is the least number of cases whose plain numbers, or features, say what is usual: of fewer, none could be
// rare enough to be flagged.
const minMeasured = 20

// Learn fills in what the report of a cross-validation says of probabilities and doubt, and returns what its model
// knows of its reliability from now on. values are the Values of cases by name, nil of those without. Without anything
// to learn from it returns nil.
func Learn(r *evaluate.Report, values map[string][]float64, o reliability.Options) *Model {
	m := &Model{Version: version, MadeFrom: provenance.Sources{}, Cases: len(r.Predictions), Mirrors: 1}
	for _, p := range r.Predictions {
		if p.Members != nil {
			m.Mirrors = max(m.Mirrors, p.Members.Mirrors)
		}
	}
	for _, fold := range r.Folds {
		if digest := r.MadeFrom[foldKey(fold)]; digest != "" {
			m.MadeFrom[foldKey(fold)] = digest
		}
	}
	m.learnMeasures(r, values)
	m.learnFeatures(r)
	reliability.Add(r, o)
	for at := range r.Labels {
		l := learnLabel(r, at)
		m.Labels = append(m.Labels, l)
		if c := r.Labels[at].Calibration; l.Temperature == nil && c != nil {
			m.Missing = append(m.Missing, fmt.Sprintf("%s: probabilities are not calibrated: %s", l.Name, c.Why))
		} else if l.Bound != "" {
			m.Missing = append(m.Missing, fmt.Sprintf("%s: the temperature %v lies at the end of its range: %s", l.Name, *l.Temperature, l.Bound))
		}
	}
	if slices.Contains(r.Folds, "all") || len(m.MadeFrom) < len(r.Folds) {
		return nil
	}
	return m
}

func learnLabel(r *evaluate.Report, at int) Label {
	of := &r.Labels[at]
	l := Label{Name: of.Name, Values: of.ClassNames}
	if of.Calibration != nil && of.Calibration.Temperature != nil {
		l.Temperature, l.Bound = &of.Calibration.Temperature.Value, of.Calibration.Temperature.Bound
	}
	var keys []string
	parts := map[string]*Part{}
	for _, p := range r.Predictions {
		part := parts[p.Fold]
		if part == nil {
			part = &Part{Folds: foldsOf(&p), Scores: make(conformal.Scores, len(of.ClassNames))}
			for class := range part.Scores {
				part.Scores[class] = []float64{}
			}
			parts[p.Fold] = part
			keys = append(keys, p.Fold)
		}
		target := p.Targets[at]
		part.Scores[target] = append(part.Scores[target], 1-p.Probabilities[at][target])
	}
	slices.Sort(keys)
	for _, key := range keys {
		parts[key].Scores.Sort()
		l.Parts = append(l.Parts, *parts[key])
	}
	return l
}

// outlierOf is where it is noted how unusual a case of the report is.
func outlierOf(p *evaluate.Prediction) *evaluate.Outlier {
	if p.Doubt == nil {
		p.Doubt = &evaluate.Doubt{}
	}
	if p.Doubt.Outlier == nil {
		p.Doubt.Outlier = &evaluate.Outlier{Rate: reliability.FalseAlarms}
	}
	return p.Doubt.Outlier
}

// learnMeasures learns the plain numbers of the cases, and notes which cases of the report are unusual among them.
func (m *Model) learnMeasures(r *evaluate.Report, values map[string][]float64) {
	var rows [][]float64
	for _, v := range values {
		if v != nil {
			rows = append(rows, v)
		}
	}
	slices.SortFunc(rows, slices.Compare) // maps have no order
	rows = slices.DeleteFunc(rows, func(v []float64) bool { return len(v) != len(rows[0]) })
	if len(rows) < minMeasured {
		m.Missing = append(m.Missing, fmt.Sprintf("whether a case is unusual by spacing, size and intensities is not known: these are recorded of %d training cases, expected at least %d", len(rows), minMeasured))
		return
	}
	m.Measures = outlier.NewRanges(measuresOf(rows), rows)
	for i := range r.Predictions {
		p := &r.Predictions[i]
		if v := values[p.Case]; len(v) == len(rows[0]) {
			score, _ := m.Measures.Score(v)
			o := outlierOf(p)
			if o.Measures = flag(o, own(m.Measures.Scores, score)); o.Flag {
				o.Reasons = append(o.Reasons, m.reasons(v)...)
			}
		}
	}
}

// own is the tail of a score that is among the sorted ones itself.
func own(sorted []float64, score float64) float64 {
	below, _ := slices.BinarySearch(sorted, score)
	return float64(len(sorted)-below) / float64(len(sorted))
}

// learnFeatures learns the features of the cases that each fold held out. Those of the cases that trained a network are
// no measure: it has learned them, and new cases lie farther off.
func (m *Model) learnFeatures(r *evaluate.Report) {
	type member struct {
		at    int
		ratio float64
	}
	var all []member
	f := &Features{}
	var lacking, few, failed []string
	for _, fold := range r.Folds {
		var rows [][]float32
		var patients []string
		var at []int
		without := 0
		for i, p := range r.Predictions {
			switch {
			case p.Fold != fold:
			case len(p.Features) != 1:
				without++
			default:
				rows, patients, at = append(rows, p.Features[0]), append(patients, p.Patient), append(at, i)
			}
		}
		if without > 0 {
			lacking = append(lacking, fold)
			continue
		}
		if len(rows) < 2*minParts {
			few = append(few, fold)
			continue
		}
		kept := evenly(len(rows), outlier.MaxReference)
		rows, patients, at = pick(rows, kept), pick(patients, kept), pick(at, kept)
		g, err := outlier.NewGaussian(wide(rows))
		var distances []float64
		if err == nil {
			distances, err = g.HeldOut(patients)
		}
		if err != nil {
			failed = append(failed, fmt.Sprintf("fold %s: %v", fold, err))
			continue
		}
		median := middle(distances)
		if !(median > 0) {
			failed = append(failed, fmt.Sprintf("fold %s: distances of %v", fold, median))
			continue
		}
		f.Folds = append(f.Folds, FoldFeatures{Fold: fold, Cases: len(rows), Median: median, Shrinkage: g.Shrinkage(), rows: rows})
		for k, d := range distances {
			all = append(all, member{at[k], d / median})
			f.Distances = append(f.Distances, d/median)
		}
	}
	const lost = "whether a case is unusual by the features of the network is not known"
	switch {
	case len(lacking) > 0:
		m.Missing = append(m.Missing, fmt.Sprintf("%s for folds %s: they were validated by an earlier version, which did not keep features", lost, strings.Join(lacking, ", ")))
	case len(few) > 0:
		m.Missing = append(m.Missing, fmt.Sprintf("%s for folds %s, which hold out fewer than %d cases", lost, strings.Join(few, ", "), 2*minParts))
	case len(failed) > 0:
		m.Missing = append(m.Missing, fmt.Sprintf("%s: %s", lost, strings.Join(failed, "; ")))
	}
	if len(f.Distances) < minMeasured {
		if len(lacking)+len(few)+len(failed) == 0 {
			m.Missing = append(m.Missing, fmt.Sprintf("%s: features are known of %d cases, expected at least %d", lost, len(f.Distances), minMeasured))
		}
		return
	}
	slices.Sort(f.Distances)
	m.Features = f
	for _, c := range all {
		o := outlierOf(&r.Predictions[c.at])
		before := o.Flag
		o.Flag = false
		tail := own(f.Distances, c.ratio)
		if o.Features = flag(o, tail); o.Flag {
			o.Reasons = append(o.Reasons, fmt.Sprintf("its features are farther from those of the other held-out cases than %.0f %% of these are", 100*(1-tail)))
		}
		o.Flag = o.Flag || before
	}
}

// minParts is how many cases a fold must at least fit its features to.
const minParts = 4

// evenly are at most count of n numbers from 0, spread evenly.
func evenly(n, count int) []int {
	kept := make([]int, min(n, count))
	for i := range kept {
		kept[i] = int(math.Floor(float64(i) * float64(n) / float64(len(kept))))
	}
	return kept
}

func pick[T any](rows []T, at []int) []T {
	out := make([]T, len(at))
	for k, i := range at {
		out[k] = rows[i]
	}
	return out
}
