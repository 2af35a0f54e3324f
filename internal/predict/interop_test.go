package predict

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/weights"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// artifactRecord is what the reference's predict() returned for a model folder with formula weights.
type artifactRecord struct {
	Task       string
	PlansFrom  string   `json:"plans_from"`
	Modalities *int     `json:"modalities_instead"`
	Classes    []int    `json:"num_classification_classes"`
	Folders    []string `json:"fold_folders"`
	Salts      []string
	Gain       float64
	HeadBias   map[string][][]float32 `json:"head_bias"`
	Cases      []struct {
		Case    string
		Images  []string `json:"ordered_image_files"`
		Mask    *string  `json:"roi_segmentation_file"`
		Result  []json.RawMessage
		NoMask  json.RawMessage   `json:"result_with_the_roi_left_out"` // an exception where the case then is larger than the plans
		Reverse []json.RawMessage `json:"result_with_images_in_reverse"`
	}
}

// writeArtifact writes the model folder of a record below dir, as the reference lays it out.
func writeArtifact(t *testing.T, dir string, r artifactRecord) {
	t.Helper()
	var expected struct{ Plans *plan.Plans }
	testutil.ReadJSON(t, testutil.Shared(t, append([]string{"reference"}, strings.Split(r.PlansFrom, "/")...)...), &expected)
	p := expected.Plans
	if r.Modalities != nil {
		for len(p.Modalities) < *r.Modalities {
			p.Modalities = append(p.Modalities, p.Modalities[0])
			p.NormalizationSchemes = append(p.NormalizationSchemes, p.NormalizationSchemes[0])
			p.UseMaskForNorm = append(p.UseMaskForNorm, p.UseMaskForNorm[0])
		}
		p.DatasetProperties.Modalities = p.Modalities
	}
	p.TaskName, p.Labels = r.Task, nil
	for i, n := range r.Classes {
		p.Labels = append(p.Labels, task.Label{Name: fmt.Sprint(i), Values: make([]string, n)})
	}
	cfg := i3d.Config{InChannels: p.InputChannels(), Outputs: r.Classes}
	var folds []reference.Fold
	for i, folder := range r.Folders {
		sd := i3d.EmptyStateDict(cfg)
		weights.Formula(sd, r.Salts[i], r.Gain)
		for k, bias := range r.HeadBias[folder] {
			copy(sd.Get(fmt.Sprintf("linear_list.%d.bias", k)).F32, bias)
		}
		folds = append(folds, reference.Fold{Name: strings.TrimPrefix(folder, "fold_"), Weights: i3d.ReferenceStateDict(sd)})
	}
	to := task.Folders{Results: dir}.Model(r.Task, task.DefaultTrainer, task.DefaultPlans)
	if err := reference.WriteModel(t.Context(), to, p, folds, progress.Discard); err != nil {
		t.Fatal(err)
	}
}

// image returns an image of the record, made as its README says where it is derived from another.
func (artifactRecord) image(t *testing.T, name string) string {
	t.Helper()
	var k int
	var from string
	if n, _ := fmt.Sscanf(name, "derived %d of %s", &k, &from); n != 2 {
		return testutil.Shared(t, append([]string{"reference"}, strings.Split(name, "/")...)...)
	}
	im, err := nifti.ReadImage(testutil.Shared(t, append([]string{"reference"}, strings.Split(from, "/")...)...))
	if err != nil {
		t.Fatal(err)
	}
	size := im.Geometry.Size // z, y, x; the README counts x first
	out := make([]int16, len(im.Data))
	axis := 2 - k%3
	voxel := func(i int) int {
		if v := float64(im.Data[i]); !math.IsNaN(v) {
			return int(math.RoundToEven(v))
		}
		return 0
	}
	for i := range im.Data {
		a := voxel(i)
		if k > 0 {
			at := [3]int{i / (size[1] * size[2]), i / size[2] % size[1], i % size[2]}
			at[axis] = ((at[axis]-3*k)%size[axis] + size[axis]) % size[axis]
			rolled := voxel((at[0]*size[1]+at[1])*size[2] + at[2])
			a = ((a*(2*k+1)+rolled*(k+2))%1999 + 1999) % 1999
		}
		out[i] = int16(a)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("derived_%d.nii.gz", k))
	if err := nifti.WriteInt16(path, im.Geometry, out); err != nil {
		t.Fatal(err)
	}
	return path
}

// probabilities reads a result of the reference: the probability of class 1 for two classes, else all.
func probabilities(t *testing.T, result []json.RawMessage) [][]float64 {
	t.Helper()
	out := make([][]float64, len(result))
	for k, raw := range result {
		var one float64
		if json.Unmarshal(raw, &one) == nil {
			out[k] = []float64{1 - one, one}
		} else if err := json.Unmarshal(raw, &out[k]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestModelFoldersOfTheReferencePredictTheSame(t *testing.T) {
	dir := testutil.Shared(t, "reference", "interop", "predict")
	records, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(records) == 0 {
		t.Fatalf("no records in %s: %v", dir, err)
	}
	for _, path := range records {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			var r artifactRecord
			testutil.ReadJSON(t, path, &r)
			artifact := t.TempDir()
			writeArtifact(t, artifact, r)
			m := openModel(t, artifact, Options{FP32: true, DisableTTA: true})
			if !m.MasksUnknown() || m.Labels()[0].Name != "label_0" {
				t.Errorf("masks known, or label %q", m.Labels()[0].Name)
			}
			worst := 0.0
			predict := func(c task.Case, want []json.RawMessage) {
				got, err := m.Case(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				worst = max(worst, compare(t, c.ID, got.Probabilities, probabilities(t, want)))
			}
			for i, of := range r.Cases {
				c := task.Case{ID: of.Case}
				for _, name := range of.Images {
					c.Images = append(c.Images, r.image(t, name))
				}
				if of.Mask != nil {
					c.Mask = r.image(t, *of.Mask)
				}
				predict(c, of.Result)
				if i > 0 {
					continue
				}
				if of.Reverse != nil {
					slices.Reverse(c.Images)
					predict(c, of.Reverse)
				}
				var noMask []json.RawMessage
				if json.Unmarshal(of.NoMask, &noMask) == nil {
					c.Mask = ""
					predict(c, noMask)
				}
				if testing.Short() {
					break
				}
			}
			t.Logf("largest difference %.2g", worst)
		})
	}
}
