package predict

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/weights"
)

// tolerance of logits and probabilities against the reference in float32.
const tolerance = 1e-4

type referencePrediction struct {
	Salts      []string
	Gain       float64
	DoesNotFit *string `json:"case_that_does_not_fit"`
	Cases      []struct {
		Case       string
		InputShape [4]int    `json:"input_shape"`
		Mean       []float64 `json:"channel_mean"`
		SD         []float64 `json:"channel_std"`
		Folds      []struct{ Logits, Softmax [][]float64 }
		MeanLogits [][]float64 `json:"mean_logits"`
		MeanSoft   [][]float64 `json:"mean_softmax"`
	}
}

// writeModel writes a model folder with formula weights, one fold per salt.
func writeModel(t *testing.T, p *plan.Plans, salts []string, gain float64) string {
	t.Helper()
	dir := t.TempDir()
	if err := p.Save(filepath.Join(dir, checkpoint.PlansFile)); err != nil {
		t.Fatal(err)
	}
	cfg := i3d.Config{InChannels: p.InputChannels(), Outputs: p.Outputs()}
	for fold, salt := range salts {
		sd := i3d.EmptyStateDict(cfg)
		weights.Formula(sd, salt, gain)
		foldDir := filepath.Join(dir, task.FoldDir(fmt.Sprint(fold)))
		if err := os.Mkdir(foldDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := weights.WriteSafetensors(checkpoint.Path(foldDir, checkpoint.Final), sd, nil); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openModel(t *testing.T, dir string, o Options) *Model {
	t.Helper()
	o.Device = "cpu"
	m, err := Open(dir, o, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestPredictionsEqualTheReference(t *testing.T) {
	for _, variant := range []string{"mri_roi", "mri_noroi", "ct_roi", "aniso", "twomod"} {
		t.Run(variant, func(t *testing.T) {
			var want referencePrediction
			testutil.ReadJSON(t, testutil.Shared(t, "reference", "predictions", variant+".json"), &want)
			var expected struct{ Plans *plan.Plans }
			testutil.ReadJSON(t, testutil.Shared(t, "reference", "preprocessing", variant, "expected.json"), &expected)
			p := expected.Plans
			p.TaskName, p.RealMasks = "Task004_Hippocampus", variant != "mri_noroi"
			p.Labels = []task.Label{{Name: "A", Values: []string{"no", "yes"}}, {Name: "B", Values: []string{"no", "yes"}}}
			dir := writeModel(t, p, want.Salts, want.Gain)
			both := openModel(t, dir, Options{FP32: true, DisableTTA: true})
			single := []*Model{openModel(t, dir, Options{Folds: []string{"0"}, FP32: true, DisableTTA: true}), openModel(t, dir, Options{Folds: []string{"1"}, FP32: true, DisableTTA: true})}
			worst := 0.0
			for _, w := range want.Cases {
				c := referenceCase(t, variant, w.Case, p)
				input, err := both.prepare(t.Context(), input{Case: c})
				if err != nil {
					t.Fatal(err)
				}
				if shape := [4]int{len(input.data) / (input.shape[0] * input.shape[1] * input.shape[2]), input.shape[0], input.shape[1], input.shape[2]}; shape != w.InputShape {
					t.Fatalf("%s: input %v, want %v", w.Case, shape, w.InputShape)
				}
				for channel := range w.Mean {
					mean, sd := moments(input.data[channel*len(input.data)/len(w.Mean):][:len(input.data)/len(w.Mean)])
					if math.Abs(mean-w.Mean[channel]) > tolerance || math.Abs(sd-w.SD[channel]) > tolerance {
						t.Errorf("%s channel %d: mean %v, sd %v; want %v, %v", w.Case, channel, mean, sd, w.Mean[channel], w.SD[channel])
					}
				}
				for fold, m := range single {
					r, err := m.Case(t.Context(), c)
					if err != nil {
						t.Fatal(err)
					}
					worst = max(worst, compare(t, w.Case, r.Logits, w.Folds[fold].Logits), compare(t, w.Case, r.Probabilities, w.Folds[fold].Softmax))
				}
				r, err := both.Case(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				worst = max(worst, compare(t, w.Case, r.Logits, w.MeanLogits), compare(t, w.Case, r.Probabilities, w.MeanSoft))
			}
			t.Logf("largest difference %.2g over %d cases", worst, len(want.Cases))
			if want.DoesNotFit != nil {
				tooLarge(t, both, referenceCase(t, variant, *want.DoesNotFit, p), p)
			}
		})
	}
}

// tooLarge predicts a case larger than the plan, at which the reference stops: it keeps its own size.
func tooLarge(t *testing.T, m *Model, c task.Case, p *plan.Plans) {
	input, err := m.prepare(t.Context(), input{Case: c})
	if err != nil {
		t.Fatal(err)
	}
	size := p.Stage().ImageSize
	larger := false
	for axis := range 3 {
		larger = larger || input.shape[axis] > size[axis]
		if input.shape[axis] < size[axis] {
			t.Errorf("%s: shape %v is below the plan's %v", c.ID, input.shape, size)
		}
	}
	if !larger {
		t.Errorf("%s: shape %v fits the plan's %v", c.ID, input.shape, size)
	}
	if _, err := m.Case(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func referenceCase(t *testing.T, variant, id string, p *plan.Plans) task.Case {
	raw := testutil.Shared(t, "data", "raw", "nnUNet_raw_data", "Task004_Hippocampus")
	if slices.Contains([]string{"ct_roi", "aniso", "twomod"}, variant) {
		raw = testutil.Shared(t, "reference", "preprocessing", variant, "raw")
	}
	c := task.Case{ID: id}
	for k := range p.Modalities {
		c.Images = append(c.Images, findFile(t, raw, "images", fmt.Sprintf("%s_%04d.nii.gz", id, k)))
	}
	if p.RealMasks {
		c.Mask = findFile(t, raw, "labels", id+".nii.gz")
	}
	return c
}

// findFile looks in the training and the test folder of a task.
func findFile(t *testing.T, raw, kind, name string) string {
	for _, part := range []string{"Tr", "Ts"} {
		path := filepath.Join(raw, kind+part, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatalf("no %s in %s", name, raw)
	return ""
}

func compare(t *testing.T, id string, got, want [][]float64) float64 {
	t.Helper()
	worst := 0.0
	for k := range want {
		for i := range want[k] {
			worst = max(worst, math.Abs(got[k][i]-want[k][i]))
		}
	}
	if !(worst <= tolerance) || len(got) != len(want) {
		t.Errorf("%s: got %v, want %v", id, got, want)
	}
	return worst
}

// moments are mean and population standard deviation.
func moments(values []float32) (mean, sd float64) {
	for _, v := range values {
		mean += float64(v)
	}
	mean /= float64(len(values))
	for _, v := range values {
		sd += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, math.Sqrt(sd / float64(len(values)))
}
