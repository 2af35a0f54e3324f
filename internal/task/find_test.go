package task

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/env"
)

func TestFindName(t *testing.T) {
	f, err := ResolveFolders(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FindName(f, "1"); err == nil || !strings.Contains(err.Error(), "tasks found: none") {
		t.Errorf("empty data root: %v", err)
	}
	for _, dir := range []string{f.RawTask("Task001_A"), f.PreprocessedTask("Task001_A"), f.PreprocessedTask("Task012_B_c"),
		f.Model("Task1234_D", DefaultTrainer, DefaultPlans), f.RawTask("Task002_X"), f.PreprocessedTask("Task002_Y"), f.RawTask("Task9_short"), f.RawTask("other")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(f.RawTasks(), "Task050_File"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	names, err := List(f)
	if want := []string{"Task001_A", "Task002_X", "Task002_Y", "Task012_B_c", "Task1234_D"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("list %v, %v, want %v", names, err, want)
	}
	for given, want := range map[string]string{"1": "Task001_A", "001": "Task001_A", "Task001_A": "Task001_A", "12": "Task012_B_c", "1234": "Task1234_D", "Task002_Y": "Task002_Y"} {
		if got, err := FindName(f, given); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", given, got, err, want)
		}
	}
	for given, want := range map[string]string{"2": "Task002_X, Task002_Y", "3": "Task001_A, Task002_X", "-1": "tasks found", "50": "tasks found", "Task001": "tasks found", "": "tasks found", "../x": "tasks found"} {
		if got, err := FindName(f, given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want an error with %q", given, got, err, want)
		}
	}
	if _, err := Load(f, "12"); err == nil || !strings.Contains(err.Error(), DatasetFile) {
		t.Errorf("load without a raw folder: %v", err)
	}
}

func TestFolders(t *testing.T) {
	root := t.TempDir()
	f, err := ResolveFolders(root)
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		f.RawTask("T"):                                   "raw/nnUNet_raw_data/T",
		f.CroppedTask("T"):                               "raw/nnUNet_cropped_data/T",
		f.PreprocessedTask("T"):                          "preprocessed/T",
		f.Stage("T", DefaultDataIdentifier):              "preprocessed/T/universal_classifier_plans_v1.0_stage0",
		f.Fold("T", DefaultTrainer, DefaultPlans, "0"):   "trained_models/nnUNet/3d_fullres/T/ClassifierTrainer__UniversalClassifierPlansv1.0/fold_0",
		f.Fold("T", DefaultTrainer, DefaultPlans, "all"): "trained_models/nnUNet/3d_fullres/T/ClassifierTrainer__UniversalClassifierPlansv1.0/all",
	} {
		if got != filepath.Join(root, filepath.FromSlash(want)) {
			t.Errorf("%s, want %s under the data root", got, want)
		}
	}
	t.Setenv(env.RawData, filepath.Join(root, "r"))
	t.Setenv(env.Preprocessed, filepath.Join(root, "p"))
	t.Setenv(env.Results, "")
	if _, err := ResolveFolders(""); err == nil || !strings.Contains(err.Error(), "not set: "+env.Results) {
		t.Errorf("error %v", err)
	}
	t.Setenv(env.Results, filepath.Join(root, "m"))
	if f, err := ResolveFolders(""); err != nil || f.Raw != filepath.Join(root, "r") || f.Results != filepath.Join(root, "m") {
		t.Errorf("%+v, %v", f, err)
	}
}
