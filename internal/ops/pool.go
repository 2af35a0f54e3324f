package ops

import (
	"gorgonia.org/gorgonia"

	"github.com/universal-classifier/uc/internal/device"
)

// MaxPool adds a max pooling; training is true if its gradient will be needed.
func MaxPool(rt *Runtime, name string, x *gorgonia.Node, p device.Pooling, training bool) (*gorgonia.Node, error) {
	batch, channels, size := imageShape(x)
	out := p.OutSize(size)
	var winners *device.Tensor
	m := &differentiable{firstGrad: true, firstShape: []int{batch, channels, size[0], size[1], size[2]}}
	m.op = rt.newOp(name, []int{5}, batch, channels, out[0], out[1], out[2])
	m.run = func(in []*device.Tensor) *device.Tensor {
		y := rt.activation(batch, channels, out)
		if training {
			winners = rt.Arena.Alloc(device.Winners, batch, channels, out[0], out[1], out[2])
		}
		rt.Device.MaxPool(p, in[0], y, winners)
		rt.free(in[0])
		return y
	}
	m.backward = func(dy *device.Tensor) *device.Tensor {
		dx := rt.activation(batch, channels, size)
		rt.Device.MaxPoolBackward(p, dy, winners, dx, false)
		rt.free(winners, dy)
		return dx
	}
	return m.apply(x)
}
