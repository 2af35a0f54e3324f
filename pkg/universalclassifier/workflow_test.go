package universalclassifier_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/pkg/universalclassifier"
)

func TestFromRawScansToPredictions(t *testing.T) {
	root := t.TempDir()
	if err := phantom.Generate(t.Context(), root, phantom.Options{Cases: 6, TestCases: 2, Seed: 1}, progress.Discard); err != nil {
		t.Fatal(err)
	}
	w, err := universalclassifier.OpenWorkspace(root)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := w.Tasks()
	if err != nil || !reflect.DeepEqual(tasks, []string{"Task900_Phantom"}) {
		t.Fatalf("tasks %v (%v)", tasks, err)
	}
	if _, err := w.OpenModel("900", universalclassifier.ModelOptions{}); err == nil || !strings.Contains(err.Error(), "no trained model") {
		t.Errorf("opened a model before training: %v", err)
	}
	if err := w.Plan(t.Context(), "900", universalclassifier.PreprocessOptions{Threads: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Train(t.Context(), "900", 0, universalclassifier.TrainOptions{}); err == nil || !strings.Contains(err.Error(), "not preprocessed") {
		t.Errorf("trained without preprocessed cases: %v", err)
	}
	if err := w.Preprocess(t.Context(), "900", universalclassifier.PreprocessOptions{Threads: 1, Verify: true}); err != nil {
		t.Fatal(err)
	}
	training, err := w.Train(t.Context(), "900", universalclassifier.AllCases, universalclassifier.TrainOptions{
		Epochs: 1, Iterations: 2, ValIterations: 1, BatchSize: 2, Device: "cpu", Deterministic: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(training.Dir) != "all" || len(training.TrainLosses) != 1 || len(training.Labels) != 2 || len(training.Labels[1].AUC) != 3 {
		t.Errorf("training %+v", training)
	}

	model, err := w.OpenModel("Task900_Phantom", universalclassifier.ModelOptions{DisableTTA: true, Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	if labels := model.Labels(); labels[0].Name != "Lesion" || len(labels[1].Values) != 3 || !model.WantMasks() || model.Modalities() != 1 {
		t.Errorf("labels %v, masks %v, %d modalities", labels, model.WantMasks(), model.Modalities())
	}
	raw := filepath.Join(root, "raw", "nnUNet_raw_data", "Task900_Phantom")
	images, _ := filepath.Glob(filepath.Join(raw, "imagesTs", "*_0000.nii.gz"))
	if len(images) != 2 {
		t.Fatalf("held-out images: %v", images)
	}
	var group sync.WaitGroup
	for _, image := range images {
		id := strings.TrimSuffix(filepath.Base(image), "_0000.nii.gz")
		group.Go(func() {
			p, err := model.Predict(t.Context(), universalclassifier.Case{ID: id, Images: []string{image}, Mask: filepath.Join(raw, "labelsTs", id+".nii.gz")})
			if err != nil {
				t.Error(err)
				return
			}
			if p.Case != id || len(p.Classes) != 2 || len(p.Probabilities[1]) != 3 {
				t.Errorf("%+v", p)
			}
			for _, of := range p.Probabilities {
				sum := 0.0
				for _, v := range of {
					sum += v
				}
				if sum < 1-1e-9 || sum > 1+1e-9 {
					t.Errorf("probabilities %v", of)
				}
			}
		})
	}
	group.Wait()
}
