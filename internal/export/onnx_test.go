package export

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/onnx/onnxtest"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/weights"
)

// TestONNX runs an exported ensemble on a vector of its self-test and reads what the file says of itself.
func TestONNX(t *testing.T) {
	m := formulaModel("0", "all")
	for _, fold := range m.Folds {
		weights.Formula(fold.Weights, "#"+fold.Name, 1.6)
	}
	m.Plans.Labels[0].Name = "input" // also a label of that name
	m.Plans.NumClasses, m.Plans.ListOfNpzFiles = 2, []string{"secret.npz"}
	m.Plans.PlansPerStage = indexed.List[plan.StagePlan]{{ImageSize: [3]int{32, 48, 40}, CurrentSpacing: [3]float64{3, 1, 1}}}
	m.Plans.NormalizationSchemes, m.Plans.UseMaskForNorm = indexed.List[string]{plan.NormCT}, indexed.List[bool]{true}
	m.Plans.DatasetProperties = &fingerprint.Fingerprint{
		CaseIDs: []string{"secret"}, SizeReductions: map[string]float64{"secret": 1},
		IntensityProperties: indexed.List[*fingerprint.Intensity]{{Statistics: fingerprint.Statistics{Mean: 12.5}, LocalProps: map[string]fingerprint.Statistics{"secret": {}}}},
	}
	files := write(t, "onnx", filepath.Join(t.TempDir(), "new", "model.onnx"), m, true)
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "secret") {
		t.Error("the file names a case")
	}
	f := onnxtest.Read(t, b)
	if f.Opset < 17 || len(f.Inputs) != 1 || f.Inputs[0].Name != "input_" || !slices.Equal(f.Inputs[0].Dims, []string{"batch", "2", "depth", "height", "width"}) {
		t.Errorf("opset %d, inputs %+v", f.Opset, f.Inputs)
	}
	if len(f.Outputs) != 2 || f.Outputs[0].Name != "input" || f.Outputs[1].Name != "B" || !slices.Equal(f.Outputs[1].Dims, []string{"batch", "3"}) {
		t.Errorf("outputs %+v", f.Outputs)
	}
	var pre preprocessing
	if err := json.Unmarshal([]byte(f.Metadata[metaPreprocessing]), &pre); err != nil {
		t.Fatal(err)
	}
	if pre.Size != [3]int{32, 48, 40} || pre.Spacing != [3]float64{3, 1, 1} || pre.MaskDivisor != 3 || len(pre.Normalization) != 1 ||
		pre.Normalization[0].Scheme != plan.NormCT || !pre.Normalization[0].UseMask || pre.Normalization[0].Cohort.Mean != 12.5 {
		t.Errorf("preprocessing %+v", pre)
	}
	var labels []onnxLabel
	if err := json.Unmarshal([]byte(f.Metadata[metaLabels]), &labels); err != nil || len(labels) != 2 || labels[1].Name != "B" || len(labels[1].Values) != 3 {
		t.Errorf("labels %v, %v", labels, err)
	}
	if f.Metadata[metaFolds] != `["0","all"]` || f.Metadata[metaTask] != "Task001_X" || m.Plans.ListOfNpzFiles == nil {
		t.Errorf("metadata %v", f.Metadata)
	}
	vectors, err := npz.Read(strings.TrimSuffix(files[0], ".onnx") + ".selftest.npz")
	if err != nil || len(vectors) != 3*len(selfTestShapes) {
		t.Fatalf("%d arrays, %v", len(vectors), err)
	}
	const small = 2
	x := vectors[fmt.Sprintf("input_%d", small)]
	values := f.Run(t, map[string]onnxtest.Tensor{"input_": {Shape: x.Shape, F: x.Floats()}})
	for k, name := range []string{"input", "B"} {
		for i, want := range vectors[fmt.Sprintf("probabilities_%d_%d", small, k)].Float64s() {
			if got := float64(values[name].F[i]); math.Abs(got-want) > 1e-5 {
				t.Errorf("label %s, class %d: %g, want %g", name, i, got, want)
			}
		}
	}
}
