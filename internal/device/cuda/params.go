package cuda

import (
	"math"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// gpuScaled is a device in a format of few exponents, which scales the loss.
type gpuScaled struct{ *gpuDevice }

// LossScale implements LossScaler.
func (d gpuScaled) LossScale() (scale float64, good int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return float64(d.numbers.LossScale), int(d.numbers.Good)
}

// SetLossScale implements LossScaler. Invalid scales are ignored.
func (d gpuScaled) SetLossScale(scale float64, good int) {
	d.doAlone(func() error {
		if !(scale > 0) || math.IsInf(scale, 0) {
			return nil
		}
		d.numbers.LossScale, d.numbers.Good = float32(scale), int32(good)
		return d.card.Upload(uint64(d.control), d.numbers.Encode())
	})
}

// Step implements Device.
func (d *gpuDevice) Step(o device.SGD, params, grads, momentum *device.Tensor) (norm float64) {
	c := &d.numbers
	return d.step(params, func() {
		c.LR, c.Momentum, c.WeightDecay, c.ClipNorm = float32(o.LR), float32(o.Momentum), float32(o.WeightDecay), float32(o.ClipNorm)
		c.Keep = c.Momentum
		if o.First {
			c.Keep = 0
		}
	}, func(working, scratch kernels.Ptr) []kernels.Launch {
		return d.t.Step(ptrOf(params), ptrOf(grads), ptrOf(momentum), working, params.Size(), d.control, scratch)
	})
}

// StepAdamW implements Device.
func (d *gpuDevice) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) (norm float64) {
	return d.step(params, func() { d.numbers.ClipNorm = float32(o.ClipNorm) }, func(working, scratch kernels.Ptr) []kernels.Launch {
		shrink, rate, root := o.Factors()
		return d.t.StepAdamW(kernels.AdamW{Beta1: o.Beta1, Beta2: o.Beta2, Shrink: shrink, Rate: rate, Root: root, Eps: o.Eps, Fresh: o.Step == 1},
			ptrOf(params), ptrOf(grads), ptrOf(momentum), ptrOf(second), working, params.Size(), d.control, scratch)
	})
}

// Average implements Device.
func (d *gpuDevice) Average(dst, src *device.Tensor, keep float64) {
	d.doAlone(func() error {
		return d.run(d.t.Average(ptrOf(dst), ptrOf(src), dst.Size(), keep)...)
	})
}

// step uploads the numbers that set changes, runs what launches makes of the step and returns the norm of the
// gradients, -1 where the step was skipped.
func (d *gpuDevice) step(params *device.Tensor, set func(), launches func(working, scratch kernels.Ptr) []kernels.Launch) (norm float64) {
	d.doAlone(func() error {
		n := params.Size()
		block := params.Storage.(*gpuStorage).block
		c := &d.numbers
		set()
		if err := d.card.Upload(uint64(d.control), c.Encode()); err != nil {
			return err
		}
		scratch, err := d.take(d.t.StepScratch(n))
		if err != nil {
			return err
		}
		// The copy follows in the same pass, unless it is to be made again anyway.
		working := kernels.Ptr(0)
		if block.copy != 0 && !block.stale {
			working = d.copyOf(params.Storage.(*gpuStorage))
		}
		if err := d.run(launches(working, scratch)...); err != nil {
			return err
		}
		now := make([]byte, kernels.ControlBytes)
		if err := d.card.Download(now, uint64(d.control)); err != nil {
			return err
		}
		if err := c.Decode(now); err != nil {
			return err
		}
		norm = c.Norm
		if c.Skipped != 0 {
			norm = -1
		}
		return nil
	})
	return norm
}

// copyOf is where a tensor of parameters lies in the copy of its block.
func (d *gpuDevice) copyOf(s *gpuStorage) kernels.Ptr {
	return kernels.Ptr(s.block.copy) + kernels.Ptr(s.offset/4*int64(d.t.Bytes()))
}

// working returns the weights in the device's number format, up to date.
func (d *gpuDevice) working(w *device.Tensor) (kernels.Ptr, error) {
	s := w.Storage.(*gpuStorage)
	if d.t == kernels.Float32 {
		return s.ptr(), nil
	}
	b := s.block
	if d.capture != nil {
		return d.copyOf(s), d.capture.reads(b)
	}
	if b.copy == 0 {
		p, err := d.card.Alloc(b.copyBytes(d.t))
		if err != nil {
			return 0, err
		}
		b.copy, b.stale = p, true
		d.copies += b.copyBytes(d.t)
	}
	return d.copyOf(s), d.refresh(b)
}
