// Package model opens the folder of a trained model: its plans and the weights of its folds.
package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// Options say which folds of a model to open.
type Options struct {
	Folds      []string // "0", "1", ... or "all"; none: all trained folds found, "all" only if it is alone
	Checkpoint string   // default checkpoint.Final
	// Tell completes plans with what the files of a model may not record: names of labels, whether masks were real. It may
	// be nil.
	Tell func(p *plan.Plans) error
}

// Model is what a model folder holds.
type Model struct {
	Dir        string
	Reference  bool // the folder is one of the Python reference
	Plans      *plan.Plans
	Config     i3d.Config // that the weights of every fold fit
	Checkpoint string
	Folds      []Fold
}

// Fold is a trained fold.
type Fold struct {
	Name    string // "0", "1", ... or "all"
	Weights *weights.StateDict
	Digest  string           // of the weights
	Origin  *provenance.Fold // what the network was made from; nil where the file does not say
	earlier bool             // whether an earlier version of this program wrote it
	// TrainLosses and ValLosses are the means of each epoch of its training; nil if unknown.
	TrainLosses, ValLosses []float64
}

// Open reads the plans and the chosen folds of the model in dir, and checks that they fit each other. The folder may be
// one of the Python reference (plans.pkl, checkpoints of PyTorch), whose files are read as data. If dir is not a model
// folder but a model folder lies below, as in an artifact or a folder of results, that one is opened.
func Open(dir string, o Options, r progress.Reporter) (*Model, error) {
	dir, err := locate(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{Dir: dir, Checkpoint: o.Checkpoint}
	if m.Checkpoint == "" {
		m.Checkpoint = checkpoint.Final
	}
	if err := m.loadPlans(r); err != nil {
		return nil, err
	}
	names, err := m.findFolds(o.Folds, r)
	if err != nil {
		return nil, err
	}
	c := &comparison{model: m}
	if err := c.ownPlans(names); err != nil {
		return nil, err
	}
	if o.Tell != nil {
		if err := o.Tell(m.Plans); err != nil {
			return nil, err
		}
	}
	m.warnUnknown(r)
	m.Config = i3d.Config{InChannels: m.Plans.InputChannels(), Outputs: m.Plans.Outputs()}
	if c.sources, err = preprocess.Sources(m.Plans); err != nil {
		return nil, err
	}
	for _, name := range names {
		fold, err := m.readFold(name)
		if err != nil {
			return nil, err
		}
		if err := c.origin(fold); err != nil {
			return nil, err
		}
		m.Folds = append(m.Folds, *fold)
	}
	c.tell(r)
	return m, nil
}

// OpenPlans reads the plans alone of the model in dir, which Open would open.
func OpenPlans(dir string, r progress.Reporter) (*plan.Plans, error) {
	dir, err := locate(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{Dir: dir}
	if err := m.loadPlans(r); err != nil {
		return nil, err
	}
	m.warnUnknown(r)
	return m.Plans, nil
}

// Names are the names of the folds.
func (m *Model) Names() []string {
	var names []string
	for _, f := range m.Folds {
		names = append(names, f.Name)
	}
	return names
}

// findFolds checks the folds asked for, or finds those that are trained.
func (m *Model) findFolds(wanted []string, r progress.Reporter) ([]string, error) {
	if len(wanted) > 0 {
		return task.CheckFolds(wanted)
	}
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		n, isFold := task.NumberedFold(e.Name())
		switch {
		case !isFold || !e.IsDir():
		case !m.exists(strconv.Itoa(n)) && m.Reference && !reference.HasCheckpoint(m.foldDir(strconv.Itoa(n))):
			// The reference's predict() leaves an empty fold_0 behind.
		case !m.exists(strconv.Itoa(n)):
			r.Warn("fold %d has no %s and is left out: its training has not ended", n, m.Checkpoint)
		default:
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	var folds []string
	for _, n := range numbers {
		folds = append(folds, strconv.Itoa(n))
	}
	if len(folds) == 0 && m.exists(task.FoldAll) {
		folds = []string{task.FoldAll}
	}
	if len(folds) == 0 {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("%s: no fold has a %s; train one first", m.Dir, m.Checkpoint), remedy.Train{Task: m.Plans.TaskName}))
	}
	r.Note("folds found: %s", strings.Join(folds, " "))
	return folds, nil
}

func (m *Model) foldDir(fold string) string { return filepath.Join(m.Dir, task.FoldDir(fold)) }

func (m *Model) exists(fold string) bool {
	if m.Reference {
		return reference.CheckpointExists(m.foldDir(fold), m.Checkpoint)
	}
	return checkpoint.Exists(m.foldDir(fold), m.Checkpoint)
}

// readFold reads a fold and checks that it belongs to the plans.
func (m *Model) readFold(name string) (*Fold, error) {
	if m.Reference {
		return m.readReferenceFold(name)
	}
	dir := m.foldDir(name)
	c, err := checkpoint.Read(dir, m.Checkpoint)
	if errors.Is(err, checkpoint.ErrNotFound) {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("fold %s is not trained: %w; train it, or choose other folds", name, err),
			remedy.Train{Task: m.Plans.TaskName, Fold: name}, remedy.Set{Option: remedy.Folds}))
	}
	if err != nil {
		return nil, fmt.Errorf("fold %s: %w", name, err)
	}
	path := checkpoint.Path(dir, m.Checkpoint)
	if err := c.Model.Check(m.Plans.TaskName, m.Config.InChannels, m.Config.Outputs); err != nil {
		return nil, fmt.Errorf("fold %s: %s: %w", name, path, err)
	}
	if err := i3d.CheckStateDict(m.Config, c.Weights); err != nil {
		return nil, fmt.Errorf("fold %s: %s does not fit %s: %w", name, path, checkpoint.PlansFile, err)
	}
	fold := &Fold{Name: name, Weights: c.Weights, Origin: c.Origin, earlier: c.Origin == nil && c.Model.Task != ""}
	var history struct {
		TrainLosses []float64 `json:"train_losses"`
		ValLosses   []float64 `json:"val_losses"`
	}
	if c.Training(&history) == nil { // weights brought from elsewhere have none
		fold.TrainLosses, fold.ValLosses = history.TrainLosses, history.ValLosses
	}
	return fold, nil
}
