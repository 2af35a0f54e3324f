package predict

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
)

// retrain writes another network into a fold, with what it was made from.
func retrain(t *testing.T, dir, fold string, p *plan.Plans, recipe string, training ...provenance.Case) {
	t.Helper()
	foldDir := filepath.Join(dir, task.FoldDir(fold))
	c, err := checkpoint.Read(foldDir, checkpoint.Final)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range c.Weights.Names() {
		if v := c.Weights.Get(name).F32; len(v) > 0 {
			v[0] *= 1.25
		}
	}
	sources, err := preprocess.Sources(p)
	if err != nil {
		t.Fatal(err)
	}
	c.Origin = &provenance.Fold{Plans: sources, Recipe: json.RawMessage(recipe), Training: training}
	c.Model = checkpoint.Model{Task: p.TaskName, Inputs: 2, Outputs: []int{2, 3}}
	if err := checkpoint.Write(foldDir, checkpoint.Final, c, nil); err != nil {
		t.Fatal(err)
	}
}

// what is predicted of cases into an empty folder.
func fresh(t *testing.T, m *Model, cases []task.Case) []evaluate.PredictedCase {
	t.Helper()
	s, err := m.Folder(t.Context(), cases, nil, t.TempDir(), false, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return tableOf(t, s).Cases
}

func tableOf(t *testing.T, s *Summary) evaluate.Table {
	t.Helper()
	var table evaluate.Table
	testutil.ReadJSON(t, s.JSON, &table)
	return table
}

// A folder holds the results of one set of settings: others are refused, with or without tables, and nothing is
// touched.
func TestResultsOfOtherSettingsAreRefused(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{"", "#1"}, 1.6)
	other := toyPlans()
	other.TaskName = "Task903_Other"
	elsewhere := writeModel(t, other, []string{""}, 1.6)
	cases := writeCases(t, 2)
	out := t.TempDir()
	if _, err := openModel(t, dir, Options{Folds: []string{"0"}, DisableTTA: true}).Folder(t.Context(), cases[:1], nil, out, false, progress.Discard); err != nil {
		t.Fatal(err)
	}
	for _, without := range []bool{false, true} {
		if without { // killed before the tables were written
			for _, name := range []string{csvFile, evaluate.TableFile} {
				if err := os.Remove(filepath.Join(out, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, c := range map[string]struct {
			m    *Model
			want string
		}{
			"another fold":    {openModel(t, dir, Options{Folds: []string{"1"}, DisableTTA: true}), "folds 0 -> 1"},
			"more folds":      {openModel(t, dir, Options{DisableTTA: true}), "folds 0 -> 0 1"},
			"mirror images":   {openModel(t, dir, Options{Folds: []string{"0"}}), "mirroring false -> true"},
			"of another task": {openModel(t, elsewhere, Options{Folds: []string{"0"}, DisableTTA: true}), "Task903_Other"},
		} {
			_, err := c.m.Folder(t.Context(), cases[1:], nil, out, false, progress.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.Overwrite})) {
				t.Errorf("%s, without tables %v: %v", name, without, err)
			}
		}
		if _, err := os.Stat(filepath.Join(out, "case_1.npz")); err == nil {
			t.Fatal("a refused prediction left a result")
		}
	}
}

// Networks, images and masks that changed since make their cases new; everything else is kept.
func TestWhatChangedIsPredictedAgain(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{""}, 1.6)
	cases := writeCases(t, 3)
	out := t.TempDir()
	run := func(kept, predicted int, said string) *Summary {
		t.Helper()
		m := openModel(t, dir, Options{DisableTTA: true})
		n := &notes{Reporter: progress.Discard}
		s, err := m.Folder(t.Context(), cases, nil, out, false, n)
		if err != nil || s.Kept != kept || s.Predicted != predicted {
			t.Fatalf("%+v (%v), want %d kept and %d predicted", s, err, kept, predicted)
		}
		if text := strings.Join(n.lines, "\n"); !strings.Contains(text, said) {
			t.Errorf("said %q, want %q", text, said)
		}
		if got, want := tableOf(t, s).Cases, fresh(t, m, cases); !reflect.DeepEqual(got, want) {
			t.Errorf("the table holds %+v, want %+v", got, want)
		}
		return s
	}
	copyFile := func(to, from string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(to, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	run(0, 3, "")
	run(3, 0, "3 of 3 cases")
	copyFile(cases[1].Images[0], cases[2].Images[0])
	run(2, 1, "(images and mask) and are predicted again: case_1")
	retrain(t, dir, "0", toyPlans(), `{"epochs": 1}`)
	run(0, 3, "(networks) and are predicted again: case_0, case_1, case_2")
	run(3, 0, "")

	// The result of another case under this one's name is not its own.
	copyFile(filepath.Join(out, "case_0.npz"), filepath.Join(out, "case_2.npz"))
	run(2, 1, "case_0")
	if err := os.WriteFile(filepath.Join(out, "case_0.npz"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(2, 1, "")

	// Cases that are not asked for any more stay, but not in the table.
	w := &warnings{Reporter: progress.Discard}
	s, err := openModel(t, dir, Options{DisableTTA: true}).Folder(t.Context(), cases[:1], nil, out, false, w)
	if err != nil || len(tableOf(t, s).Cases) != 1 || !strings.Contains(strings.Join(w.lines, "\n"), "2 results of cases that are not among the images (case_1, case_2)") {
		t.Errorf("%+v (%v), said %q", s, err, w.lines)
	}
	if _, err := os.Stat(filepath.Join(out, "case_2.npz")); err != nil {
		t.Error(err)
	}
}

// Results of earlier versions are kept with one warning.
func TestResultsWithoutSourcesAreKept(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{""}, 1.6)
	cases := writeCases(t, 2)
	out := t.TempDir()
	m := openModel(t, dir, Options{DisableTTA: true})
	r, err := m.Case(t.Context(), cases[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := npz.Write(filepath.Join(out, "case_0.npz"), r.Arrays(), false); err != nil {
		t.Fatal(err)
	}
	w := &warnings{Reporter: progress.Discard}
	s, err := m.Folder(t.Context(), cases, nil, out, false, w)
	if err != nil || s.Kept != 1 || s.Predicted != 1 || len(tableOf(t, s).Cases) != 2 {
		t.Fatalf("%+v (%v)", s, err)
	}
	if len(w.lines) != 1 || !strings.Contains(w.lines[0], "earlier version") {
		t.Errorf("said %q", w.lines)
	}
}

// Folds of different plans are never averaged; alone, each is used with its own.
func TestFoldsOfOtherPlans(t *testing.T) {
	p := toyPlans()
	dir := writeModel(t, p, []string{"", "#1"}, 1.6)
	retrain(t, dir, "0", p, `{"epochs": 5, "seed": 1}`)
	exchanged := toyPlans()
	exchanged.Labels[0].Values = []string{"yes", "no"}
	retrain(t, dir, "1", exchanged, `{"epochs": 5, "seed": 2}`)
	if _, err := Open(dir, Options{Device: "cpu"}, progress.Discard); err == nil || !strings.Contains(err.Error(), "fold 1 was trained under other plans") || !strings.Contains(err.Error(), "yes, no") {
		t.Errorf("folds without plans of their own: %v", err)
	}
	for fold, of := range map[string]*plan.Plans{"fold_0": p, "fold_1": exchanged} {
		if err := of.Save(filepath.Join(dir, fold, checkpoint.PlansFile)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir, Options{Device: "cpu"}, progress.Discard); err == nil || !strings.Contains(err.Error(), "must not be averaged") {
		t.Errorf("folds with plans of their own: %v", err)
	}
	for fold, want := range map[string]string{"0": "no", "1": "yes"} {
		if got := openModel(t, dir, Options{Folds: []string{fold}}).Labels()[0].Values[0]; got != want {
			t.Errorf("fold %s alone calls class 0 %q, want %q", fold, got, want)
		}
	}

	// Another recipe is worth a warning, another seed is not.
	if err := p.Save(filepath.Join(dir, "fold_1", checkpoint.PlansFile)); err != nil {
		t.Fatal(err)
	}
	for recipe, want := range map[string]int{`{"epochs": 5, "seed": 3}`: 0, `{"epochs": 1, "seed": 1}`: 1} {
		retrain(t, dir, "1", p, recipe)
		w := &warnings{Reporter: progress.Discard}
		m, err := Open(dir, Options{Device: "cpu"}, w)
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
		if len(w.lines) != want || want > 0 && !strings.Contains(w.lines[0], "epochs 5 -> 1") {
			t.Errorf("%s: said %q", recipe, w.lines)
		}
	}
}

// Predictions of training cases are named as such.
func TestTrainingCasesAreNamed(t *testing.T) {
	p := toyPlans()
	dir := writeModel(t, p, []string{""}, 1.6)
	cases := writeCases(t, 2)
	files, err := digestOf(cases[1])
	if err != nil {
		t.Fatal(err)
	}
	retrain(t, dir, "0", p, `{}`, provenance.Case{ID: "under_another_name", Files: files})
	w := &warnings{Reporter: progress.Discard}
	if _, err := openModel(t, dir, Options{DisableTTA: true}).Folder(t.Context(), cases, nil, t.TempDir(), false, w); err != nil {
		t.Fatal(err)
	}
	if len(w.lines) != 1 || !strings.Contains(w.lines[0], "1 of the cases trained the networks (case_1)") {
		t.Errorf("said %q", w.lines)
	}
}

// Two predictions into one folder: the second waits, or refuses; only the holder clears leftovers away.
func TestOnePredictionPerFolder(t *testing.T) {
	m := openModel(t, writeModel(t, toyPlans(), []string{""}, 1), Options{DisableTTA: true, NoWait: true})
	out := t.TempDir()
	lock, err := lockfile.Enter(t.Context(), out, false, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	writing := filepath.Join(out, ".case_0.npz.7.tmp")
	if err := os.WriteFile(writing, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cases := writeCases(t, 1)
	if _, err := m.Folder(t.Context(), cases, nil, out, false, progress.Discard); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("beside another process: %v", err)
	}
	if _, err := os.Stat(writing); err != nil {
		t.Error("what another process writes was removed")
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Folder(t.Context(), cases, nil, out, false, progress.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(writing); err == nil {
		t.Error("what a killed process left is still there")
	}
}
