package train

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/split"
)

// fails runs a training that must be refused with words.
func fails(t *testing.T, name string, o Options, words ...string) {
	t.Helper()
	_, err := Run(t.Context(), o, progress.Discard)
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v, want %q", name, err, word)
		}
	}
}

// A fold that was trained is not validated on its training cases, and not continued with others, whatever becomes of
// the splits.
func TestSplitThatChangedAfterTraining(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	runTo(t, o)
	before, err := evaluate.ReadFold(foldOf(o))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Folders.PreprocessedTask(o.Task), split.SplitsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var splits []split.Split
	if err := json.Unmarshal(whole, &splits); err != nil {
		t.Fatal(err)
	}
	splits[0], splits[1] = splits[1], splits[0]
	raw, err := json.Marshal(splits)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	again, on := o, o
	again.ValidationOnly = true
	on.Continue, on.Epochs = true, 2
	fails(t, "validated", again, "the split has changed", "trained on 2 of the 2 cases", splits[0].Val[0], "train the fold anew")
	fails(t, "continued", on, "cannot go on as it began", "the split: training cases added", "validation cases gone")
	on.Epochs = 0
	fails(t, "continued at its end", on, "the split has changed")
	if after, err := evaluate.ReadFold(foldOf(o)); err != nil || after.Origin.Weights != before.Origin.Weights {
		t.Errorf("the validation is not what it was: %v", err)
	}
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), again, progress.Discard); err != nil {
		t.Errorf("with the former splits: %v", err)
	}
}

// Classes and plans that changed: what cannot be continued is refused, what may be validated is, with a warning.
func TestTaskThatChangedAfterTraining(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	runTo(t, o)
	f, err := evaluate.ReadFold(foldOf(o))
	if err != nil {
		t.Fatal(err)
	}
	trained := f.Origin.Network.Training[0].ID
	stage := o.Folders.Stage(o.Task, plan.DataIdentifier)
	file := filepath.Join(stage, trained+".json")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var properties map[string]any
	if err := json.Unmarshal(whole, &properties); err != nil {
		t.Fatal(err)
	}
	properties["targets"] = []int{1 - int(properties["targets"].([]any)[0].(float64)), 0}
	changed, err := json.Marshal(properties)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	again, on := o, o
	again.ValidationOnly = true
	on.Continue, on.Epochs = true, 2
	fails(t, "continued with other classes", on, "classes of training cases", trained)
	r := &recorder{}
	if _, err := Run(t.Context(), again, r); err != nil || !strings.Contains(r.text(), "trained on what has changed since: classes of training cases ("+trained) {
		t.Errorf("validated with other classes: %v\n%s", err, r.text())
	}
	if err := os.WriteFile(file, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Folders.PreprocessedTask(o.Task), plan.File(plan.Identifier))
	p, err := plan.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	p.Labels[0].Values = []string{"yes", "no"}
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	fails(t, "continued with other names", on, "no, yes", "yes, no")
	fails(t, "validated with other names", again, "trained under other plans", "yes, no")
	other := o
	other.Fold = "1"
	r = &recorder{}
	if _, err := Run(t.Context(), other, r); err != nil || !strings.Contains(r.text(), "were trained under other plans (fold_0: ") {
		t.Errorf("another fold: %v\n%s", err, r.text())
	}
	if own, err := plan.Load(filepath.Join(foldOf(o), checkpoint.PlansFile)); err != nil || own.Labels[0].Values[0] != "no" {
		t.Errorf("fold 0 lost its plans: %v", err)
	}
}

// dataset.json that was edited after planning is noticed, as far as it concerns the cases of the fold.
func TestListingThatChangedAfterPlanning(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	raw := o.Folders.RawTask(o.Task)
	if err := os.MkdirAll(raw, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(change func(d map[string]any, cases []any) []any) {
		t.Helper()
		var cases []any
		for i := range 10 {
			cases = append(cases, map[string]any{"image": "./imagesTr/case_0" + string(rune('0'+i)) + ".nii.gz", "Lesion": i % 2, "Grade": i % 3})
		}
		d := map[string]any{"name": "toy", "modality": map[string]any{"0": "MRI"}, "classification_labels": []any{
			map[string]any{"name": "Lesion", "ordinal": false, "values": map[string]any{"0": "no", "1": "yes"}},
			map[string]any{"name": "Grade", "ordinal": false, "values": map[string]any{"0": "low", "1": "middle", "2": "high"}}}}
		d["training"] = change(d, cases)
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(raw, "dataset.json"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		change func(d map[string]any, cases []any) []any
		want   string
	}{
		"class":    {func(_ map[string]any, cases []any) []any { cases[4].(map[string]any)["Lesion"] = 1; return cases }, "case_04"},
		"removed":  {func(_ map[string]any, cases []any) []any { return cases[:9] }, "cases gone (case_09)"},
		"modality": {func(d map[string]any, cases []any) []any { d["modality"] = map[string]any{"0": "CT"}; return cases }, `"MRI" -> "CT"`},
		"names": {func(d map[string]any, cases []any) []any {
			d["classification_labels"].([]any)[0].(map[string]any)["values"] = map[string]any{"0": "yes", "1": "no"}
			return cases
		}, "yes, no"},
	} {
		write(c.change)
		fails(t, name, o, c.want, "has changed since the task was planned")
		if _, err := Run(t.Context(), o, progress.Discard); !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Plan{Task: o.Task})) {
			t.Errorf("%s: planning again is not among the remedies of %v", name, err)
		}
	}
	write(func(_ map[string]any, cases []any) []any { return cases })
	runTo(t, o)
}

// A retraining sets the former validation aside with the former checkpoint: at no moment does one stand next to the
// other.
func TestRetrainingSetsTheValidationAside(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	runTo(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Run(ctx, o, &recorder{advance: func(int) { cancel() }}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	dir := foldOf(o)
	if _, err := evaluate.ReadFold(dir); !errors.Is(err, evaluate.ErrNotValidated) {
		t.Errorf("the former validation stands beside the new training: %v", err)
	}
	former, err := evaluate.ReadFold(filepath.Join(dir, evaluate.ValidationFolder+".previous"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Read(dir, checkpoint.Final+".previous")
	if err != nil || checkpoint.Digest(c.Weights) != former.Origin.Weights {
		t.Errorf("the former validation is not that of the former checkpoint (%v)", err)
	}
	runTo(t, o)
	now, err := evaluate.ReadFold(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = checkpoint.Read(dir, checkpoint.Final); err != nil || checkpoint.Digest(c.Weights) != now.Origin.Weights {
		t.Errorf("the validation is not that of the checkpoint (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.previous*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Weights that have seen validation cases are named; a validation case that is a training case under another name, too.
func TestLeaksAreNamed(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	runTo(t, o)
	next := o
	next.Fold, next.PretrainedWeights = "1", checkpoint.Path(foldOf(o), checkpoint.Final)
	r := &recorder{}
	if _, err := Run(t.Context(), next, r); err != nil || !strings.Contains(r.text(), "pretrained weights were trained on 2 of the validation cases") {
		t.Errorf("%v\n%s", err, r.text())
	}
	c, err := checkpoint.Read(foldOf(next), checkpoint.Final)
	if err != nil || len(c.Origin.Before) != 8 || len(c.Origin.Training) != 8 || len(c.Origin.Recipe) == 0 {
		t.Errorf("the checkpoint was made from %+v (%v)", c.Origin, err)
	}
}

// Images that were changed after they had been preprocessed are not trained on as they were, whatever their times say.
func TestImagesThatChangedAfterPlanning(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	p, err := plan.Load(filepath.Join(o.Folders.PreprocessedTask(o.Task), plan.File(plan.Identifier)))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := preprocess.Sources(p)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := dataset.Cases(o.Folders.Stage(o.Task, plan.DataIdentifier))
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(o.Folders.RawTask(o.Task), "image.nii.gz")
	if err := os.MkdirAll(filepath.Dir(image), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(image, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	records := fmt.Sprintf(`{"version": %s, "cases": {%q: {"files": [{"path": "image.nii.gz", "size": 6, "sha256": "%x"}, {"path": "lost.nii.gz", "sha256": "00"}]}}}`,
		sources[preprocess.VersionSource], ids[0], sha256.Sum256([]byte("before")))
	if err := os.WriteFile(filepath.Join(o.Folders.PreprocessedTask(o.Task), "case_records.json"), []byte(records), 0o644); err != nil {
		t.Fatal(err)
	}
	runTo(t, o)
	write("after.")
	fails(t, "changed", o, "have changed since they were preprocessed ("+ids[0]+")", "preprocess the task again")
	again := o
	again.ValidationOnly = true
	fails(t, "validated", again, "have changed since they were preprocessed")
}
