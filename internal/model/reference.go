package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/torch"
)

// locate returns dir if it is a model folder, else the only model folder below it.
func locate(dir string) (string, error) {
	if isModel(dir) {
		return dir, nil
	}
	var found []string
	for _, below := range []string{"*__*", "Task*/*__*", task.DefaultNetwork + "/Task*/*__*", "nnUNet/" + task.DefaultNetwork + "/Task*/*__*"} {
		matches, err := filepath.Glob(filepath.Join(escape(dir), filepath.FromSlash(below)))
		if err != nil {
			return "", err
		}
		for _, m := range matches {
			if isModel(m) {
				found = append(found, m)
			}
		}
	}
	switch len(found) {
	case 0:
		return dir, nil // the error of the missing plans says what is wrong
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s holds %d models; give one of them: %s", dir, len(found), strings.Join(found, ", "))
}

// escape keeps filepath.Glob from reading a folder's name as a pattern.
func escape(dir string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(dir)
}

func isModel(dir string) bool {
	return slices.ContainsFunc([]string{checkpoint.PlansFile, reference.PlansFile}, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}

// loadPlans reads plans.json, or the pickle of the reference if there is none.
func (m *Model) loadPlans(r progress.Reporter) error {
	var err error
	if m.Plans, err = plan.Load(filepath.Join(m.Dir, checkpoint.PlansFile)); err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	pickled := filepath.Join(m.Dir, reference.PlansFile)
	if _, statErr := os.Stat(pickled); statErr != nil {
		return task.NotTrained(remedy.With(fmt.Errorf("no trained model in %s: %w, and no %s of the Python reference; train it first, or look whether task, trainer and plans are those of the training",
			m.Dir, err, reference.PlansFile), remedy.Train{}, remedy.Set{Option: remedy.Trainer}, remedy.Set{Option: remedy.Plans}))
	}
	m.Reference = true
	if m.Plans, err = reference.ReadPlans(pickled); err != nil {
		return err
	}
	if dir, err := filepath.Abs(m.Dir); err == nil {
		if name := filepath.Base(filepath.Dir(dir)); isTask(name) {
			m.Plans.TaskName = name
		}
	}
	r.Note("%s is a model folder of the Python reference; its files are read as data", m.Dir)
	listing, err := task.ReadListing(filepath.Join(m.Dir, task.DatasetFile), "")
	switch {
	case err == nil:
		if err := reference.Name(m.Plans, listing); err != nil {
			return fmt.Errorf("%s does not belong to %s: %w", filepath.Join(m.Dir, task.DatasetFile), pickled, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

func isTask(name string) bool {
	_, ok := task.ParseName(name)
	return ok
}

// warnUnknown says what the files of the reference do not record.
func (m *Model) warnUnknown(r progress.Reporter) {
	if m.Plans.MasksUnknown {
		r.Warn("%s", remedy.Notef("the model does not record whether its network was trained with masks of the region of interest, so cases are taken with and without; "+
			"predictions are only right if cases have masks as in training. Once you know whether they were real or generated, importing the model records it").
			See(remedy.Set{Option: remedy.ImportMasks}))
	}
	if !m.Reference || !reference.MadeUpNames(m.Plans) {
		return
	}
	var names []string
	for _, l := range m.Plans.Labels {
		names = append(names, fmt.Sprintf("%s (classes 0 to %d)", l.Name, len(l.Values)-1))
	}
	r.Warn("%s", remedy.Notef("the model does not hold the names of its labels; they are called %s. Importing the model takes the names from the dataset.json of the training",
		strings.Join(names, ", ")).See(remedy.Set{Option: remedy.ImportNames}))
}

// readReferenceFold reads a checkpoint of PyTorch.
func (m *Model) readReferenceFold(name string) (*Fold, error) {
	path := reference.CheckpointFile(m.foldDir(name), m.Checkpoint)
	sd, err := torch.ReadAny(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("fold %s is not trained: %w %s; choose other folds", name, checkpoint.ErrNotFound, path), remedy.Set{Option: remedy.Folds}))
	}
	if err != nil {
		return nil, fmt.Errorf("fold %s: %w", name, err)
	}
	if err := i3d.CheckStateDict(m.Config, sd); err != nil {
		return nil, fmt.Errorf("fold %s: %s does not fit %s: %w", name, path, reference.PlansFile, err)
	}
	return &Fold{Name: name, Weights: sd}, nil
}
