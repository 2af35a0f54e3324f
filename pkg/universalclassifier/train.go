package universalclassifier

import (
	"context"
	"log/slog"

	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// TrainOptions say how a fold is trained. Numbers that are zero take the defaults of the recipe, whose length follows
// the number of cases, and the plan's batch size.
type TrainOptions struct {
	Epochs, Iterations, ValIterations, BatchSize int
	LearningRate                                 float64
	Seed                                         uint64 // 0 draws one
	Device                                       string // "auto" (default), "cpu", "cuda", "cuda:1"
	GPU                                          GPU    // how cards are looked for
	Threads                                      int    // that compute on the CPU, default all
	Workers                                      int    // that prepare samples, default nnUNet_n_proc_DA of the environment, else one per processor
	FP32                                         bool   // no mixed precision (bf16 or fp16 where the device has it); may change with Continue
	Deterministic                                bool   // with Seed 0 take that of the reference; a GPU gives the same bits every time with this alone
	Continue                                     bool   // resume from the last checkpoint
	PretrainedWeights                            string // file to start from: safetensors, or PyTorch's .pth, .pt or .model
	Progress                                     Progress
	Logger                                       *slog.Logger

	// Split is how folds are drawn if none were trained yet: "reference", "stratified", "grouped" or "leave-one-site-out".
	// Default: grouped where dataset.json names patients, else reference.
	Split               string
	AllowPatientOverlap bool // train and validate on scans of one patient nevertheless
	AllowDuplicates     bool // train and validate on one scan under two names nevertheless
}

// Training is the outcome of training a fold.
type Training struct {
	Fold                   Fold
	Dir                    string // the folder of the fold: checkpoints, log, plots, validation
	Epochs                 int    // that the network has been trained for
	TrainLosses, ValLosses []float64
	Validation             *Evaluation // on the validation cases of the fold
}

// Train trains a fold of a preprocessed task, given by id or full name, and validates it. When ctx ends it finishes the
// iteration and keeps a checkpoint to continue from.
func (w *Workspace) Train(ctx context.Context, taskName string, fold Fold, o TrainOptions) (*Training, error) {
	name, err := task.FindName(w.folders, taskName)
	if err != nil {
		return nil, err
	}
	result, err := train.Run(ctx, train.Options{
		Folders: w.folders, Task: name, Fold: fold.String(),
		Epochs: o.Epochs, Iterations: o.Iterations, ValIterations: o.ValIterations, BatchSize: o.BatchSize,
		LearningRate: o.LearningRate, Seed: o.Seed, Device: o.Device, GPU: o.GPU.option(), Threads: o.Threads, Workers: o.Workers,
		FP32: o.FP32, Deterministic: o.Deterministic, Continue: o.Continue, PretrainedWeights: o.PretrainedWeights,
		Split: o.Split, AllowPatientOverlap: o.AllowPatientOverlap, AllowDuplicates: o.AllowDuplicates,
	}, reporter(o.Progress, o.Logger, "task", name, "fold", fold.String()))
	if err != nil {
		return nil, public(err)
	}
	return &Training{fold, result.FoldDir, result.Epochs, result.TrainLosses, result.ValLosses, evaluation(result.Validation)}, nil
}
