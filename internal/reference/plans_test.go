package reference

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/torch"
	"github.com/universal-classifier/uc/internal/weights"
)

// somePlans are plans as this program makes them, for two modalities and two labels.
func somePlans() *plan.Plans {
	statistics := fingerprint.Statistics{Median: 1, Mean: 2.5, SD: 3, Min: -1000, Max: 9, Percentile00: -900, Percentile99: 8}
	return &plan.Plans{
		NumStages: 1, NumModalities: 2, Modalities: []string{"CT", "MRI"}, NormalizationSchemes: []string{plan.NormCT, plan.NormNonCT},
		DatasetProperties: &fingerprint.Fingerprint{
			AllSizes: [][3]int{{20, 30, 40}}, AllSpacings: [][3]float64{{1, 0.5, 0.7}}, AllClasses: []int{1, 2}, AllClassificationLabels: [][]int{{0, 1}, {0, 1, 2}},
			Modalities:          []string{"CT", "MRI"},
			IntensityProperties: []*fingerprint.Intensity{{LocalProps: map[string]fingerprint.Statistics{"a": statistics}, Statistics: statistics}, {LocalProps: map[string]fingerprint.Statistics{"a": statistics}, Statistics: statistics}},
			SizeReductions:      map[string]float64{"a": 0.25}, MaxDimensions: [3]float64{20, 15, 28},
		},
		ListOfNpzFiles: []string{"a.npz"}, OriginalSpacings: [][3]float64{{1, 0.5, 0.7}}, OriginalSizes: [][3]int{{20, 30, 40}},
		NumClasses: 2, AllClasses: []int{1, 2}, NumClassificationClasses: []int{2, 3}, AllClassificationLabels: [][]int{{0, 1}, {0, 1, 2}},
		UseMaskForNorm: []bool{false, true}, TransposeForward: [3]int{2, 0, 1}, TransposeBackward: [3]int{1, 2, 0}, DataIdentifier: plan.DataIdentifier,
		PlansPerStage:    []plan.StagePlan{{BatchSize: 2, ImageSize: [3]int{20, 30, 40}, CurrentSpacing: [3]float64{1, 0.5, 0.7}, OriginalSpacing: [3]float64{1, 0.5, 0.7}, DoDummy2D: true}},
		PreprocessorName: "UniversalClassifierPreprocessor", TaskName: "Task001_X",
		Labels: []task.Label{{Name: "label_0", Values: []string{"0", "1"}}, {Name: "label_1", Values: []string{"0", "1", "2"}}},
	}
}

func TestWrittenModelsAreReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Task001_X", "ClassifierTrainer__"+plan.Identifier)
	sd := weights.NewStateDict()
	sd.Set("conv.weight", &weights.Tensor{Shape: []int{1, 2}, F32: []float32{1, 2}})
	sd.Set("norm.running_mean", &weights.Tensor{Shape: []int{1}, F32: []float32{3}})
	folds := []Fold{{Name: "3", Weights: sd, TrainLosses: []float64{0.7, 0.6}, ValLosses: []float64{0.8, 0.7}}, {Name: "all", Weights: sd}}
	if err := WriteModel(t.Context(), dir, somePlans(), folds, progress.Discard); err != nil {
		t.Fatal(err)
	}
	want := somePlans()
	want.MasksUnknown = true
	got, err := ReadPlans(filepath.Join(dir, PlansFile))
	if err != nil {
		t.Fatal(err)
	}
	samePlans(t, got, want)
	for _, name := range []string{"fold_3", "all"} {
		file := CheckpointFile(filepath.Join(dir, name), finalCheckpoint)
		back, extras, err := torch.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, sd) {
			t.Errorf("%s: %v, want %v", name, back, sd)
		}
		if name == "fold_3" && extras["epoch"] != int64(2) {
			t.Errorf("epoch %v, want 2, the number of losses: the reference compares the two", extras["epoch"])
		}
		info, err := torch.ReadPickle(file + ".pkl")
		if err != nil {
			t.Fatal(err)
		}
		fold := info.(map[string]any)["init"].([]any)[1]
		if want := map[string]any{"fold_3": int64(3), "all": "all"}[name]; fold != want {
			t.Errorf("%s: trained as fold %v, want %v", name, fold, want)
		}
	}
}

// samePlans compares all but the case ids, which the reference does not keep.
func samePlans(t *testing.T, got, want *plan.Plans) {
	t.Helper()
	g, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.MarshalIndent(want, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("got %s\nwant %s", g, w)
	}
}

func TestPlansOfTheReferenceAreRead(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testutil.Shared(t, "reference", "interop", "plans"), "*.pkl"))
	if len(files) != 8 {
		t.Fatalf("%d plans, expected 8", len(files))
	}
	for _, file := range files {
		variant := strings.TrimSuffix(filepath.Base(file), ".pkl")
		raw, err := os.ReadFile(testutil.Shared(t, "reference", "preprocessing", variant, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var expected struct{ Plans *plan.Plans }
		if err := json.Unmarshal(raw, &expected); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPlans(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := task.ParseName(got.TaskName); !ok || !MadeUpNames(got) || !got.MasksUnknown {
			t.Errorf("%s: task %q, labels %v, masks unknown %v", variant, got.TaskName, got.Labels, got.MasksUnknown)
		}
		want := expected.Plans
		want.ListOfNpzFiles = baseNames(want.ListOfNpzFiles)
		want.PreprocessedDataFolder, want.TaskName, want.Labels, want.MasksUnknown = "", got.TaskName, got.Labels, true
		samePlans(t, got, want)
	}
}

func TestUndefinedStatisticsOnlyMatterWhereTheyAreUsed(t *testing.T) {
	dir := t.TempDir()
	for _, ct := range []bool{false, true} {
		p := somePlans()
		if !ct {
			p.NormalizationSchemes[0] = plan.NormNonCT
		}
		p.DatasetProperties.IntensityProperties[1].Mean = math.NaN()
		file := filepath.Join(dir, PlansFile)
		if err := torch.WritePickle(file, pickledPlans(p)); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPlans(file)
		if ct && err == nil || !ct && (err != nil || got.DatasetProperties.IntensityProperties != nil) {
			t.Errorf("ct %v: got %v, %v", ct, got, err)
		}
	}
}

func TestOtherPicklesAreNotPlans(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]any{
		"list": []any{1}, "empty": torch.Dict{}, "stages": torch.Dict{{Key: "plans_per_stage", Value: 1}, {Key: "modalities", Value: 1},
			{Key: "num_classification_classes", Value: 1}, {Key: "normalization_schemes", Value: 1}},
	} {
		file := filepath.Join(dir, name)
		if err := torch.WritePickle(file, value); err != nil {
			t.Fatal(err)
		}
		if p, err := ReadPlans(file); err == nil || !strings.Contains(err.Error(), "not plans") {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
}

func TestNamesComeFromDatasetJSON(t *testing.T) {
	p := somePlans()
	p.MasksUnknown = true
	l := &task.Listing{Labels: []task.Label{{Name: "A", Values: []string{"no", "yes"}}, {Name: "B", Values: []string{"x", "y", "z"}}}, Masks: task.MasksReal}
	if err := Name(p, l); err != nil || p.Labels[0].Name != "A" || !p.RealMasks || p.MasksUnknown {
		t.Errorf("got %v, %v, %v (%v)", p.Labels, p.RealMasks, p.MasksUnknown, err)
	}
	l.Labels[1].Values = l.Labels[1].Values[:2]
	if err := Name(p, l); err == nil || !strings.Contains(err.Error(), `"B" has 2 values`) {
		t.Errorf("other classes: got %v", err)
	}
}
