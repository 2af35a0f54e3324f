package predict

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/shard"
)

// predictInShards runs the given shards of n at the same time and returns how many of them wrote the tables.
func predictInShards(t *testing.T, dir, out string, n int, which ...int) (tables int) {
	t.Helper()
	cases := writeCases(t, 6)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, i := range which {
		m := openModel(t, dir, Options{})
		wait.Go(func() {
			s, err := m.FolderShard(t.Context(), cases, nil, out, false, shard.Shard{Index: i, Count: n}, progress.Discard)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || len(s.Failed) > 0 {
				t.Errorf("shard %d of %d: %+v, %v", i, n, s, err)
			} else if s.JSON != "" {
				tables++
			}
		})
	}
	wait.Wait()
	return tables
}

// filesIn reads the results and tables in a folder.
func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name()[0] == '.' {
			continue
		}
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestAnyNumberOfShardsGivesTheSameResults(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{"", "#1"}, 1.6)
	whole := t.TempDir()
	if _, err := openModel(t, dir, Options{}).Folder(t.Context(), writeCases(t, 6), nil, whole, false, progress.Discard); err != nil {
		t.Fatal(err)
	}
	want := filesIn(t, whole)
	if len(want) != 8 {
		t.Fatalf("%d files", len(want))
	}
	same := func(what, out string) {
		t.Helper()
		got := filesIn(t, out)
		for name, b := range want {
			if !bytes.Equal(got[name], b) {
				t.Errorf("%s: %s differs", what, name)
			}
		}
	}
	for n, which := range map[int][]int{1: {1}, 2: {1, 2}, 7: {1, 2, 3, 4, 5, 6, 7}} {
		out := t.TempDir()
		if predictInShards(t, dir, out, n, which...) == 0 {
			t.Errorf("%d shards: none wrote the tables", n)
		}
		same("shards", out)
	}

	// A shard that is lost is made up for by whoever runs next.
	out := t.TempDir()
	if predictInShards(t, dir, out, 3, 1, 3) != 0 {
		t.Error("tables without all results")
	}
	if _, err := os.Stat(filepath.Join(out, csvFile)); err == nil {
		t.Error("a table is there")
	}
	s, err := openModel(t, dir, Options{}).Folder(t.Context(), writeCases(t, 6), nil, out, false, progress.Discard)
	if err != nil || s.Kept != 4 || s.Predicted != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	same("after a lost shard", out)
}
