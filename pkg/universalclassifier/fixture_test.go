package universalclassifier_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/universalclassifier"
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range made {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

var made []string // folders to remove

// phantomCohort makes a data root with the raw task 900: six cases to train with, two held out.
func phantomCohort() string {
	root, err := os.MkdirTemp("", "universalclassifier")
	if err == nil {
		made = append(made, root)
		err = phantom.Generate(context.Background(), root, phantom.Options{Cases: 6, TestCases: 2, Seed: 1}, progress.Discard)
	}
	if err != nil {
		panic(err)
	}
	return root
}

// heldOut are the held-out cases of a phantom cohort.
func heldOut(root string) []universalclassifier.Case {
	raw := filepath.Join(root, "raw", "nnUNet_raw_data", "Task900_Phantom")
	images, err := filepath.Glob(filepath.Join(raw, "imagesTs", "*_0000.nii.gz"))
	if err != nil || len(images) != 2 {
		panic(fmt.Sprint(images, err))
	}
	var cases []universalclassifier.Case
	for _, image := range images {
		id := filepath.Base(image)[:len(filepath.Base(image))-len("_0000.nii.gz")]
		cases = append(cases, universalclassifier.Case{ID: id, Images: []string{image}, Mask: filepath.Join(raw, "labelsTs", id+".nii.gz")})
	}
	return cases
}

// short is two steps of training.
func short() universalclassifier.TrainOptions {
	return universalclassifier.TrainOptions{Epochs: 1, Iterations: 2, ValIterations: 1, BatchSize: 2, Device: "cpu", Deterministic: true}
}

// trainedCohort is a data root whose folds 0 and 1 have had two steps of training.
var trainedCohort = sync.OnceValue(func() string {
	root, ctx := phantomCohort(), context.Background()
	w, err := universalclassifier.OpenWorkspace(root)
	if err == nil {
		_, err = w.Preprocess(ctx, "900", universalclassifier.PreprocessOptions{})
	}
	for fold := universalclassifier.Fold(0); fold < 2 && err == nil; fold++ {
		_, err = w.Train(ctx, "900", fold, short())
	}
	if err != nil {
		panic(err)
	}
	return root
})

// measuredCohort is a data root with the task 1, whose folds 0 and 1 are validated: 80 cases of 40 patients at two
// sites, and a network that guesses for women. It also returns a table of the patients' ages.
func measuredCohort() (root, ages string) {
	root, err := os.MkdirTemp("", "universalclassifier")
	if err != nil {
		panic(err)
	}
	made = append(made, root)
	folders, err := task.ResolveFolders(root)
	if err != nil {
		panic(err)
	}
	const name = "Task001_Measured"
	rng := rand.New(rand.NewPCG(5, 6))
	var training []map[string]any
	of := [2]evaluate.Fold{}
	table := "patient,age\n"
	for i := range 80 {
		id, class, woman := fmt.Sprintf("case_%03d", i), rng.IntN(2), i/2%2 == 0
		training = append(training, map[string]any{"image": "./imagesTr/" + id + ".nii.gz", "Lesion": class, "patient": fmt.Sprint("P", i/2),
			"site": string(rune('A' + i/4%2)), "covariates": map[string]any{"sex": map[bool]string{true: "f", false: "m"}[woman]}})
		if i%2 == 0 {
			table += fmt.Sprintf("P%d,%d\n", i/2, 40+i/2)
		}
		skill := 4.0
		if woman {
			skill = 0
		}
		logits := []float64{0, skill*(float64(class)-0.5) + rng.NormFloat64()}
		of[i/40].Predictions = append(of[i/40].Predictions, evaluate.Prediction{Case: id, Fold: fmt.Sprint(i / 40), Targets: []int{class},
			Logits: [][]float64{logits}, Probabilities: [][]float64{evaluate.Softmax(logits)}})
	}
	dataset, err := json.Marshal(map[string]any{"name": "Measured", "modality": map[string]string{"0": "CT"}, "training": training, "test": []string{},
		"classification_labels": []any{map[string]any{"name": "Lesion", "ordinal": false, "values": map[string]string{"0": "benign", "1": "malignant"}}}})
	ages = filepath.Join(root, "ages.csv")
	err = errors.Join(err, os.MkdirAll(folders.RawTask(name), 0o755), os.WriteFile(filepath.Join(folders.RawTask(name), "dataset.json"), dataset, 0o644),
		os.WriteFile(ages, []byte(table), 0o644))
	for number, f := range of {
		f.Labels = []task.Label{{Name: "Lesion", Values: []string{"benign", "malignant"}}}
		dir := folders.Fold(name, task.DefaultTrainer, task.DefaultPlans, fmt.Sprint(number))
		err = errors.Join(err, evaluate.WriteFold(filepath.Join(dir, evaluate.ValidationFolder), &f))
	}
	if err != nil {
		panic(err)
	}
	return root, ages
}

// stopIn is a Progress that ends a context with the first item of a stage.
type stopIn struct {
	stage string
	stop  context.CancelFunc

	mu  sync.Mutex
	now string
}

func (s *stopIn) Stage(name string, _ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = name
}

func (s *stopIn) Advance(string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == s.stage {
		s.stop()
	}
}
