package split

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

// FuzzSplits chooses a split from any file: no case trains and validates, and no half is empty.
func FuzzSplits(f *testing.F) {
	f.Add([]byte(`[{"train": ["a","b"], "val": ["c"]}]`), "0")
	f.Add([]byte(`[{"train": ["a","b"], "val": ["c"]}]`), "9")
	f.Add([]byte(`[{"train": ["a"], "val": []}, {"train": [], "val": ["x"]}]`), "1")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, fold string) {
		if err := os.WriteFile(filepath.Join(dir, SplitsFile), b, 0o600); err != nil {
			t.Skip(err)
		}
		c, err := ChooseSplit(dir, fold, []string{"a", "b", "c", "d", "e", "f"}, Drawing{})
		if err != nil {
			return
		}
		if len(c.Train) == 0 || len(c.Val) == 0 {
			t.Errorf("%d training and %d validation cases", len(c.Train), len(c.Val))
		}
		for _, id := range c.Val {
			if fold != task.FoldAll && slices.Contains(c.Train, id) {
				t.Errorf("%s trains and validates", id)
			}
		}
	})
}
