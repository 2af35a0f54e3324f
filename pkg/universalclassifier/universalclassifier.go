// Package universalclassifier classifies 3D medical images from other Go programs: it plans, preprocesses, trains and predicts
// as the command uc does.
//
// A Workspace is a data root with tasks in nnU-Net's layout. A Model is a trained network; open it once and predict many cases
// with it.
package universalclassifier

import (
	"context"
	"fmt"
	"strconv"

	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// Progress is told where a long job stands. Implementations must be safe for concurrent use. nil is told nothing.
type Progress interface {
	// Stage begins a stage of total items; total 0 means the number is not known.
	Stage(name string, total int)
	// Advance says that one item of the current stage is done.
	Advance(item string)
	// Note is a line for people.
	Note(format string, args ...any)
	// Warn is a warning that needs no answer now.
	Warn(format string, args ...any)
}

func reporter(p Progress) progress.Reporter {
	if p == nil {
		return progress.Discard
	}
	return p
}

// Workspace is where raw data, preprocessed data and trained models lie.
type Workspace struct{ folders task.Folders }

// OpenWorkspace returns the workspace under a data root: dataRoot/raw, dataRoot/preprocessed and dataRoot/trained_models. An empty dataRoot
// takes the folders from the environment variables nnUNet_raw_data_base, nnUNet_preprocessed and RESULTS_FOLDER.
func OpenWorkspace(dataRoot string) (*Workspace, error) {
	folders, err := task.ResolveFolders(dataRoot)
	if err != nil {
		return nil, err
	}
	return &Workspace{folders}, nil
}

// Tasks lists the full names of the tasks in the workspace.
func (w *Workspace) Tasks() ([]string, error) { return task.List(w.folders) }

// PreprocessOptions say how a task is preprocessed; the zero value is the default.
type PreprocessOptions struct {
	Threads  int   // cases side by side, default 4
	Memory   int64 // bytes that preprocessing may take, default 70 % of what is free
	Verify   bool  // first read every file to the end and check its voxels
	Progress Progress

	// AllowOutliers are cases to plan with although their spacing or extent is ten times the cohort's median, or their header
	// contradicts itself about the spacing; "all" stands for every case.
	AllowOutliers []string
}

// Plan reads the raw task (by id or full name), takes its fingerprint and writes the plans, but preprocesses no case.
func (w *Workspace) Plan(ctx context.Context, taskName string, o PreprocessOptions) error {
	return w.preprocess(ctx, taskName, o, true)
}

// Preprocess plans the raw task (by id or full name) and preprocesses its cases. If no case has a mask of the region of interest, masks of
// the whole image are written and the task's dataset.json is extended accordingly.
func (w *Workspace) Preprocess(ctx context.Context, taskName string, o PreprocessOptions) error {
	return w.preprocess(ctx, taskName, o, false)
}

func (w *Workspace) preprocess(ctx context.Context, taskName string, o PreprocessOptions, planOnly bool) error {
	t, err := task.Load(w.folders, taskName)
	if err != nil {
		return err
	}
	r := reporter(o.Progress)
	if o.Threads == 0 {
		o.Threads = 4
	}
	_, err = cohort.Preprocess(ctx, t, cohort.Options{
		Threads: o.Threads, Memory: o.Memory, NoPreprocess: planOnly, Verify: o.Verify, AllowOutliers: o.AllowOutliers,
	}, r)
	return err
}

// AllCases is the fold that trains on all cases of a task.
const AllCases = -1

// TrainOptions say how a fold is trained. Numbers that are zero take the defaults of the recipe, whose length follows the number
// of cases, and the plan's batch size.
type TrainOptions struct {
	Epochs, Iterations, ValIterations, BatchSize int
	LearningRate                                 float64
	Seed                                         uint64 // 0 draws one
	Device                                       string // "auto" (default), "cpu", "cuda", "cuda:1"
	GPU                                          GPU
	Threads                                      int  // on the CPU, default all
	FP32                                         bool // no mixed precision (bf16 or fp16 where the device has it); may change with Continue
	Deterministic                                bool // with Seed 0 take that of the reference
	Continue                                     bool // go on from the last checkpoint
	PretrainedWeights                            string
	Progress                                     Progress

	// Split is how folds are drawn if none were trained yet: "reference", "stratified", "grouped" or "leave-one-site-out". Default: grouped where
	// dataset.json names patients, else reference.
	Split               string
	AllowPatientOverlap bool // train and validate on scans of one patient nevertheless
	AllowDuplicates     bool // train and validate on one scan under two names nevertheless
}

// Training is the outcome of training a fold.
type Training struct {
	Dir                    string // the folder of the fold: checkpoints, log, plots, validation
	TrainLosses, ValLosses []float64
	Labels                 []LabelPerformance // on the validation cases
}

// LabelPerformance says how well a classification label was predicted on the validation cases.
type LabelPerformance struct {
	Name     string
	Accuracy float64
	AUC      map[string]float64 // per value, that value against all others; for two values only that of the second. NaN where not defined
}

// Train trains a fold (0 to 4, higher, or AllCases) of a preprocessed task, given by id or full name, and validates it. When ctx ends it
// keeps a checkpoint to continue from.
func (w *Workspace) Train(ctx context.Context, taskName string, fold int, o TrainOptions) (*Training, error) {
	name, err := task.FindName(w.folders, taskName)
	if err != nil {
		return nil, err
	}
	f := split.FoldAll
	if fold != AllCases {
		f = strconv.Itoa(fold)
	}
	result, err := train.Run(ctx, train.Options{
		Folders: w.folders, Task: name, Fold: f,
		Epochs: o.Epochs, Iterations: o.Iterations, ValIterations: o.ValIterations, BatchSize: o.BatchSize,
		LearningRate: o.LearningRate, Seed: o.Seed, Device: o.Device, GPU: o.GPU.option(), Threads: o.Threads,
		FP32: o.FP32, Deterministic: o.Deterministic, Continue: o.Continue, PretrainedWeights: o.PretrainedWeights,
		Split: o.Split, AllowPatientOverlap: o.AllowPatientOverlap, AllowDuplicates: o.AllowDuplicates,
	}, reporter(o.Progress))
	if err != nil {
		return nil, err
	}
	return &Training{result.FoldDir, result.TrainLosses, result.ValLosses, performance(result.Validation)}, nil
}

func performance(r *evaluate.Report) []LabelPerformance {
	var labels []LabelPerformance
	for _, l := range r.Labels {
		p := LabelPerformance{Name: l.Name, Accuracy: float64(l.Accuracy.Value), AUC: map[string]float64{}}
		for _, v := range l.Values {
			p.AUC[v.Name] = float64(v.AUC.Value)
		}
		labels = append(labels, p)
	}
	return labels
}

// OpenModel opens the trained folds of a task, given by id or full name.
func (w *Workspace) OpenModel(taskName string, o ModelOptions) (*Model, error) {
	name, err := task.FindName(w.folders, taskName)
	if err != nil {
		return nil, fmt.Errorf("no trained model: %w", err)
	}
	return OpenModel(w.folders.Model(name, task.DefaultTrainer, task.DefaultPlans), o)
}
