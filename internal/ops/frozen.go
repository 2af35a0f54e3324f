package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/universal-classifier/uc/internal/device"
)

// The layers of this file make a network with fixed parameters, batch norms folded into the convolutions, and gradients
// of activations alone. In a graph of theirs an activation belongs to the operation that made it, which needs it to
// find what its ReLU let pass, and frees it when its own gradient has run.

// frozen is a function whose first input alone has a gradient.
type frozen struct{ differentiable }

// DiffWRT implements gorgonia.SDOp.
func (f *frozen) DiffWRT(inputs int) []bool {
	wrt := make([]bool, inputs)
	wrt[0] = true
	return wrt
}

// SymDiff implements gorgonia.SDOp.
func (f *frozen) SymDiff(inputs gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	back := &function{op: f.rt.newOp(f.name+"'", []int{len(f.out)}, f.firstShape...)}
	back.run = func(in []*device.Tensor) *device.Tensor { return f.backward(in[0]) }
	grads := make(gorgonia.Nodes, len(inputs))
	var err error
	grads[0], err = gorgonia.ApplyOp(back, grad)
	return grads, err
}

func (f *frozen) apply(inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	n, err := gorgonia.ApplyOp(f, inputs...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return n, nil
}

// newFrozen is an operation on x with further inputs.
func newFrozen(rt *Runtime, name string, inputs []*gorgonia.Node, out ...int) *frozen {
	f := &frozen{}
	batch, channels, size := imageShape(inputs[0])
	f.firstShape = []int{batch, channels, size[0], size[1], size[2]}
	f.op = rt.newOp(name, dims(inputs), out...)
	return f
}

// FrozenUnit adds convolution, bias and ReLU with the gradient of x.
func FrozenUnit(rt *Runtime, name string, x *gorgonia.Node, l *Layer) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	out := l.Conv.OutSize(size)
	if out[0]*out[1]*out[2] == 0 {
		return nil, checkUnit(name, batch, size, out)
	}
	inputs := []*gorgonia.Node{x, l.Weight, l.Bias}
	f := newFrozen(rt, name, inputs, batch, l.outputs(), out[0], out[1], out[2])
	var y, weight *device.Tensor
	f.run = func(in []*device.Tensor) *device.Tensor {
		y, weight = rt.activation(batch, l.outputs(), out), in[1]
		rt.Device.ConvForward(l.fixed(), in[0], weight, y, device.Epilogue{Bias: in[2], ReLU: true})
		return y
	}
	f.backward = func(dy *device.Tensor) *device.Tensor {
		rt.Device.ReLUBackward(y, dy)
		rt.free(y)
		dx := rt.activation(batch, channels, size)
		rt.Device.ConvBackwardData(l.Conv, dy, weight, dx, false)
		rt.free(dy)
		return dx
	}
	return f.apply(inputs...)
}

// FrozenPool adds a max pooling with the gradient of x.
func FrozenPool(rt *Runtime, name string, x *gorgonia.Node, p device.Pooling) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	out := p.OutSize(size)
	f := newFrozen(rt, name, []*gorgonia.Node{x}, batch, channels, out[0], out[1], out[2])
	var y, winners *device.Tensor
	f.run = func(in []*device.Tensor) *device.Tensor {
		y = rt.activation(batch, channels, out)
		winners = rt.Arena.Alloc(device.Winners, batch, channels, out[0], out[1], out[2])
		rt.Device.MaxPool(p, in[0], y, winners)
		return y
	}
	f.backward = func(dy *device.Tensor) *device.Tensor {
		rt.free(y)
		dx := rt.activation(batch, channels, size)
		rt.Device.MaxPoolBackward(p, dy, winners, dx, false)
		rt.free(winners, dy)
		return dx
	}
	return f.apply(x)
}

// FrozenMixed adds an Inception block with the gradient of x.
func FrozenMixed(rt *Runtime, name string, x *gorgonia.Node, b *Inception) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	widths, total := b.widths()
	inputs := []*gorgonia.Node{x}
	for _, l := range []*Layer{&b.Reduce, &b.Branch[0], &b.Branch[1], &b.Branch[2]} {
		inputs = append(inputs, l.Weight, l.Bias)
	}
	f := newFrozen(rt, name, inputs, batch, total, size[0], size[1], size[2])
	s, first := b.Split, b.Split[1]+b.Split[2] // what the first convolutions of branches 1 and 2 make
	var in []*device.Tensor
	var y, both, winners *device.Tensor
	f.run = func(given []*device.Tensor) *device.Tensor {
		dev := rt.Device
		in = given
		conv := func(l *Layer, x, w, bias, y *device.Tensor) {
			dev.ConvForward(l.fixed(), x, w, y, device.Epilogue{Bias: bias, ReLU: true})
		}
		y, both = rt.activation(batch, total, size), rt.activation(batch, first, size)
		conv(&b.Reduce, in[0], dev.Slice(in[1], 0, s[0]), dev.Slice(in[2], 0, s[0]), dev.Slice(y, 0, s[0]))
		conv(&b.Reduce, in[0], dev.Slice(in[1], s[0], first), dev.Slice(in[2], s[0], first), both)
		pooled := rt.activation(batch, channels, size)
		winners = rt.Arena.Alloc(device.Winners, batch, channels, size[0], size[1], size[2])
		dev.MaxPool(MixedPool, in[0], pooled, winners)
		to := widths[0]
		for i, from := range []*device.Tensor{dev.Slice(both, 0, s[1]), dev.Slice(both, s[1], s[2]), pooled} {
			conv(&b.Branch[i], from, in[3+2*i], in[4+2*i], dev.Slice(y, to, widths[1+i]))
			to += widths[1+i]
		}
		rt.free(pooled)
		return y
	}
	f.backward = func(dy *device.Tensor) *device.Tensor {
		dev := rt.Device
		dev.ReLUBackward(y, dy)
		rt.free(y)
		back := func(i, from int, d *device.Tensor) {
			dev.ConvBackwardData(b.Branch[i].Conv, dev.Slice(dy, from, widths[1+i]), in[3+2*i], d, false)
		}
		dboth := rt.activation(batch, first, size)
		back(0, widths[0], dev.Slice(dboth, 0, s[1]))
		back(1, widths[0]+widths[1], dev.Slice(dboth, s[1], s[2]))
		dev.ReLUBackward(both, dboth)
		rt.free(both)
		dx := rt.activation(batch, channels, size)
		dev.ConvBackwardData(b.Reduce.Conv, dev.Slice(dy, 0, s[0]), dev.Slice(in[1], 0, s[0]), dx, false)
		dev.ConvBackwardData(b.Reduce.Conv, dboth, dev.Slice(in[1], s[0], first), dx, true)
		rt.free(dboth)
		dpooled := rt.activation(batch, channels, size)
		back(2, widths[0]+widths[1]+widths[2], dpooled)
		rt.free(dy)
		dev.MaxPoolBackward(MixedPool, dpooled, winners, dx, true)
		rt.free(dpooled, winners)
		return dx
	}
	return f.apply(inputs...)
}

// FrozenHead adds average pooling, the mean over positions and the linear layers, with the gradient of x.
func FrozenHead(rt *Runtime, name string, x *gorgonia.Node, c *Classifier) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	inputs := []*gorgonia.Node{x, c.Weight, c.Bias}
	classes := c.Weight.Shape()[0]
	f := newFrozen(rt, name, inputs, batch, classes)
	var features, weight *device.Tensor
	f.run = func(in []*device.Tensor) *device.Tensor {
		features, weight = rt.Arena.Alloc(device.Values, batch, channels), in[1]
		rt.Device.AvgPoolMean(HeadWindow, in[0], features)
		logits := rt.Arena.Alloc(device.Values, batch, classes)
		rt.Device.Linear(features, in[1], in[2], logits)
		return logits
	}
	f.backward = func(dy *device.Tensor) *device.Tensor {
		d := rt.Arena.Alloc(device.Values, batch, channels)
		dw, db := rt.Arena.Alloc(device.Values, classes, channels), rt.Arena.Alloc(device.Values, classes) // nobody asks for them
		rt.Device.LinearBackward(features, dy, weight, d, dw, db)
		rt.free(features, dw, db)
		dx := rt.activation(batch, channels, size)
		rt.Device.AvgPoolMeanBackward(HeadWindow, d, dx)
		rt.free(d)
		return dx
	}
	return f.apply(inputs...)
}
