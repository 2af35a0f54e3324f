package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/torch"
	"github.com/universal-classifier/uc/internal/weights"
)

// writeReferenceModel writes a small cohort's model folder as the reference leaves it and returns the folder of
// results.
func writeReferenceModel(t *testing.T, name string) (results string, sd *weights.StateDict) {
	t.Helper()
	p := &plan.Plans{
		NumStages: 1, NumModalities: 1, Modalities: []string{"MRI"}, NormalizationSchemes: []string{plan.NormNonCT}, UseMaskForNorm: []bool{true},
		NumClasses: 1, AllClasses: []int{1}, DataIdentifier: plan.DataIdentifier, TransposeForward: [3]int{0, 1, 2}, TransposeBackward: [3]int{0, 1, 2},
		PlansPerStage:    []plan.StagePlan{{BatchSize: 2, ImageSize: [3]int{16, 16, 16}, CurrentSpacing: [3]float64{1, 1, 1}, OriginalSpacing: [3]float64{1, 1, 1}}},
		PreprocessorName: "UniversalClassifierPreprocessor", TaskName: name, Labels: []task.Label{{Name: "ill", Values: []string{"no", "yes"}}},
		DatasetProperties: &fingerprint.Fingerprint{AllSizes: [][3]int{{16, 16, 16}}, AllSpacings: [][3]float64{{1, 1, 1}}, Modalities: []string{"MRI"}},
	}
	sd = i3d.EmptyStateDict(i3d.Config{InChannels: 2, Outputs: []int{2}})
	weights.Formula(sd, "#cli", 1)
	sd = i3d.ReferenceStateDict(sd)
	results = t.TempDir()
	dir := task.Folders{Results: results}.Model(name, task.DefaultTrainer, task.DefaultPlans)
	if err := reference.WriteModel(t.Context(), dir, p, []reference.Fold{{Name: "0", Weights: sd}}, progress.Discard); err != nil {
		t.Fatal(err)
	}
	return results, sd
}

func TestModelsOfTheReferenceComeInAndGoOutAgain(t *testing.T) {
	artifact, sd := writeReferenceModel(t, "Task8080_Ill")
	dataset := filepath.Join(t.TempDir(), "dataset.json")
	text := `{"classification_labels": [{"name": "ill", "values": {"0": "no", "1": "yes"}}], "labels": {"0": "background", "1": "foreground"}, "training": []}`
	if err := os.WriteFile(dataset, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	results := filepath.Join(root, "trained_models")

	r := uc("import-model", artifact, "-o", filepath.Join(root, "plain"), "--json")
	if r.code != ExitOK || !strings.Contains(r.stderr, "label_0 (classes 0 to 1)") || !strings.Contains(r.stderr, "(--masks ORIGIN)") {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	r = uc("import-model", artifact, "-o", results, "--dataset-json", dataset, "--masks", "generated", "--json")
	if r.code != ExitOK || strings.Contains(r.stderr, "warning") {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	var in imported
	if err := json.Unmarshal([]byte(r.stdout), &in); err != nil {
		t.Fatal(err)
	}
	if in.Task != "Task8080_Ill" || in.Masks != "generated" || !slices.Equal(in.Labels, []string{"ill"}) || !slices.Equal(in.Folds, []string{"0"}) {
		t.Errorf("got %+v", in)
	}
	p, err := plan.Load(filepath.Join(in.Folder, checkpoint.PlansFile))
	if err != nil || p.Labels[0].Values[1] != "yes" || p.MasksUnknown || p.RealMasks {
		t.Errorf("plans %+v (%v)", p, err)
	}
	if r := uc("import-model", artifact, "-o", results); r.code != ExitFailed || !strings.Contains(r.stderr, "holds a model already") {
		t.Errorf("a second import: exit code %d\n%s", r.code, r.stderr)
	}

	out := filepath.Join(root, "out")
	dir := strings.TrimSpace(ok(t, "export", "--data-root", root, "-t", "8080", "--format", "reference", "-o", out))
	back, err := torch.ReadAny(reference.CheckpointFile(filepath.Join(dir, "fold_0"), checkpoint.Final))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sd.Names() {
		if got, want := back.Get(name), sd.Get(name); got == nil || !slices.Equal(got.F32, want.F32) || !slices.Equal(got.I64, want.I64) {
			t.Fatalf("%s came back changed", name)
		}
	}
	if _, err := reference.ReadPlans(filepath.Join(dir, reference.PlansFile)); err != nil {
		t.Error(err)
	}
	refused(t, ExitFailed, []string{"exists already"}, "export", "--model", in.Folder, "--format", "reference", "-o", out)
}

func TestWrongImportsAndExportsAreUsageErrors(t *testing.T) {
	empty := t.TempDir()
	for _, test := range []struct {
		want string
		args []string
	}{
		{"missing argument DIR", []string{"import-model", "-o", "x"}},
		{"missing -o RESULTS", []string{"import-model", empty}},
		{"neither real nor generated", []string{"import-model", empty, "-o", "x", "--masks", "maybe"}},
		{"not a full name", []string{"import-model", empty, "-o", "x", "-t", "8"}},
		{"unknown format", []string{"export", "-t", "1", "--format", "caffe", "-o", "x"}},
		{"missing --format", []string{"export", "-t", "1", "-o", "x"}},
		{"missing -t TASK", []string{"export", "--format", "pytorch", "-o", "x"}},
		{"name two models", []string{"predict", "-i", "x", "-o", "y", "-t", "1", "--model", empty}},
		{"there is no folder", []string{"predict", "-i", "x", "-o", "y", "--model", filepath.Join(empty, "none")}},
	} {
		refused(t, ExitUsage, []string{test.want}, test.args...)
	}
	refused(t, ExitFailed, []string{"plans.pkl"}, "import-model", empty, "-o", "x")
}
