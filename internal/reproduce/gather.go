package reproduce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// Source says where a task lies and which model of it is meant.
type Source struct {
	Folders task.Folders
	Task    string // full name
	Trainer string
	Plans   string // identifier
	Version string // of the program
}

// Gather makes the lock of the folds that a report pools. It reads all scans and preprocessed cases once.
func Gather(ctx context.Context, s Source, r *evaluate.Report, p progress.Reporter) (*Lock, error) {
	l := &Lock{Format: format, Program: program(s.Version), Task: s.Task, Trainer: s.Trainer, Identifier: s.Plans, Results: results(r)}
	for _, name := range r.Folds {
		f, err := s.fold(name)
		if err != nil {
			return nil, fmt.Errorf("fold %s: %w", name, err)
		}
		l.Folds = append(l.Folds, *f)
	}
	ids := map[string]bool{}
	for _, f := range l.Folds {
		for _, id := range slices.Concat(f.Training, f.Validation) {
			ids[id] = true
		}
	}
	var err error
	if l.Dataset, l.Plans, l.Splits, err = s.digests(); err != nil {
		return nil, err
	}
	l.Cases, err = s.cases(ctx, ids, p)
	return l, err
}

// program describes the running program.
func program(version string) Program {
	p := Program{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpulevel.Default().String()}
	if path, err := os.Executable(); err == nil {
		p.Binary, _ = provenance.DigestFile(path) // empty where it cannot be read
	}
	return p
}

// fold reads how a fold was trained, and what came of it.
func (s Source) fold(name string) (*Fold, error) {
	dir := s.Folders.Fold(s.Task, s.Trainer, s.Plans, name)
	validated, err := evaluate.ReadFold(dir)
	if err != nil {
		return nil, err
	}
	if validated.Origin == nil || validated.Origin.Network == nil || len(validated.Origin.Network.Recipe) == 0 {
		return nil, errors.New("it does not say what its network was made from; an earlier version trained it")
	}
	network := validated.Origin.Network
	settings, err := train.ReadSettings(dir)
	if err != nil {
		return nil, err
	}
	f := &Fold{Fold: name, Recipe: network.Recipe, Device: settings.Device, Precision: settings.Precision, FP32: settings.FP32,
		Deterministic: settings.Deterministic, Threads: settings.Threads, Workers: settings.Workers, Pretrained: settings.Pretrained,
		Checkpoint: validated.Origin.Checkpoint, Weights: validated.Origin.Weights, Results: resultsDigest(validated)}
	for _, c := range network.Training {
		f.Training = append(f.Training, c.ID)
	}
	for _, c := range network.Validation {
		f.Validation = append(f.Validation, c.ID)
	}
	return f, nil
}

// digests identify dataset.json, the plans and the folds; what is not there is empty, except for the plans.
func (s Source) digests() (listing, plans, splits string, err error) {
	optional := func(path string) (string, error) {
		digest, err := provenance.DigestFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return digest, err
	}
	dir := s.Folders.PreprocessedTask(s.Task)
	if listing, err = optional(filepath.Join(s.Folders.RawTask(s.Task), task.DatasetFile)); err != nil {
		return "", "", "", err
	}
	p, err := plan.Load(filepath.Join(dir, plan.File(s.Plans)))
	if err != nil {
		return "", "", "", err
	}
	if plans, err = plansDigest(p); err != nil {
		return "", "", "", err
	}
	splits, err = optional(filepath.Join(dir, split.SplitsFile))
	return listing, plans, splits, err
}

// plansDigest identifies what the plans decide, whatever folder they lie in.
func plansDigest(p *plan.Plans) (string, error) {
	sources, err := p.Sources()
	if err != nil {
		return "", err
	}
	return provenance.DigestJSON(sources)
}

// cases identifies the cases: their scans, where these are there, and their preprocessed arrays.
func (s Source) cases(ctx context.Context, wanted map[string]bool, r progress.Reporter) ([]Case, error) {
	p, err := plan.Load(filepath.Join(s.Folders.PreprocessedTask(s.Task), plan.File(s.Plans)))
	if err != nil {
		return nil, err
	}
	stage := s.Folders.Stage(s.Task, p.DataIdentifier)
	ids, err := dataset.Cases(stage)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !wanted[id] })
	raw := map[string]task.Case{}
	if t, err := task.Load(s.Folders, s.Task); err == nil {
		for _, c := range t.Dataset.Cases {
			raw[c.ID] = c
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		r.Warn("the scans are not looked at: %v", err)
	}
	r.Stage("reading data", len(ids))
	cases := make([]Case, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(4, runtime.GOMAXPROCS(0))) // disks, rather than processors
	for i, id := range ids {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			c, err := identify(stage, id, raw)
			if err != nil {
				return fmt.Errorf("case %s: %w", id, err)
			}
			cases[i] = c
			r.Advance(id)
			return nil
		})
	}
	return cases, g.Wait()
}

// identify reads a case once.
func identify(stage, id string, raw map[string]task.Case) (Case, error) {
	properties, err := dataset.ReadProperties(stage, id)
	if err != nil {
		return Case{}, err
	}
	c := Case{ID: id, Targets: properties.Targets}
	if c.Arrays, err = provenance.DigestFile(dataset.ArraysFile(stage, id)); err != nil {
		return Case{}, err
	}
	of, listed := raw[id]
	if !listed {
		return c, nil
	}
	paths := slices.Clone(of.Images)
	if of.Mask != "" {
		paths = append(paths, of.Mask)
	}
	var parts []string
	for _, path := range paths {
		files, err := imagefile.Files(path)
		if errors.Is(err, fs.ErrNotExist) {
			return c, nil
		}
		if err != nil {
			return Case{}, err
		}
		parts = append(parts, files...)
	}
	c.Files, err = provenance.DigestFiles(parts...)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	return c, err
}

// same reports whether two JSON values are equal, whatever their spacing and the order of their fields.
func same(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	first, err1 := json.Marshal(x)
	second, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && string(first) == string(second)
}
