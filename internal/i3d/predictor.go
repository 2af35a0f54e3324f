package i3d

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/ops"
	"github.com/universal-classifier/uc/internal/weights"
)

// maxGraphs bounds how many shapes a predictor keeps a compiled graph for.
const maxGraphs = 8

// foldedBias names the bias that takes the place of a batch norm, after a convolution's prefix.
const foldedBias = ".folded_bias"

// Predictor computes logits in evaluation mode. Batch norms are folded into weights and biases. It may be used by one
// goroutine at a time, and holds memory of its device until Free or the end of the device. Where the device fails, its
// methods return the *device.Error.
type Predictor struct {
	dev    device.Device
	cfg    Config
	params *memory
	work   *workspace
	shares bool           // work belongs to another
	graphs []*shapedGraph // most recently used last
	trace  ops.Trace
}

type shapedGraph struct {
	*graph
	batch int
	shape [3]int
}

// NewPredictor returns a predictor with the weights of sd.
func NewPredictor(dev device.Device, cfg Config, sd *weights.StateDict) (_ *Predictor, err error) {
	defer device.Recover(&err)
	p, err := newPredictor(dev, cfg, &workspace{dev: dev})
	if err != nil {
		return nil, err
	}
	return p.loaded(sd)
}

// Another returns a predictor of the same network with other weights. It borrows the memory of activations from p, so
// the two must not be used at the same time, and neither may be used once p has been freed.
func (p *Predictor) Another(sd *weights.StateDict) (_ *Predictor, err error) {
	defer device.Recover(&err)
	q, err := newPredictor(p.dev, p.cfg, p.work)
	if err != nil {
		return nil, err
	}
	q.shares = true
	return q.loaded(sd)
}

// loaded is p with the weights of sd.
func (p *Predictor) loaded(sd *weights.StateDict) (*Predictor, error) {
	if err := p.Load(sd); err != nil {
		p.Free()
		return nil, err
	}
	return p, nil
}

// Free gives the memory on the device back; the predictor must not be used any more. p may be nil.
func (p *Predictor) Free() {
	if p == nil {
		return
	}
	for _, g := range p.graphs {
		g.free(p.work)
	}
	p.graphs = nil
	p.params.free()
	if !p.shares {
		p.work.free()
	}
}

func newPredictor(dev device.Device, cfg Config, work *workspace) (*Predictor, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := &layout{dev: dev}
	for _, stage := range allLayers(cfg.InChannels) {
		for _, layer := range stage {
			l.addParts(device.Weights, layer.weightShape(), layer.parts, convWeight)
			l.addParts(device.Values, []int{layer.outputs()}, layer.parts, foldedBias)
		}
	}
	l.addLinear(cfg)
	m, err := l.allocate(dev)
	if err != nil {
		return nil, err
	}
	return &Predictor{dev: dev, cfg: cfg, params: m, work: work}, nil
}

// Load replaces the weights.
func (p *Predictor) Load(sd *weights.StateDict) (err error) {
	defer device.Recover(&err)
	if err := CheckStateDict(p.cfg, sd); err != nil {
		return err
	}
	p.params.fill(p.dev, func(to []float32, name string) []float32 { return addFolded(to, sd, name) })
	return nil
}

// addFolded appends the values of an entry with which convolution + bias equals convolution + batch norm with running
// statistics.
func addFolded(to []float32, sd *weights.StateDict, name string) []float32 {
	if conv, ok := strings.CutSuffix(name, convWeight); ok {
		w, scales := sd.Get(name).F32, foldScales(sd, conv)
		row := len(w) / len(scales)
		for i, v := range w {
			to = append(to, float32(float64(v)*scales[i/row]))
		}
		return to
	}
	if conv, ok := strings.CutSuffix(name, foldedBias); ok {
		bias, mean := sd.Get(conv+normBias).F32, sd.Get(conv+runningMean).F32
		for o, scale := range foldScales(sd, conv) {
			to = append(to, float32(float64(bias[o])-float64(mean[o])*scale))
		}
		return to
	}
	return append(to, sd.Get(name).F32...)
}

// foldScales is what the batch norm behind a convolution multiplies its outputs by.
func foldScales(sd *weights.StateDict, conv string) []float64 {
	gamma, variance := sd.Get(conv+normWeight).F32, sd.Get(conv+runningVar).F32
	scales := make([]float64, len(gamma))
	for o := range scales {
		scales[o] = float64(gamma[o]) / math.Sqrt(float64(variance[o])+device.BatchNormEps)
	}
	return scales
}

// foldConvolution returns weight and bias of the convolution with the given prefix as addFolded does.
func foldConvolution(sd *weights.StateDict, conv string) (w, bias *weights.Tensor) {
	w, bias = sd.Get(conv+convWeight).Clone(), sd.Get(conv+normBias).Clone()
	addFolded(w.F32[:0], sd, conv+convWeight)
	addFolded(bias.F32[:0], sd, conv+foldedBias)
	return w, bias
}

// Trace reports every operation of subsequent runs to f.
func (p *Predictor) Trace(f ops.Trace) {
	p.trace = f
	for _, g := range p.graphs {
		g.trace = f
	}
}

// Logits returns the logits of every label, (N, classes), for x (N, C, D, H, W). The graph of a batch size and shape is
// built at first use and kept; only the most recently used ones are.
func (p *Predictor) Logits(x []float32, batch int, shape [3]int) (logits [][]float32, err error) {
	defer device.Recover(&err)
	if err := checkInput(p.cfg, x, batch, shape); err != nil {
		return nil, err
	}
	g, err := p.graphFor(batch, shape)
	if err != nil {
		return nil, err
	}
	p.dev.Upload(g.input, x)
	if err := g.run(p.work); err != nil {
		return nil, err
	}
	return splitLogits(g.value(g.logits), p.cfg.Outputs), nil
}

// Features returns what the linear layers saw in the last run of Logits, (N, features): the last activations, averaged
// over positions. It is nil before the first run.
func (p *Predictor) Features() []float32 {
	if len(p.graphs) == 0 {
		return nil
	}
	t := p.graphs[len(p.graphs)-1].head.Features
	v := make([]float32, t.Size())
	p.dev.Download(t, v)
	return v
}

func (p *Predictor) graphFor(batch int, shape [3]int) (*graph, error) {
	i := slices.IndexFunc(p.graphs, func(g *shapedGraph) bool { return g.batch == batch && g.shape == shape })
	if i >= 0 {
		g := p.graphs[i]
		p.graphs = append(slices.Delete(p.graphs, i, i+1), g)
		return g.graph, nil
	}
	if batch < 1 {
		return nil, fmt.Errorf("i3d: batch size %d", batch)
	}
	if len(p.graphs) == maxGraphs {
		p.graphs[0].free(p.work)
		p.graphs = slices.Delete(p.graphs, 0, 1)
	}
	g := newGraph(p.dev)
	g.trace = p.trace
	err := p.build(g, batch, shape)
	if err == nil {
		err = g.compile()
	}
	if err != nil {
		g.free(p.work)
		return nil, err
	}
	p.graphs = append(p.graphs, &shapedGraph{g, batch, shape})
	return g, nil
}

func (p *Predictor) build(g *graph, batch int, shape [3]int) error {
	if err := g.addInputs(p.cfg, batch, shape, 0); err != nil {
		return err
	}
	x, err := p.addStages(g, g.node("input", g.input), 0, len(stages), inference)
	if err != nil {
		return err
	}
	g.head = p.classifier(g)
	g.logits, err = ops.Head(g.rt, head, x, g.head, false)
	return err
}

// head is the name of the operation behind all stages.
const head = "linear_list"

// kinds are the operations that stages become.
type kinds struct {
	unit  func(rt *ops.Runtime, name string, x *gorgonia.Node, l *ops.Layer) (*gorgonia.Node, error)
	mixed func(rt *ops.Runtime, name string, x *gorgonia.Node, b *ops.Inception) (*gorgonia.Node, error)
	pool  func(rt *ops.Runtime, name string, x *gorgonia.Node, p device.Pooling) (*gorgonia.Node, error)
}

// inference are operations without gradients.
var inference = kinds{ops.FoldedUnit, ops.FoldedMixed, func(rt *ops.Runtime, name string, x *gorgonia.Node, p device.Pooling) (*gorgonia.Node, error) {
	return ops.MaxPool(rt, name, x, p, false)
}}

// addStages adds stages [from, to) to a graph, of which x is the input.
func (p *Predictor) addStages(g *graph, x *gorgonia.Node, from, to int, k kinds) (_ *gorgonia.Node, err error) {
	next := 0
	param := func() *gorgonia.Node {
		next++
		return g.node(p.params.items[next-1].names[0], p.params.tensors[next-1])
	}
	newLayer := func(l layer) ops.Layer { return ops.Layer{Conv: l.conv, Weight: param(), Bias: param()} }
	for i, ls := range allLayers(p.cfg.InChannels) {
		if i < from {
			next += 2 * len(ls)
			continue
		}
		if i == to {
			break
		}
		switch s := stages[i]; {
		case s.pool != nil:
			x, err = k.pool(g.rt, s.name, x, *s.pool)
		case s.mixed != nil:
			b := ops.Inception{Reduce: newLayer(ls[0]), Split: [3]int{s.mixed[0], s.mixed[1], s.mixed[3]}}
			for k := range b.Branch {
				b.Branch[k] = newLayer(ls[1+k])
			}
			x, err = k.mixed(g.rt, s.name, x, &b)
		default:
			l := newLayer(ls[0])
			x, err = k.unit(g.rt, s.name, x, &l)
		}
		if err != nil {
			return nil, err
		}
	}
	return x, nil
}

// classifier are the linear layers, whose parameters are the last two.
func (p *Predictor) classifier(g *graph) *ops.Classifier {
	at := len(p.params.items) - 2
	return &ops.Classifier{Weight: g.node(p.params.items[at].names[0], p.params.tensors[at]), Bias: g.node(p.params.items[at+1].names[0], p.params.tensors[at+1])}
}

// PredictorMemory is the device memory that a predictor takes for one image of the given shape (D, H, W), in bytes: for
// its weights and the image, and, in proportion to the size of a batch, for activations. What kernels borrow is not in
// it.
func PredictorMemory(dev device.Device, cfg Config, shape [3]int) (own, activations int64, err error) {
	plan := device.DryRun(dev)
	p, err := newPredictor(plan, cfg, &workspace{dev: plan})
	if err != nil {
		return 0, 0, err
	}
	g, err := p.graphFor(1, shape)
	if err != nil {
		return 0, 0, err
	}
	return p.OwnBytes(), g.rt.Arena.Bytes(), nil
}

// OwnBytes is the device memory of weights and inputs, without what Another shares.
func (p *Predictor) OwnBytes() int64 {
	n := p.params.bytes
	for _, g := range p.graphs {
		n += g.inputs.Bytes()
	}
	return n
}

// MemoryBytes is the device memory in use.
func (p *Predictor) MemoryBytes() int64 {
	return p.OwnBytes() + p.work.bytes() + p.dev.WorkspaceBytes()
}
