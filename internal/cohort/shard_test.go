package cohort

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

func runShard(t *testing.T, f task.Folders, s shard.Shard, o Options) (*plan.Plans, error) {
	t.Helper()
	loaded, err := task.Load(f, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	return PreprocessShard(t.Context(), loaded, s, o, progress.Discard)
}

// files are those of a preprocessed task without the records, whose times differ, and without locks.
func files(t *testing.T, f task.Folders) map[string][]byte {
	t.Helper()
	now := map[string][]byte{}
	for path, b := range cohorttest.Snapshot(t, f.PreprocessedTask(cohorttest.Task)) {
		if rel, _ := filepath.Rel(f.Preprocessed, path); filepath.Base(rel) != manifestFile && filepath.Base(rel) != lockfile.Name {
			now[rel] = b
		}
	}
	return now
}

func sameFiles(t *testing.T, what string, got, want map[string][]byte) {
	t.Helper()
	for name := range got {
		if _, there := want[name]; !there {
			t.Errorf("%s: %s should not be there", what, name)
		}
	}
	for name, b := range want {
		if !bytes.Equal(got[name], b) {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

// all runs every shard at the same time.
func all(t *testing.T, f task.Folders, n int, o Options, planned bool) {
	t.Helper()
	var wait sync.WaitGroup
	for i := 1; i <= n; i++ {
		wait.Go(func() {
			p, err := runShard(t, f, shard.Shard{Index: i, Count: n}, o)
			if err != nil || (p != nil) != planned {
				t.Errorf("shard %d of %d: plans %v, %v", i, n, p != nil, err)
			}
		})
	}
	wait.Wait()
}

func TestAnyNumberOfShardsGivesTheSameFiles(t *testing.T) {
	for _, modality := range []string{"MRI", "CT", "noMasks"} {
		make := func() task.Folders {
			f := cohorttest.MakeTask(t, modality, cohorttest.Cases(5))
			if modality == "noMasks" {
				withoutMasks(t, f)
			}
			return f
		}
		f := make()
		mustRun(t, f, Options{})
		want := files(t, f)
		for _, n := range []int{1, 2, 7} {
			f := make()
			all(t, f, n, Options{Workers: 1}, false)
			mustRun(t, f, Options{NoPreprocess: true})
			all(t, f, n, Options{Workers: 2}, true)
			sameFiles(t, fmt.Sprintf("%s, %d shards", modality, n), files(t, f), want)
			touched := cohorttest.Age(t, f.PreprocessedTask(cohorttest.Task))
			mustRun(t, f, Options{})
			for _, name := range touched() {
				if filepath.Base(name) != lockfile.Name {
					t.Errorf("%s, %d shards: the run afterwards wrote %s", modality, n, name)
				}
			}
		}
	}
}

// withoutMasks takes the masks from a task, so that they are generated.
func withoutMasks(t *testing.T, f task.Folders) {
	t.Helper()
	path := filepath.Join(f.RawTask(cohorttest.Task), task.DatasetFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	delete(d, "labels")
	for _, entry := range d["training"].([]any) {
		delete(entry.(map[string]any), "label")
	}
	if b, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, b, 0o644), os.RemoveAll(filepath.Join(f.RawTask(cohorttest.Task), "labelsTr"))); err != nil {
		t.Fatal(err)
	}
}

// What a shard has measured is not measured again, and what none has is measured by whoever makes the plans.
func TestLostShardsAreMadeUpFor(t *testing.T) {
	for _, modality := range []string{"MRI", "CT"} {
		f := cohorttest.MakeTask(t, modality, cohorttest.Cases(6))
		mustRun(t, f, Options{})
		want := files(t, f)

		f = cohorttest.MakeTask(t, modality, cohorttest.Cases(6))
		if _, err := runShard(t, f, shard.Shard{Index: 1, Count: 3}, Options{}); err != nil {
			t.Fatal(err)
		}
		parts := filepath.Join(f.PreprocessedTask(cohorttest.Task), partsFolder)
		if entries, err := os.ReadDir(parts); err != nil || len(entries) != 2 {
			t.Fatalf("%v, %v: expected the parts of two cases", entries, err)
		}
		touched := cohorttest.Age(t, parts)
		if _, err := runShard(t, f, shard.Shard{Index: 1, Count: 3}, Options{}); err != nil || len(touched()) > 0 {
			t.Errorf("%s: measured again: %v, %v", modality, touched(), err)
		}
		damaged := filepath.Join(parts, "c_0.json")
		if err := os.WriteFile(damaged, []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		mustRun(t, f, Options{NoPreprocess: true})
		if _, err := os.Stat(parts); !os.IsNotExist(err) {
			t.Errorf("%s: the parts are still there: %v", modality, err)
		}
		if _, err := runShard(t, f, shard.Shard{Index: 2, Count: 3}, Options{}); err != nil {
			t.Fatal(err)
		}
		mustRun(t, f, Options{})
		sameFiles(t, modality, files(t, f), want)
	}
}

// A case that changes between the shard that measured it and the plans is measured again.
func TestPartsOfOtherImagesDoNotCount(t *testing.T) {
	for _, modality := range []string{"MRI", "CT"} {
		cases := cohorttest.Cases(4)
		f := cohorttest.MakeTask(t, modality, cases)
		all(t, f, 2, Options{}, false)
		other := cases[2]
		other.Size = [3]int{other.Size[0] + 2, other.Size[1], other.Size[2]}
		other.Label = cohorttest.Ball(other.Size)
		image, mask := cohorttest.CaseFiles(f, 2)
		other.Write(t, image, mask)
		mustRun(t, f, Options{})
		got := files(t, f)

		changed := append(cases[:2:2], other, cases[3])
		f = cohorttest.MakeTask(t, modality, changed)
		mustRun(t, f, Options{})
		sameFiles(t, modality, got, files(t, f))
	}
}

// A process that writes the folder alone waits for the shards, and the other way round.
func TestShardsKeepOthersOut(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	dir := f.PreprocessedTask(cohorttest.Task)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := lockfile.Share(t.Context(), dir, true, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runShard(t, f, shard.Shard{Index: 1, Count: 2}, Options{NoWait: true}); err != nil {
		t.Errorf("a shard beside another: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	loaded, err := task.Load(f, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Preprocess(ctx, loaded, Options{NoPreprocess: true}, progress.Discard); !errors.Is(err, lockfile.ErrHeld) {
		t.Errorf("the plans were made while a shard had the folder: %v", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, f, Options{NoPreprocess: true})
}
