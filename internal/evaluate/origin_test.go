package evaluate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// writeNetwork writes a network of one number into a fold, and returns what a validation of it says of itself.
func writeNetwork(t *testing.T, model, fold string, value float32, network provenance.Fold) *Origin {
	t.Helper()
	sd := weights.NewStateDict()
	tensor := weights.NewTensor(1)
	tensor.F32[0] = value
	sd.Set("weight", tensor)
	dir := filepath.Join(model, task.FoldDir(fold))
	if err := WriteFold(filepath.Join(dir, ValidationFolder), &Fold{Labels: twoLabels}); err != nil { // makes the folder
		t.Fatal(err)
	}
	if err := checkpoint.Write(dir, checkpoint.Final, &checkpoint.Checkpoint{Weights: sd, Origin: &network}, nil); err != nil {
		t.Fatal(err)
	}
	return &Origin{Checkpoint: checkpoint.Final, Weights: checkpoint.Digest(sd), Network: &network}
}

// network is what folds that belong together are made from.
func network(training ...string) provenance.Fold {
	f := provenance.Fold{Plans: provenance.Sources{"spacing": "1 x 1 x 1"}, Recipe: json.RawMessage(`{"epochs": 5, "seed": 1}`)}
	for _, id := range training {
		f.Training = append(f.Training, provenance.Case{ID: id, Targets: []int{0, 0}})
	}
	return f
}

func validated(t *testing.T, model, fold string, o *Origin, predictions []Prediction) {
	t.Helper()
	if err := WriteFold(filepath.Join(model, task.FoldDir(fold), ValidationFolder), &Fold{Labels: twoLabels, Predictions: predictions, Origin: o}); err != nil {
		t.Fatal(err)
	}
}

// Validations are only pooled if each is of the network in its fold, all of it, and the networks are of one kind.
func TestValidationsThatDoNotBelongTogether(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, model string)
		want  string
	}{
		"another network": {func(t *testing.T, model string) { writeKept(t, model, "0", 7) }, "another network than"},
		"a case of another validation": {func(t *testing.T, model string) {
			other := filepath.Join(t.TempDir(), "validation")
			p := toyFold("a", 6)
			p[2].Logits[0][0] += 0.5
			if err := WriteFold(other, &Fold{Labels: twoLabels, Predictions: p}); err != nil {
				t.Fatal(err)
			}
			copyFile(t, filepath.Join(model, "fold_0", ValidationFolder, "a_02.npz"), filepath.Join(other, "a_02.npz"))
		}, "case a_02"},
		"other plans": {func(t *testing.T, model string) {
			n := network("a_00")
			n.Plans = provenance.Sources{"spacing": "2 x 2 x 2"}
			validated(t, model, "1", writeNetwork(t, model, "1", 2, n), toyFold("b", 6))
		}, "1 x 1 x 1 -> 2 x 2 x 2"},
		"trained on what it validates": {func(t *testing.T, model string) {
			validated(t, model, "1", writeNetwork(t, model, "1", 2, network("a_00", "b_03")), toyFold("b", 6))
		}, "(b_03)"},
	} {
		model := t.TempDir()
		validated(t, model, "0", writeNetwork(t, model, "0", 1, network("b_00")), toyFold("a", 6))
		validated(t, model, "1", writeNetwork(t, model, "1", 2, network("a_00")), toyFold("b", 6))
		if _, err := CrossValidation(model, nil, Today{}); err != nil {
			t.Fatalf("%s, before: %v", name, err)
		}
		c.spoil(t, model)
		if _, err := CrossValidation(model, nil, Today{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// writeKept replaces the network of a fold and keeps its validation.
func writeKept(t *testing.T, model, fold string, value float32) {
	t.Helper()
	f, err := ReadFold(filepath.Join(model, task.FoldDir(fold)))
	if err != nil {
		t.Fatal(err)
	}
	writeNetwork(t, model, fold, value, *f.Origin.Network)
	validated(t, model, fold, f.Origin, f.Predictions)
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The task of today counts: corrected classes, removed cases, changed images, other names of classes.
func TestValidationsMeetTheTaskOfToday(t *testing.T) {
	model := t.TempDir()
	n := network("t_00")
	predictions := toyFold("a", 6)
	for i := range predictions {
		predictions[i].Files = "sha256:" + predictions[i].Case
	}
	validated(t, model, "0", writeNetwork(t, model, "0", 1, n), predictions)
	now := &task.Snapshot{Path: "dataset.json", Labels: twoLabels, Targets: map[string][]int{"t_00": {1, 0}}}
	for _, p := range predictions[:5] {
		now.Targets[p.Case] = p.Targets
	}
	now.Targets["a_03"] = []int{0, 2}
	r, err := CrossValidation(model, nil, Today{Listing: now, Files: map[string]string{"a_01": "sha256:a_01"}})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Warnings, "\n")
	for _, want := range []string{"the classes of 1 cases have changed", "a_03", "1 validated cases are not in dataset.json any more and left out: a_05", "t_00 [0 0] -> [1 0]"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing says %q in\n%s", want, said)
		}
	}
	if r.Cases != 5 || r.Predictions[3].Targets[0] != 0 || r.Predictions[3].Targets[1] != 2 {
		t.Errorf("%d cases, %+v", r.Cases, r.Predictions[3])
	}
	if _, err := CrossValidation(model, nil, Today{Files: map[string]string{"a_01": "sha256:changed"}}); err == nil || !strings.Contains(err.Error(), "a_01") || !slices.ContainsFunc(remedy.Of(err), func(r remedy.Remedy) bool { t, ok := r.(remedy.Train); return ok && t.Mode == remedy.Validate }) {
		t.Errorf("with another image: %v", err)
	}
	other := *now
	other.Labels = []task.Label{{Name: "Lesion", Values: []string{"yes", "no"}}, twoLabels[1]}
	if _, err := CrossValidation(model, nil, Today{Listing: &other}); err == nil || !strings.Contains(err.Error(), "yes, no") {
		t.Errorf("with exchanged names: %v", err)
	}
	if _, err := CrossValidation(model, nil, Today{Listing: &task.Snapshot{Path: "dataset.json", Labels: twoLabels, Targets: map[string][]int{"x": {0, 0}}}}); err == nil {
		t.Error("measured cases that are all gone")
	}
}

// Folds of earlier versions are pooled with one warning; another recipe is worth one, another seed is not.
func TestNotesOnOrigins(t *testing.T) {
	model := t.TempDir()
	writeToyFold(t, model, "0", toyFold("a", 6))
	writeToyFold(t, model, "1", toyFold("b", 6))
	other := network("a_00")
	other.Recipe = json.RawMessage(`{"epochs": 9, "seed": 3}`)
	same := network("a_00")
	same.Recipe = json.RawMessage(`{"epochs": 5, "seed": 2}`)
	validated(t, model, "2", writeNetwork(t, model, "2", 1, network("a_00")), toyFold("c", 6))
	validated(t, model, "3", writeNetwork(t, model, "3", 2, same), toyFold("d", 6))
	validated(t, model, "4", writeNetwork(t, model, "4", 3, other), toyFold("e", 6))
	r, err := CrossValidation(model, nil, Today{})
	if err != nil {
		t.Fatal(err)
	}
	var earlier, recipes int
	for _, w := range r.Warnings {
		if strings.Contains(w, "folds 0, 1 were trained or validated by an earlier version") {
			earlier++
		}
		if strings.Contains(w, "another recipe") {
			recipes++
			if !strings.Contains(w, "fold 4") || !strings.Contains(w, "epochs 5 -> 9") || strings.Contains(w, "seed") {
				t.Errorf("said %q", w)
			}
		}
	}
	if earlier != 1 || recipes != 1 {
		t.Errorf("said %q", r.Warnings)
	}
}
