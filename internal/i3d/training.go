package i3d

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/ops"
	"github.com/universal-classifier/uc/internal/weights"
)

// ErrNotFinite is returned by Step when the loss or the gradient is NaN or infinite; parameters and momentum are then
// unchanged.
var ErrNotFinite = errors.New("loss or gradient is not finite")

// StepOptions are the optimiser's numbers. Without Beta2 the optimiser is SGD with Nesterov momentum, else AdamW with
// Momentum as its first beta.
type StepOptions struct {
	LR, Momentum, WeightDecay float64
	ClipNorm                  float64 // 0: no clipping
	Beta2                     float64 // 0: SGD
}

// Numbers of the reference's optimiser, SGD with Nesterov momentum.
const (
	ReferenceLR          = 1e-2
	ReferenceMomentum    = 0.99
	ReferenceWeightDecay = 3e-5
	ReferenceClipNorm    = 12.0
)

// adamEps is torch.optim.AdamW's default.
const adamEps = 1e-8

// StepResult is what a training step saw before it changed the parameters.
type StepResult struct {
	Loss     float64
	GradNorm float64     // before clipping; -1 if the device skipped the update, see device.LossScaler
	Logits   [][]float32 // per label, (N, classes)
}

// Training is a network being trained at one batch size and image shape. It may be used by one goroutine at a time, and
// holds memory of its device until Free or the end of the device. Where the device fails, its methods return the
// *device.Error.
type Training struct {
	dev      device.Device
	cfg      Config
	batch    int
	shape    [3]int
	params   *memory
	grads    *memory
	momentum *memory
	second   *memory // AdamW's second moments; nil with SGD
	steps    int     // of AdamW so far
	stats    *memory // running means and variances
	average  *average
	batches  map[string]int64
	started  bool // there is a momentum
	graph    *graph
	loss     *gorgonia.Node
	inGrad   *gorgonia.Node
	work     workspace
	eval     *Predictor
	stale    bool // eval has older weights
}

// NewTraining builds the training graph, with weights all zero: call Load. shape is (D, H, W).
func NewTraining(dev device.Device, cfg Config, batch int, shape [3]int) (_ *Training, err error) {
	defer device.Recover(&err)
	return newTraining(dev, cfg, batch, shape, false)
}

func newTraining(dev device.Device, cfg Config, batch int, shape [3]int, inputGrad bool) (*Training, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if batch < 1 {
		return nil, fmt.Errorf("i3d: batch size %d", batch)
	}
	t := &Training{dev: dev, cfg: cfg, batch: batch, shape: shape, graph: newGraph(dev), work: workspace{dev: dev}, stale: true}
	if err := t.allocate(inputGrad); err != nil {
		t.Free()
		return nil, err
	}
	return t, nil
}

// allocate takes the memory of the network and compiles its graph.
func (t *Training) allocate(inputGrad bool) (err error) {
	dev, cfg := t.dev, t.cfg
	params, stats := &layout{dev: dev}, &layout{dev: dev}
	layers := allLayers(cfg.InChannels)
	for _, stage := range layers {
		for _, l := range stage {
			c := []int{l.outputs()}
			params.addParts(device.Weights, l.weightShape(), l.parts, convWeight)
			params.addParts(device.Values, c, l.parts, normWeight)
			params.addParts(device.Values, c, l.parts, normBias)
			stats.addParts(device.Values, c, l.parts, runningMean)
			stats.addParts(device.Values, c, l.parts, runningVar)
		}
	}
	params.addLinear(cfg)
	for _, m := range []**memory{&t.params, &t.grads, &t.momentum} {
		if *m, err = params.allocate(dev); err != nil {
			return err
		}
	}
	if t.stats, err = stats.allocate(dev); err != nil {
		return err
	}
	t.resetCounts()
	if err := t.build(layers, inputGrad); err != nil {
		return err
	}
	if err := t.graph.compile(); err != nil {
		return err
	}
	return t.work.settle(t.graph.rt.Arena)
}

// Free gives the memory on the device back; the training must not be used any more. t may be nil.
func (t *Training) Free() {
	if t == nil {
		return
	}
	t.eval.Free()
	t.graph.free(&t.work)
	t.work.free()
	for _, m := range []*memory{t.params, t.grads, t.momentum, t.second, t.stats} {
		m.free()
	}
	t.average.free()
}

// build makes the graph from input to loss and, by symbolic differentiation, back to every parameter.
func (t *Training) build(layers [][]layer, inputGrad bool) error {
	g, cfg := t.graph, t.cfg
	if err := g.addInputs(cfg, t.batch, t.shape, len(cfg.Outputs)); err != nil {
		return err
	}
	input := g.node("input", g.input)
	targets := g.node("targets", g.targets)
	var wrt []*gorgonia.Node
	next := 0
	param := func() (*gorgonia.Node, *device.Tensor) {
		n := g.node(t.params.items[next].names[0], t.params.tensors[next])
		wrt = append(wrt, n)
		next++
		return n, t.grads.tensors[next-1]
	}
	stat := 0
	newLayer := func(l layer) ops.Layer {
		o := ops.Layer{Conv: l.conv, RunningMean: t.stats.tensors[stat], RunningVar: t.stats.tensors[stat+1]}
		stat += 2
		o.Weight, o.GradWeight = param()
		o.Gamma, o.GradGamma = param()
		o.Beta, o.GradBeta = param()
		return o
	}
	x := input
	var err error
	for i, s := range stages {
		switch ls := layers[i]; {
		case s.pool != nil:
			x, err = ops.MaxPool(g.rt, s.name, x, *s.pool, true)
		case s.mixed != nil:
			b := ops.Inception{Reduce: newLayer(ls[0]), Split: [3]int{s.mixed[0], s.mixed[1], s.mixed[3]}}
			for k := range b.Branch {
				b.Branch[k] = newLayer(ls[1+k])
			}
			x, err = ops.Mixed(g.rt, s.name, x, &b)
		default:
			l := newLayer(ls[0])
			x, err = ops.Unit(g.rt, s.name, x, &l, i > 0 || inputGrad)
		}
		if err != nil {
			return err
		}
	}
	var c ops.Classifier
	c.Weight, c.GradWeight = param()
	c.Bias, c.GradBias = param()
	if g.logits, err = ops.Head(g.rt, "linear_list", x, &c, true); err != nil {
		return err
	}
	if t.loss, err = ops.CrossEntropy(g.rt, g.logits, targets, cfg.Outputs); err != nil {
		return err
	}
	if inputGrad {
		wrt = append(wrt, input)
	}
	grads, err := gorgonia.Grad(t.loss, wrt...)
	if err != nil {
		return fmt.Errorf("i3d: differentiation: %w", err)
	}
	if inputGrad {
		t.inGrad = grads[len(grads)-1]
	}
	return nil
}

func (t *Training) resetCounts() {
	t.batches = map[string]int64{}
	names, _ := convolutions(t.cfg)
	for _, n := range names {
		t.batches[n+".batch3d.num_batches_tracked"] = 0
	}
}

// Load sets weights and running statistics and forgets the momentum.
func (t *Training) Load(sd *weights.StateDict) (err error) {
	defer device.Recover(&err)
	if err := CheckStateDict(t.cfg, sd); err != nil {
		return err
	}
	t.params.load(t.dev, sd)
	t.stats.load(t.dev, sd)
	for name := range t.batches {
		t.batches[name] = sd.Get(name).I64[0]
	}
	t.started, t.stale = false, true
	t.average.free()
	t.average = nil
	return nil
}

// State returns weights, running statistics and batch counters, in the order of the reference's state_dict.
func (t *Training) State() (sd *weights.StateDict, err error) {
	defer device.Recover(&err)
	return t.state(), nil
}

func (t *Training) state() *weights.StateDict {
	sd := EmptyStateDict(t.cfg)
	t.params.store(t.dev, sd)
	t.stats.store(t.dev, sd)
	for name, n := range t.batches {
		sd.Get(name).I64[0] = n
	}
	return sd
}

// parametersOf returns the entries of the parameters, zeros, in the order of the state dictionary.
func (t *Training) parametersOf() *weights.StateDict {
	isParam := map[string]bool{}
	for _, n := range t.params.names() {
		isParam[n] = true
	}
	all, sd := EmptyStateDict(t.cfg), weights.NewStateDict()
	for _, n := range all.Names() {
		if isParam[n] {
			sd.Set(n, all.Get(n))
		}
	}
	return sd
}

// Momentum returns the optimiser's momentum of every parameter; empty before the first step.
func (t *Training) Momentum() (sd *weights.StateDict, err error) {
	defer device.Recover(&err)
	if !t.started {
		return weights.NewStateDict(), nil
	}
	sd = t.parametersOf()
	t.momentum.store(t.dev, sd)
	return sd, nil
}

// LoadMomentum sets the momentum as Momentum returned it. An empty dictionary means none yet.
func (t *Training) LoadMomentum(sd *weights.StateDict) (err error) {
	defer device.Recover(&err)
	if sd.Len() == 0 {
		t.started = false
		return nil
	}
	if err := t.checkParameters("momentum", sd); err != nil {
		return err
	}
	t.momentum.load(t.dev, sd)
	t.started = true
	return nil
}

// upload checks and sends a batch: x (N, C, D, H, W), targets per label and sample.
func (t *Training) upload(x []float32, targets [][]int) error {
	if err := checkInput(t.cfg, x, t.batch, t.shape); err != nil {
		return err
	}
	flat, err := t.flatTargets(targets)
	if err != nil {
		return err
	}
	t.dev.Upload(t.graph.input, x)
	t.dev.Upload(t.graph.targets, flat)
	return nil
}

func (t *Training) flatTargets(targets [][]int) ([]float32, error) {
	if len(targets) != len(t.cfg.Outputs) {
		return nil, fmt.Errorf("i3d: targets of %d labels, expected %d", len(targets), len(t.cfg.Outputs))
	}
	flat := make([]float32, t.batch*len(targets))
	for label, of := range targets {
		if len(of) != t.batch {
			return nil, fmt.Errorf("i3d: label %d has %d targets, expected %d", label, len(of), t.batch)
		}
		for i, v := range of {
			if v < 0 || v >= t.cfg.Outputs[label] {
				return nil, fmt.Errorf("i3d: target %d of label %d, which has %d classes", v, label, t.cfg.Outputs[label])
			}
			flat[i*len(targets)+label] = float32(v)
		}
	}
	return flat, nil
}

// Trace reports every operation of subsequent steps to f.
func (t *Training) Trace(f ops.Trace) { t.graph.trace = f }

// Step runs forward, backward and the optimiser on one batch.
func (t *Training) Step(x []float32, targets [][]int, o StepOptions) (r StepResult, err error) {
	defer device.Recover(&err)
	if r, err = t.backpropagate(x, targets); err != nil {
		return r, err
	}
	if !numeric.Finite(r.Loss) {
		return r, ErrNotFinite
	}
	if r.GradNorm, err = t.update(o); err != nil {
		return r, err
	}
	if !numeric.Finite(r.GradNorm) {
		return r, ErrNotFinite
	}
	t.started = t.started || r.GradNorm >= 0
	return r, nil
}

// backpropagate runs the graph: loss, logits, gradients and running statistics.
func (t *Training) backpropagate(x []float32, targets [][]int) (StepResult, error) {
	if err := t.upload(x, targets); err != nil {
		return StepResult{}, err
	}
	if err := t.graph.run(&t.work); err != nil {
		return StepResult{}, err
	}
	for name := range t.batches {
		t.batches[name]++
	}
	t.stale = true
	return StepResult{Loss: float64(t.graph.value(t.loss)[0]), Logits: splitLogits(t.graph.value(t.graph.logits), t.cfg.Outputs)}, nil
}

// EvalLoss is the loss of a batch in evaluation mode, with running statistics, as in the reference's validation
// iterations. The batch may have any size.
func (t *Training) EvalLoss(x []float32, targets [][]int) (loss float64, logits [][]float32, err error) {
	defer device.Recover(&err)
	if len(targets) != len(t.cfg.Outputs) {
		return 0, nil, fmt.Errorf("i3d: targets of %d labels, expected %d", len(targets), len(t.cfg.Outputs))
	}
	eval, err := t.evaluation()
	if err != nil {
		return 0, nil, err
	}
	batch := len(targets[0])
	if logits, err = eval.Logits(x, batch, t.shape); err != nil {
		return 0, nil, err
	}
	for label, of := range targets {
		l, err := crossEntropy(logits[label], of, t.cfg.Outputs[label])
		if err != nil {
			return 0, nil, fmt.Errorf("label %d: %w", label, err)
		}
		loss += l
	}
	return loss, logits, nil
}

// evaluation is the predictor with the current weights.
func (t *Training) evaluation() (_ *Predictor, err error) {
	if t.eval == nil {
		if t.eval, err = newPredictor(t.dev, t.cfg, &t.work); err != nil {
			return nil, err
		}
		t.eval.shares = true
	}
	if t.stale {
		if err := t.eval.Load(t.predicting()); err != nil {
			return nil, err
		}
		t.stale = false
	}
	return t.eval, nil
}

// crossEntropy is the mean cross-entropy of logits (N, classes).
func crossEntropy(logits []float32, targets []int, classes int) (float64, error) {
	total := 0.0
	for i, target := range targets {
		if target < 0 || target >= classes || (i+1)*classes > len(logits) {
			return 0, fmt.Errorf("i3d: target %d of sample %d does not fit %d classes and %d logits", target, i, classes, len(logits))
		}
		row := logits[i*classes:][:classes]
		largest, sum := numeric.Exponentials(row)
		total += numeric.CrossEntropy(row[target], largest, sum)
	}
	return total / float64(len(targets)), nil
}

// MemoryBytes is the device memory in use.
func (t *Training) MemoryBytes() int64 {
	n := t.OwnBytes() + t.graph.inputs.Bytes() + t.work.bytes() + t.dev.WorkspaceBytes()
	if t.eval != nil {
		n += t.eval.OwnBytes()
	}
	return n
}

// OwnBytes is the memory of parameters and everything of their length.
func (t *Training) OwnBytes() int64 {
	n := 3*t.params.bytes + t.stats.bytes
	if t.second != nil {
		n += t.params.bytes
	}
	if t.average != nil {
		n += t.params.bytes + t.stats.bytes
	}
	return n
}

// Extras say what a training keeps of the weights beyond their gradients and momentum.
type Extras struct {
	SecondMoment bool // AdamW
	Average      bool
}

// MemoryEstimate is the device memory a training with validation will take, in bytes, without what kernels borrow.
func MemoryEstimate(dev device.Device, cfg Config, batch int, shape [3]int, extras Extras) (int64, error) {
	plan := device.DryRun(dev)
	t, err := NewTraining(plan, cfg, batch, shape)
	if err != nil {
		return 0, err
	}
	p, err := newPredictor(plan, cfg, &t.work)
	if err != nil {
		return 0, err
	}
	if _, err := p.graphFor(batch, shape); err != nil {
		return 0, err
	}
	if extras.SecondMoment {
		if err := t.addSecond(); err != nil {
			return 0, err
		}
	}
	if extras.Average {
		if err := t.addAverage(); err != nil {
			return 0, err
		}
	}
	return t.OwnBytes() + t.graph.inputs.Bytes() + t.work.bytes() + p.OwnBytes(), nil
}
