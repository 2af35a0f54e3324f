package cohort

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
)

// The network sees the same of a case, bit for bit, in training (stored, read and fed without augmentation), in the
// trainer's validation batches and in prediction.
func TestTrainingAndPredictionSeeTheSameInput(t *testing.T) {
	for _, modality := range []string{"MRI", "CT"} {
		f := cohorttest.MakeTask(t, modality, cohorttest.Cases(3))
		own := mustRun(t, f, Options{})
		for _, masked := range []bool{false, true} { // normalised within the mask, which clears what lies outside
			given := *own
			given.UseMaskForNorm = slices.Repeat([]bool{masked}, len(own.Modalities))
			file := filepath.Join(t.TempDir(), "plans.json")
			if err := given.Save(file); err != nil {
				t.Fatal(err)
			}
			name := map[bool]string{false: "WHOLE", true: "MASKED"}[masked]
			p := mustRun(t, f, Options{OverwritePlans: file, OverwriteIdentifier: name})
			predicted := predictionInput(t, f, p)
			d, err := dataset.Open(f.Stage(cohorttest.Task, p.DataIdentifier), []string{"c_2"})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			shape := d.Shape()
			off := augment.Params{MaskForNorm: p.UseMaskForNorm, ROILabels: p.NumClasses}
			pipeline := augment.NewPipeline(off, [3]int(shape[1:]), len(p.Modalities))
			for phase, feed := range map[string]func([]float32){
				"training":   func(data []float32) { pipeline.Apply(rand.New(rand.NewPCG(1, 2)), data) },
				"validation": pipeline.ApplyValidation,
			} {
				data := make([]float32, len(predicted))
				if err := d.Read(0, data); err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(data, -1) {
					t.Fatal("no voxel of the mask lies outside, so there is nothing to compare")
				}
				feed(data)
				sameBits(t, modality+" "+name+" "+phase, data, predicted)
			}
		}
	}
}

// predictionInput is what the network sees of case c_2 in a prediction.
func predictionInput(t *testing.T, f task.Folders, p *plan.Plans) []float32 {
	t.Helper()
	image, mask := cohorttest.CaseFiles(f, 2)
	c, err := preprocess.Case(t.Context(), task.Case{ID: "x", Images: []string{image}, Mask: mask}, p)
	if err != nil {
		t.Fatal(err)
	}
	preprocess.NetworkInput(c.Data, c.Data, c.Shape, p.NumClasses)
	return c.Data
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, v := range want {
		if math.Float32bits(got[i]) != math.Float32bits(v) {
			t.Fatalf("%s: voxel %d is %g, but %g in prediction", what, i, got[i], v)
		}
	}
}
