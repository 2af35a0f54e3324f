package model

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// spoken keeps what a model says when it is opened.
type spoken struct {
	progress.Reporter
	notes, warnings []string
}

func (s *spoken) Note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}
func (s *spoken) Warn(format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

func listen() *spoken { return &spoken{Reporter: progress.Discard} }

// writeReference writes a model folder of the reference below results.
func writeReference(t *testing.T, results, name string, folds ...string) (dir string) {
	t.Helper()
	p := &plan.Plans{
		NumStages: 1, NumModalities: 1, Modalities: []string{"MRI"}, NormalizationSchemes: []string{plan.NormNonCT}, UseMaskForNorm: []bool{true},
		NumClasses: 1, AllClasses: []int{1}, DataIdentifier: plan.DataIdentifier, TransposeForward: [3]int{0, 1, 2}, TransposeBackward: [3]int{0, 1, 2},
		PlansPerStage:    []plan.StagePlan{{BatchSize: 2, ImageSize: [3]int{16, 16, 16}, CurrentSpacing: [3]float64{1, 1, 1}, OriginalSpacing: [3]float64{1, 1, 1}}},
		PreprocessorName: "UniversalClassifierPreprocessor", TaskName: name, Labels: []task.Label{{Name: "ill", Values: []string{"no", "yes"}}},
		DatasetProperties: &fingerprint.Fingerprint{AllSizes: [][3]int{{16, 16, 16}}, AllSpacings: [][3]float64{{1, 1, 1}}, Modalities: []string{"MRI"}},
	}
	sd := i3d.EmptyStateDict(i3d.Config{InChannels: 2, Outputs: []int{2}})
	var written []reference.Fold
	for _, f := range folds {
		written = append(written, reference.Fold{Name: f, Weights: i3d.ReferenceStateDict(sd)})
	}
	dir = task.Folders{Results: results}.Model(name, task.DefaultTrainer, task.DefaultPlans)
	if err := reference.WriteModel(t.Context(), dir, p, written, progress.Discard); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpenFindsTheModelBelowAnArtifact(t *testing.T) {
	results := filepath.Join(t.TempDir(), "[artifact]")
	dir := writeReference(t, results, "Task8080_Ill", "all")
	if err := os.Mkdir(filepath.Join(dir, "fold_0"), 0o755); err != nil { // as the reference's predict() leaves it
		t.Fatal(err)
	}
	for _, from := range []string{results, filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir} {
		heard := listen()
		m, err := Open(from, Options{}, heard)
		if err != nil {
			t.Fatal(err)
		}
		if m.Dir != dir || !m.Reference || m.Plans.TaskName != "Task8080_Ill" || !reflect.DeepEqual(m.Names(), []string{"all"}) {
			t.Errorf("%s: opened %s, task %s, folds %v", from, m.Dir, m.Plans.TaskName, m.Names())
		}
		if len(heard.warnings) != 2 || !strings.Contains(heard.warnings[0], "masks") || !strings.Contains(heard.warnings[1], "label_0") {
			t.Errorf("%s: warned %q", from, heard.warnings)
		}
	}
	writeReference(t, results, "Task009_Other", "0")
	if _, err := Open(results, Options{}, listen()); err == nil || !strings.Contains(err.Error(), "2 models") {
		t.Errorf("two models: got %v", err)
	}
	if _, err := Open(t.TempDir(), Options{}, listen()); err == nil || !strings.Contains(err.Error(), "no trained model") {
		t.Errorf("no model: got %v", err)
	}
}

func TestDatasetJSONInTheModelFolderNamesLabels(t *testing.T) {
	dir := writeReference(t, t.TempDir(), "Task001_Ill", "0")
	write := func(classes string) {
		text := `{"classification_labels": [{"name": "ill", "values": {` + classes + `}}], "labels": {"0": "background", "1": "liver"}}`
		if err := os.WriteFile(filepath.Join(dir, task.DatasetFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(`"0": "no", "1": "yes"`)
	heard := listen()
	m, err := Open(dir, Options{}, heard)
	if err != nil {
		t.Fatal(err)
	}
	if m.Plans.Labels[0].Name != "ill" || !m.Plans.RealMasks || m.Plans.MasksUnknown || len(heard.warnings) != 0 {
		t.Errorf("labels %v, real masks %v, warnings %q", m.Plans.Labels, m.Plans.RealMasks, heard.warnings)
	}
	write(`"0": "no", "1": "yes", "2": "very"`)
	if _, err := Open(dir, Options{}, listen()); err == nil || !strings.Contains(err.Error(), "3 values") {
		t.Errorf("another task's: got %v", err)
	}
}

func TestConvertKeepsWeights(t *testing.T) {
	m, err := Open(writeReference(t, t.TempDir(), "Task001_Ill", "0"), Options{}, listen())
	if err != nil {
		t.Fatal(err)
	}
	weights.Formula(m.Folds[0].Weights, "#convert", 1)
	to := filepath.Join(t.TempDir(), "model")
	if err := m.Convert(t.Context(), to, progress.Discard); err != nil {
		t.Fatal(err)
	}
	heard := listen()
	back, err := Open(to, Options{}, heard)
	if err != nil {
		t.Fatal(err)
	}
	if back.Reference || !reflect.DeepEqual(back.Folds[0].Weights, m.Folds[0].Weights) || !back.Plans.MasksUnknown {
		t.Error("the converted model differs")
	}
	if len(heard.warnings) == 0 || !strings.Contains(heard.warnings[0], "masks") {
		t.Errorf("warned %q", heard.warnings)
	}
	if err := m.Convert(t.Context(), to, progress.Discard); err == nil {
		t.Error("a second model was written over the first")
	}
}

func TestCheckpointsThatDoNotFitAreRefused(t *testing.T) {
	dir := writeReference(t, t.TempDir(), "Task001_Ill", "0")
	for name, test := range map[string]struct {
		content, want string
	}{
		"hostile":  {"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.", `"system" of "posix"`},
		"nothing":  {"", "fold 0"},
		"not here": {"-", "is not trained"},
	} {
		path := reference.CheckpointFile(filepath.Join(dir, "fold_0"), checkpoint.Final)
		os.Remove(path)
		if test.content != "-" {
			if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(dir, Options{Folds: []string{"0"}}, listen()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
