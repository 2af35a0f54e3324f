package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestLimitHeapIsUndone(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	undo := limitHeap(1 << 30)
	budget := float64(1 << 30)
	if got := debug.SetMemoryLimit(-1); got != int64(limitShare*budget) {
		t.Errorf("the limit is %d", got)
	}
	undo()
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the limit was %d and is %d", before, got)
	}
}

// The settings of the garbage collector belong to the process, so only the program itself makes them.
func TestOnlyTheCommandLineSetsTheCollector(t *testing.T) {
	settings := regexp.MustCompile(`debug\.Set(GCPercent|MemoryLimit)\(`)
	root := filepath.Join("..", "..")
	found := false
	for _, dir := range []string{"internal", "pkg", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil || !settings.Match(b) {
				return err
			}
			if filepath.Dir(path) != filepath.Join(root, "internal", "cli") {
				t.Errorf("%s sets the garbage collector of the process", path)
			}
			found = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Error("nothing sets the garbage collector any more")
	}
}
