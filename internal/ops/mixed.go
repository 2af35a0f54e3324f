package ops

import (
	"gorgonia.org/gorgonia"

	"github.com/universal-classifier/uc/internal/device"
)

// MixedPool is the pooling of an Inception block's fourth branch.
var MixedPool = device.Pooling{Kernel: [3]int{3, 3, 3}, Stride: [3]int{1, 1, 1}}

// Inception are the layers of one block. The 1x1x1 convolutions that read the block's input (all of branch 0, the first
// of branches 1 and 2) are one layer, Reduce, whose outputs are branch 0's, branch 1's and branch 2's in this order,
// Split many of each.
type Inception struct {
	Reduce Layer
	Split  [3]int
	Branch [3]Layer // the last convolutions of branches 1, 2 and 3
}

func (b *Inception) widths() (w [4]int, total int) {
	w = [4]int{b.Split[0], b.Branch[0].outputs(), b.Branch[1].outputs(), b.Branch[2].outputs()}
	return w, w[0] + w[1] + w[2] + w[3]
}

// Mixed adds an Inception block to a training graph; every branch writes its own channels of the result.
func Mixed(rt *Runtime, name string, x *gorgonia.Node, b *Inception) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	if err := checkUnit(name, batch, size, size); err != nil {
		return nil, err
	}
	widths, total := b.widths()
	inputs := []*gorgonia.Node{x}
	m := &differentiable{firstGrad: true, firstShape: []int{batch, channels, size[0], size[1], size[2]}}
	for _, l := range []*Layer{&b.Reduce, &b.Branch[0], &b.Branch[1], &b.Branch[2]} {
		inputs = append(inputs, l.Weight, l.Gamma, l.Beta)
		m.params = append(m.params, l.GradWeight, l.GradGamma, l.GradBeta)
	}
	m.op = rt.newOp(name, dims(inputs), batch, total, size[0], size[1], size[2])

	run := &mixedRun{Inception: b, rt: rt, size: size, channels: channels, widths: widths, total: total, reduce: &layerRun{Layer: &b.Reduce, rt: rt}}
	for i := range run.branch {
		run.branch[i] = &layerRun{Layer: &b.Branch[i], rt: rt}
	}
	m.run, m.backward = run.forward, run.backward
	return m.apply(inputs...)
}

// mixedRun is the state of an Inception block between its forward and its backward pass.
type mixedRun struct {
	*Inception
	rt       *Runtime
	size     [3]int
	channels int // of the input
	widths   [4]int
	total    int

	reduce         *layerRun
	branch         [3]*layerRun
	input, winners *device.Tensor
	branchIn       [3]*device.Tensor // what the branches' last convolutions read
}

// forward takes the input and the parameters, in the order of the layers.
func (m *mixedRun) forward(in []*device.Tensor) *device.Tensor {
	rt := m.rt
	m.input = in[0]
	batch := m.input.Dim(0)
	y := rt.activation(batch, m.total, m.size)
	m.reduce.convolve(m.input, in[1], in[2], in[3])
	raw, bn, _, _ := m.reduce.part(0, m.Split[0])
	rt.Device.BatchNormReLU(raw, bn, rt.Device.Slice(y, 0, m.widths[0]))
	first, to := m.Split[0], m.widths[0]
	for i, l := range m.branch {
		if i < 2 {
			m.branchIn[i] = rt.activation(batch, m.Split[1+i], m.size)
			raw, bn, _, _ := m.reduce.part(first, m.Split[1+i])
			rt.Device.BatchNormReLU(raw, bn, m.branchIn[i])
			first += m.Split[1+i]
		} else {
			m.branchIn[i] = rt.activation(batch, m.channels, m.size)
			m.winners = rt.Arena.Alloc(device.Winners, batch, m.channels, m.size[0], m.size[1], m.size[2])
			rt.Device.MaxPool(MixedPool, m.input, m.branchIn[i], m.winners)
		}
		l.convolve(m.branchIn[i], in[4+3*i], in[5+3*i], in[6+3*i])
		l.normalize(rt.Device.Slice(y, to, m.widths[1+i]))
		to += m.widths[1+i]
	}
	return y
}

func (m *mixedRun) backward(dy *device.Tensor) *device.Tensor {
	rt, reduce := m.rt, m.reduce
	first, from := m.Split[0], m.widths[0]
	var dpooled *device.Tensor
	for i, l := range m.branch {
		part := rt.Device.Slice(dy, from, m.widths[1+i])
		l.backward(m.branchIn[i], part)
		rt.free(m.branchIn[i])
		d := l.inputGrad(part, m.size)
		if i < 2 {
			// The raw result of the first convolution makes room for its gradient.
			raw, bn, dgamma, dbeta := reduce.part(first, m.Split[1+i])
			rt.Device.BatchNormReLUBackward(raw, d, bn, raw, dgamma, dbeta)
			rt.free(d)
			first += m.Split[1+i]
		} else {
			dpooled = d
		}
		from += m.widths[1+i]
	}
	raw, bn, dgamma, dbeta := reduce.part(0, m.Split[0])
	rt.Device.BatchNormReLUBackward(raw, rt.Device.Slice(dy, 0, m.widths[0]), bn, raw, dgamma, dbeta)
	rt.free(dy, reduce.bn.Mean, reduce.bn.InvStd)
	rt.Device.ConvBackwardWeights(m.Reduce.Conv, m.input, reduce.raw, m.Reduce.GradWeight)
	rt.free(m.input)
	dx := reduce.inputGrad(reduce.raw, m.size)
	rt.free(reduce.raw)
	rt.Device.MaxPoolBackward(MixedPool, dpooled, m.winners, dx, true)
	rt.free(dpooled, m.winners)
	return dx
}

// FoldedMixed adds an Inception block to an inference graph.
func FoldedMixed(rt *Runtime, name string, x *gorgonia.Node, b *Inception) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	widths, total := b.widths()
	inputs := []*gorgonia.Node{x}
	for _, l := range []*Layer{&b.Reduce, &b.Branch[0], &b.Branch[1], &b.Branch[2]} {
		inputs = append(inputs, l.Weight, l.Bias)
	}
	f := &function{op: rt.newOp(name, dims(inputs), batch, total, size[0], size[1], size[2])}
	f.run = func(in []*device.Tensor) *device.Tensor {
		dev := rt.Device
		conv := func(l *Layer, x, w, bias, y *device.Tensor) {
			dev.ConvForward(l.fixed(), x, w, y, device.Epilogue{Bias: bias, ReLU: true})
		}
		y := rt.activation(batch, total, size)
		s := b.Split
		conv(&b.Reduce, in[0], dev.Slice(in[1], 0, s[0]), dev.Slice(in[2], 0, s[0]), dev.Slice(y, 0, s[0]))
		both := rt.activation(batch, s[1]+s[2], size)
		conv(&b.Reduce, in[0], dev.Slice(in[1], s[0], s[1]+s[2]), dev.Slice(in[2], s[0], s[1]+s[2]), both)
		to := widths[0]
		conv(&b.Branch[0], dev.Slice(both, 0, s[1]), in[3], in[4], dev.Slice(y, to, widths[1]))
		to += widths[1]
		conv(&b.Branch[1], dev.Slice(both, s[1], s[2]), in[5], in[6], dev.Slice(y, to, widths[2]))
		to += widths[2]
		rt.free(both)
		pooled := rt.activation(batch, channels, size)
		dev.MaxPool(MixedPool, in[0], pooled, nil)
		rt.free(in[0])
		conv(&b.Branch[2], pooled, in[7], in[8], dev.Slice(y, to, widths[3]))
		rt.free(pooled)
		return y
	}
	return f.apply(inputs...)
}
