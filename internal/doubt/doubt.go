// Package doubt keeps what a model knows of its own reliability, learned from cases that its networks had not seen, and
// says of a new case how far to rely on its prediction.
package doubt

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/universal-classifier/uc/internal/calibrate"
	"github.com/universal-classifier/uc/internal/conformal"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/outlier"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/reliability"
)

// Model is what a model knows of its own reliability.
type Model struct {
	Version  int                `json:"version"`
	MadeFrom provenance.Sources `json:"made_from"` // digest of the network of each fold, by "fold 0"
	Cases    int                `json:"cases"`     // that were held out
	Mirrors  int                `json:"mirror_images"`
	Labels   []Label            `json:"labels"`
	Measures *outlier.Ranges    `json:"measures,omitempty"`
	Features *Features          `json:"features,omitempty"`
	Missing  []string           `json:"missing,omitempty"` // what is not known, in words

	prepare sync.Once
	fits    map[string]*outlier.Gaussian // per fold
}

// Label is what is known of a classification label.
type Label struct {
	Name        string           `json:"name"`
	Values      []string         `json:"values"`
	Temperature *evaluate.Number `json:"temperature,omitempty"`
	Bound       string           `json:"bound,omitempty"` // why the temperature lies at the end of its range
	Parts       []Part           `json:"parts,omitempty"` // of the prediction sets
}

// Part are the scores of the cases that some folds held out, which is one fold but for cases that several held out.
type Part struct {
	Folds  []string         `json:"folds"`
	Scores conformal.Scores `json:"scores"` // per class, ascending: 1 less the probability of the true class
}

// Features are the distances of features from those of the other cases that a fold held out.
type Features struct {
	Distances []float64      `json:"distances"` // of all cases, ascending, each divided by the median of its fold
	Folds     []FoldFeatures `json:"folds"`
	File      string         `json:"file"` // digest of FeaturesFile
}

// FoldFeatures are those of the cases that a fold held out.
type FoldFeatures struct {
	Fold      string  `json:"fold"`
	Cases     int     `json:"cases"`
	Median    float64 `json:"median"`    // of their distances
	Shrinkage float64 `json:"shrinkage"` // of their covariance

	rows [][]float32 // (cases, features)
}

// Judge adds to a prediction by the networks of the given folds what is known of its reliability: its calibrated
// probabilities, prediction sets, how far its members agree, and how unusual the case is by its Values and by the
// features that the networks saw. What is not known is left out; nothing is known of nil.
func (m *Model) Judge(p *evaluate.Prediction, folds []string, values []float64) {
	p.Calibrated, p.Doubt = nil, nil
	d := &evaluate.Doubt{}
	known := false
	for at := range p.Probabilities {
		predicted := evaluate.Argmax(p.Probabilities[at])
		of := evaluate.LabelDoubt{StandardError: evaluate.Number(math.NaN()), Agreement: evaluate.Number(math.NaN())}
		if p.Members != nil && p.Members.Count() > 1 {
			of.Members, of.StandardError, of.Agreement = p.Members.Spread(at, predicted)
			known = true
		}
		if m != nil {
			l := &m.Labels[at]
			var calibrated []float64
			if l.Temperature != nil {
				calibrated = calibrate.Apply(p.Logits[at], float64(*l.Temperature))
			}
			p.Calibrated = append(p.Calibrated, calibrated)
			of.Set = l.set(p, at, folds)
		}
		d.Labels = append(d.Labels, of)
	}
	if m != nil {
		d.Outlier = m.outlier(p, folds, values)
	}
	if known || m != nil {
		p.Doubt = d
	}
}

// set is the prediction set of a label: every network's probabilities are compared with those of the cases that it held
// out. nil if none of the networks has held any out, or the probabilities of each are not known.
func (l *Label) set(p *evaluate.Prediction, at int, folds []string) []int {
	perFold := [][]float64{p.Probabilities[at]}
	if len(folds) > 1 {
		if p.Members == nil || p.Members.Folds != len(folds) {
			return nil
		}
		perFold = p.Members.FoldProbabilities(at)
	}
	var parts []conformal.Scores
	var probabilities [][]float64
	for _, part := range l.Parts {
		mean := make([]float64, len(p.Probabilities[at]))
		have := 0
		for _, fold := range part.Folds {
			if k := slices.Index(folds, fold); k >= 0 {
				have++
				for class, v := range perFold[k] {
					mean[class] += v / float64(len(part.Folds))
				}
			}
		}
		if have == len(part.Folds) {
			parts, probabilities = append(parts, part.Scores), append(probabilities, mean)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return conformal.Set(conformal.P(parts, probabilities), reliability.Alpha)
}

// outlier says how unusual a case is; nil where nothing is known.
func (m *Model) outlier(p *evaluate.Prediction, folds []string, values []float64) *evaluate.Outlier {
	o := &evaluate.Outlier{Rate: reliability.FalseAlarms}
	if m.Measures != nil && len(values) == len(m.Measures.Measures) {
		score, _ := m.Measures.Score(values)
		o.Measures = flag(o, outlier.Tail(m.Measures.Scores, score))
		if o.Flag {
			o.Reasons = append(o.Reasons, m.reasons(values)...)
		}
	}
	if m.Features != nil && len(p.Features) == len(folds) {
		var ratios []float64
		m.prepare.Do(m.fit)
		for _, f := range m.Features.Folds {
			if k, g := slices.Index(folds, f.Fold), m.fits[f.Fold]; k >= 0 && g != nil {
				ratios = append(ratios, g.Distance(widened(p.Features[k]))/f.Median)
			}
		}
		if len(ratios) > 0 {
			before := o.Flag
			o.Flag = false
			tail := outlier.Tail(m.Features.Distances, middle(ratios))
			if o.Features = flag(o, tail); o.Flag {
				o.Reasons = append(o.Reasons, fmt.Sprintf("its features are farther from those of the held-out cases than %.0f %% of these are", 100*(1-tail)))
			}
			o.Flag = o.Flag || before
		}
	}
	if o.Measures == nil && o.Features == nil {
		return nil
	}
	return o
}

// flag notes a tail that is small.
func flag(o *evaluate.Outlier, tail float64) *evaluate.Number {
	o.Flag = o.Flag || tail <= reliability.FalseAlarms
	n := evaluate.Number(tail)
	return &n
}

// shownReasons are at most so many.
const shownReasons = 3

// reasons names the most unusual numbers of a case: those that differ by as much as the flagged cases of the training,
// the most unusual first.
func (m *Model) reasons(values []float64) []string {
	limit := m.Measures.Scores[int(float64(len(m.Measures.Scores)-1)*(1-reliability.FalseAlarms))]
	_, each := m.Measures.Score(values)
	order := make([]int, len(each))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case each[a] > each[b]:
			return -1
		case each[a] < each[b]:
			return 1
		}
		return 0
	})
	var out []string
	for _, k := range order {
		if each[k] >= limit && len(out) < shownReasons {
			of := m.Measures.Measures[k]
			out = append(out, fmt.Sprintf("%s is %.4g (training cases %.4g to %.4g, median %.4g)", of.Name, values[k], of.Low, of.High, of.Median))
		}
	}
	return out
}

// fit fits the features of every fold.
func (m *Model) fit() {
	m.fits = map[string]*outlier.Gaussian{}
	for _, f := range m.Features.Folds {
		if g, err := outlier.NewGaussian(wide(f.rows)); err == nil {
			m.fits[f.Fold] = g
		}
	}
}

func widened(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

func wide(rows [][]float32) [][]float64 {
	out := make([][]float64, len(rows))
	for i, r := range rows {
		out[i] = widened(r)
	}
	return out
}

// middle is the median; NaN if one of the values is.
func middle(values []float64) float64 {
	if slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN()
	}
	return numeric.Median(values)
}

// foldKey names the network of a fold in the sources.
func foldKey(fold string) string { return "fold " + fold }

// foldsOf are those that held a case out.
func foldsOf(p *evaluate.Prediction) []string { return strings.Split(p.Fold, "+") }
