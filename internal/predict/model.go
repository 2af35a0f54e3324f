package predict

import (
	"context"
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/doubt"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// Model is an opened model. It is safe for concurrent use: cases are preprocessed side by side, and the network takes
// them one after the other.
type Model struct {
	options Options
	dir     string
	plans   *plan.Plans
	config  i3d.Config
	folds   []string
	weights []*weights.StateDict // per fold
	sources provenance.Sources   // of every result, but for the precision and the case's files
	learned map[string]bool      // digests of the cases that the networks were trained on, as far as they are known
	room    *room
	doubt   *doubt.Model // what is known of its reliability; nil if nothing is

	mu       sync.Mutex // guards what follows
	device   device.Device
	networks []*network // one, or with Options.KeepFolds one per fold
}

// Open loads the folds of the model in modelDir: plans.json, and a checkpoint per fold.
func Open(modelDir string, o Options, r progress.Reporter) (*Model, error) {
	if o.Memory <= 0 {
		o.Memory = memory.Default() // before the weights take theirs
	}
	opened, err := model.Open(modelDir, model.Options{Folds: o.Folds, Checkpoint: o.Checkpoint}, r)
	if err != nil {
		return nil, err
	}
	o.Checkpoint = opened.Checkpoint
	m := &Model{options: o, dir: opened.Dir, plans: opened.Plans, config: opened.Config, folds: opened.Names()}
	var fixed int64 // one fold more, on its way into the network
	for i, fold := range opened.Folds {
		m.weights = append(m.weights, fold.Weights)
		for _, name := range fold.Weights.Names() {
			const floatBytes = 4
			fixed += floatBytes * int64(fold.Weights.Get(name).Len()) * int64(1+(i+1)/len(opened.Folds))
		}
	}
	if m.room, err = newRoom(o.Memory, fixed); err != nil {
		return nil, err
	}
	if err := m.recordSources(opened); err != nil {
		return nil, err
	}
	m.openDoubt(opened, r)
	if m.device, err = open.Device(open.Options{Device: o.Device, GPU: o.GPU, Threads: o.Threads, Mixed: !o.FP32, Choice: func(text string) { r.Note("%s", text) }}); err != nil {
		return nil, err
	}
	r.Note("network on %s (%s)", m.device.Name(), device.PrecisionText(m.device, !o.FP32))
	return m, nil
}

// Close gives the memory of the network back. It waits for a pass under way; the model must not be used afterwards.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetNetwork()
	m.device.Close()
	return nil
}

// Modalities is how many images a case needs.
func (m *Model) Modalities() int { return len(m.plans.Modalities) }

// WantMasks reports whether a case needs a mask of the region of interest; otherwise it must not have one.
func (m *Model) WantMasks() bool { return m.plans.RealMasks }

// MasksUnknown says that the model does not record whether it needs masks: a case may have one or not, whatever
// WantMasks says.
func (m *Model) MasksUnknown() bool { return m.plans.MasksUnknown }

// Labels are the classification labels predicted.
func (m *Model) Labels() []task.Label { return m.plans.Labels }

// Folds are the folds that are averaged.
func (m *Model) Folds() []string { return slices.Clone(m.folds) }

// Precision is the number format that the network computes in: "fp32", "bf16" or "fp16".
func (m *Model) Precision() string { return m.device.Precision() }

// Case predicts one case. An error about its files is an *InputError.
func (m *Model) Case(ctx context.Context, c task.Case) (*Result, error) {
	return m.one(ctx, input{Case: c})
}

// Volumes predicts one case whose images and mask are in memory, as Case predicts those of files. They are not changed.
func (m *Model) Volumes(ctx context.Context, id string, v *preprocess.Volumes) (*Result, error) {
	c, err := v.Case(id)
	if err != nil {
		return nil, &InputError{err}
	}
	return m.one(ctx, input{c, v})
}

func (m *Model) one(ctx context.Context, c input) (*Result, error) {
	p, err := m.prepare(ctx, c)
	if err != nil {
		return nil, &InputError{err}
	}
	defer m.leave(p)
	results, err := m.predict(ctx, []*prepared{p})
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// input is a case and, unless they are in its files, its volumes.
type input struct {
	task.Case
	volumes *preprocess.Volumes
}

// digest identifies the images and the mask; empty for those in memory, which no result is kept for.
func (c input) digest() (string, error) {
	if c.volumes != nil {
		return "", nil
	}
	return digestOf(c.Case)
}

// cropBytes is the memory in bytes for reading and cropping the case.
func (c input) cropBytes() (int64, error) {
	if c.volumes != nil {
		return preprocess.CropBytesOf(c.volumes.Images[0].Size, len(c.Images)), nil
	}
	return preprocess.CropBytes(c.Case)
}

func (c input) crop(p *plan.Plans) (*preprocess.Planned, error) {
	if c.volumes != nil {
		return preprocess.CropVolumes(c.Case, c.volumes, p)
	}
	return preprocess.Crop(c.Case, p)
}

// prepared is a case ready for the network.
type prepared struct {
	id       string
	files    string    // digest of images and mask
	measures []float64 // doubt.Measures of it; nil where they cannot be taken
	data     []float32 // (C, Z, Y, X), mask last, as the network takes it
	shape    [3]int
	warnings []string
	bytes    int64 // of memory that it holds
}

// prepare checks the files of a case and preprocesses it as the training cases were.
func (m *Model) prepare(ctx context.Context, c input) (*prepared, error) {
	switch {
	case len(c.Images) != m.Modalities():
		return nil, task.CaseErrorf(c.ID, "%d images, but the model was trained with %d modalities", len(c.Images), m.Modalities())
	case m.plans.MasksUnknown:
	case m.plans.RealMasks && c.Mask == "":
		return nil, task.CaseErrorf(c.ID, "no mask, but the model was trained with masks of the region of interest")
	case !m.plans.RealMasks && c.Mask != "":
		return nil, task.CaseErrorf(c.ID, "mask %s, but the model was trained without masks of the region of interest", c.Mask)
	}
	if c.ID != "" { // a Go program need not name its cases
		if err := task.CheckID(c.ID); err != nil {
			return nil, err
		}
	}
	files, err := c.digest()
	if err != nil {
		return nil, err
	}
	p, bytes, err := m.prepareWithin(ctx, c)
	if err != nil {
		return nil, err
	}
	if now, err := c.digest(); err != nil || now != files {
		m.room.budget.Release(bytes)
		return nil, task.CaseErrorf(c.ID, "its files changed while they were read; predict it again")
	}
	preprocess.NetworkInput(p.Data, p.Data, p.Shape, m.plans.NumClasses)
	return &prepared{id: c.ID, files: files, measures: doubt.Values(&p.Properties), data: p.Data, shape: [3]int(p.Shape[1:]), warnings: p.Warnings, bytes: bytes}, nil
}
