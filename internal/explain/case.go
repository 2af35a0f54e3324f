package explain

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/interrupt"
	"github.com/universal-classifier/uc/internal/mirror"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// Case is what explains the prediction of a case: a heat map per label and class.
type Case struct {
	ID            string
	Probabilities [][]float64 // per label and class, the mean over folds and mirror images
	Properties    preprocess.Properties
	Shape         [3]int // of the network's input, in the order of the plans' axes
	Transpose     [3]int // the plans' transpose_forward
	Maps          []Map
	Warnings      []string // in what the case is unlike the training cases

	image []float32 // the first modality as the network sees it
	roi   []float32 // the mask as the network sees it
}

// Map is the heat of a case for a class of a label.
type Map struct {
	Label, Class int
	Predicted    bool      // the class is the predicted one
	Layer        string    // of HiResCAM and Grad-CAM++
	Heat         []float32 // (Z, Y, X) on the network's grid; larger: more for the class. See Method for the units
	Peak         [3]int    // where the heat is largest within the image, padding left out
	Measures
}

// Measures are numbers about a heat map.
type Measures struct {
	// ROIShare is the part of all positive heat that lies inside the region of interest, ROIVolume the part of the voxels
	// there; nil for a model without masks.
	ROIShare  *float64 `json:"roi_share"`
	ROIVolume *float64 `json:"roi_volume"`
	// Deletion and Insertion are the probability of the class while voxels are taken away, or brought back, from the
	// hottest on.
	Deletion  *Curve `json:"deletion,omitempty"`
	Insertion *Curve `json:"insertion,omitempty"`
	// Score is the score that integrated gradients share out (the difference from an input of zeros), Sum what they add
	// up to.
	Score *float64 `json:"score_difference,omitempty"`
	Sum   *float64 `json:"attribution_sum,omitempty"`
}

// prepared is a case as the network takes it.
type prepared struct {
	id    string
	data  []float32 // (C, Z, Y, X), mask last
	shape [3]int
}

func (p *prepared) voxels() int { return p.shape[0] * p.shape[1] * p.shape[2] }

// mask is the mask as the network sees it.
func (p *prepared) mask() []float32 { return p.data[len(p.data)-p.voxels():] }

// Case preprocesses a case as in training and explains it.
func (m *Model) Case(ctx context.Context, c task.Case) (*Case, error) {
	if err := m.checkMasks(c); err != nil {
		return nil, err
	}
	if err := m.checkMemory(c); err != nil {
		return nil, err
	}
	crop, err := preprocess.Crop(c, m.Plans())
	if err != nil {
		return nil, err
	}
	need := crop.FinishBytes()
	if own, err := m.networkBytes(crop.Shape()); err != nil {
		return nil, fmt.Errorf("case %s: %w", c.ID, err)
	} else if err := m.fits(c.ID, max(need, own)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.makeRoom(need)
	m.mu.Unlock()
	p, err := crop.Finish(ctx)
	if err != nil {
		return nil, err
	}
	return m.Prepared(ctx, c.ID, p)
}

// checkMasks refuses a case with a mask too many or too few.
func (m *Model) checkMasks(c task.Case) error {
	p := m.Plans()
	switch {
	case len(c.Images) != len(p.Modalities):
		return fmt.Errorf("case %s: %d images, but the model was trained with %d modalities", c.ID, len(c.Images), len(p.Modalities))
	case p.MasksUnknown:
	case p.RealMasks && c.Mask == "":
		return fmt.Errorf("case %s: no mask, but the model was trained with masks of the region of interest", c.ID)
	case !p.RealMasks && c.Mask != "":
		return fmt.Errorf("case %s: mask %s, but the model was trained without masks of the region of interest", c.ID, c.Mask)
	}
	return nil
}

// Prepared explains a case that is on the plans' grid: one as preprocess.Case makes it, or one that was stored in
// preprocessing, which is not changed. With folds, the networks of these alone are averaged; for a case of a
// cross-validation that is the fold which did not see it.
func (m *Model) Prepared(ctx context.Context, id string, c *preprocess.Prepared, folds ...string) (_ *Case, err error) {
	numbers, err := m.foldNumbers(folds)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.makeRoom(m.caseBytes([3]int(c.Shape[1:])))
	p := &prepared{id: id, data: make([]float32, len(c.Data)), shape: [3]int(c.Shape[1:])}
	preprocess.NetworkInput(p.data, c.Data, c.Shape, m.Plans().NumClasses)
	out := &Case{ID: id, Properties: c.Properties, Shape: p.shape, Transpose: m.Plans().TransposeForward, Warnings: c.Warnings,
		image: p.data[:p.voxels()], roi: p.mask()}
	if out.Probabilities, err = m.probabilities(ctx, p, numbers); err != nil {
		return nil, err
	}
	out.Maps = m.wanted(out.Probabilities)
	m.batches = m.batch(p.shape) // after a first pass, when it is known what kernels borrow
	switch m.options.Method {
	case Occlusion:
		err = m.occlude(ctx, p, numbers, out.Maps)
	case Gradients:
		err = m.integrate(ctx, p, numbers, out.Maps)
	default:
		err = m.ofLayer(ctx, p, numbers, out.Maps)
	}
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", id, err)
	}
	for i := range out.Maps {
		h := &out.Maps[i]
		if j := slices.IndexFunc(h.Heat, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }); j >= 0 {
			return nil, fmt.Errorf("case %s: the heat is not finite; look for broken values in the images or the checkpoint", id)
		}
		h.Peak = peak(h.Heat, p.shape, c.Properties.SizeAfterResampling)
		if m.Plans().RealMasks {
			h.ROIShare, h.ROIVolume = roiShare(h.Heat, p.mask())
		}
	}
	if m.options.CurveSteps > 0 {
		err = m.curves(ctx, p, numbers, out.Maps)
	}
	return out, err
}

// foldNumbers are the places of folds in the model; all if none is named.
func (m *Model) foldNumbers(names []string) ([]int, error) {
	var numbers []int
	for i, f := range m.opened.Folds {
		if len(names) == 0 || slices.Contains(names, f.Name) {
			numbers = append(numbers, i)
		}
	}
	if len(names) > 0 && len(numbers) != len(names) {
		return nil, fmt.Errorf("folds %v are asked for, those opened are %v", names, m.Folds())
	}
	return numbers, nil
}

func (m *Model) mirrors() []mirror.Axes {
	if m.options.DisableTTA {
		return []mirror.Axes{{}}
	}
	return mirror.All()
}

// probabilities predicts the case as uc predict does: the mean over folds and mirror images.
func (m *Model) probabilities(ctx context.Context, p *prepared, folds []int) ([][]float64, error) {
	mirrors := m.mirrors()
	mean := evaluate.NewPrediction(p.id, m.opened.Config.Outputs, len(folds), len(mirrors))
	err := m.eachImage(ctx, p, folds, mirrors, func(input []float32, _ mirror.Axes) error {
		logits, err := m.network.Logits(input, 1, p.shape)
		if err == nil {
			mean.Add(logits, 1/float64(len(folds)*len(mirrors)))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, of := range mean.Probabilities {
		if slices.ContainsFunc(of, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			return nil, fmt.Errorf("case %s: the network's output is not finite; look for broken values in the images or the checkpoint", p.id)
		}
	}
	return mean.Probabilities, nil
}

// eachImage runs f on the mirror images of a case with the network of each fold.
func (m *Model) eachImage(ctx context.Context, p *prepared, folds []int, mirrors []mirror.Axes, f func(input []float32, axes mirror.Axes) error) error {
	var flipped []float32
	for _, fold := range folds {
		if err := m.load(fold); err != nil {
			return err
		}
		for _, axes := range mirrors {
			input := p.data
			if axes != (mirror.Axes{}) {
				flipped = axes.Apply(flipped, p.data, p.shape)
				input = flipped
			}
			if err := m.pass(ctx, func() error { return f(input, axes) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass runs a pass of the network, which ends by itself.
func (m *Model) pass(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer interrupt.Hold(ctx)()
	return f()
}

// wanted lists the classes to explain.
func (m *Model) wanted(probabilities [][]float64) []Map {
	var maps []Map
	for label, of := range probabilities {
		predicted := evaluate.Argmax(of)
		for class := range of {
			ask := m.options.AllClasses || len(m.options.Classes) == 0 && class == predicted ||
				slices.ContainsFunc(m.options.Classes, func(c Class) bool { return (c.Label < 0 || c.Label == label) && c.Class == class })
			if ask {
				maps = append(maps, Map{Label: label, Class: class, Predicted: class == predicted})
			}
		}
	}
	return maps
}

// seed are the weights of all logits, labels in order, whose sum is the score of a class: its logit minus the mean of
// the label's other logits, which for two classes is the logit of its probability.
func (m *Model) seed(h *Map) []float32 {
	var seed []float32
	for label, classes := range m.opened.Config.Outputs {
		of := make([]float32, classes)
		if label == h.Label {
			for class := range of {
				of[class] = -1 / float32(classes-1)
			}
			of[h.Class] = 1
		}
		seed = append(seed, of...)
	}
	return seed
}

// score is the score of a class by the logits of a sample, (labels, classes).
func score(h *Map, logits []float32) float64 {
	sum := 0.0
	for _, v := range logits {
		sum += float64(v)
	}
	own := float64(logits[h.Class])
	return own - (sum-own)/float64(len(logits)-1)
}

// peak is the place of the largest value among the voxels of the image, which lies in the middle of its padding.
func peak(heat []float32, shape, size [3]int) [3]int {
	offset := volume.PadOffset(size, shape)
	best, most := offset, float32(math.Inf(-1))
	for z := offset[0]; z < offset[0]+size[0]; z++ {
		for y := offset[1]; y < offset[1]+size[1]; y++ {
			for x := offset[2]; x < offset[2]+size[2]; x++ {
				if v := heat[(z*shape[1]+y)*shape[2]+x]; v > most {
					best, most = [3]int{z, y, x}, v
				}
			}
		}
	}
	return best
}

// roiShare is the part of the positive heat inside the region of interest, and the part of the voxels.
func roiShare(heat, mask []float32) (share, volume *float64) {
	var inside, all, voxels float64
	for i, v := range heat {
		positive := max(float64(v), 0)
		all += positive
		if mask[i] > 0 {
			inside += positive
			voxels++
		}
	}
	part := voxels / float64(len(heat))
	if all > 0 {
		s := inside / all
		share = &s
	}
	return share, &part
}
