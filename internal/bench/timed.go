package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/device"
)

// Directions of a call.
const (
	forward         = "forward"
	backward        = "backward"
	backwardData    = "backward data"
	backwardWeights = "backward weights"
)

var directions = []string{forward, backward, backwardData, backwardWeights}

// Layers of calls that belong to no operation of the graph.
const (
	inputLayer     = "input"
	outputLayer    = "output"
	optimiserLayer = "optimiser"
)

// call is one call of the device.
type call struct {
	layer     string // empty until the operation has told its name
	operation string // "conv 3x3x3", "batch norm", ...
	channels  string // of a convolution, "96->128"
	direction string
	flops     float64 // counted as direct convolution
	bytes     float64 // inputs, outputs and weights, each once, as the device stores them
	took      time.Duration
}

// timed is a device that notes, while it records, what every call takes. It waits for each to end, so that calls which
// a device only queues are measured too. It is for one goroutine.
type timed struct {
	device.Device
	probe     *device.Tensor // reading it waits for what was queued before
	recording bool
	calls     []call
}

func newTimed(dev device.Device) (*timed, error) {
	s := device.Spec{Kind: device.Values, Shape: []int{1}}
	b, err := dev.NewBlock(dev.Bytes(s))
	if err != nil {
		return nil, err
	}
	return &timed{Device: dev, probe: dev.Place(s, b, 0)}, nil
}

// do runs f, the call c on the tensors given (nil ones are skipped).
func (d *timed) do(c call, f func(), tensors ...*device.Tensor) {
	if !d.recording {
		f()
		return
	}
	for _, t := range tensors {
		if t != nil {
			c.bytes += float64(d.Bytes(t.Spec()))
		}
	}
	began := time.Now()
	f()
	d.Device.Download(d.probe, make([]float32, 1))
	c.took = time.Since(began)
	d.calls = append(d.calls, c)
}

// operation is told by the graph that the calls since the last one were those of the operation called name.
func (d *timed) operation(name string, _ *device.Tensor, _ time.Duration) {
	for i := len(d.calls) - 1; i >= 0 && d.calls[i].layer == ""; i-- {
		d.calls[i].layer = strings.TrimRight(name, "'") // the gradient's name ends with it
	}
}

// convolution describes a call on weights w (or their gradient) and the convolution's output y (or its gradient).
func convolution(c device.Conv, direction string, w, y *device.Tensor) call {
	voxels := y.Size() / y.Dim(1) // of all images
	return call{operation: "conv" + window(c.Kernel, c.Stride), channels: fmt.Sprintf("%d->%d", w.Dim(1), w.Dim(0)), direction: direction,
		flops: 2 * float64(w.Size()) * float64(voxels)}
}

func window(kernel, stride [3]int) string {
	text := fmt.Sprintf(" %dx%dx%d", kernel[0], kernel[1], kernel[2])
	if stride != [3]int{1, 1, 1} {
		text += fmt.Sprintf("/%d,%d,%d", stride[0], stride[1], stride[2])
	}
	return text
}

// twice lists a tensor that is read and written.
func twice(t *device.Tensor, both bool) *device.Tensor {
	if both {
		return t
	}
	return nil
}

func (d *timed) Upload(t *device.Tensor, values []float32) {
	d.do(call{layer: inputLayer, operation: "upload", direction: forward}, func() { d.Device.Upload(t, values) }, t)
}

func (d *timed) Download(t *device.Tensor, values []float32) {
	d.do(call{layer: outputLayer, operation: "download", direction: forward}, func() { d.Device.Download(t, values) }, t)
}

func (d *timed) ConvForward(c device.Conv, x, w, y *device.Tensor, e device.Epilogue) {
	d.do(convolution(c, forward, w, y), func() { d.Device.ConvForward(c, x, w, y, e) }, x, w, y, e.Bias, e.Sums)
}

func (d *timed) ConvBackwardData(c device.Conv, dy, w, dx *device.Tensor, accumulate bool) {
	d.do(convolution(c, backwardData, w, dy), func() { d.Device.ConvBackwardData(c, dy, w, dx, accumulate) }, dy, w, dx, twice(dx, accumulate))
}

func (d *timed) ConvBackwardWeights(c device.Conv, x, dy, dw *device.Tensor) {
	d.do(convolution(c, backwardWeights, dw, dy), func() { d.Device.ConvBackwardWeights(c, x, dy, dw) }, x, dy, dw)
}

const batchNorm = "batch norm" // with the ReLU that follows

func (d *timed) BatchNormStats(sums *device.Tensor, count int, b device.BatchNorm) {
	d.do(call{operation: batchNorm, direction: forward}, func() { d.Device.BatchNormStats(sums, count, b) },
		sums, b.Mean, b.InvStd, b.RunningMean, b.RunningMean, b.RunningVar, b.RunningVar)
}

func (d *timed) BatchNormReLU(x *device.Tensor, b device.BatchNorm, y *device.Tensor) {
	d.do(call{operation: batchNorm, direction: forward}, func() { d.Device.BatchNormReLU(x, b, y) }, x, y, b.Mean, b.InvStd, b.Gamma, b.Beta)
}

func (d *timed) BatchNormReLUBackward(x, dy *device.Tensor, b device.BatchNorm, dx, dgamma, dbeta *device.Tensor) {
	d.do(call{operation: batchNorm, direction: backward}, func() { d.Device.BatchNormReLUBackward(x, dy, b, dx, dgamma, dbeta) },
		x, dy, dx, b.Mean, b.InvStd, b.Gamma, b.Beta, dgamma, dbeta)
}

func (d *timed) ReLUBackward(y, dy *device.Tensor) {
	d.do(call{operation: "ReLU", direction: backward}, func() { d.Device.ReLUBackward(y, dy) }, y, dy, dy)
}

func (d *timed) MaxPool(p device.Pooling, x, y, winners *device.Tensor) {
	d.do(call{operation: "max pool" + window(p.Kernel, p.Stride), direction: forward}, func() { d.Device.MaxPool(p, x, y, winners) }, x, y, winners)
}

func (d *timed) MaxPoolBackward(p device.Pooling, dy, winners, dx *device.Tensor, accumulate bool) {
	d.do(call{operation: "max pool" + window(p.Kernel, p.Stride), direction: backward},
		func() { d.Device.MaxPoolBackward(p, dy, winners, dx, accumulate) }, dy, winners, dx, twice(dx, accumulate))
}

func (d *timed) AvgPoolMean(window [3]int, x, features *device.Tensor) {
	d.do(call{operation: "average pool", direction: forward}, func() { d.Device.AvgPoolMean(window, x, features) }, x, features)
}

func (d *timed) AvgPoolMeanBackward(window [3]int, dfeatures, dx *device.Tensor) {
	d.do(call{operation: "average pool", direction: backward}, func() { d.Device.AvgPoolMeanBackward(window, dfeatures, dx) }, dfeatures, dx)
}

func (d *timed) Linear(x, w, b, y *device.Tensor) {
	d.do(call{operation: "linear", direction: forward}, func() { d.Device.Linear(x, w, b, y) }, x, w, b, y)
}

func (d *timed) LinearBackward(x, dy, w, dx, dw, db *device.Tensor) {
	d.do(call{operation: "linear", direction: backward}, func() { d.Device.LinearBackward(x, dy, w, dx, dw, db) }, x, dy, w, dx, dw, db)
}

func (d *timed) CrossEntropy(classes []int, logits, targets, loss, dlogits *device.Tensor) {
	d.do(call{operation: "cross entropy", direction: forward}, func() { d.Device.CrossEntropy(classes, logits, targets, loss, dlogits) },
		logits, targets, loss, dlogits)
}

func (d *timed) Step(o device.SGD, params, grads, momentum *device.Tensor) (norm float64) {
	d.do(call{layer: optimiserLayer, operation: "SGD step", direction: backward}, func() { norm = d.Device.Step(o, params, grads, momentum) },
		params, params, grads, momentum, twice(momentum, !o.First))
	return norm
}

func (d *timed) StepAdamW(o device.AdamW, params, grads, momentum, second *device.Tensor) (norm float64) {
	d.do(call{layer: optimiserLayer, operation: "AdamW step", direction: backward},
		func() { norm = d.Device.StepAdamW(o, params, grads, momentum, second) }, params, params, grads, twice(momentum, true), twice(second, true))
	return norm
}

func (d *timed) Average(dst, src *device.Tensor, keep float64) {
	d.do(call{layer: optimiserLayer, operation: "weight average", direction: backward}, func() { d.Device.Average(dst, src, keep) }, src, twice(dst, true))
}
