// Package predict applies the trained folds of a model to new cases.
package predict

import (
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
)

// Options says which networks of a model predict, and how.
type Options struct {
	Folds      []string // "0", "1", ... or "all"; none: all trained folds found, "all" only if it is alone
	Checkpoint string   // default checkpoint.Final
	Device     string   // "auto", "cpu", "cuda", "cuda:1"
	GPU        open.GPU
	Threads    int   // on the CPU, default all
	FP32       bool  // no mixed precision, whatever the device has
	NoWait     bool  // an error, rather than waiting, while another process predicts into the same folder
	Memory     int64 // bytes that prediction may take of the machine's memory; 0: memory.Default
	DisableTTA bool  // predict the case as it is, not its eight mirror images too
	KeepFolds  bool  // keep a network per fold while memory allows, for single cases one after the other
}

// Result is what a model says of a case.
type Result struct {
	evaluate.Prediction
	// Categorical is the class of the highest probability, per label.
	Categorical []int
	// Warnings say in what the case is unlike the training cases.
	Warnings []string

	measures []float64 // doubt.Measures of the case; nil where they are not known
}

// Values are the plain numbers by which the case is compared with the training cases; nil where they are not known.
func (r *Result) Values() []float64 { return r.measures }

// Summary is the outcome of a folder of cases.
type Summary struct {
	Predicted, Kept int
	Failed          []task.FailedCase
	Unused          []task.UnusedFile // images that belong to no case
	CSV, JSON       string            // files for people

	valid    map[string]bool     // cases whose results in the folder are of this run or valid for it
	learned  []string            // cases predicted that the networks were trained on
	warnings map[string][]string // per case predicted
}
