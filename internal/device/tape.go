package device

// Tape is a Device that notes the operations of a pass instead of doing them, and can repeat them on the device it
// embeds: for devices that are no Recorder, so that the graph of a pass need not be walked again every time.
type Tape struct {
	Device
	calls  []func(Device)
	broken bool // by a call that cannot be repeated as part of a pass
}

// NewTape returns an empty tape of dev's operations.
func NewTape(dev Device) *Tape { return &Tape{Device: dev} }

// Whole reports whether all calls since NewTape were operations that can be repeated.
func (t *Tape) Whole() bool { return !t.broken }

// Run implements Recording.
func (t *Tape) Run() bool {
	if t.broken {
		return false
	}
	for _, call := range t.calls {
		call(t.Device)
	}
	return true
}

// Close implements Recording.
func (t *Tape) Close() { t.calls, t.broken = nil, true }

func (t *Tape) note(call func(Device)) { t.calls = append(t.calls, call) }

// Upload implements Device.
func (t *Tape) Upload(*Tensor, []float32) { t.broken = true }

// Download implements Device.
func (t *Tape) Download(*Tensor, []float32) { t.broken = true }

// Step implements Device.
func (t *Tape) Step(SGD, *Tensor, *Tensor, *Tensor) float64 {
	t.broken = true
	return 0
}

// StepAdamW implements Device.
func (t *Tape) StepAdamW(AdamW, *Tensor, *Tensor, *Tensor, *Tensor) float64 {
	t.broken = true
	return 0
}

// Average implements Device.
func (t *Tape) Average(dst, src *Tensor, keep float64) {
	t.note(func(d Device) { d.Average(dst, src, keep) })
}

// ConvForward implements Device.
func (t *Tape) ConvForward(c Conv, x, w, y *Tensor, e Epilogue) {
	t.note(func(d Device) { d.ConvForward(c, x, w, y, e) })
}

// ConvBackwardData implements Device.
func (t *Tape) ConvBackwardData(c Conv, dy, w, dx *Tensor, accumulate bool) {
	t.note(func(d Device) { d.ConvBackwardData(c, dy, w, dx, accumulate) })
}

// ConvBackwardWeights implements Device.
func (t *Tape) ConvBackwardWeights(c Conv, x, dy, dw *Tensor) {
	t.note(func(d Device) { d.ConvBackwardWeights(c, x, dy, dw) })
}

// BatchNormStats implements Device.
func (t *Tape) BatchNormStats(sums *Tensor, count int, b BatchNorm) {
	t.note(func(d Device) { d.BatchNormStats(sums, count, b) })
}

// BatchNormReLU implements Device.
func (t *Tape) BatchNormReLU(x *Tensor, b BatchNorm, y *Tensor) {
	t.note(func(d Device) { d.BatchNormReLU(x, b, y) })
}

// BatchNormReLUBackward implements Device.
func (t *Tape) BatchNormReLUBackward(x, dy *Tensor, b BatchNorm, dx, dgamma, dbeta *Tensor) {
	t.note(func(d Device) { d.BatchNormReLUBackward(x, dy, b, dx, dgamma, dbeta) })
}

// ReLUBackward implements Device.
func (t *Tape) ReLUBackward(y, dy *Tensor) {
	t.note(func(d Device) { d.ReLUBackward(y, dy) })
}

// MaxPool implements Device.
func (t *Tape) MaxPool(p Pooling, x, y, winners *Tensor) {
	t.note(func(d Device) { d.MaxPool(p, x, y, winners) })
}

// MaxPoolBackward implements Device.
func (t *Tape) MaxPoolBackward(p Pooling, dy, winners, dx *Tensor, accumulate bool) {
	t.note(func(d Device) { d.MaxPoolBackward(p, dy, winners, dx, accumulate) })
}

// AvgPoolMean implements Device.
func (t *Tape) AvgPoolMean(window [3]int, x, features *Tensor) {
	t.note(func(d Device) { d.AvgPoolMean(window, x, features) })
}

// AvgPoolMeanBackward implements Device.
func (t *Tape) AvgPoolMeanBackward(window [3]int, dfeatures, dx *Tensor) {
	t.note(func(d Device) { d.AvgPoolMeanBackward(window, dfeatures, dx) })
}

// Linear implements Device.
func (t *Tape) Linear(x, w, b, y *Tensor) {
	t.note(func(d Device) { d.Linear(x, w, b, y) })
}

// LinearBackward implements Device.
func (t *Tape) LinearBackward(x, dy, w, dx, dw, db *Tensor) {
	t.note(func(d Device) { d.LinearBackward(x, dy, w, dx, dw, db) })
}

// CrossEntropy implements Device.
func (t *Tape) CrossEntropy(classes []int, logits, targets, loss, dlogits *Tensor) {
	t.note(func(d Device) { d.CrossEntropy(classes, logits, targets, loss, dlogits) })
}
