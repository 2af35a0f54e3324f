// Package explain shows where a network looked: heat maps of a case by HiResCAM, Grad-CAM++, occlusion and integrated
// gradients.
package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// Method is a way to find out where a network looked.
type Method string

const (
	// HiResCAM (Draelos & Carin 2020): the activations of a layer times the gradient of the class's score, place by place;
	// negative where they speak against the class.
	HiResCAM Method = "hirescam"
	// GradCAM is Grad-CAM++ (Chattopadhay et al. 2018): where the channels of a layer that speak for the class are active.
	GradCAM Method = "gradcam"
	// Occlusion (Zeiler & Fergus 2014): how much the score of the class falls when a patch of the input is blanked out.
	Occlusion Method = "occlusion"
	// Gradients are integrated gradients (Sundararajan et al. 2017): the share of every voxel in the score of the class.
	Gradients Method = "gradients"
)

// Methods are all of them.
var Methods = []Method{HiResCAM, GradCAM, Occlusion, Gradients}

// looksAtLayer reports whether a method makes its map of a layer.
func (m Method) looksAtLayer() bool { return m == HiResCAM || m == GradCAM }

// Options say which networks of a model are explained, and how. The zero value explains the predicted class of every
// label by HiResCAM.
type Options struct {
	Folds      []string // "0", "1", ... or "all"; none: all trained folds found, "all" only if it is alone
	Checkpoint string   // default checkpoint.Final
	Device     string   // "auto", "cpu", "cuda", "cuda:1"
	GPU        open.GPU
	Threads    int   // on the CPU, default all
	Memory     int64 // bytes of the machine's memory that may be taken; 0: memory.Default
	NoWait     bool  // an error, rather than waiting, while another process writes into the same folder
	DisableTTA bool  // explain the case as it is, not its eight mirror images too; occlusion never mirrors

	Method     Method
	Layer      string // of HiResCAM and Grad-CAM++, one of i3d.Layers; default: by the size of the input, see DefaultLayer
	Classes    []Class
	AllClasses bool // explain every class of every label
	// CurveSteps is how many parts of the image the deletion and insertion curves take away and bring back; 0: no curves.
	CurveSteps int
}

// Class is a class of a label to explain, by number; Label -1 is every label that has the class.
type Class struct{ Label, Class int }

// Model is an opened model. It explains one case at a time; its methods may be called from several goroutines.
type Model struct {
	options Options
	opened  *model.Model
	limit   int64 // bytes of the machine's memory

	mu      sync.Mutex // guards what follows
	device  device.Device
	network *i3d.Predictor
	fold    int // whose weights the network has; -1: none
	cut     *i3d.Cut
	cutAt   string
	batches int // inputs of a case that go through the network at a time
}

// Open loads the folds of the model in modelDir. Networks compute in float32 whatever the device has: gradients ask for
// it.
func Open(modelDir string, o Options, r progress.Reporter) (*Model, error) {
	o.Method = cmp.Or(o.Method, HiResCAM)
	if err := o.check(); err != nil {
		return nil, err
	}
	limit := cmp.Or(o.Memory, memory.Default()) // before the weights take theirs
	opened, err := model.Open(modelDir, model.Options{Folds: o.Folds, Checkpoint: o.Checkpoint}, r)
	if err != nil {
		return nil, err
	}
	m := &Model{options: o, opened: opened, limit: limit, fold: -1}
	if err := m.checkClasses(); err != nil {
		return nil, err
	}
	if m.device, err = open.Device(open.Options{Device: o.Device, GPU: o.GPU, Threads: o.Threads, Choice: func(text string) { r.Note("%s", text) }}); err != nil {
		return nil, err
	}
	r.Note("network on %s (%s)", m.device.Name(), device.PrecisionText(m.device, false))
	return m, nil
}

func (o *Options) check() error {
	if !slices.Contains(Methods, o.Method) {
		return fmt.Errorf("unknown method %q: expected hirescam, gradcam, occlusion or gradients", o.Method)
	}
	if o.Layer == "" {
		return nil
	}
	if !o.Method.looksAtLayer() {
		return fmt.Errorf("layer %s: the method %s does not look at a layer", o.Layer, o.Method)
	}
	if layers := i3d.Layers()[1:]; !slices.Contains(layers, o.Layer) {
		return fmt.Errorf("unknown layer %q: expected one of %s", o.Layer, strings.Join(layers, ", "))
	}
	return nil
}

// checkClasses refuses classes that no label of the model has.
func (m *Model) checkClasses() error {
	for _, c := range m.options.Classes {
		found := false
		for label, classes := range m.opened.Config.Outputs {
			found = found || (c.Label < 0 || c.Label == label) && c.Class >= 0 && c.Class < classes
		}
		switch {
		case found:
		case c.Label < 0 || c.Label >= len(m.Labels()):
			return fmt.Errorf("no label of the model has a class %d", c.Class)
		default:
			label := m.Labels()[c.Label]
			return fmt.Errorf("label %s has no class %d, its classes are 0 to %d", label.Name, c.Class, len(label.Values)-1)
		}
	}
	return nil
}

// Close gives the memory of the network back; the model must not be used afterwards.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	m.device.Close()
	return nil
}

// forget gives the memory of the network back; it is made again when it is needed. m.mu is held.
func (m *Model) forget() {
	m.cut.Free()
	m.network.Free()
	m.network, m.cut, m.fold = nil, nil, -1
}

// Plans are those of the model.
func (m *Model) Plans() *plan.Plans { return m.opened.Plans }

// Labels are the classification labels of the model.
func (m *Model) Labels() []task.Label { return m.opened.Plans.Labels }

// Folds are the folds that are averaged.
func (m *Model) Folds() []string { return m.opened.Names() }

// load makes the network that of a fold.
func (m *Model) load(fold int) (err error) {
	if m.fold == fold {
		return nil
	}
	if m.network == nil {
		if m.network, err = i3d.NewPredictor(m.device, m.opened.Config, m.opened.Folds[fold].Weights); err != nil {
			return err
		}
	} else {
		m.fold = -1
		if err := m.network.Load(m.opened.Folds[fold].Weights); err != nil {
			return err
		}
	}
	m.fold = fold
	return nil
}

// cutBehind is the network cut behind a layer.
func (m *Model) cutBehind(layer string) (*i3d.Cut, error) {
	if m.cut == nil || m.cutAt != layer {
		cut, err := m.network.Cut(layer)
		if err != nil {
			return nil, err
		}
		m.cut.Free()
		m.cut, m.cutAt = cut, layer
	}
	return m.cut, nil
}
