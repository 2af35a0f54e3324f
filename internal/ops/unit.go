package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/universal-classifier/uc/internal/device"
)

// Layer is a convolution with batch norm and ReLU: its parameters as nodes of the graph (Bias only in inference graphs,
// where batch norm is folded away; Gamma and Beta only in training graphs) and what a training writes.
type Layer struct {
	Conv                    device.Conv
	Weight, Gamma, Beta     *gorgonia.Node
	Bias                    *gorgonia.Node
	GradWeight              *device.Tensor
	GradGamma, GradBeta     *device.Tensor
	RunningMean, RunningVar *device.Tensor
}

// fixed is the convolution in an inference graph.
func (l *Layer) fixed() device.Conv {
	c := l.Conv
	c.Fixed = true
	return c
}

func (l *Layer) outputs() int { return l.Weight.Shape()[0] }

// layerRun is the state of a layer between its forward and its backward pass.
type layerRun struct {
	*Layer
	rt     *Runtime
	weight *device.Tensor
	raw    *device.Tensor // the convolution's result
	bn     device.BatchNorm
}

func imageShape(n *gorgonia.Node) (batch, channels int, size [3]int) {
	s := n.Shape()
	return s[0], s[1], [3]int(s[2:5])
}

// convolve computes the raw result and the batch's statistics.
func (l *layerRun) convolve(x, weight, gamma, beta *device.Tensor) {
	rt, out := l.rt, weight.Dim(0)
	size := l.Conv.OutSize([3]int(x.Shape()[2:5]))
	l.weight = weight
	l.raw = rt.activation(x.Dim(0), out, size)
	sums := rt.Arena.Alloc(device.Sums, out)
	rt.Device.ConvForward(l.Conv, x, weight, l.raw, device.Epilogue{Sums: sums})
	l.bn = device.BatchNorm{Gamma: gamma, Beta: beta, RunningMean: l.RunningMean, RunningVar: l.RunningVar,
		Mean: rt.Arena.Alloc(device.Values, out), InvStd: rt.Arena.Alloc(device.Values, out)}
	rt.Device.BatchNormStats(sums, x.Dim(0)*size[0]*size[1]*size[2], l.bn)
	rt.free(sums)
}

// part is the batch norm of channels [first, first+count) with the raw result and the parameters' gradients there.
func (l *layerRun) part(first, count int) (raw *device.Tensor, bn device.BatchNorm, dgamma, dbeta *device.Tensor) {
	cut := func(t *device.Tensor) *device.Tensor { return l.rt.Device.Slice(t, first, count) }
	bn = device.BatchNorm{Gamma: cut(l.bn.Gamma), Beta: cut(l.bn.Beta), Mean: cut(l.bn.Mean), InvStd: cut(l.bn.InvStd)}
	return cut(l.raw), bn, cut(l.GradGamma), cut(l.GradBeta)
}

// normalize writes batch norm and ReLU of the raw result to y.
func (l *layerRun) normalize(y *device.Tensor) { l.rt.Device.BatchNormReLU(l.raw, l.bn, y) }

// backward turns dy into the gradient of the raw result, in place, and computes the gradients of all parameters, given
// the input x of the convolution. Raw result and statistics are then no longer needed.
func (l *layerRun) backward(x, dy *device.Tensor) {
	l.rt.Device.BatchNormReLUBackward(l.raw, dy, l.bn, dy, l.GradGamma, l.GradBeta)
	l.rt.free(l.raw, l.bn.Mean, l.bn.InvStd)
	l.rt.Device.ConvBackwardWeights(l.Conv, x, dy, l.GradWeight)
}

// inputGrad returns the gradient of the convolution's input, given that of its raw result.
func (l *layerRun) inputGrad(dy *device.Tensor, size [3]int) *device.Tensor {
	dx := l.rt.activation(dy.Dim(0), l.weight.Dim(1), size)
	l.rt.Device.ConvBackwardData(l.Conv, dy, l.weight, dx, false)
	return dx
}

// Unit adds convolution, batch norm with batch statistics and ReLU to a training graph. inputGrad is true if the
// gradient of x is wanted.
func Unit(rt *Runtime, name string, x *gorgonia.Node, l *Layer, inputGrad bool) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	out := l.Conv.OutSize(size)
	if err := checkUnit(name, batch, size, out); err != nil {
		return nil, err
	}
	run := &layerRun{Layer: l, rt: rt}
	var input *device.Tensor
	inputs := []*gorgonia.Node{x, l.Weight, l.Gamma, l.Beta}
	u := &differentiable{firstGrad: inputGrad, firstShape: []int{batch, channels, size[0], size[1], size[2]}}
	u.op = rt.newOp(name, dims(inputs), batch, l.outputs(), out[0], out[1], out[2])
	u.params = []*device.Tensor{l.GradWeight, l.GradGamma, l.GradBeta}
	u.run = func(in []*device.Tensor) *device.Tensor {
		input = in[0]
		run.convolve(in[0], in[1], in[2], in[3])
		y := rt.activation(batch, l.outputs(), out)
		run.normalize(y)
		return y
	}
	u.backward = func(dy *device.Tensor) (dx *device.Tensor) {
		run.backward(input, dy)
		if inputGrad {
			dx = run.inputGrad(dy, size)
		}
		rt.free(input, dy)
		return dx
	}
	return u.apply(inputs...)
}

func checkUnit(name string, batch int, size, out [3]int) error {
	voxels := out[0] * out[1] * out[2]
	if voxels == 0 {
		return fmt.Errorf("%s: an image of %dx%dx%d is too small for this layer; every axis needs at least 2 voxels", name, size[0], size[1], size[2])
	}
	if batch*voxels == 1 {
		return fmt.Errorf("%s: one value per channel is left (batch %d, %dx%dx%d), which batch norm cannot train on; use a batch of 2 or larger images", name, batch, out[0], out[1], out[2])
	}
	return nil
}

// FoldedUnit adds convolution, bias and ReLU to an inference graph.
func FoldedUnit(rt *Runtime, name string, x *gorgonia.Node, l *Layer) (*gorgonia.Node, error) {
	batch, _, size := imageShape(x)
	out := l.Conv.OutSize(size)
	if out[0]*out[1]*out[2] == 0 {
		return nil, checkUnit(name, batch, size, out)
	}
	inputs := []*gorgonia.Node{x, l.Weight, l.Bias}
	f := &function{op: rt.newOp(name, dims(inputs), batch, l.outputs(), out[0], out[1], out[2])}
	f.run = func(in []*device.Tensor) *device.Tensor {
		y := rt.activation(batch, l.outputs(), out)
		rt.Device.ConvForward(l.fixed(), in[0], in[1], y, device.Epilogue{Bias: in[2], ReLU: true})
		rt.free(in[0])
		return y
	}
	return f.apply(inputs...)
}
