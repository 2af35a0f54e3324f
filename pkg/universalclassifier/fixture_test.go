package universalclassifier_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
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
