package cohort

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// A file that was replaced by another one of the same size, its time kept, is noticed.
func TestFileReplacedWithItsTimeKept(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no change times")
	}
	path := filepath.Join(t.TempDir(), "image.nii")
	old := time.Now().Add(-time.Hour)
	look := func(content string, before source) source {
		t.Helper()
		if content != "" {
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		s, err := identify(path, "image.nii", before)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := look("one", source{})
	first.Hashed = first.Hashed.Add(time.Minute) // as if the file had been there for long
	if again := look("", first); again != first {
		t.Errorf("a file that did not change was read again: %+v, %+v", again, first)
	}
	if second := look("two", first); second.SHA256 == first.SHA256 || !second.Modified.Equal(first.Modified) {
		t.Errorf("the change went unseen: %+v", second)
	}
}

// A folder of an earlier version is taken over: nothing is computed again, and its sources are recorded.
func TestCasesWithoutSourcesAreTakenOver(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	p := mustRun(t, f, Options{})
	stage := f.Stage(cohorttest.Task, p.DataIdentifier)
	for _, id := range []string{"c_0", "c_1", "c_2"} {
		q, err := dataset.ReadProperties(stage, id)
		if err != nil {
			t.Fatal(err)
		}
		q.MadeFrom = nil
		if err := jsonfile.WriteIfNew(dataset.PropertiesFile(stage, id), q, jsonfile.LikeNNUNet); err != nil {
			t.Fatal(err)
		}
	}
	d, err := dataset.Open(stage, []string{"c_0", "c_1", "c_2"})
	if err != nil {
		t.Fatal(err)
	}
	if other, unknown, err := d.Made(p); err != nil || len(other) > 0 || len(unknown) != 3 {
		t.Errorf("of other plans %v, unknown %v (%v)", other, unknown, err)
	}
	touched := cohorttest.Age(t, stage)
	mustRun(t, f, Options{})
	if got, want := touched(), []string{"c_0.json", "c_1.json", "c_2.json"}; !slices.Equal(got, want) {
		t.Errorf("written: %v, want %v", got, want)
	}
	if d, err = dataset.Open(stage, []string{"c_0", "c_1", "c_2"}); err != nil {
		t.Fatal(err)
	}
	if other, unknown, err := d.Made(p); err != nil || len(other)+len(unknown) > 0 || d.Case(0).Files == "" {
		t.Errorf("of other plans %v, unknown %v (%v)", other, unknown, err)
	}
	changed := *p
	changed.UseMaskForNorm = slices.Clone(p.UseMaskForNorm)
	changed.UseMaskForNorm[0] = !changed.UseMaskForNorm[0]
	if other, _, err := d.Made(&changed); err != nil || len(other) != 3 {
		t.Errorf("of other plans %v (%v)", other, err)
	}
}

// Two runs at a time: the second waits, or refuses.
func TestTwoRunsOfATask(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(5))
	loaded := make([]*task.Task, 2)
	for i := range loaded {
		var err error
		if loaded[i], err = task.Load(f, cohorttest.Task); err != nil {
			t.Fatal(err)
		}
	}
	errs := make(chan error, len(loaded))
	for _, l := range loaded {
		go func() {
			_, err := Preprocess(t.Context(), l, Options{Workers: 2}, progress.Discard)
			errs <- err
		}()
	}
	for range loaded {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	dir := f.PreprocessedTask(cohorttest.Task)
	lock, err := lockfile.Enter(t.Context(), dir, false, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	writing := filepath.Join(dir, ".plans.json.42.tmp")
	if err := os.WriteFile(writing, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, f, Options{NoWait: true}); !errors.Is(err, lockfile.ErrHeld) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "process ") {
		t.Errorf("beside another process: %v", err)
	}
	if !exists(writing) {
		t.Error("a file that another process is writing was removed")
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, f, Options{NoWait: true})
	if exists(writing) {
		t.Error("what a killed process left is still there")
	}
}

// The cases whose input files are other ones than when they were planned are found by content.
func TestChangedInputs(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	mustRun(t, f, Options{})
	cases := []string{"c_0", "c_1", "c_2", "unknown"}
	find := func(want ...string) {
		t.Helper()
		got, err := ChangedInputs(t.Context(), f, cohorttest.Task, cases, progress.Discard)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
	find()
	image, mask := cohorttest.CaseFiles(f, 1)
	for _, path := range []string{image, mask} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, 0), 0o644); err != nil {
			t.Fatal(err)
		}
		find("c_1")
		if err := os.WriteFile(path, b, 0o644); err != nil { // other times, the same content
			t.Fatal(err)
		}
		find()
	}
	if err := os.RemoveAll(f.RawTask(cohorttest.Task)); err != nil {
		t.Fatal(err)
	}
	find()
}

// A case that is listed no more keeps its properties until its arrays are gone, so that a later run still knows whose
// they are.
func TestStaleCaseThatCannotBeRemoved(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	stage := f.Stage(cohorttest.Task, mustRun(t, f, Options{}).DataIdentifier)
	arrays := dataset.ArraysFile(stage, "c_2")
	if err := os.Remove(arrays); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(arrays, "busy"), 0o755); err != nil {
		t.Fatal(err)
	}
	if n, err := removeStale(stage, nil); err == nil || !strings.Contains(err.Error(), "c_2") || n != 2 {
		t.Errorf("removed %d, %v", n, err)
	}
	if !exists(dataset.PropertiesFile(stage, "c_2")) {
		t.Error("the properties went before the arrays")
	}
	if err := os.RemoveAll(arrays); err != nil {
		t.Fatal(err)
	}
	if n, err := removeStale(stage, nil); err != nil || n != 1 || exists(dataset.PropertiesFile(stage, "c_2")) {
		t.Errorf("removed %d, %v", n, err)
	}
}
