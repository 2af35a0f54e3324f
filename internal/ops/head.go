package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/universal-classifier/uc/internal/device"
)

// HeadWindow is the window of the reference's average pooling before the linear layers.
var HeadWindow = [3]int{2, 2, 7}

// Classifier are the linear layers of all classification labels, one below the other: weights (sum of classes,
// features) and biases.
type Classifier struct {
	Weight, Bias         *gorgonia.Node
	GradWeight, GradBias *device.Tensor

	// Features are what the linear layers see, (N, features), after a run of a head that is not trained.
	Features *device.Tensor
}

// Head adds average pooling, the mean over positions and the linear layers: logits (N, sum of classes).
func Head(rt *Runtime, name string, x *gorgonia.Node, c *Classifier, training bool) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	inputs := []*gorgonia.Node{x, c.Weight, c.Bias}
	var features, weight *device.Tensor
	h := &differentiable{firstGrad: true, firstShape: []int{batch, channels, size[0], size[1], size[2]}}
	h.op = rt.newOp(name, dims(inputs), batch, c.Weight.Shape()[0])
	h.params = []*device.Tensor{c.GradWeight, c.GradBias}
	h.run = func(in []*device.Tensor) *device.Tensor {
		features, weight = rt.Arena.Alloc(device.Values, batch, channels), in[1]
		rt.Device.AvgPoolMean(HeadWindow, in[0], features)
		rt.free(in[0])
		logits := rt.Arena.Alloc(device.Values, h.out...)
		rt.Device.Linear(features, in[1], in[2], logits)
		if !training {
			c.Features = features // not freed: it lives as long as the logits
		}
		return logits
	}
	h.backward = func(dy *device.Tensor) *device.Tensor {
		d := rt.Arena.Alloc(device.Values, batch, channels)
		rt.Device.LinearBackward(features, dy, weight, d, c.GradWeight, c.GradBias)
		rt.free(features, dy)
		dx := rt.activation(batch, channels, size)
		rt.Device.AvgPoolMeanBackward(HeadWindow, d, dx)
		rt.free(d)
		return dx
	}
	return h.apply(inputs...)
}

// crossEntropy computes its gradient along with the loss.
type crossEntropy struct {
	function
	dlogits *device.Tensor
}

// CrossEntropy adds the loss: over labels, the sum of the mean cross-entropy between the label's columns of logits
// (N, sum of classes) and targets (N, labels), class numbers stored as float32. The logits are left alone.
func CrossEntropy(rt *Runtime, logits, targets *gorgonia.Node, classes []int) (*gorgonia.Node, error) {
	c := &crossEntropy{function: function{op: rt.newOp("cross entropy", []int{2, 2})}}
	c.run = func(in []*device.Tensor) *device.Tensor {
		loss := rt.Arena.Alloc(device.Values)
		c.dlogits = rt.Arena.Alloc(device.Values, in[0].Shape()...)
		rt.Device.CrossEntropy(classes, in[0], in[1], loss, c.dlogits)
		return loss
	}
	n, err := gorgonia.ApplyOp(c, logits, targets)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return n, nil
}

// InferShape implements gorgonia.Op.
func (c *crossEntropy) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.ScalarShape(), nil
}

// DiffWRT implements gorgonia.SDOp.
func (c *crossEntropy) DiffWRT(int) []bool { return []bool{true, false} }

// SymDiff implements gorgonia.SDOp. The loss is the end of the graph: its own gradient is the constant 1.
func (c *crossEntropy) SymDiff(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	f := &function{op: c.rt.newOp(c.name+"'", []int{0}, inputs[0].Shape()...)}
	f.run = func([]*device.Tensor) *device.Tensor { return c.dlogits }
	n, err := gorgonia.ApplyOp(f, output)
	if err != nil {
		return nil, err
	}
	return gorgonia.Nodes{n, nil}, nil
}
