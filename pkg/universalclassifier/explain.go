package universalclassifier

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/universal-classifier/uc/internal/explain"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Method is a way to find out where a network looked.
type Method string

// The methods.
const (
	HiResCAM  = Method(explain.HiResCAM)  // activations of a layer times gradients of the class's score, place by place (Draelos & Carin 2020)
	GradCAM   = Method(explain.GradCAM)   // Grad-CAM++ of a layer (Chattopadhay et al. 2018), which hardly depends on what the network has learnt
	Occlusion = Method(explain.Occlusion) // how much the class's score falls where a patch is blanked out (Zeiler & Fergus 2014): slow, no gradients
	Gradients = Method(explain.Gradients) // integrated gradients: the share of every voxel in the score (Sundararajan et al. 2017)
)

// ExplainOptions say which networks of a model are explained, and how; the zero value is the default.
type ExplainOptions struct {
	Folds      []Fold // default: all trained folds, AllCases only if it is alone
	Checkpoint string // default "model_final_checkpoint"
	Device     string // "auto" (default), "cpu", "cuda", "cuda:1"
	GPU        GPU    // how cards are looked for
	Threads    int    // that compute on the CPU, default all
	Memory     int64  // bytes that explanations may take of the machine's memory, default 70 % of what is free; a case that needs more is an error
	DisableTTA bool   // explain a case as it is, not its eight mirror images too; Occlusion never mirrors

	Method     Method       // default HiResCAM
	Layer      string       // of HiResCAM and GradCAM, such as "mixed_3c"; default: by the size of the input
	Classes    []LabelClass // to explain; default: the predicted one of every label
	AllClasses bool         // explain every class of every label
	CurveSteps int          // parts that the deletion and insertion curves take away and bring back; default 10, none if negative

	Progress Progress
	Logger   *slog.Logger
}

// LabelClass is a class of a label, both by number; label -1 is every label that has the class.
type LabelClass struct{ Label, Class int }

// Explainer makes heat maps of what speaks for a class in the images of a case. It may be used from several goroutines,
// and takes cases one after the other.
type Explainer struct {
	model *explain.Model

	mu     sync.RWMutex // held for reading by calls under way
	closed bool
}

// Explanation is where the networks looked in a case: a heat map per label and class.
type Explanation struct {
	Case          string
	Probabilities [][]float64 // per label and class, the mean over folds and mirror images
	Maps          []HeatMap
	Warnings      []string // in what the case is unlike the training cases
}

// HeatMap is the heat of a case for a class of a label. It shows what the networks used, not what is there: it is no
// segmentation.
type HeatMap struct {
	Label, Class int    // by number
	Predicted    bool   // the class is the predicted one
	Layer        string // of HiResCAM and GradCAM

	Heat *nifti.Image // in the geometry of the case's images; larger: more for the class; 0 where the networks were shown nothing
	Peak [3]int       // voxel of Heat, (z, y, x), in which the maximum on the networks' grid lies

	// ROIShare is the part of all positive heat that lies inside the region of interest, ROIVolume the part of the voxels
	// there; NaN for a model without masks.
	ROIShare, ROIVolume float64

	// Deletion and Insertion are the probability of the class while voxels are taken away, or brought back, from the
	// hottest on; nil without CurveSteps.
	Deletion, Insertion *Curve

	// ScoreDifference is what Gradients share out, the score of the case minus that of an empty one, and AttributionSum
	// what they add up to; NaN for other methods.
	ScoreDifference, AttributionSum float64
}

// Curve is the probability of a class over parts of the voxels, at even steps from the untouched input on.
type Curve struct {
	Probabilities []float64
	Area          float64 // below the curve, 0 to 1
}

// OpenExplainer opens the networks of a model by its folder, as OpenModel does, to explain what they predict. They
// compute in float32 whatever the device has.
func OpenExplainer(dir string, o ExplainOptions) (*Explainer, error) {
	of := explain.Options{
		Folds: names(o.Folds), Checkpoint: o.Checkpoint, Device: o.Device, GPU: o.GPU.option(), Threads: o.Threads, Memory: o.Memory, DisableTTA: o.DisableTTA,
		Method: explain.Method(o.Method), Layer: o.Layer, AllClasses: o.AllClasses, CurveSteps: max(0, cmp.Or(o.CurveSteps, 10)),
	}
	for _, c := range o.Classes {
		of.Classes = append(of.Classes, explain.Class(c))
	}
	m, err := explain.Open(dir, of, reporter(o.Progress, o.Logger, "model", dir))
	if err != nil {
		return nil, public(err)
	}
	return &Explainer{model: m}, nil
}

// OpenExplainer opens the trained folds of a task, given by id or full name, to explain what they predict.
func (w *Workspace) OpenExplainer(taskName string, o ExplainOptions) (*Explainer, error) {
	name, err := task.FindName(w.folders, taskName)
	if err != nil {
		return nil, fmt.Errorf("no trained model: %w", err)
	}
	return OpenExplainer(w.model(name), o)
}

// Labels are the classification labels that the model predicts.
func (e *Explainer) Labels() []Label { return labels(e.model.Labels()) }

// Folds are the folds whose maps are averaged.
func (e *Explainer) Folds() []Fold { return folds(e.model.Folds()) }

// Explain preprocesses a case as in prediction and makes its heat maps.
func (e *Explainer) Explain(ctx context.Context, c Case) (*Explanation, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, fmt.Errorf("case %s: %w", c.ID, ErrClosed)
	}
	r, err := e.model.Case(ctx, task.Case{ID: c.ID, Images: c.Images, Mask: c.Mask})
	if err != nil {
		return nil, public(err)
	}
	out := &Explanation{Case: r.ID, Probabilities: r.Probabilities, Warnings: r.Warnings}
	for i := range r.Maps {
		h := &r.Maps[i]
		out.Maps = append(out.Maps, HeatMap{
			Label: h.Label, Class: h.Class, Predicted: h.Predicted, Layer: h.Layer, Heat: r.Original(h), Peak: r.OriginalPeak(h),
			ROIShare: orNaN(h.ROIShare), ROIVolume: orNaN(h.ROIVolume), Deletion: curve(h.Deletion), Insertion: curve(h.Insertion),
			ScoreDifference: orNaN(h.Score), AttributionSum: orNaN(h.Sum),
		})
	}
	return out, nil
}

// Close gives the memory of the networks and the device back. It waits for explanations under way, which their contexts
// can cut short; those that begin afterwards fail with ErrClosed. What the explainer says of itself (Labels, Folds)
// stays. Closing again does nothing.
func (e *Explainer) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	return e.model.Close()
}

func curve(c *explain.Curve) *Curve {
	if c == nil {
		return nil
	}
	return &Curve{c.Probabilities, c.Area}
}

// orNaN is a number that may not be known.
func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
