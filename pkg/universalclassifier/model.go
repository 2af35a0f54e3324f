package universalclassifier

import (
	"context"

	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/task"
)

// ModelOptions say which networks of a model predict; the zero value is the default.
type ModelOptions struct {
	Folds      []string // "0", "1", ... or "all"; default: all trained folds
	Checkpoint string   // default "model_final_checkpoint"
	Device     string   // "auto" (default), "cpu", "cuda", "cuda:1"
	GPU        GPU
	Threads    int   // on the CPU, default all
	FP32       bool  // no mixed precision (bf16 or fp16 where the device has it)
	Memory     int64 // bytes that predictions may take of the machine's memory, default 70 % of what is free; a case that needs more is an error
	DisableTTA bool  // predict a case once instead of in its eight mirror images: eight times as fast, a little worse
	Progress   Progress
}

// Model is a trained classifier. It may be used from several goroutines: cases are preprocessed side by side, and the network takes them
// one after the other.
type Model struct{ model *predict.Model }

// Label is a classification label with the names of its values; value i is class i.
type Label struct {
	Name   string
	Values []string
}

// Case is one case to predict: image files (NIfTI or MetaImage, of any name), one per modality in the order of the training, and the mask of the
// region of interest if, and only if, the model was trained with masks.
type Case struct {
	ID     string
	Images []string
	Mask   string
}

// Prediction is what the model says of a case, per classification label.
type Prediction struct {
	Case          string
	Classes       []int       // of the highest probability
	Probabilities [][]float64 // per label and class, the mean over folds and mirror images
	Logits        [][]float64 // likewise
	Warnings      []string    // in what the case is unlike the training cases: orientation, spacing, a doubtful header
}

// OpenModel opens a model by its folder, which holds plans.json and the trained folds (fold_0, ..., all), or by that of a
// model of the Python reference (plans.pkl), whose files are read as data.
func OpenModel(dir string, o ModelOptions) (*Model, error) {
	m, err := predict.Open(dir, predict.Options{Folds: o.Folds, Checkpoint: o.Checkpoint, Device: o.Device, GPU: o.GPU.option(), Threads: o.Threads, FP32: o.FP32, DisableTTA: o.DisableTTA, Memory: o.Memory}, reporter(o.Progress))
	if err != nil {
		return nil, err
	}
	return &Model{m}, nil
}

// Labels are the classification labels that the model predicts.
func (m *Model) Labels() []Label {
	var labels []Label
	for _, l := range m.model.Labels() {
		labels = append(labels, Label{l.Name, l.Values})
	}
	return labels
}

// Predict preprocesses and predicts one case.
func (m *Model) Predict(ctx context.Context, c Case) (*Prediction, error) {
	r, err := m.model.Case(ctx, task.Case{ID: c.ID, Images: c.Images, Mask: c.Mask})
	if err != nil {
		return nil, err
	}
	return &Prediction{r.Prediction.Case, r.Categorical, r.Probabilities, r.Logits, r.Warnings}, nil
}

// Modalities is how many images a case needs.
func (m *Model) Modalities() int { return m.model.Modalities() }

// WantMasks reports whether a case needs a mask; otherwise it must not have one, unless the model does not know (see MasksUnknown).
func (m *Model) WantMasks() bool { return m.model.WantMasks() }

// MasksUnknown reports whether the model does not record if it was trained with masks, as those of the Python reference: a case may then have one or not.
func (m *Model) MasksUnknown() bool { return m.model.MasksUnknown() }

// Close gives the memory of the networks back; the model must not be used afterwards.
func (m *Model) Close() { m.model.Close() }
