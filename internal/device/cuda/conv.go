package cuda

import (
	"errors"
	"fmt"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// A convolution is computed by the plan of cuDNN that measured fastest; where it has none, by kernels of our own.

// stem is the network's first convolution. With few channels the tensor cores would idle in it: cuDNN computes it as
// one of 4^3 taps over eight times as many channels (space to depth), kernels of our own from rows of the input; the
// faster of the two is taken.
var stem = device.Conv{Kernel: [3]int{7, 7, 7}, Stride: [3]int{2, 2, 2}}

// The stem's taps along an axis after space to depth, and the channels that one becomes.
const (
	stemTaps     = 4
	stemChannels = 8
)

// problem describes a convolution between two views to cuDNN.
func (d *gpuDevice) problem(op driver.Op, c device.Conv, x, y kernels.View, bias kernels.Ptr, relu bool) driver.Problem {
	low, high := c.Padding()
	return driver.Problem{Op: op, Type: driver.Type(d.t), N: x.N, C: x.C, K: y.C, In: [3]int{x.D, x.H, x.W}, Out: [3]int{y.D, y.H, y.W},
		Kernel: c.Kernel, Stride: c.Stride, PadLo: low, PadHi: high, XPitch: x.Pitch, YPitch: y.Pitch, Bias: bias != 0, ReLU: relu, Deterministic: d.exact}
}

// stemView is the input after space to depth.
func stemView(p kernels.Ptr, x *device.Tensor, y kernels.View) kernels.View {
	c := stemChannels * x.Dim(1)
	return kernels.View{Data: p, N: y.N, D: y.D + stemTaps - 1, H: y.H + stemTaps - 1, W: y.W + stemTaps - 1, C: c, Pitch: c}
}

// stemProblem is a stem convolution between such a view and y.
func (d *gpuDevice) stemProblem(op driver.Op, x, y kernels.View, bias kernels.Ptr, relu bool) driver.Problem {
	p := d.problem(op, device.Conv{Kernel: [3]int{stemTaps, stemTaps, stemTaps}, Stride: [3]int{1, 1, 1}}, x, y, bias, relu)
	p.PadLo, p.PadHi = [3]int{}, [3]int{} // the view holds its padding
	return p
}

// packStem brings the input into the shape of the stem's convolution.
func (d *gpuDevice) packStem(x *device.Tensor, y kernels.View) (kernels.View, error) {
	v := stemView(0, x, y)
	p, err := d.take(int64(v.Voxels()) * int64(v.C*d.t.Bytes()))
	if err != nil {
		return v, err
	}
	v.Data = p
	return v, d.run(d.t.StemPack(ptrOf(x), x.Dim(0), x.Dim(1), [3]int(x.Spec().Shape[2:5]), [3]int{y.D, y.H, y.W}, p))
}

// stemWeightBytes is the memory of the stem's weights after space to depth.
func (d *gpuDevice) stemWeightBytes(x, y kernels.View) int64 {
	return int64(y.C) * stemTaps * stemTaps * stemTaps * int64(x.C*d.t.Bytes())
}

// ownConv is a convolution for the kernels of our own.
func ownConv(c device.Conv) kernels.Conv { return kernels.Conv{Kernel: c.Kernel, Stride: c.Stride} }

// inputView is the input or activation x as an activation.
func (d *gpuDevice) inputView(x *device.Tensor) (kernels.View, error) {
	if x.Spec().Kind != device.Input {
		return viewOf(x), nil
	}
	v := d.dense(x.Spec().Shape, 0)
	p, err := d.take(int64(x.Size()) * int64(d.t.Bytes()))
	if err != nil {
		return v, err
	}
	v.Data = p
	return v, d.run(d.t.PackActivations(ptrOf(x), v, v.C))
}

// isStem reports whether a convolution is the stem.
func isStem(c device.Conv, x *device.Tensor) bool {
	return x.Spec().Kind == device.Input && c.Kernel == stem.Kernel && c.Stride == stem.Stride
}

// fastestStem computes the stem between x and y, or gradients, by way of space to depth or by kernels of our own, or
// returns cuda.ErrNoPlan.
func (d *gpuDevice) fastestStem(what string, x *device.Tensor, y kernels.View, spaceToDepth, own func() error) error {
	fits := kernels.TensorCores(d.t, d.card.Info().Capability) && d.t.FitsStem(x.Dim(1), y)
	switch {
	case d.tuner == nil && !fits:
		return ErrNoPlan
	case d.tuner == nil:
		return own()
	case !fits:
		return spaceToDepth()
	}
	return d.tuner.Choose(fmt.Sprintf("stem-%s-%s-%v-o%dx%dx%d-y%d", what, d.t, x.Spec().Shape, y.D, y.H, y.W, y.Pitch), spaceToDepth, own)
}

// planned computes a convolution by cuDNN, or returns cuda.ErrNoPlan. What it does not do between slices of channels it
// may do between dense copies of them.
func (d *gpuDevice) planned(op driver.Op, c device.Conv, x, y kernels.View, w, bias kernels.Ptr, relu bool) error {
	if d.tuner == nil {
		return ErrNoPlan
	}
	err := d.tuner.Run(d.problem(op, c, x, y, bias, relu), uint64(x.Data), uint64(w), uint64(y.Data), uint64(bias))
	if !errors.Is(err, ErrNoPlan) {
		return err
	}
	if bias != 0 || relu {
		if err := d.planned(op, c, x, y, w, 0, false); err != nil {
			return err
		}
		return d.run(d.t.BiasReLU(y, bias, relu))
	}
	if x.Pitch == x.C && y.Pitch == y.C {
		return err
	}
	xd, copyX, err := d.packed(x)
	if err != nil {
		return err
	}
	yd, copyY, err := d.packed(y)
	if err != nil {
		return err
	}
	if copyX && op != driver.BackwardData {
		err = d.run(d.t.CopyChannels(x, xd))
	}
	if err == nil && copyY && op != driver.Forward {
		err = d.run(d.t.CopyChannels(y, yd))
	}
	if err == nil {
		err = d.tuner.Run(d.problem(op, c, xd, yd, 0, false), uint64(xd.Data), uint64(w), uint64(yd.Data), 0)
	}
	switch {
	case err != nil:
		return err
	case copyX && op == driver.BackwardData:
		return d.run(d.t.CopyChannels(xd, x))
	case copyY && op == driver.Forward:
		return d.run(d.t.CopyChannels(yd, y))
	}
	return nil
}

// packed is v itself if it is dense, else room for a dense copy.
func (d *gpuDevice) packed(v kernels.View) (kernels.View, bool, error) {
	if v.Pitch == v.C {
		return v, false, nil
	}
	p, err := d.take(int64(v.Voxels()) * int64(v.C*d.t.Bytes()))
	v.Data, v.Pitch = p, v.C
	return v, true, err
}

// ConvForward implements Device.
func (d *gpuDevice) ConvForward(c device.Conv, x, w, y *device.Tensor, e device.Epilogue) {
	d.do(func() error {
		if err := d.forward(c, x, w, viewOf(y), ptrOf(e.Bias), e.ReLU); err != nil {
			return err
		}
		if e.Sums == nil {
			return nil
		}
		scratch, err := d.take(d.t.BatchNormScratch(viewOf(y)))
		if err != nil {
			return err
		}
		return d.run(d.t.BatchNormSums(viewOf(y), scratch, ptrOf(e.Sums))...)
	})
}

func (d *gpuDevice) forward(c device.Conv, x, w *device.Tensor, y kernels.View, bias kernels.Ptr, relu bool) error {
	if isStem(c, x) {
		err := d.fastestStem("forward", x, y,
			func() error { return d.stemForward(x, w, y, bias, relu) },
			func() error { return d.ownStemForward(x, w, y, bias, relu) })
		if !errors.Is(err, ErrNoPlan) {
			return err
		}
	}
	xv, err := d.inputView(x)
	if err != nil {
		return err
	}
	wp, err := d.working(w)
	if err != nil {
		return err
	}
	if err := d.planned(driver.Forward, c, xv, y, wp, bias, relu); !errors.Is(err, ErrNoPlan) {
		return err
	}
	return d.run(d.t.ConvForward(ownConv(c), xv, wp, xv.C, y, bias, relu))
}

func (d *gpuDevice) stemForward(x, w *device.Tensor, y kernels.View, bias kernels.Ptr, relu bool) error {
	xv, err := d.packStem(x, y)
	if err != nil {
		return err
	}
	wp, err := d.take(d.stemWeightBytes(xv, y))
	if err != nil {
		return err
	}
	if err := d.run(d.t.StemWeights(ptrOf(w), wp, y.C, x.Dim(1))); err != nil {
		return err
	}
	err = d.tuner.Run(d.stemProblem(driver.Forward, xv, y, bias, relu), uint64(xv.Data), uint64(wp), uint64(y.Data), uint64(bias))
	if !errors.Is(err, ErrNoPlan) || bias == 0 && !relu {
		return err
	}
	if err := d.tuner.Run(d.stemProblem(driver.Forward, xv, y, 0, false), uint64(xv.Data), uint64(wp), uint64(y.Data), 0); err != nil {
		return err
	}
	return d.run(d.t.BiasReLU(y, bias, relu))
}

// ownStemForward is stemForward by kernels of our own.
func (d *gpuDevice) ownStemForward(x, w *device.Tensor, y kernels.View, bias kernels.Ptr, relu bool) error {
	c := x.Dim(1)
	fragments, err := d.take(d.t.StemFragmentBytes(c))
	if err != nil {
		return err
	}
	return d.run(d.t.StemFragments(ptrOf(w), fragments, c),
		d.t.StemForward(ptrOf(x), x.Dim(0), c, [3]int(x.Spec().Shape[2:5]), fragments, y, bias, relu))
}

// ConvBackwardData implements Device.
func (d *gpuDevice) ConvBackwardData(c device.Conv, dy, w, dx *device.Tensor, accumulate bool) {
	d.do(func() error {
		wp, err := d.working(w)
		if err != nil {
			return err
		}
		to := viewOf(dx)
		if accumulate {
			to.Pitch = to.C
			if to.Data, err = d.take(int64(to.Voxels()) * int64(to.C*d.t.Bytes())); err != nil {
				return err
			}
		}
		err = d.planned(driver.BackwardData, c, to, viewOf(dy), wp, 0, false)
		switch {
		case errors.Is(err, ErrNoPlan):
			return d.run(d.t.ConvBackwardData(ownConv(c), viewOf(dy), wp, dx.Dim(1), viewOf(dx), accumulate))
		case err == nil && accumulate:
			return d.run(d.t.Add(viewOf(dx), to))
		}
		return err
	})
}

// ConvBackwardWeights implements Device.
func (d *gpuDevice) ConvBackwardWeights(c device.Conv, x, dy, dw *device.Tensor) {
	d.do(func() error {
		dw.Storage.(*gpuStorage).block.stale = true
		if isStem(c, x) {
			err := d.fastestStem("weights", x, viewOf(dy),
				func() error { return d.stemBackwardWeights(x, viewOf(dy), dw) },
				func() error { return d.ownStemBackwardWeights(x, viewOf(dy), dw) })
			if !errors.Is(err, ErrNoPlan) {
				return err
			}
		}
		xv, err := d.inputView(x)
		if err != nil {
			return err
		}
		to := ptrOf(dw)
		if d.t != kernels.Float32 { // cuDNN writes the format it reads
			if to, err = d.take(int64(dw.Size() * d.t.Bytes())); err != nil {
				return err
			}
		}
		err = d.planned(driver.BackwardWeights, c, xv, viewOf(dy), to, 0, false)
		switch {
		case errors.Is(err, ErrNoPlan):
			scratch, err := d.take(d.t.ConvScratch(ownConv(c), xv, viewOf(dy)))
			if err != nil {
				return err
			}
			return d.run(d.t.ConvBackwardWeights(ownConv(c), xv, viewOf(dy), ptrOf(dw), xv.C, scratch)...)
		case err == nil && d.t != kernels.Float32:
			return d.run(d.t.ConvertBack(to, ptrOf(dw), dw.Size()))
		}
		return err
	})
}

func (d *gpuDevice) stemBackwardWeights(x *device.Tensor, dy kernels.View, dw *device.Tensor) error {
	xv, err := d.packStem(x, dy)
	if err != nil {
		return err
	}
	to, err := d.take(d.stemWeightBytes(xv, dy))
	if err != nil {
		return err
	}
	if err := d.tuner.Run(d.stemProblem(driver.BackwardWeights, xv, dy, 0, false), uint64(xv.Data), uint64(to), uint64(dy.Data), 0); err != nil {
		return err
	}
	return d.run(d.t.StemWeightsBack(to, ptrOf(dw), dw.Dim(0), x.Dim(1)))
}

// ownStemBackwardWeights is stemBackwardWeights by kernels of our own.
func (d *gpuDevice) ownStemBackwardWeights(x *device.Tensor, dy kernels.View, dw *device.Tensor) error {
	c := x.Dim(1)
	scratch, err := d.take(d.t.StemScratch(x.Dim(0), c, [3]int{dy.D, dy.H, dy.W}))
	if err != nil {
		return err
	}
	return d.run(d.t.StemBackwardWeights(ptrOf(x), x.Dim(0), c, [3]int(x.Spec().Shape[2:5]), dy, ptrOf(dw), scratch)...)
}
