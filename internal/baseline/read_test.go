package baseline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTrainingCasesOfAFold(t *testing.T) {
	preprocessed, model := t.TempDir(), t.TempDir()
	ids := []string{"a", "b", "c", "d"}
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := trainingCases(preprocessed, model, "0", ids); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is known: %v", err)
	}
	write(filepath.Join(preprocessed, "splits_final.json"), `[{"train": ["a", "b"], "val": ["c", "d"]}, {"train": ["c", "d"], "val": ["a", "b"]}]`)
	write(filepath.Join(model, "fold_1", "debug.json"), `{"training_cases": ["b", "d"], "validation_cases": ["a", "c"]}`)
	write(filepath.Join(model, "fold_2", "debug.json"), `{"training_cases": []}`)
	for fold, want := range map[string][]string{"0": {"a", "b"}, "1": {"b", "d"}, "all": ids} { // weights from elsewhere, trained here before the splits were edited
		if got, err := trainingCases(preprocessed, model, fold, ids); err != nil || !slices.Equal(got, want) {
			t.Errorf("fold %s: %v (%v), want %v", fold, got, err, want)
		}
	}
	for _, fold := range []string{"2", "3"} {
		if got, err := trainingCases(preprocessed, model, fold, ids); err == nil {
			t.Errorf("fold %s: %v", fold, got)
		}
	}
}
