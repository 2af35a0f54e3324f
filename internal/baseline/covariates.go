package baseline

import (
	"fmt"
	"slices"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/logistic"
)

// encoder turns the covariates of a case into numbers: a number as it is, the mean of the training cases where it is
// not known, and 1 for not known; a category as 1 for its value among those of the training cases, and 1 for not
// known. The regression standardises them.
type encoder struct {
	columns []encodedColumn
	names   []string
}

type encodedColumn struct {
	of      *covariate.Column
	mean    float64
	values  []string // of a category
	missing bool     // some training case has no known value
}

func newEncoder(columns []*covariate.Column, training []string) *encoder {
	e := &encoder{}
	for _, c := range columns {
		of := encodedColumn{of: c}
		known := 0
		for _, id := range training {
			switch {
			case !c.Known(id):
				of.missing = true
			case c.Kind == covariate.Number:
				of.mean += c.Numbers[id]
				known++
			case !slices.Contains(of.values, c.Texts[id]):
				of.values = append(of.values, c.Texts[id])
			}
		}
		if c.Kind == covariate.Number {
			if known > 0 {
				of.mean /= float64(known)
			}
			e.names = append(e.names, c.Name)
		}
		slices.Sort(of.values)
		for _, v := range of.values {
			e.names = append(e.names, c.Name+" = "+v)
		}
		if of.missing {
			e.names = append(e.names, c.Name+" not known")
		}
		e.columns = append(e.columns, of)
	}
	return e
}

func (e *encoder) features(id string) []float64 {
	x := make([]float64, 0, len(e.names))
	indicator := func(is bool) {
		if is {
			x = append(x, 1)
		} else {
			x = append(x, 0)
		}
	}
	for _, c := range e.columns {
		if c.of.Kind == covariate.Number {
			v, known := c.of.Numbers[id]
			if !known {
				v = c.mean
			}
			x = append(x, v)
		}
		text, known := c.of.Texts[id]
		for _, v := range c.values {
			indicator(known && text == v)
		}
		if c.missing {
			indicator(!c.of.Known(id))
		}
	}
	return x
}

// fitted is a regression for the held-out cases of a fold, and how it sees a case.
type fitted struct {
	model    *logistic.Model
	features func(i int, id string) []float64 // of the i-th prediction
	names    []string
}

// fromCovariates are the baselines that know the site, or the covariates, alone, and the network together with the
// covariates.
func (c *Cohort) fromCovariates(r *evaluate.Report) ([]result, error) {
	if c.Covariates == nil {
		return nil, nil
	}
	var out []result
	add := func(name string, columns []*covariate.Column, fit func(fold string, label, classes int, columns []*covariate.Column) (*fitted, error)) error {
		columns = varying(r, columns)
		if len(columns) == 0 {
			return nil
		}
		probabilities, names, err := c.perFold(r, func(fold string, label, classes int) (*fitted, error) { return fit(fold, label, classes, columns) })
		if err != nil {
			return fmt.Errorf("baseline %s: %w", name, err)
		}
		out = append(out, result{name, names, probabilities})
		return nil
	}
	alone := func(fold string, label, classes int, columns []*covariate.Column) (*fitted, error) {
		training := c.Training[fold]
		e := newEncoder(columns, training)
		var x [][]float64
		var y []int
		for _, id := range training {
			x, y = append(x, e.features(id)), append(y, c.Cases[id].Targets[label])
		}
		m, err := logistic.Fit(x, y, classes)
		return &fitted{m, func(_ int, id string) []float64 { return e.features(id) }, e.names}, err
	}
	stacked := func(fold string, label, classes int, columns []*covariate.Column) (*fitted, error) {
		return stack(r, fold, label, classes, columns)
	}
	if site := c.Covariates.Column(covariate.Site); site != nil {
		if err := add(evaluate.BaselineSite, []*covariate.Column{site}, alone); err != nil {
			return nil, err
		}
	}
	columns := c.Covariates.WithoutSite()
	if err := add(evaluate.BaselineCovariates, columns, alone); err != nil {
		return nil, err
	}
	if len(r.Folds) > 1 { // one fold alone leaves no other cases to fit on
		if err := add(evaluate.BaselineStacked, columns, stacked); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// varying are the columns whose values differ among the cases of the report.
func varying(r *evaluate.Report, columns []*covariate.Column) []*covariate.Column {
	return slices.DeleteFunc(slices.Clone(columns), func(c *covariate.Column) bool {
		first := r.Predictions[0].Case
		return !slices.ContainsFunc(r.Predictions, func(p evaluate.Prediction) bool {
			return c.Known(p.Case) != c.Known(first) || c.Numbers[p.Case] != c.Numbers[first] || c.Texts[p.Case] != c.Texts[first]
		})
	})
}

// stack fits a regression on the network's logits and the covariates of the cases that other folds hold out than the
// given one: each logit is of a network that did not train on its case, and no case of the fold has a part in the
// regression that predicts it.
func stack(r *evaluate.Report, fold string, label, classes int, columns []*covariate.Column) (*fitted, error) {
	var others []int
	var ids []string
	for i, p := range r.Predictions {
		if !slices.Contains(folds(p), fold) {
			others, ids = append(others, i), append(ids, p.Case)
		}
	}
	e := newEncoder(columns, ids)
	features := func(i int, id string) []float64 {
		return append(centred(r.Predictions[i].Logits[label]), e.features(id)...)
	}
	var x [][]float64
	var y []int
	for _, i := range others {
		x, y = append(x, features(i, r.Predictions[i].Case)), append(y, r.Predictions[i].Targets[label])
	}
	m, err := logistic.Fit(x, y, classes)
	return &fitted{m, features, append([]string{"network's logits"}, e.names...)}, err
}

// centred are logits less what they have in common: of two classes the difference, of more those from their mean.
func centred(logits []float64) []float64 {
	if len(logits) == 2 {
		return []float64{logits[1] - logits[0]}
	}
	var mean float64
	for _, v := range logits {
		mean += v / float64(len(logits))
	}
	out := make([]float64, len(logits))
	for k, v := range logits {
		out[k] = v - mean
	}
	return out
}
