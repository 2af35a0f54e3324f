package baseline

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// Read gathers the preprocessed cases of a task and the training cases of the folds of a report, whose model is in
// modelDir.
func Read(r *evaluate.Report, folders task.Folders, name, modelDir string) (*Cohort, error) {
	p, err := plan.Load(filepath.Join(modelDir, checkpoint.PlansFile))
	if err != nil {
		return nil, err
	}
	c := &Cohort{Cases: map[string]Case{}, Training: map[string][]string{}, ROI: p.RealMasks}
	stage := folders.Stage(name, p.DataIdentifier)
	ids, err := dataset.Cases(stage)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		of, err := dataset.ReadProperties(stage, id)
		if err != nil {
			return nil, err
		}
		c.Cases[id] = Case{Targets: of.Targets, Measures: of.Measures}
	}
	for _, fold := range r.Folds {
		if c.Training[fold], err = trainingCases(folders.PreprocessedTask(name), modelDir, fold, ids); err != nil {
			return nil, fmt.Errorf("fold %s: %w", fold, err)
		}
	}
	return c, nil
}

// trainingCases are the cases that trained a fold. Of weights that were brought from elsewhere only the splits tell.
func trainingCases(preprocessed, modelDir, fold string, ids []string) ([]string, error) {
	used, err := train.UsedSplit(filepath.Join(modelDir, task.FoldDir(fold)))
	if !errors.Is(err, fs.ErrNotExist) {
		return used.Train, err
	}
	if fold == task.FoldAll {
		return ids, nil
	}
	number, parseErr := task.ParseFold(fold)
	splits, splitErr := split.ReadSplits(filepath.Join(preprocessed, split.SplitsFile), ids)
	if parseErr != nil || splitErr != nil || number >= len(splits) {
		return nil, fmt.Errorf("its training cases are not known: %w", err)
	}
	return splits[number].Train, nil
}
