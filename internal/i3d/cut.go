package i3d

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/ops"
)

// InputLayer is the name of the network's input where a layer is named.
const InputLayer = "input"

// frozen are operations with gradients of activations.
var frozen = kinds{ops.FrozenUnit, ops.FrozenMixed, ops.FrozenPool}

// Cut is a network in evaluation mode, cut in two behind a layer: the part below computes the layer's activations, the
// part above logits from activations, and the gradients of logits with respect to them. It has the weights of the
// predictor that it was made of and shares its memory of activations, so that the two must not be used at the same
// time.
type Cut struct {
	p            *Predictor
	layer        string
	above        int // the first stage above the cut
	lower, upper *cutGraph
}

// cutGraph is a graph for one shape of its input.
type cutGraph struct {
	*graph
	batch  int
	size   [3]int
	result *gorgonia.Node // activations of the layer, or the gradient
	seed   *device.Tensor // weights of the logits
}

// Layers are the names of the layers that a network can be cut behind, from the input to the last.
func Layers() []string {
	names := []string{InputLayer}
	for _, s := range stages {
		names = append(names, s.name)
	}
	return names
}

// Cut returns the network cut behind a layer, one of Layers.
func (p *Predictor) Cut(layer string) (*Cut, error) {
	above := slices.Index(Layers(), layer)
	if above < 0 {
		return nil, fmt.Errorf("unknown layer %q: expected one of %s", layer, strings.Join(Layers(), ", "))
	}
	return &Cut{p: p, layer: layer, above: above}, nil
}

// Grid is how the positions of a layer lie in the network's input: their number and, in voxels and in the order
// (D, H, W), the centre of the first one's receptive field and the step from one centre to the next.
type Grid struct {
	Channels     int
	Size         [3]int
	First, Steps [3]float64
}

// Grid is that of the cut for an input of the given shape (D, H, W).
func (c *Cut) Grid(shape [3]int) Grid {
	g := Grid{Channels: c.p.cfg.InChannels, Size: shape, Steps: [3]float64{1, 1, 1}}
	for _, s := range stages[:c.above] {
		var low, kernel, stride [3]int
		switch {
		case s.pool != nil:
			low, _ = s.pool.Padding()
			kernel, stride, g.Size = s.pool.Kernel, s.pool.Stride, s.pool.OutSize(g.Size)
		case s.mixed != nil: // same size, odd kernels: centres stay
			_, g.Channels = layersOf(s, g.Channels)
			continue
		default:
			low, _ = s.conv.Padding()
			kernel, stride, g.Size = s.conv.Kernel, s.conv.Stride, s.conv.OutSize(g.Size)
			g.Channels = s.outputs
		}
		for a := range 3 {
			g.First[a] += (float64(kernel[a]-1)/2 - float64(low[a])) * g.Steps[a]
			g.Steps[a] *= float64(stride[a])
		}
	}
	return g
}

// Activations computes the layer's activations (N, channels, d, h, w), see Grid, of inputs x (N, C, D, H, W).
func (c *Cut) Activations(x []float32, batch int, shape [3]int) (_ []float32, err error) {
	defer device.Recover(&err)
	if err := checkInput(c.p.cfg, x, batch, shape); err != nil {
		return nil, err
	}
	if c.above == 0 {
		return slices.Clone(x), nil
	}
	if c.lower == nil || c.lower.batch != batch || c.lower.size != shape {
		if err := c.buildLower(batch, shape); err != nil {
			return nil, err
		}
	}
	c.p.dev.Upload(c.lower.input, x)
	if err := c.lower.run(c.p.work); err != nil {
		return nil, err
	}
	return c.lower.value(c.lower.result), nil
}

// Gradient computes, of activations as Activations returns them for inputs of the given shape, the logits of every
// label, (N, classes), and the gradient with respect to the activations of the sum over all samples and classes of
// logits times seed. seed is (N, sum of classes), labels in order.
func (c *Cut) Gradient(activations []float32, batch int, shape [3]int, seed []float32) (logits [][]float32, gradient []float32, err error) {
	defer device.Recover(&err)
	if c.upper == nil || c.upper.batch != batch || c.upper.size != shape {
		if err := c.buildUpper(batch, shape); err != nil {
			return nil, nil, err
		}
	}
	g := c.upper
	if len(activations) != g.input.Size() || len(seed) != g.seed.Size() {
		return nil, nil, fmt.Errorf("i3d: %d activations and a seed of %d numbers, expected %d and %d", len(activations), len(seed), g.input.Size(), g.seed.Size())
	}
	c.p.dev.Upload(g.input, activations)
	c.p.dev.Upload(g.seed, seed)
	if err := g.run(c.p.work); err != nil {
		return nil, nil, err
	}
	return splitLogits(g.value(g.logits), c.p.cfg.Outputs), g.value(g.result), nil
}

// buildLower builds the graph from the input to the layer.
func (c *Cut) buildLower(batch int, shape [3]int) (err error) {
	c.forget(&c.lower)
	c.lower = &cutGraph{graph: newGraph(c.p.dev), batch: batch, size: shape}
	defer func() {
		if err != nil {
			c.forget(&c.lower)
		}
	}()
	g := c.lower
	if err := g.addInputs(c.p.cfg, batch, shape, 0); err != nil {
		return err
	}
	if g.result, err = c.p.addStages(g.graph, g.node(InputLayer, g.input), 0, c.above, inference); err != nil {
		return err
	}
	return g.compile()
}

// buildUpper builds the graph from the layer to the logits and, by symbolic differentiation, back to the layer.
func (c *Cut) buildUpper(batch int, shape [3]int) (err error) {
	if batch < 1 {
		return fmt.Errorf("i3d: batch size %d", batch)
	}
	c.forget(&c.upper)
	dev, grid := c.p.dev, c.Grid(shape)
	c.upper = &cutGraph{graph: newGraph(dev), batch: batch, size: shape}
	defer func() {
		if err != nil {
			c.forget(&c.upper)
		}
	}()
	g := c.upper
	classes := 0
	for _, n := range c.p.cfg.Outputs {
		classes += n
	}
	in := device.Spec{Kind: device.Activation, Shape: []int{batch, grid.Channels, grid.Size[0], grid.Size[1], grid.Size[2]}}
	if c.above == 0 {
		in.Kind = device.Input
	}
	weights := device.Spec{Kind: device.Values, Shape: []int{batch, classes}}
	if g.inputs, err = dev.NewBlock(dev.Bytes(in) + dev.Bytes(weights)); err != nil {
		return err
	}
	g.input, g.seed = dev.Place(in, g.inputs, 0), dev.Place(weights, g.inputs, dev.Bytes(in))
	input, seed := g.node(c.layer, g.input), g.node("seed", g.seed)
	x, err := c.p.addStages(g.graph, input, c.above, len(stages), frozen)
	if err != nil {
		return err
	}
	if g.logits, err = ops.FrozenHead(g.rt, head, x, c.p.classifier(g.graph)); err != nil {
		return err
	}
	gradients, err := gorgonia.Backpropagate(gorgonia.Nodes{g.logits}, gorgonia.Nodes{seed}, gorgonia.Nodes{input})
	if err != nil {
		return fmt.Errorf("i3d: differentiation: %w", err)
	}
	g.result = gradients[0]
	return g.compile()
}

// Free gives the memory on the device back that is the cut's own; it must not be used any more. c may be nil.
func (c *Cut) Free() {
	if c != nil {
		c.forget(&c.lower)
		c.forget(&c.upper)
	}
}

// forget gives up a graph.
func (c *Cut) forget(g **cutGraph) {
	if *g != nil {
		(*g).free(c.p.work)
		*g = nil
	}
}

// OwnBytes is the device memory of the inputs of what has run. c may be nil.
func (c *Cut) OwnBytes() int64 {
	var n int64
	if c != nil {
		for _, g := range []*cutGraph{c.lower, c.upper} {
			if g != nil {
				n += g.inputs.Bytes()
			}
		}
	}
	return n
}

// Bytes is the device memory that a cut takes for itself for a batch of the given shape (D, H, W), and what it needs of
// the memory of activations, in bytes, without what kernels borrow.
func (c *Cut) Bytes(batch int, shape [3]int) (own, activations int64, err error) {
	plan := device.DryRun(c.p.dev)
	p, err := newPredictor(plan, c.p.cfg, &workspace{dev: plan})
	if err != nil {
		return 0, 0, err
	}
	dry, err := p.Cut(c.layer)
	if err != nil {
		return 0, 0, err
	}
	if err := dry.buildUpper(batch, shape); err != nil {
		return 0, 0, err
	}
	own, activations = dry.upper.inputs.Bytes(), dry.upper.rt.Arena.Bytes()
	if c.above > 0 {
		if _, err := dry.Activations(make([]float32, batch*p.cfg.InChannels*device.Count(shape[:])), batch, shape); err != nil {
			return 0, 0, err
		}
		own, activations = own+dry.lower.inputs.Bytes(), max(activations, dry.lower.rt.Arena.Bytes())
	}
	return own, activations, nil
}
