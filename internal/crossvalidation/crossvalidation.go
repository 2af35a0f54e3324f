// Package crossvalidation measures the trained folds of a task as its files stand today.
package crossvalidation

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/baseline"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/doubt"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/reliability"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
)

// Options say which folds of a task are measured.
type Options struct {
	Folders task.Folders
	Task    string   // full name
	Trainer string   // of the model
	Plans   string   // identifier
	Folds   []string // none: those of the splits and whichever others there are, but not "all"

	Covariates *covariate.Table         // of the cases, for baselines that know them; nil for none
	Prevalence []reliability.Prevalence // where the predictions are to be used

	// Warn is told what of today's task cannot be read, so that the validations are not compared with it.
	Warn func(error)
}

// Result is what the folds reach.
type Result struct {
	Report      *evaluate.Report
	Model       string // folder of the model
	NoBaselines error  // why the report has no baselines; nil if it has

	// Doubt is what the model knows of its reliability from now on; nil where its validations do not say what networks
	// they are of, or none of the cases was held out.
	Doubt *doubt.Model
}

// Covariates is what dataset.json says today of the task's cases, and the table at path unless that is empty. It is nil
// where there is no dataset.json that can be read; Measure tells why.
func Covariates(folders task.Folders, name, path string) (*covariate.Table, error) {
	listed, err := task.ListedToday(folders, name)
	if err != nil {
		return nil, nil
	}
	return covariate.Known(listed.Cases, listed.Labels, path)
}

// Measure pools the validations of the folds and adds what plain numbers of the cases reach.
func Measure(o Options) (*Result, error) {
	model := o.Folders.Model(o.Task, o.Trainer, o.Plans)
	today := o.today()
	r, err := evaluate.CrossValidation(model, o.Folds, today)
	if err != nil {
		return nil, err
	}
	r.Task = o.Task
	result := &Result{Report: r, Model: model}
	result.Doubt = doubt.Learn(r, o.values(), reliability.Options{Prevalence: o.Prevalence, Ordinal: ordinal(today, model)})
	cohort, err := baseline.Read(r, o.Folders, o.Task, model)
	if err == nil {
		cohort.Covariates = o.Covariates
		err = baseline.Add(r, cohort)
	}
	result.NoBaselines = err
	if result.Doubt != nil && len(o.Folds) == 0 { // of chosen folds nothing is kept
		r.Warnings = append(r.Warnings, result.Doubt.Missing...)
	}
	return result, nil
}

// values are the plain numbers of the preprocessed cases, as far as they are there.
func (o Options) values() map[string][]float64 {
	p, err := plan.Load(filepath.Join(o.Folders.PreprocessedTask(o.Task), plan.File(o.Plans)))
	if err != nil {
		return nil
	}
	stage := o.Folders.Stage(o.Task, p.DataIdentifier)
	ids, err := dataset.Cases(stage)
	if err != nil {
		return nil
	}
	values := map[string][]float64{}
	for _, id := range ids {
		if of, err := dataset.ReadProperties(stage, id); err == nil {
			values[id] = doubt.Values(&of)
		}
	}
	return values
}

// ordinal reports whether the classes of a label have an order: as dataset.json says today, or the plans of the model.
func ordinal(today evaluate.Today, model string) func(label string) bool {
	var labels []task.Label
	if today.Listing != nil {
		labels = today.Listing.Labels
	}
	if len(labels) == 0 {
		if p, err := plan.Load(filepath.Join(model, checkpoint.PlansFile)); err == nil {
			labels = p.Labels
		}
	}
	return func(name string) bool {
		return slices.ContainsFunc(labels, func(l task.Label) bool { return l.Name == name && l.Ordinal })
	}
}

// today looks up what the validations of a task are compared with. What cannot be read is left out with a warning; what
// is not there, silently: a trained model can be measured where its data are not.
func (o Options) today() (now evaluate.Today) {
	warn := func(err error) {
		if !errors.Is(err, fs.ErrNotExist) {
			o.Warn(err)
		}
	}
	now.Folds = split.FoldNames(o.Folders.PreprocessedTask(o.Task))
	var err error
	if now.Listing, err = task.ListedToday(o.Folders, o.Task); err != nil {
		warn(err)
	}
	p, err := plan.Load(filepath.Join(o.Folders.PreprocessedTask(o.Task), plan.File(o.Plans)))
	if err == nil {
		now.Files, err = dataset.CaseFiles(o.Folders.Stage(o.Task, p.DataIdentifier))
	}
	if err != nil {
		warn(err)
	}
	return now
}
