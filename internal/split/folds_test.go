package split

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
)

func TestCopiesEqualTheSharedReference(t *testing.T) {
	dir := testutil.Shared(t, "reference", "splits")
	for _, name := range []string{"kfold.json", "fallback.json", "permutation.json", "poly_lr.json", "trainer_state.json"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", "..", "testdata", "splits", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from the reference", name)
		}
	}
}

// numbered returns n identifiers whose sorted order is their number; they are handed out in reverse.
func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[n-1-i] = fmt.Sprintf("case_%06d", i)
	}
	return ids
}

func indices(t *testing.T, ids []string) []int {
	t.Helper()
	out := []int{}
	for _, id := range ids {
		i, err := strconv.Atoi(strings.TrimPrefix(id, "case_"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i)
	}
	return out
}

func TestKFoldEqualsScikitLearn(t *testing.T) {
	var want map[string][]struct{ Train, Val []int }
	testutil.ReadJSON(t, filepath.Join("..", "..", "testdata", "splits", "kfold.json"), &want)
	for k, folds := range want {
		n, err := strconv.Atoi(k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := KFold(numbered(n))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(folds) {
			t.Fatalf("n=%d: %d folds, want %d", n, len(got), len(folds))
		}
		for f := range folds {
			if g := indices(t, got[f].Train); !reflect.DeepEqual(g, folds[f].Train) {
				t.Errorf("n=%d fold %d train: got %v, want %v", n, f, g, folds[f].Train)
			}
			if g := indices(t, got[f].Val); !reflect.DeepEqual(g, folds[f].Val) {
				t.Errorf("n=%d fold %d val: got %v, want %v", n, f, g, folds[f].Val)
			}
		}
	}
}

func TestFallbackSplitEqualsReference(t *testing.T) {
	var want map[string]struct {
		N, Fold int
		Train   []int `json:"idx_tr"`
		Val     []int `json:"idx_val"`
	}
	testutil.ReadJSON(t, filepath.Join("..", "..", "testdata", "splits", "fallback.json"), &want)
	for name, w := range want {
		got := FallbackSplit(numbered(w.N), w.Fold)
		slices.Sort(w.Train) // the reference sorts the drawn cases
		if g := indices(t, got.Train); !reflect.DeepEqual(g, w.Train) {
			t.Errorf("%s train: got %v, want %v", name, g, w.Train)
		}
		if g := indices(t, got.Val); !reflect.DeepEqual(g, w.Val) {
			t.Errorf("%s val: got %v, want %v", name, g, w.Val)
		}
	}
}

func TestChooseSplitWritesTheFileOnceAndHonoursEdits(t *testing.T) {
	dir := t.TempDir()
	ids := numbered(10)
	first, err := ChooseSplit(dir, "0", ids, Drawing{})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := KFold(ids)
	if !reflect.DeepEqual(first.Split, want[0]) {
		t.Fatalf("got %v, want %v", first.Split, want[0])
	}
	edited := `[{"val": ["case_000003"], "train": ["case_000009", "case_000001"]}]`
	if err := os.WriteFile(filepath.Join(dir, SplitsFile), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	second, err := ChooseSplit(dir, "0", ids, Drawing{})
	if err != nil {
		t.Fatal(err)
	}
	if w := (Split{Train: []string{"case_000001", "case_000009"}, Val: []string{"case_000003"}}); !reflect.DeepEqual(second.Split, w) {
		t.Fatalf("got %v, want %v", second.Split, w)
	}
	if len(second.Warnings) != 1 || !strings.Contains(second.Warnings[0].Text, "7 of 10 cases are in no fold") {
		t.Fatalf("warnings: %v", second.Warnings)
	}
	beyond, err := ChooseSplit(dir, "5", ids, Drawing{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(beyond.Split, FallbackSplit(ids, 5)) || !strings.Contains(beyond.Origin, "80:20") {
		t.Fatalf("fold beyond the file: %+v", beyond)
	}
	all, err := ChooseSplit(dir, task.FoldAll, ids, Drawing{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Train) != 10 || !reflect.DeepEqual(all.Train, all.Val) {
		t.Fatalf("fold all: %+v", all)
	}
}

func TestBadSplitFilesAreNamed(t *testing.T) {
	ids := numbered(10)
	for name, c := range map[string]struct{ file, want string }{
		"not JSON":       {"[\n{\"train\": [\"case_000001\",]}]", "line 2"},
		"other shape":    {`{"train": []}`, "expected a list of"},
		"unknown field":  {`[{"train": ["case_000001"], "val": ["case_000002"], "test": []}]`, `unknown field "test"`},
		"unknown case":   {`[{"train": ["case_000001"], "val": ["patient_7"]}]`, `fold 0: "val" names case patient_7, which is not among`},
		"overlap":        {`[{"train": ["case_000001"], "val": ["case_000001"]}]`, `case case_000001 is both in "train" and in "val"`},
		"twice":          {`[{"train": ["case_000001", "case_000001"], "val": ["case_000002"]}]`, `"train" names case case_000001 twice`},
		"no validation":  {`[{"train": ["case_000001"], "val": []}]`, `fold 0: "val" names no case`},
		"empty":          {`[]`, "holds no fold"},
		"second is read": {`[{"train": ["case_000001"], "val": ["case_000002"]}, {"train": [], "val": ["case_000002"]}]`, "fold 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, SplitsFile), []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := ChooseSplit(dir, "0", ids, Drawing{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), SplitsFile) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestFoldsThatCannotBe(t *testing.T) {
	for _, fold := range []string{"-1", "first", "1.5", ""} {
		if _, err := ChooseSplit(t.TempDir(), fold, numbered(10), Drawing{}); err == nil {
			t.Errorf("fold %q: no error", fold)
		}
	}
	if _, err := ChooseSplit(t.TempDir(), "0", numbered(4), Drawing{}); err == nil || !strings.Contains(err.Error(), "cannot be split into 5 folds") {
		t.Errorf("four cases: got %v", err)
	}
}

func writeSplits(path string, splits []Split) error {
	raw, err := Encode(splits)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}
