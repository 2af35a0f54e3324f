package cli

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/external"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/reliability"
	"github.com/universal-classifier/uc/internal/task"
)

// testSet measures the external test set of a task. dir is the folder of its predictions, known what is known of its
// cases, and incomplete lists cases that could not be predicted.
func (f *evaluateFlags) testSet(cmd *cobra.Command, id string) (r *evaluate.Report, dir string, known *covariate.Table, incomplete, err error) {
	if f.truth != "" {
		return nil, "", nil, nil, usagef("--truth does not go with --test, whose classes are in dataset.json")
	}
	if err := cmp.Or(f.model.check(), checkFolds(f.folds), checkThreads(cmd, f.threads)); err != nil {
		return nil, "", nil, nil, err
	}
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return nil, "", nil, nil, err
	}
	t, err := task.Load(folders, id)
	if err != nil {
		return nil, "", nil, nil, err
	}
	cases, err := t.Test()
	if err != nil {
		return nil, "", nil, nil, err
	}
	if known, err = covariate.Known(cases, t.Dataset.Labels, f.covariates); err != nil {
		return nil, "", nil, nil, err
	}
	dir = f.predictions
	if dir == "" {
		if dir, incomplete, err = f.predictTest(cmd, t, cases); err != nil {
			return nil, "", nil, nil, err
		}
	}
	r, err = evaluate.AgainstCases(dir, cases, t.Dataset.Labels, filepath.Join(t.Dir, task.DatasetFile))
	if err != nil {
		return nil, "", nil, nil, err
	}
	reliability.Add(r, reliability.Options{Prevalence: f.shares, Ordinal: func(name string) bool {
		return slices.ContainsFunc(t.Dataset.Labels, func(l task.Label) bool { return l.Name == name && l.Ordinal })
	}})
	d := displayOf(cmd)
	defer d.Close()
	differences, shared, err := external.Compare(cmd.Context(), t, cases, d)
	if err != nil {
		return nil, "", nil, nil, err
	}
	r.Task, r.External, r.Drift = t.Name, true, differences
	r.Warnings = append(shared, r.Warnings...)
	for _, of := range differences {
		if of.Differs {
			r.Warnings = append(r.Warnings, "the test cases differ from the training cases in "+of.String())
		}
	}
	return r, dir, known, incomplete, nil
}

// predictTest predicts the test cases into a folder of the model, one for each choice of folds. Predictions that are
// there and still valid are kept.
func (f *evaluateFlags) predictTest(cmd *cobra.Command, t *task.Task, cases []task.Case) (dir string, incomplete, err error) {
	d := displayOf(cmd)
	defer d.Close()
	folder := t.Folders.Model(t.Name, f.model.trainer, f.model.plans)
	model, err := predict.Open(folder, predict.Options{Folds: f.folds, Device: f.device, Threads: f.threads, GPU: f.gpu, NoWait: f.noWait}, d)
	if err != nil {
		return "", nil, err
	}
	defer model.Close()
	dir = filepath.Join(folder, "test", "folds_"+strings.Join(model.Folds(), "_"))
	s, err := model.Folder(cmd.Context(), cases, nil, dir, false, d)
	if err != nil {
		return "", nil, err
	}
	if len(s.Failed) > 0 {
		incomplete = fmt.Errorf("%d of %d test cases could not be predicted, see the warnings above", len(s.Failed), len(cases))
	}
	return dir, incomplete, nil
}
