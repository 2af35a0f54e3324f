package cli

import (
	"context"
	"fmt"

	"github.com/universal-classifier/uc/internal/leak"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// leakSearch looks for leaks while a task is verified.
type leakSearch struct {
	watcher leak.Watcher
	mapping *leak.Mapping // nil without --mapping
}

func newLeakSearch(f *planFlags) (*leakSearch, error) {
	s := &leakSearch{}
	if f.mapping == "" {
		return s, nil
	}
	var err error
	s.mapping, err = leak.ReadMapping(f.mapping)
	return s, err
}

// report warns of what was found, and keeps it next to the plans for trainings to see. Nothing is done if the task was
// not verified.
func (s *leakSearch) report(ctx context.Context, t *task.Task, f *planFlags, r progress.Reporter) error {
	if !f.verify {
		return nil
	}
	found := &leak.Findings{Patients: []leak.Patient{}}
	r.Stage("looking for duplicates", 0)
	var err error
	if found.Duplicates, err = s.watcher.Duplicates(ctx); err != nil {
		return err
	}
	cases := t.Dataset.Cases
	if s.mapping != nil {
		found.Patients = s.mapping.Patients(cases)
		if unknown := s.mapping.Unknown(cases); len(unknown) > 0 {
			r.Warn("%s does not have %d of %d cases (%s, ...)", f.mapping, len(unknown), len(cases), unknown[0])
		}
	}
	found.Headers = leak.Headers(t, s.mapping)
	for _, w := range found.Warnings() {
		r.Warn("%s", w)
	}
	dir := t.Folders.PreprocessedTask(t.Name)
	lock, err := lockfile.Enter(ctx, dir, f.noWait, r)
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := leak.Write(dir, found); err != nil {
		return fmt.Errorf("what was found cannot be kept: %w", err)
	}
	r.Note("leaks: %d duplicates, %d patients with another name, %d header fields that predict a label; see %s in %s", len(found.Duplicates), len(found.Patients), found.SuspiciousHeaders(), leak.File, dir)
	return nil
}
