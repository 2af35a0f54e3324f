package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/doubt"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// PackOptions say what goes into an artifact.
type PackOptions struct {
	Task, Trainer, Plans string   // full names
	Folds                []string // "0", "1", ... or "all"; none: all if it is trained, else every trained fold
	Checkpoint           string   // default checkpoint.Final
	KeepCaseNames        bool     // leave the names of the training cases, and where they lay, in the plans
	Machine                       // that computes the self-test's result
	Version              string   // of the program, for the record
}

// Pack writes the trained model in the folders f as an artifact to out, which must not exist or be empty: plans, the
// weights of the folds without what only training needs, and a self-test with its result. The folder appears whole or
// not at all.
func Pack(ctx context.Context, f task.Folders, o PackOptions, out string, r progress.Reporter) (m *Manifest, err error) {
	if o.Checkpoint == "" {
		o.Checkpoint = checkpoint.Final
	}
	if err := CheckName("checkpoint", o.Checkpoint); err != nil {
		return nil, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	if err := mustBeFree(out); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, err
	}
	building, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+".*.tmp")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(building)
		}
	}()
	if err := os.Chmod(building, 0o755); err != nil { // it is to be read by another user, in a container
		return nil, err
	}
	if m, err = fill(ctx, building, f, o, r); err != nil {
		return nil, err
	}
	if err := os.Remove(out); err != nil && !errors.Is(err, fs.ErrNotExist) { // the empty folder
		return nil, err
	}
	return m, os.Rename(building, out)
}

func mustBeFree(out string) error {
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty (it holds %s); remove it, or name another folder", out, entries[0].Name())
	}
	return nil
}

// fill writes the artifact into the empty folder dir.
func fill(ctx context.Context, dir string, f task.Folders, o PackOptions, r progress.Reporter) (*Manifest, error) {
	from := f.Model(o.Task, o.Trainer, o.Plans)
	to := task.Folders{Results: dir}.Model(o.Task, o.Trainer, o.Plans)
	p, err := plan.Load(filepath.Join(from, checkpoint.PlansFile))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = task.NotTrained(remedy.With(fmt.Errorf("no trained model in %s: %w; train it first, or look whether task, trainer and plans are those of the training", from, err),
				remedy.Train{Trainer: o.Trainer, Plans: o.Plans, Task: o.Task}, remedy.Set{Option: remedy.Trainer}, remedy.Set{Option: remedy.Plans}))
		}
		return nil, err
	}
	folds, err := foldsOf(from, o)
	if err != nil {
		return nil, err
	}
	if !o.KeepCaseNames {
		withoutNames(p)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, err
	}
	if err := p.Save(filepath.Join(to, checkpoint.PlansFile)); err != nil {
		return nil, err
	}
	r.Stage("package", len(folds)+1)
	for _, fold := range folds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := copyFold(filepath.Join(from, task.FoldDir(fold)), filepath.Join(to, task.FoldDir(fold)), o.Checkpoint); err != nil {
			return nil, fmt.Errorf("fold %s: %w", fold, err)
		}
		r.Advance("fold " + fold)
	}
	if err := copyDoubt(from, to); err != nil {
		return nil, err
	}
	if err := writeTestCase(dir, p); err != nil {
		return nil, err
	}
	want, err := answer(ctx, dir, to, options(to, o.Checkpoint, o.Machine), r)
	if err != nil {
		return nil, fmt.Errorf("self-test: %w", err)
	}
	r.Advance("self-test")
	if err := jsonfile.Write(filepath.Join(dir, selfTestDir, expectedFile), want, jsonfile.Indent); err != nil {
		return nil, err
	}
	return writeManifest(dir, p, folds, o)
}

// foldsOf checks the folds asked for, or finds those that predict by default.
func foldsOf(modelDir string, o PackOptions) ([]string, error) {
	has := func(fold string) bool {
		return checkpoint.Exists(filepath.Join(modelDir, task.FoldDir(fold)), o.Checkpoint)
	}
	if len(o.Folds) > 0 {
		for _, fold := range o.Folds {
			if !has(fold) {
				return nil, task.NotTrained(remedy.With(fmt.Errorf("fold %s is not trained: no %s in %s; train it, or choose other folds",
					fold, o.Checkpoint, filepath.Join(modelDir, task.FoldDir(fold))),
					remedy.Train{Trainer: o.Trainer, Plans: o.Plans, Task: o.Task, Fold: fold}, remedy.Set{Option: remedy.Folds}))
			}
		}
		return o.Folds, nil
	}
	if has(task.FoldAll) {
		return []string{task.FoldAll}, nil
	}
	var folds []string
	for _, name := range subfolders(modelDir) {
		if fold, isFold := foldOf(name); isFold && has(fold) {
			folds = append(folds, fold)
		}
	}
	if len(folds) == 0 {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("%s: no fold has a %s; train one first", modelDir, o.Checkpoint),
			remedy.Train{Trainer: o.Trainer, Plans: o.Plans, Task: o.Task}))
	}
	return folds, nil
}

// copyFold copies the weights of a checkpoint without the state of the training.
func copyFold(from, to, name string) error {
	c, err := checkpoint.Read(from, name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	c.Momentum = nil
	return checkpoint.Write(to, name, c, nil)
}

// copyDoubt copies what the model knows of its reliability, if it has been evaluated. It names no case.
func copyDoubt(from, to string) error {
	for _, name := range []string{doubt.FeaturesFile, doubt.File} {
		b, err := infile.ReadFile(filepath.Join(from, name), doubt.MaxBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = atomicfile.WriteBytes(filepath.Join(to, name), b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// withoutNames takes the names of the training cases out of the plans, and the folders of the machine they were made
// on.
func withoutNames(p *plan.Plans) {
	p.ListOfNpzFiles, p.PreprocessedDataFolder = nil, ""
	d := p.DatasetProperties
	if d == nil {
		return
	}
	d.CaseIDs, d.SizeReductions = nil, nil
	for _, i := range d.IntensityProperties {
		i.LocalProps = nil
	}
}
