package predict

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/doubt"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// openDoubt reads what the model knows of its reliability. A model without it predicts all the same, and says so.
func (m *Model) openDoubt(opened *model.Model, r progress.Reporter) {
	networks := map[string]string{}
	for _, f := range opened.Folds {
		networks[f.Name] = f.Digest
	}
	d, err := doubt.Open(opened.Dir, opened.Plans.Labels, networks)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Note("no calibrated probabilities, prediction sets or look at whether cases are unusual: the model has no %s, which evaluating its cross-validation writes", doubt.File)
	case err != nil:
		r.Warn("no calibrated probabilities, prediction sets or look at whether cases are unusual: %v; evaluate its cross-validation again", err)
	default:
		m.doubt = d
		for _, text := range d.Missing {
			r.Note("%s", text)
		}
		if mirrored := len(m.mirrors()) > 1; mirrored != (d.Mirrors > 1) {
			r.Note("%s was learned from predictions with %d mirror images, these have %d: calibration may be slightly off", doubt.File, d.Mirrors, len(m.mirrors()))
		}
	}
}

// judge adds to a result what is known of its reliability.
func (m *Model) judge(r *Result) { m.doubt.Judge(&r.Prediction, m.folds, r.measures) }

// Columns of predictions.csv after those of the probabilities.
func doubtColumns(labels []task.Label) []string {
	var names []string
	for _, l := range labels {
		for _, value := range l.Values {
			names = append(names, l.Name+" calibrated P("+value+")")
		}
		names = append(names, l.Name+" set", l.Name+" standard error", l.Name+" agreement")
	}
	return append(names, "unusual", "unusual because")
}

// doubtCells are those columns of a case; empty where nothing is known.
func doubtCells(row evaluate.PredictedCase, labels []task.Label) []string {
	var cells []string
	number := func(v float64, known bool) {
		if known {
			cells = append(cells, strconv.FormatFloat(v, 'f', 6, 64))
		} else {
			cells = append(cells, "")
		}
	}
	for k, l := range row.Labels {
		for class := range labels[k].Values {
			if l.Calibrated == nil {
				number(0, false)
			} else {
				number(l.Calibrated[class], true)
			}
		}
		if l.Doubt == nil {
			cells = append(cells, "", "", "")
			continue
		}
		var set []string
		for _, class := range l.Doubt.Set {
			set = append(set, labels[k].Values[class])
		}
		cells = append(cells, strings.Join(set, " | "))
		number(float64(l.Doubt.StandardError), l.Doubt.StandardError.Defined())
		number(float64(l.Doubt.Agreement), l.Doubt.Agreement.Defined())
	}
	if row.Outlier == nil {
		return append(cells, "", "")
	}
	flag := "no"
	if row.Outlier.Flag {
		flag = "yes"
	}
	return append(cells, flag, strings.Join(row.Outlier.Reasons, "; "))
}
