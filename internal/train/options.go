package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/defaults"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
)

// DefaultValFolder is the folder of validation results inside a fold.
const DefaultValFolder = evaluate.ValidationFolder

// deterministicSeed is the reference's, used with Options.Deterministic.
const deterministicSeed = 12345

// Options says what to train and how. Numbers that are zero take the recipe's default, or, when a training is
// continued, the value it was started with.
type Options struct {
	Folders task.Folders
	Task    string // full name, TaskXXX_Name
	Trainer string // default task.DefaultTrainer; its recipe is followed
	Plans   string // identifier, default task.DefaultPlans
	Fold    string // "0", "1", ... or "all"

	Split               string // one of split.SplitModes, for folds that are still to be drawn; default: split.SplitGrouped if patients are declared, else split.SplitReference
	AllowPatientOverlap bool   // train and validate on scans of one patient nevertheless
	AllowDuplicates     bool   // train and validate on one scan under two names nevertheless

	Epochs        int
	Iterations    int // training iterations per epoch
	ValIterations int // validation iterations per epoch
	BatchSize     int // default: the plan's
	// Adjust, unless nil, changes the trainer's recipe before the numbers given here do. It is for studies of recipes.
	Adjust       func(*Recipe)
	LearningRate float64
	Seed         uint64 // 0 draws one, or takes the reference's with Deterministic; kept in the checkpoints

	Device  string // "auto", "cpu", "cuda", "cuda:1"
	GPU     open.GPU
	Threads int // of the network on the CPU, default all
	Workers int // that prepare samples, default defaults.TrainWorkers; samples do not depend on it

	FP32              bool   // no mixed precision, whatever the device has; checkpoints hold float32 either way
	Deterministic     bool   // take the reference's seed; on the CPU the same seed always gives the same bits, for any number of threads, on a GPU with this alone
	CompressedData    bool   // read the compressed cases instead of unpacking them first
	Continue          bool   // resume from the last checkpoint
	PretrainedWeights string // .safetensors, or a PyTorch .model, .pth or .pt, to start from; ignored with Continue
	DisableSaving     bool   // keep no checkpoint once the training has ended

	NoWait bool // an error, rather than waiting, while another process writes the preprocessed task

	ValidationOnly bool   // redo the validation of the trained fold
	ValBest        bool   // validate model_best instead of the final checkpoint
	ValFolder      string // default DefaultValFolder
	KeepValidation bool   // do not predict again the validation cases that have results
}

// Result is what a fold brought.
type Result struct {
	FoldDir string
	// Epochs is how many the network has been trained for.
	Epochs int
	// TrainLosses and ValLosses are the means of each epoch.
	TrainLosses, ValLosses []float64
	// ValAUCs and ValBalancedAccuracies are means over labels of the validation cases that each epoch looked at,
	// undefined where these were of one class or the epoch was not measured.
	ValAUCs, ValBalancedAccuracies []evaluate.Number
	Validation                     *evaluate.Report
}

// ErrInterrupted is wrapped, together with the context's error, when a training was stopped by its context and can be
// continued.
var ErrInterrupted = errors.New("training interrupted")

// ErrDiverged is wrapped when the loss or gradient is not finite.
var ErrDiverged = errors.New("training diverged")

// Run trains a fold and validates it, or only validates it. It writes into the fold's folder (log, progress.png, an
// event file for TensorBoard, debug.json, checkpoints, validation results) and tells r what it does. When ctx ends it
// finishes the iteration, writes model_latest and returns an error that wraps ErrInterrupted and the context's.
func Run(ctx context.Context, o Options, r progress.Reporter) (*Result, error) {
	if err := o.normalise(); err != nil {
		return nil, err
	}
	j, err := openJob(o, r)
	if err != nil {
		return nil, err
	}
	defer j.close()
	result, err := j.onDevice(ctx)
	if err != nil {
		j.log.quiet("stopped: %v", err)
	}
	return result, err
}

func (o *Options) normalise() error {
	for _, n := range []struct {
		flag  string
		value int
	}{
		{"epochs", o.Epochs}, {"iterations", o.Iterations}, {"validation iterations", o.ValIterations},
		{"batch size", o.BatchSize}, {"threads", o.Threads}, {"workers", o.Workers},
	} {
		if n.value < 0 {
			return fmt.Errorf("%s must be positive, not %d", n.flag, n.value)
		}
	}
	if o.LearningRate < 0 {
		return fmt.Errorf("the learning rate must be positive, not %v", o.LearningRate)
	}
	if o.Fold != task.FoldAll {
		number, err := task.ParseFold(o.Fold)
		if err != nil {
			return err
		}
		o.Fold = strconv.Itoa(number)
	}
	if o.Split != "" && !slices.Contains(split.SplitModes, o.Split) {
		return fmt.Errorf("no way to split is called %q; expected %s", o.Split, strings.Join(split.SplitModes, ", "))
	}
	if o.ValFolder == "" {
		o.ValFolder = DefaultValFolder
	}
	if !filepath.IsLocal(o.ValFolder) || slices.Contains([]string{".", ".."}, o.ValFolder) {
		return fmt.Errorf("validation folder %q: expected the name of a folder inside the fold's", o.ValFolder)
	}
	if o.Trainer == "" {
		o.Trainer = task.DefaultTrainer
	}
	if o.Plans == "" {
		o.Plans = task.DefaultPlans
	}
	if o.Workers == 0 {
		o.Workers = defaults.TrainWorkers()
	}
	return nil
}
