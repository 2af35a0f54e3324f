package cuda

import (
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// BatchNormStats implements Device.
func (d *gpuDevice) BatchNormStats(sums *device.Tensor, count int, b device.BatchNorm) {
	d.do(func() error {
		return d.run(d.t.BatchNormStats(ptrOf(sums), sums.Size(), count, device.BatchNormEps, device.BatchNormMomentum,
			ptrOf(b.Mean), ptrOf(b.InvStd), ptrOf(b.RunningMean), ptrOf(b.RunningVar)))
	})
}

// BatchNormReLU implements Device.
func (d *gpuDevice) BatchNormReLU(x *device.Tensor, b device.BatchNorm, y *device.Tensor) {
	d.do(func() error {
		return d.run(d.t.BatchNormReLU(viewOf(x), ptrOf(b.Mean), ptrOf(b.InvStd), ptrOf(b.Gamma), ptrOf(b.Beta), viewOf(y)))
	})
}

// BatchNormReLUBackward implements Device.
func (d *gpuDevice) BatchNormReLUBackward(x, dy *device.Tensor, b device.BatchNorm, dx, dgamma, dbeta *device.Tensor) {
	d.do(func() error {
		scratch, err := d.take(d.t.BatchNormScratch(viewOf(x)))
		if err != nil {
			return err
		}
		return d.run(d.t.BatchNormReLUBackward(viewOf(x), viewOf(dy), ptrOf(b.Mean), ptrOf(b.InvStd), ptrOf(b.Gamma), ptrOf(b.Beta),
			viewOf(dx), ptrOf(dgamma), ptrOf(dbeta), scratch)...)
	})
}

// ReLUBackward implements Device.
func (d *gpuDevice) ReLUBackward(y, dy *device.Tensor) {
	d.do(func() error { return d.run(d.t.ReLUBackward(viewOf(y), viewOf(dy))) })
}

// MaxPool implements Device.
func (d *gpuDevice) MaxPool(p device.Pooling, x, y, w *device.Tensor) {
	d.do(func() error { return d.run(d.t.MaxPool(kernels.Pooling(p), viewOf(x), viewOf(y), ptrOf(w))) })
}

// MaxPoolBackward implements Device.
func (d *gpuDevice) MaxPoolBackward(p device.Pooling, dy, w, dx *device.Tensor, accumulate bool) {
	d.do(func() error {
		return d.run(d.t.MaxPoolBackward(kernels.Pooling(p), viewOf(dy), ptrOf(w), viewOf(dx), accumulate))
	})
}

// AvgPoolMean implements Device.
func (d *gpuDevice) AvgPoolMean(window [3]int, x, features *device.Tensor) {
	d.do(func() error { return d.run(d.t.AvgPoolMean(window, viewOf(x), ptrOf(features))) })
}

// AvgPoolMeanBackward implements Device.
func (d *gpuDevice) AvgPoolMeanBackward(window [3]int, dfeatures, dx *device.Tensor) {
	d.do(func() error { return d.run(d.t.AvgPoolMeanBackward(window, ptrOf(dfeatures), viewOf(dx))) })
}

// Linear implements Device.
func (d *gpuDevice) Linear(x, w, b, y *device.Tensor) {
	d.do(func() error {
		return d.run(d.t.Linear(ptrOf(x), ptrOf(w), ptrOf(b), ptrOf(y), x.Dim(0), x.Dim(1), w.Dim(0)))
	})
}

// LinearBackward implements Device.
func (d *gpuDevice) LinearBackward(x, dy, w, dx, dw, db *device.Tensor) {
	d.do(func() error {
		return d.run(d.t.LinearBackward(ptrOf(x), ptrOf(dy), ptrOf(w), ptrOf(dx), ptrOf(dw), ptrOf(db), x.Dim(0), x.Dim(1), w.Dim(0))...)
	})
}

// CrossEntropy implements Device; the gradient carries the loss scale.
func (d *gpuDevice) CrossEntropy(classes []int, logits, targets, loss, dlogits *device.Tensor) {
	d.do(func() error {
		control := kernels.Ptr(0)
		if d.t == kernels.FP16 {
			control = d.control
		}
		return d.run(d.t.CrossEntropy(classes, logits.Dim(0), ptrOf(logits), ptrOf(targets), ptrOf(loss), ptrOf(dlogits), control)...)
	})
}
