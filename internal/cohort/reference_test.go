package cohort

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
)

var variants = []string{"mri_roi", "mri_noroi", "mri_bigroi", "ct_roi", "aniso", "aniso_mixed", "twomod", "twomod_noroi"}

// expected is what the reference made of a variant.
type expected struct {
	Task       string                  `json:"task"`
	Properties fingerprint.Fingerprint `json:"dataset_properties"`
	Plans      struct {
		PlansPerStage    indexed.List[plan.StagePlan] `json:"plans_per_stage"`
		UseMaskForNorm   indexed.List[bool]           `json:"use_mask_for_norm"`
		TransposeForward [3]int                       `json:"transpose_forward"`
		NumClasses       int                          `json:"num_classes"`
	} `json:"plans"`
	Cases map[string]struct {
		NonzeroBox        preprocess.Bounds     `json:"nonzero_bbox"`
		ROIBox            preprocess.Bounds     `json:"roi_bbox_in_nonzero_crop"`
		CroppedShape      [4]int                `json:"cropped_shape"`
		CroppedSegValues  []float32             `json:"cropped_seg_values"`
		PreprocessedShape [4]int                `json:"preprocessed_shape"`
		SegValues         []float32             `json:"preprocessed_seg_values"`
		Mean              []float64             `json:"preprocessed_channel_mean"`
		SD                []float64             `json:"preprocessed_channel_std"`
		Properties        preprocess.Properties `json:"properties"`
	} `json:"cases"`
}

// rawTask copies a variant's raw task below a new data root and loads it.
func rawTask(t *testing.T, variant string) (*task.Task, expected) {
	t.Helper()
	dir := testutil.Shared(t, "reference", "preprocessing", variant)
	b, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want expected
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	folders, err := task.ResolveFolders(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	testutil.CopyFolder(t, filepath.Join(dir, "raw"), folders.RawTask(want.Task))
	loaded, err := task.Load(folders, want.Task)
	if err != nil {
		t.Fatal(err)
	}
	return loaded, want
}

func relativeError(got, want float64) float64 {
	if got == want {
		return 0
	}
	return math.Abs(got-want) / max(math.Abs(want), 1e-12)
}

func TestReference(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			raw, want := rawTask(t, variant)
			p, err := Preprocess(t.Context(), raw, Options{Workers: 2, KeepCropped: true}, progress.Discard)
			if err != nil {
				t.Fatal(err)
			}
			compareFingerprint(t, p.DatasetProperties, &want.Properties)
			stage := p.Stage()
			wanted := want.Plans.PlansPerStage[0]
			if stage.BatchSize != wanted.BatchSize || stage.ImageSize != wanted.ImageSize || stage.DoDummy2D != wanted.DoDummy2D ||
				p.TransposeForward != want.Plans.TransposeForward || !slices.Equal(p.UseMaskForNorm, want.Plans.UseMaskForNorm) || p.NumClasses != want.Plans.NumClasses {
				t.Errorf("plans %+v, want %+v", stage, wanted)
			}
			if p.RealMasks == strings.HasSuffix(variant, "_noroi") {
				t.Errorf("real_masks is %v", p.RealMasks)
			}
			dir := testutil.Shared(t, "reference", "preprocessing", variant)
			folder := raw.Folders.Stage(raw.Name, p.DataIdentifier)
			worst, worstMask, worstMoment := 0.0, 0.0, 0.0
			for id, w := range want.Cases {
				got, err := dataset.ReadProperties(folder, id)
				if err != nil {
					t.Fatal(err)
				}
				compareProperties(t, id, got, w.Properties)
				if got.NonzeroBox != w.NonzeroBox || got.CropBox != w.ROIBox {
					t.Errorf("%s: boxes %v %v, want %v %v", id, got.NonzeroBox, got.CropBox, w.NonzeroBox, w.ROIBox)
				}
				cropped := cohorttest.ReadData(t, dataset.ArraysFile(raw.Folders.CroppedTask(raw.Name), id))
				if [4]int(cropped.Shape) != w.CroppedShape {
					t.Errorf("%s: cropped shape %v, want %v", id, cropped.Shape, w.CroppedShape)
				}
				if v := lastChannelValues(cropped); !slices.Equal(v, w.CroppedSegValues) {
					t.Errorf("%s: mask values %v after cropping, want %v", id, v, w.CroppedSegValues)
				}
				if file := filepath.Join(dir, "cropped_"+id+".npz"); exists(file) {
					if !slices.Equal(cropped.Floats(), zeroNaN(cohorttest.ReadData(t, file).Floats())) {
						t.Errorf("%s: the cropped arrays differ", id)
					}
				}
				final := cohorttest.ReadData(t, dataset.ArraysFile(folder, id))
				if [4]int(final.Shape) != w.PreprocessedShape {
					t.Errorf("%s: shape %v, want %v", id, final.Shape, w.PreprocessedShape)
					continue
				}
				if v := lastChannelValues(final); !slices.Equal(v, w.SegValues) {
					t.Errorf("%s: mask values %v, want %v", id, v, w.SegValues)
				}
				worstMoment = max(worstMoment, compareMoments(t, id, final, w.Mean, w.SD))
				if file := filepath.Join(dir, "preprocessed_"+id+".npz"); exists(file) {
					data, mask := compareArrays(t, id, final, cohorttest.ReadData(t, file))
					worst, worstMask = max(worst, data), max(worstMask, mask)
				}
			}
			t.Logf("max difference %.2g, mask voxels that differ %.2g %%, channel moments %.2g", worst, 100*worstMask, worstMoment)
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// zeroNaN sets NaN to 0 as ITK's reader does; the reference data were read by nibabel, which keeps it.
func zeroNaN(data []float32) []float32 {
	for i, v := range data {
		if v != v {
			data[i] = 0
		}
	}
	return data
}

func lastChannelValues(a npz.Array) []float32 {
	data := a.Floats()
	values := slices.Clone(data[len(data)/a.Shape[0]*(a.Shape[0]-1):])
	slices.Sort(values)
	return slices.Compact(values)
}

func compareProperties(t *testing.T, id string, got, want preprocess.Properties) {
	t.Helper()
	if len(got.DataFiles) != len(want.DataFiles) || !strings.HasSuffix(want.SegFile, got.SegFile) {
		t.Errorf("%s: files %v %s, want %v %s", id, got.DataFiles, got.SegFile, want.DataFiles, want.SegFile)
	}
	for _, s := range [][2][3]float64{{got.OriginalSpacing, want.OriginalSpacing}, {got.SpacingAfterResampling, want.SpacingAfterResampling},
		{got.ITKSpacing, want.ITKSpacing}} {
		for d := range 3 {
			if relativeError(s[0][d], s[1][d]) > 1e-6 {
				t.Errorf("%s: spacing %v, want %v", id, s[0], s[1])
			}
		}
	}
	for d := range 3 {
		if math.Abs(got.ITKOrigin[d]-want.ITKOrigin[d]) > 1e-5 {
			t.Errorf("%s: origin %v, want %v", id, got.ITKOrigin, want.ITKOrigin)
		}
	}
	for d := range 9 {
		if math.Abs(got.ITKDirection[d]-want.ITKDirection[d]) > 1e-5 {
			t.Errorf("%s: direction %v, want %v", id, got.ITKDirection, want.ITKDirection)
		}
	}
	if got.OriginalSize != want.OriginalSize || got.CropBox != want.CropBox || got.SizeAfterCropping != want.SizeAfterCropping ||
		got.SizeAfterResampling != want.SizeAfterResampling || got.SizeAfterPad != want.SizeAfterPad || !slices.Equal(got.UseMaskForNorm, want.UseMaskForNorm) {
		t.Errorf("%s: properties\n got %+v\nwant %+v", id, got, want)
	}
}

func compareFingerprint(t *testing.T, got, want *fingerprint.Fingerprint) {
	t.Helper()
	if !slices.Equal(got.AllSizes, want.AllSizes) || !slices.Equal(got.AllClasses, want.AllClasses) ||
		!reflect.DeepEqual(got.AllClassificationLabels, want.AllClassificationLabels) || !slices.Equal(got.Modalities, want.Modalities) {
		t.Errorf("fingerprint\n got %+v\nwant %+v", got, want)
	}
	for i := range want.AllSpacings {
		for d := range 3 {
			if relativeError(got.AllSpacings[i][d], want.AllSpacings[i][d]) > 1e-6 {
				t.Errorf("spacing of case %d: %v, want %v", i, got.AllSpacings[i], want.AllSpacings[i])
			}
		}
	}
	for d := range 3 {
		if relativeError(got.MaxDimensions[d], want.MaxDimensions[d]) > 1e-6 {
			t.Errorf("max_dimensions %v, want %v", got.MaxDimensions, want.MaxDimensions)
		}
	}
	for id, w := range want.SizeReductions {
		if relativeError(got.SizeReductions[id], w) > 1e-12 {
			t.Errorf("size reduction of %s: %g, want %g", id, got.SizeReductions[id], w)
		}
	}
	if len(got.IntensityProperties) != len(want.IntensityProperties) {
		t.Fatalf("intensities of %d modalities, want %d", len(got.IntensityProperties), len(want.IntensityProperties))
	}
	worst := 0.0
	compare := func(what string, g, w fingerprint.Statistics) {
		a, b := reflect.ValueOf(g), reflect.ValueOf(w)
		for i := range a.NumField() {
			e := relativeError(a.Field(i).Float(), b.Field(i).Float())
			worst = max(worst, e)
			if e > 1e-5 {
				t.Errorf("%s: %s is %g, want %g", what, a.Type().Field(i).Name, a.Field(i).Float(), b.Field(i).Float())
			}
		}
	}
	for m, w := range want.IntensityProperties {
		g := got.IntensityProperties[m]
		compare("cohort", g.Statistics, w.Statistics)
		for id, local := range w.LocalProps {
			compare(id, g.LocalProps[id], local)
		}
	}
	if worst > 0 {
		t.Logf("intensity statistics: relative error %.2g", worst)
	}
}

// compareMoments compares the mean and standard deviation of every channel.
func compareMoments(t *testing.T, id string, a npz.Array, mean, sd []float64) float64 {
	t.Helper()
	data := a.Floats()
	n := len(data) / a.Shape[0]
	worst := 0.0
	for c := range a.Shape[0] {
		var sum, squares float64
		for _, v := range data[c*n : (c+1)*n] {
			sum += float64(v)
		}
		m := sum / float64(n)
		for _, v := range data[c*n : (c+1)*n] {
			squares += (float64(v) - m) * (float64(v) - m)
		}
		e := max(math.Abs(m-mean[c]), math.Abs(math.Sqrt(squares/float64(n))-sd[c]))
		worst = max(worst, e)
		if e > 1e-4 {
			t.Errorf("%s channel %d: mean %g sd %g, want %g %g", id, c, m, math.Sqrt(squares/float64(n)), mean[c], sd[c])
		}
	}
	return worst
}

// compareArrays returns the largest difference of the modalities and the part of the mask's voxels that differ.
func compareArrays(t *testing.T, id string, got, want npz.Array) (worst, wrong float64) {
	t.Helper()
	a, b := got.Floats(), want.Floats()
	n := len(a) / got.Shape[0]
	images := len(a) - n
	for i := range a[:images] {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	for i := images; i < len(a); i++ {
		if a[i] != b[i] {
			wrong++
		}
	}
	wrong /= float64(n)
	if worst > 1e-4 || wrong > 1e-4 {
		t.Errorf("%s: max difference %g, %g %% of the mask", id, worst, 100*wrong)
	}
	return worst, wrong
}
