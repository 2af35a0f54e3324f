package convert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
)

// Names of folders next to the tasks, while one is made and while one is replaced.
const (
	stagingDir  = ".uc-convert"
	replacedDir = ".uc-convert-replaced"
)

// Written is what Write did.
type Written struct {
	Linked, Copied, Converted int // files
}

// Write writes the task, whole or not at all: it is built in a separate folder, checked as plan-and-preprocess would,
// and then renamed. Files are linked to those of the source (hard links) where the file system allows it, else, or with
// copyAll, copied.
func (c *Cohort) Write(ctx context.Context, t *Target, copyAll bool, r progress.Reporter) (*Written, error) {
	raw := t.folders.RawTasks()
	if err := os.MkdirAll(raw, 0o755); err != nil {
		return nil, fmt.Errorf("cannot write the task: %w", err)
	}
	lock, err := lockfile.Enter(ctx, raw, false, r)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if err := recoverReplaced(raw); err != nil {
		return nil, err
	}
	if err := t.look(t.Replaces); err != nil || t.UpToDate { // another process may have been faster
		return &Written{}, err
	}
	stage := filepath.Join(raw, stagingDir)
	if err := os.RemoveAll(stage); err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	staged := task.Folders{Raw: stage, Preprocessed: filepath.Join(stage, "preprocessed"), Results: filepath.Join(stage, "trained_models")}
	w, err := c.build(ctx, staged.RawTask(t.Name), t, copyAll, r)
	if err != nil {
		return nil, err
	}
	if err := c.check(ctx, staged, t, r); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	undo, err := c.writeSplits(t)
	if err != nil {
		undo()
		return nil, err
	}
	if err := t.replace(staged.RawTask(t.Name)); err != nil {
		undo()
		return nil, err
	}
	return w, nil
}

// build writes the files of the task into dir.
func (c *Cohort) build(ctx context.Context, dir string, t *Target, copyAll bool, r progress.Reporter) (*Written, error) {
	type job struct {
		id, to string
		file   File
	}
	var jobs []job
	rec := record{Format: c.Format, Source: absolute(c.Source), Digest: t.digest, Files: map[string]string{}}
	for _, part := range []struct {
		cases         []Case
		images, masks string
	}{{c.Training, task.ImagesDir, task.LabelsDir}, {c.Test, task.TestImagesDir, task.TestLabelsDir}} {
		for _, k := range part.cases {
			for m, f := range k.Images {
				jobs = append(jobs, job{k.ID, fmt.Sprintf("%s/%s_%04d", part.images, k.ID, m), f})
			}
			if !k.Mask.IsZero() {
				jobs = append(jobs, job{k.ID, part.masks + "/" + k.ID, k.Mask})
			}
		}
	}
	for _, j := range jobs {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(filepath.FromSlash(j.to))), 0o755); err != nil {
			return nil, err
		}
		if j.file.Path != "" && len(j.file.parts) == 0 { // folders of DICOM are often called as the patient
			rec.Files[j.to] = absolute(j.file.Path)
		}
	}
	r.Stage("writing "+t.Name, len(jobs))
	var mu sync.Mutex
	var counts [3]int
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, j := range jobs {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			how, err := j.file.place(ctx, filepath.Join(dir, filepath.FromSlash(j.to)), copyAll)
			if err != nil {
				return fmt.Errorf("case %s: %w", task.QuoteID(j.id), err)
			}
			mu.Lock()
			counts[how]++
			mu.Unlock()
			r.Advance(j.id)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := jsonfile.Write(filepath.Join(dir, RecordFile), rec, jsonfile.Indent); err != nil {
		return nil, err
	}
	return &Written{Linked: counts[linked], Copied: counts[copied], Converted: counts[converted]}, c.draft(t.Name).Write(dir)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// check looks at the task as plan-and-preprocess does before it begins. What it finds is reported for the place where
// the task will be.
func (c *Cohort) check(ctx context.Context, staged task.Folders, t *Target, r progress.Reporter) error {
	inPlace := func(err error) error {
		if err == nil {
			return nil
		}
		var v *task.ValidationError
		if !errors.As(err, &v) {
			return err
		}
		out := &task.ValidationError{Subject: c.Source}
		for _, p := range v.Problems {
			p.Message = strings.ReplaceAll(p.Message, staged.RawTask(t.Name), t.Dir)
			out.Problems = append(out.Problems, p)
		}
		return out
	}
	made, err := task.Load(staged, t.Name)
	if err != nil {
		return inPlace(err)
	}
	for _, w := range made.Dataset.Warnings {
		r.Warn("%s", strings.ReplaceAll(w, staged.RawTask(t.Name), t.Dir))
	}
	if err := made.CheckHeaders(ctx, []string{task.AllowAll}, r); err != nil || len(c.Test) == 0 {
		return inPlace(err)
	}
	test, dataset := *made, *made.Dataset
	if dataset.Cases, err = made.Test(); err != nil {
		return inPlace(err)
	}
	test.Dataset = &dataset
	return inPlace(test.CheckHeaders(ctx, []string{task.AllowAll}, r))
}

// writeSplits writes an official split as fold 0; undo takes it back.
func (c *Cohort) writeSplits(t *Target) (undo func(), err error) {
	undo = func() {}
	if len(c.Validation) == 0 {
		return undo, nil
	}
	held := map[string]bool{}
	for _, id := range c.Validation {
		held[id] = true
	}
	var official split.Split
	for _, k := range c.Training {
		if held[k.ID] {
			official.Val = append(official.Val, k.ID)
		} else {
			official.Train = append(official.Train, k.ID)
		}
	}
	slices.Sort(official.Train)
	slices.Sort(official.Val)
	b, err := split.Encode([]split.Split{official})
	if err != nil {
		return undo, err
	}
	dir := t.folders.PreprocessedTask(t.Name)
	path := filepath.Join(dir, split.SplitsFile)
	old, err := infile.ReadFile(path, infile.MaxText)
	switch {
	case err == nil && string(old) == string(b):
		return undo, nil
	case err == nil && !t.Replaces:
		return undo, fmt.Errorf("%s: splits lie here that are not the official one of %s; move them away, or choose another id or name", path, c.Source)
	case err == nil:
		undo = func() { _ = atomicfile.WriteBytes(path, old) }
	case !errors.Is(err, fs.ErrNotExist):
		return undo, err
	default:
		undo = func() { os.Remove(path); os.Remove(dir) }
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return undo, err
	}
	return undo, atomicfile.WriteBytes(path, b)
}

// replace puts the finished folder in the place of the task.
func (t *Target) replace(finished string) error {
	aside := filepath.Join(filepath.Dir(t.Dir), replacedDir)
	if t.Replaces {
		if err := os.MkdirAll(aside, 0o755); err != nil {
			return err
		}
		if err := rename(t.Dir, filepath.Join(aside, t.Name)); err != nil {
			return err
		}
	} else {
		os.Remove(t.Dir) // if it is empty
	}
	if err := rename(finished, t.Dir); err != nil {
		if t.Replaces {
			_ = os.Rename(filepath.Join(aside, t.Name), t.Dir)
		}
		return err
	}
	return os.RemoveAll(aside)
}

func rename(from, to string) error {
	if err := fault.At(fault.Rename, to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// recoverReplaced brings a task back whose replacement was cut short.
func recoverReplaced(raw string) error {
	aside := filepath.Join(raw, replacedDir)
	entries, err := os.ReadDir(aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := os.Lstat(filepath.Join(raw, e.Name())); errors.Is(err, fs.ErrNotExist) {
			if err := os.Rename(filepath.Join(aside, e.Name()), filepath.Join(raw, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(aside)
}
