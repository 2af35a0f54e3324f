// Package crossvalidation measures the trained folds of a task as its files stand today.
package crossvalidation

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/baseline"
	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
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

	Covariates *covariate.Table // of the cases, for baselines that know them; nil for none

	// Warn is told what of today's task cannot be read, so that the validations are not compared with it.
	Warn func(error)
}

// Result is what the folds reach.
type Result struct {
	Report      *evaluate.Report
	Model       string // folder of the model
	NoBaselines error  // why the report has no baselines; nil if it has
}

// Measure pools the validations of the folds and adds what plain numbers of the cases reach.
func Measure(o Options) (*Result, error) {
	model := o.Folders.Model(o.Task, o.Trainer, o.Plans)
	r, err := evaluate.CrossValidation(model, o.Folds, o.today())
	if err != nil {
		return nil, err
	}
	r.Task = o.Task
	result := &Result{Report: r, Model: model}
	cohort, err := baseline.Read(r, o.Folders, o.Task, model)
	if err == nil {
		cohort.Covariates = o.Covariates
		err = baseline.Add(r, cohort)
	}
	result.NoBaselines = err
	return result, nil
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
