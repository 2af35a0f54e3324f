package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Shards make the files that one process makes.
func TestPlanInShards(t *testing.T) {
	one, many := newCohort(t, 5), newCohort(t, 5)
	ok(t, one.planArgs()...)
	for i, round := range []string{"has measured its cases", "cases: "} {
		for _, part := range []string{"2/3", "1/3", "3/3"} {
			if out := ok(t, many.planArgs("--shard", part)...); !strings.Contains(out, round) {
				t.Errorf("shard %s: %q does not say %q", part, out, round)
			}
		}
		if i == 0 {
			ok(t, many.planArgs("--merge")...)
		}
	}
	compared := 0
	dir := filepath.Join(one.root, "preprocessed")
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "case_records.json" || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		got, err := os.ReadFile(filepath.Join(many.root, "preprocessed", rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs: %v", rel, err)
		}
		compared++
		return nil
	})
	if err != nil || compared < 14 { // arrays and properties of five cases, fingerprint, plans, folds, dataset.json
		t.Errorf("%d files compared: %v", compared, err)
	}
	refused(t, ExitUsage, []string{"--shard", "I/N"}, one.planArgs("--shard", "4/3")...)
	refused(t, ExitUsage, []string{"--split", "--shard"}, one.planArgs("--shard", "1/3", "--split", "stratified")...)
	refused(t, ExitUsage, []string{"--merge", "--shard"}, one.planArgs("--shard", "1/3", "--merge")...)
}
