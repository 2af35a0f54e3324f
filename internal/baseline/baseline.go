// Package baseline predicts cases from a few plain numbers of each, so that a network can be compared with them.
package baseline

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/logistic"
	"github.com/universal-classifier/uc/internal/preprocess"
)

// Case is what a baseline may know of a case.
type Case struct {
	Targets  []int // class per classification label
	Measures *preprocess.Measures
}

// Cohort is what baselines are fitted on.
type Cohort struct {
	Cases    map[string]Case
	Training map[string][]string // cases that trained the network of a fold
	ROI      bool                // the masks were drawn: without, the region of interest is only what is not zero

	Covariates *covariate.Table // of the cases; nil if none are known
}

// ErrNotMeasured is wrapped when cases have no measures.
var ErrNotMeasured = errors.New("volumes and intensities are not recorded")

// kind is a baseline: a name and its numbers.
type kind struct {
	name     string
	roi      bool // looks at the region of interest
	features func(m *preprocess.Measures) (values []float64, names []string)
}

var kinds = []kind{
	{evaluate.BaselineFrequency, false, func(*preprocess.Measures) ([]float64, []string) { return nil, nil }},
	{evaluate.BaselineROIVolume, true, roiVolume},
	{evaluate.BaselineImageVolume, false, imageVolume},
	{evaluate.BaselineROIMean, true, func(m *preprocess.Measures) ([]float64, []string) {
		return m.ROIMean, perModality("roi_mean", m.ROIMean)
	}},
	{evaluate.BaselineImageMean, false, func(m *preprocess.Measures) ([]float64, []string) {
		return m.ImageMean, perModality("image_mean", m.ImageMean)
	}},
}

// Volumes differ by factors, so their logarithms are taken.
func roiVolume(m *preprocess.Measures) ([]float64, []string) {
	return []float64{math.Log(m.ROIVolume)}, []string{"log(roi_volume_mm3)"}
}

func imageVolume(m *preprocess.Measures) ([]float64, []string) {
	return []float64{math.Log(m.ImageVolume)}, []string{"log(image_volume_mm3)"}
}

func perModality(name string, values []float64) []string {
	names := make([]string, len(values))
	for i := range names {
		names[i] = fmt.Sprintf("%s[%d]", name, i)
	}
	return names
}

// everything is all that is measured, the standard deviations included.
func everything(roi bool) kind {
	return kind{evaluate.BaselineAll, false, func(m *preprocess.Measures) (values []float64, names []string) {
		for _, k := range kinds {
			if !k.roi || roi {
				v, n := k.features(m)
				values, names = append(values, v...), append(names, n...)
			}
		}
		if roi {
			values, names = append(values, m.ROISD...), append(names, perModality("roi_sd", m.ROISD)...)
		}
		return append(values, m.ImageSD...), append(names, perModality("image_sd", m.ImageSD)...)
	}}
}

// Add measures the baselines on the cases of r and adds them to its labels, with a warning where the network is not
// better. For each fold a logistic regression is fitted to the fold's training cases, with which its held-out cases are
// predicted; a case held out by several folds gets the mean. The folds' class frequencies are divided out and those of
// r's cases put in their place, since the frequencies alone would make pooled areas too small (a fold that holds out
// many cases of a class trained on few of them). Baselines whose numbers are the same in all cases are left out. Where
// covariates are known they make baselines of their own, also if volumes and intensities are not recorded, which is an
// error then.
func Add(r *evaluate.Report, c *Cohort) error {
	notMeasured := c.check(r)
	if notMeasured != nil && !errors.Is(notMeasured, ErrNotMeasured) {
		return notMeasured
	}
	var results []result // added once none can fail any more
	if notMeasured == nil {
		var err error
		if results, err = c.fromMeasures(r); err != nil {
			return err
		}
	}
	more, err := c.fromCovariates(r)
	if err != nil {
		return err
	}
	for _, b := range append(results, more...) {
		if err := r.AddBaseline(b.name, b.features, b.probabilities); err != nil {
			return err
		}
	}
	r.WarnOfBaselines()
	return notMeasured
}

// result is what a baseline predicts.
type result struct {
	name          string
	features      []string
	probabilities [][][]float64 // (cases of the report, labels, classes)
}

// fromMeasures are the baselines that know volumes and intensities.
func (c *Cohort) fromMeasures(r *evaluate.Report) ([]result, error) {
	var results []result
	for _, k := range append(slices.Clone(kinds), everything(c.ROI)) {
		if k.roi && !c.ROI || k.name != evaluate.BaselineFrequency && c.constant(r, k) {
			continue
		}
		probabilities, names, err := c.predict(r, k)
		if err != nil {
			return nil, fmt.Errorf("baseline %s: %w", k.name, err)
		}
		results = append(results, result{k.name, names, probabilities})
	}
	return results, nil
}

// folds are those that held a case out.
func folds(p evaluate.Prediction) []string { return strings.Split(p.Fold, "+") }

// check says what is missing.
func (c *Cohort) check(r *evaluate.Report) error {
	var unknown, unmeasured []string
	modalities := -1
	look := func(id string, targets int) {
		known, ok := c.Cases[id]
		switch {
		case !ok || len(known.Targets) != targets:
			unknown = append(unknown, id)
		case known.Measures == nil:
			unmeasured = append(unmeasured, id)
		default:
			m := known.Measures
			if modalities < 0 {
				modalities = len(m.ImageMean)
			}
			if len(m.ImageMean) != modalities || len(m.ImageSD) != modalities || len(m.ROIMean) != modalities || len(m.ROISD) != modalities ||
				!(m.ImageVolume > 0) || !(m.ROIVolume > 0) {
				unmeasured = append(unmeasured, id)
			}
		}
	}
	seen := map[string]bool{}
	each := func(id string) {
		if !seen[id] {
			seen[id] = true
			look(id, len(r.Labels))
		}
	}
	for _, p := range r.Predictions {
		each(p.Case)
		for _, fold := range folds(p) {
			if len(c.Training[fold]) == 0 {
				return fmt.Errorf("the training cases of fold %s are not known", fold)
			}
		}
	}
	for _, fold := range r.Folds {
		for _, id := range c.Training[fold] {
			each(id)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%d of %d cases (%s) are not among the preprocessed ones, or there with other labels", len(unknown), len(seen), first(unknown))
	}
	if len(unmeasured) > 0 {
		return fmt.Errorf("%w for %d of %d cases (%s)", ErrNotMeasured, len(unmeasured), len(seen), first(unmeasured))
	}
	return nil
}

// first names the first of many cases.
func first(ids []string) string {
	if len(ids) == 1 {
		return ids[0]
	}
	return ids[0] + ", ..."
}

// constant reports whether a baseline's numbers are the same in all cases of the report.
func (c *Cohort) constant(r *evaluate.Report, k kind) bool {
	for _, p := range r.Predictions {
		v, _ := k.features(c.Cases[p.Case].Measures)
		w, _ := k.features(c.Cases[r.Predictions[0].Case].Measures)
		if !slices.Equal(v, w) {
			return false
		}
	}
	return true
}

// tie is below any difference between probabilities that means something: what rounding leaves must not rank cases.
const tie = 1e-9

// predict returns the probabilities (cases of r, labels, classes) of a baseline, and what its numbers are called.
func (c *Cohort) predict(r *evaluate.Report, k kind) (probabilities [][][]float64, names []string, err error) {
	return c.perFold(r, func(fold string, label, classes int) (*fitted, error) {
		features := func(id string) []float64 {
			x, _ := k.features(c.Cases[id].Measures)
			return x
		}
		var x [][]float64
		var y []int
		for _, id := range c.Training[fold] {
			x, y = append(x, features(id)), append(y, c.Cases[id].Targets[label])
		}
		m, err := logistic.Fit(x, y, classes)
		_, names := k.features(c.Cases[r.Predictions[0].Case].Measures)
		return &fitted{m, func(_ int, id string) []float64 { return features(id) }, names}, err
	})
}

// perFold returns the probabilities (cases of r, labels, classes) that regressions give, of which fit makes one for the
// held-out cases of a fold and a label, and what their numbers are called in all folds together.
func (c *Cohort) perFold(r *evaluate.Report, fit func(fold string, label, classes int) (*fitted, error)) (probabilities [][][]float64, names []string, err error) {
	probabilities = make([][][]float64, len(r.Predictions))
	names = []string{}
	for at, label := range r.Labels {
		classes := len(label.ClassNames)
		shares := make([]float64, classes)
		for _, p := range r.Predictions {
			shares[p.Targets[at]] += 1 / float64(len(r.Predictions))
		}
		models := map[string]*fitted{}
		for i, p := range r.Predictions {
			mean := make([]float64, classes)
			for _, fold := range folds(p) {
				m := models[fold]
				if m == nil {
					if m, err = fit(fold, at, classes); err != nil {
						return nil, nil, fmt.Errorf("fold %s, label %s: %w", fold, label.Name, err)
					}
					models[fold] = m
					for _, name := range m.names {
						if !slices.Contains(names, name) {
							names = append(names, name)
						}
					}
				}
				for class, v := range reweighted(m.model.LogProbabilities(m.features(i, p.Case)), m.model.Prior(), shares) {
					mean[class] += v / float64(len(folds(p)))
				}
			}
			for class, v := range mean {
				mean[class] = math.Round(v/tie) * tie
			}
			probabilities[i] = append(probabilities[i], mean)
		}
	}
	return probabilities, names, nil
}

// reweighted are the probabilities of a model that learned from classes with one set of shares, where they have
// another. A class without a training case stays impossible.
func reweighted(logs, from, to []float64) []float64 {
	out := make([]float64, len(logs))
	highest := math.Inf(-1)
	for class, l := range logs {
		out[class] = math.Inf(-1)
		if from[class] > 0 && to[class] > 0 {
			out[class] = l - math.Log(from[class]) + math.Log(to[class])
		}
		highest = max(highest, out[class])
	}
	if math.IsInf(highest, -1) { // no class in common
		for class, l := range logs {
			out[class] = math.Exp(l)
		}
		return out
	}
	return evaluate.Softmax(out)
}
