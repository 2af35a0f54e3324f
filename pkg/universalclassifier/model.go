package universalclassifier

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// ModelOptions say which networks of a model predict; the zero value is the default.
type ModelOptions struct {
	Folds      []Fold // default: all trained folds, AllCases only if it is alone
	Checkpoint string // default "model_final_checkpoint"
	Device     string // "auto" (default), "cpu", "cuda", "cuda:1"
	GPU        GPU    // how cards are looked for
	Threads    int    // that compute on the CPU, default all
	FP32       bool   // no mixed precision (bf16 or fp16 where the device has it)
	Memory     int64  // bytes that predictions may take of the machine's memory, default 70 % of what is free; a case that needs more is an error
	DisableTTA bool   // predict a case once instead of in its eight mirror images: eight times as fast, slightly less accurate
	Progress   Progress
	Logger     *slog.Logger
}

// Model is a trained classifier. It may be used from several goroutines: cases are preprocessed side by side, and the
// network takes them one after the other.
type Model struct {
	model *predict.Model

	mu     sync.RWMutex // held for reading by calls under way
	closed bool
}

// Case is one case to predict: image files (NIfTI or MetaImage, of any name), one per modality in the order of the
// training, and the mask of the region of interest if, and only if, the model was trained with masks. The ID is for
// messages and the Prediction, and may be empty.
type Case struct {
	ID     string
	Images []string
	Mask   string
}

// Images is one case to predict whose images are in memory, one per modality in the order of the training, on one grid,
// with the mask as in Case. The ID may be empty.
type Images struct {
	ID     string
	Images []*nifti.Image
	Mask   *nifti.Mask
}

// Prediction is what the model says of a case, per classification label.
type Prediction struct {
	Case          string
	Classes       []int       // of the highest probability
	Probabilities [][]float64 // per label and class, the mean over folds and mirror images
	Logits        [][]float64 // likewise
	Warnings      []string    // in what the case is unlike the training cases: orientation, spacing, a doubtful header

	// Calibrated are the probabilities after the temperature of each label; nil, or nil for a label, where the model has
	// not learned one. Doubts are per label, nil where nothing is known; Unusual is nil where it is not known.
	Calibrated [][]float64
	Doubts     []Doubt
	Unusual    *Unusual
}

// Doubt is what speaks against relying on a prediction. What is not known is NaN or nil.
type Doubt struct {
	StandardError float64 // of the probability of the predicted class: over folds, or over mirror images of a single one
	Agreement     float64 // share of folds and mirror images that predict the same class
	Set           []int   // classes that hold the true one in 90 % of cases (conformal prediction)
}

// Unusual says how a case compares with those that were held out of the trainings. P are the shares of these that are
// as unusual or more so, NaN where they are not known.
type Unusual struct {
	Flag      bool // one of P is at most FalseAlarms
	MeasuresP float64
	FeaturesP float64
	Reasons   []string

	FalseAlarms float64
}

// OpenModel opens a model by its folder, which holds plans.json and the trained folds (fold_0, ..., all), or by that of
// a model of the Python reference (plans.pkl), whose files are read as data.
func OpenModel(dir string, o ModelOptions) (*Model, error) {
	m, err := predict.Open(dir, predict.Options{
		Folds: names(o.Folds), Checkpoint: o.Checkpoint, Device: o.Device, GPU: o.GPU.option(), Threads: o.Threads, FP32: o.FP32, DisableTTA: o.DisableTTA, Memory: o.Memory,
	}, reporter(o.Progress, o.Logger, "model", dir))
	if err != nil {
		return nil, public(err)
	}
	return &Model{model: m}, nil
}

// Labels are the classification labels that the model predicts.
func (m *Model) Labels() []Label { return labels(m.model.Labels()) }

// Folds are the folds whose networks are averaged.
func (m *Model) Folds() []Fold { return folds(m.model.Folds()) }

// Predict preprocesses and predicts one case.
func (m *Model) Predict(ctx context.Context, c Case) (*Prediction, error) {
	return m.call(c.ID, func() (*predict.Result, error) {
		return m.model.Case(ctx, task.Case{ID: c.ID, Images: c.Images, Mask: c.Mask})
	})
}

// PredictImages preprocesses and predicts one case that is in memory, without changing it. The result is that of
// Predict for files with the same voxels and geometry, bit for bit; files that nifti writes hold spacings as float32.
func (m *Model) PredictImages(ctx context.Context, c Images) (*Prediction, error) {
	return m.call(c.ID, func() (*predict.Result, error) {
		return m.model.Volumes(ctx, c.ID, &preprocess.Volumes{Images: c.Images, Mask: c.Mask})
	})
}

func (m *Model) call(id string, predict func() (*predict.Result, error)) (*Prediction, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, fmt.Errorf("case %s: %w", id, ErrClosed)
	}
	r, err := predict()
	if err != nil {
		return nil, public(err)
	}
	out := &Prediction{Case: r.Prediction.Case, Classes: r.Categorical, Probabilities: r.Probabilities, Logits: r.Logits, Warnings: r.Warnings, Calibrated: r.Calibrated}
	if r.Doubt != nil {
		for _, d := range r.Doubt.Labels {
			out.Doubts = append(out.Doubts, Doubt{float64(d.StandardError), float64(d.Agreement), d.Set})
		}
		out.Unusual = unusual(r.Doubt.Outlier)
	}
	return out, nil
}

func unusual(o *evaluate.Outlier) *Unusual {
	if o == nil {
		return nil
	}
	u := &Unusual{Flag: o.Flag, MeasuresP: math.NaN(), FeaturesP: math.NaN(), Reasons: o.Reasons, FalseAlarms: o.Rate}
	if o.Measures != nil {
		u.MeasuresP = float64(*o.Measures)
	}
	if o.Features != nil {
		u.FeaturesP = float64(*o.Features)
	}
	return u
}

// Modalities is how many images a case needs.
func (m *Model) Modalities() int { return m.model.Modalities() }

// WantMasks reports whether a case needs a mask; otherwise it must not have one, unless the model does not know (see
// MasksUnknown).
func (m *Model) WantMasks() bool { return m.model.WantMasks() }

// MasksUnknown reports whether the model does not record if it was trained with masks, as those of the Python
// reference: a case may then have one or not.
func (m *Model) MasksUnknown() bool { return m.model.MasksUnknown() }

// Close gives the memory of the networks and the device back. It waits for predictions under way, which their contexts
// can cut short; those that begin afterwards fail with ErrClosed. What the model says of itself (Labels, Folds,
// Modalities, WantMasks) stays. Closing again does nothing. An error is that of a device that failed while it was
// closed.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	return m.model.Close()
}
