package split

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/torch"
)

func writePickledSplits(t *testing.T, dir string, splits ...Split) {
	t.Helper()
	var folds []any
	for _, s := range splits {
		fold := torch.OrderedDict{}
		for name, ids := range map[string][]string{"train": s.Train, "val": s.Val} {
			list := []any{}
			for _, id := range ids {
				list = append(list, id)
			}
			fold = append(fold, torch.Item{Key: name, Value: list})
		}
		folds = append(folds, fold)
	}
	if err := torch.WritePickle(filepath.Join(dir, PickledSplitsFile), folds); err != nil {
		t.Fatal(err)
	}
}

func TestPickledSplitsAreHonoured(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e", "f"}
	dir := t.TempDir()
	writePickledSplits(t, dir, Split{Train: []string{"c", "a"}, Val: []string{"b"}}, Split{Train: []string{"b"}, Val: []string{"a", "c"}})
	c, err := ChooseSplit(dir, "0", ids, Drawing{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Split{Train: []string{"a", "c"}, Val: []string{"b"}}); !reflect.DeepEqual(c.Split, want) || !strings.Contains(c.Origin, PickledSplitsFile) {
		t.Errorf("got %v from %q, want %v", c.Split, c.Origin, want)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Text, "3 of 6 cases are in no fold") {
		t.Errorf("warnings %q", c.Warnings)
	}
	if _, err := os.Stat(filepath.Join(dir, SplitsFile)); err == nil {
		t.Error("a second split file was written")
	}

	if err := writeSplits(filepath.Join(dir, SplitsFile), []Split{{Train: []string{"a"}, Val: []string{"b"}}}); err != nil {
		t.Fatal(err)
	}
	c, err = ChooseSplit(dir, "0", ids, Drawing{})
	if err != nil || !reflect.DeepEqual(c.Split, Split{Train: []string{"a"}, Val: []string{"b"}}) {
		t.Errorf("beside splits_final.json: got %v (%v)", c, err)
	}
	if !slices.ContainsFunc(c.Warnings, func(w remedy.Note) bool { return strings.Contains(w.Text, PickledSplitsFile) }) {
		t.Errorf("no word of the pickle: %q", c.Warnings)
	}

	os.Remove(filepath.Join(dir, SplitsFile))
	writePickledSplits(t, dir, Split{Train: []string{"a"}, Val: []string{"stranger"}})
	if _, err := ChooseSplit(dir, "0", ids, Drawing{}); err == nil || !strings.Contains(err.Error(), "stranger") {
		t.Errorf("an unknown case: got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, PickledSplitsFile), []byte("\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ChooseSplit(dir, "0", ids, Drawing{}); err == nil || !strings.Contains(err.Error(), `"system" of "os"`) {
		t.Errorf("a hostile file: got %v", err)
	}
}

func TestSplitsOfTheReferenceAreRead(t *testing.T) {
	for _, name := range []string{"Task100_MriRoi", "Task106_TwomodNoroi"} {
		dir := t.TempDir()
		from := testutil.Shared(t, "reference", "interop", "training", "preprocessed", name)
		ids, err := dataset.Cases(filepath.Join(from, task.DefaultDataIdentifier+"_stage0"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"splits_final", "splits_own"} {
			raw, err := os.ReadFile(filepath.Join(from, file+".expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want []Split
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			pickled, err := os.ReadFile(filepath.Join(from, file+".pkl"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, PickledSplitsFile), pickled, 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := readPickledSplits(filepath.Join(dir, PickledSplitsFile), ids)
			if err != nil || !sameSplits(got, want) {
				t.Errorf("%s of %s: got %v (%v), want %v", file, name, got, err, want)
			}
		}
	}
}
