// Package predict applies the trained folds of a model to new cases.
package predict

import (
	"context"
	"errors"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// Options says which networks of a model predict, and how.
type Options struct {
	Folds      []string // "0", "1", ... or "all"; none: all trained folds found, "all" only if it is alone
	Checkpoint string   // default checkpoint.Final
	Device     string   // "auto", "cpu", "cuda", "cuda:1"
	Threads    int      // on the CPU, default all
	DisableTTA bool     // predict the case as it is, not its eight mirror images too
}

// Result is what a model says of a case.
type Result struct {
	evaluate.Prediction
	// Categorical is the class of the highest probability, per label.
	Categorical []int
}

// Failure is a case that could not be predicted.
type Failure struct {
	Case string
	Err  error
}

// Summary is the outcome of a folder of cases.
type Summary struct {
	Predicted, Kept int
	Failed          []Failure
	CSV, JSON       string // files for people
}

// Model is an opened model. It is safe for concurrent use; the networks themselves run one case after the other.
type Model struct{ labels []task.Label }

// Open loads the folds of the model in modelDir.
func Open(modelDir string, o Options, r progress.Reporter) (*Model, error) {
	return nil, errors.New("prediction: not built yet")
}

// Close gives the memory of the networks back.
func (m *Model) Close() {}

// Modalities is how many images a case needs.
func (m *Model) Modalities() int { return 0 }

// WantMasks says whether a case needs a mask of the region of interest (and must not have one otherwise).
func (m *Model) WantMasks() bool { return false }

// Labels are the classification labels predicted.
func (m *Model) Labels() []task.Label { return m.labels }

// Folds are the folds that are averaged.
func (m *Model) Folds() []string { return nil }

// Case predicts one case.
func (m *Model) Case(ctx context.Context, c task.Case) (*Result, error) { return nil, nil }

// Folder predicts cases into the folder out: <case>.npz each, predictions.csv and predictions.json. Existing results are kept
// unless overwrite. A case that fails is reported in the summary and does not stop the others.
func (m *Model) Folder(ctx context.Context, cases []task.Case, out string, overwrite bool, r progress.Reporter) (*Summary, error) {
	return nil, nil
}
