package exercise

import (
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/env"
)

// cases are those of the suite, each with tensors of its own. Where rounding could flip a ReLU or a maximum, gradients
// are given, not computed.
var cases = []func(*table){stem, batchNorm, maxPooling, pointwise, cubic, head, sgd, adamW, recorded}

const (
	batch    = 2
	channels = 64 // of the first layer of the network
)

func cube(n int) [3]int { return [3]int{n, n, n} }

var (
	stemConv  = device.Conv{Kernel: cube(7), Stride: cube(2)}
	pointConv = device.Conv{Kernel: cube(1), Stride: cube(1)}
	cubicConv = device.Conv{Kernel: cube(3), Stride: cube(1)}
	flatPool  = device.Pooling{Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}}
)

// Sizes of the network's input, behind its first convolution, and behind the pooling that follows.
var (
	inputShape  = []int{batch, 2, 16, 18, 15}
	stemShape   = []int{batch, channels, 8, 9, 7}
	pooledShape = []int{batch, channels, 8, 5, 4}
)

// in is a shape with other channels.
func in(shape []int, c int) []int {
	s := slices.Clone(shape)
	s[1] = c
	return s
}

func (t *table) stemWeights() *device.Tensor {
	return t.filled(0.5, device.Weights, channels, inputShape[1], 7, 7, 7)
}

// norm are the tensors of a batch norm; of the statistics only the running ones are given.
func (t *table) norm(gamma, beta float64) device.BatchNorm {
	return device.BatchNorm{Gamma: t.vector(gamma, channels), Beta: t.vector(beta, channels), Mean: t.zeros(channels), InvStd: t.zeros(channels),
		RunningMean: t.vector(0.1, channels), RunningVar: t.vector(0.9, channels)}
}

// stem is the first layer: a convolution of the network's input, with batch norm and ReLU.
func stem(t *table) {
	input, w := t.positive(0.9, device.Input, inputShape...), t.stemWeights()
	raw, sums, normed, bn := t.empty(device.Activation, stemShape...), t.empty(device.Sums, channels), t.empty(device.Activation, stemShape...), t.norm(0.8, 0.4)
	t.ConvForward(stemConv, input, w, raw, device.Epilogue{Sums: sums})
	t.read("the first convolution", raw)
	t.BatchNormStats(sums, device.Count(stemShape)/channels, bn)
	t.BatchNormReLU(raw, bn, normed)
	t.read("batch norm", normed)
	t.read("a running mean", bn.RunningMean)
	t.read("a running variance", bn.RunningVar)
	dw := t.empty(device.Weights, w.Shape()...)
	t.ConvBackwardWeights(stemConv, input, t.positive(0.9, device.Activation, stemShape...), dw)
	t.read("the gradient of the first convolution", dw)
}

// batchNorm goes back through a batch norm of values that every format holds, none of which its ReLU cuts off.
func batchNorm(t *table) {
	identity := make([]float32, channels*channels)
	for i := range channels {
		identity[i*channels+i] = 1
	}
	w := t.empty(device.Weights, channels, channels, 1, 1, 1)
	t.Upload(w, identity)
	raw, sums, bn := t.empty(device.Activation, pooledShape...), t.empty(device.Sums, channels), t.norm(0.125, 0)
	t.Upload(bn.Beta, slices.Repeat([]float32{2}, channels))
	t.ConvForward(pointConv, t.filled(0.9, device.Activation, pooledShape...), w, raw, device.Epilogue{Sums: sums})
	t.BatchNormStats(sums, device.Count(pooledShape)/channels, bn)
	dy, dgamma, dbeta := t.filled(0.7, device.Activation, pooledShape...), t.zeros(channels), t.zeros(channels)
	t.BatchNormReLUBackward(raw, dy, bn, dy, dgamma, dbeta)
	t.read("the gradient of batch norm", dy)
	t.read("the gradient of batch norm's scale", dgamma)
	t.read("the gradient of batch norm's shift", dbeta)
}

func maxPooling(t *table) {
	x, y, winners, dx := t.filled(0.9, device.Activation, stemShape...), t.empty(device.Activation, pooledShape...), t.empty(device.Winners, pooledShape...), t.empty(device.Activation, stemShape...)
	t.MaxPool(flatPool, x, y, winners)
	t.read("a max pooling", y)
	t.MaxPoolBackward(flatPool, t.filled(0.7, device.Activation, pooledShape...), winners, dx, false)
	t.read("the gradient of a max pooling", dx)
}

// pointwise is a convolution of one voxel.
func pointwise(t *table) {
	x, w := t.positive(0.9, device.Activation, pooledShape...), t.filled(0.3, device.Weights, 32, channels, 1, 1, 1)
	y, dw := t.empty(device.Activation, in(pooledShape, 32)...), t.empty(device.Weights, w.Shape()...)
	t.ConvForward(pointConv, x, w, y, device.Epilogue{})
	t.read("a convolution of one voxel", y)
	t.ConvBackwardWeights(pointConv, x, t.positive(0.6, device.Activation, in(pooledShape, 32)...), dw)
	t.read("the gradient of weights of one voxel", dw)
}

// cubic is a convolution whose results are some channels of a tensor.
func cubic(t *table) {
	const inputs, outputs, before = 32, 48, 32
	x, w := t.positive(0.6, device.Activation, in(pooledShape, inputs)...), t.filled(0.2, device.Weights, outputs, inputs, 3, 3, 3)
	joined, bias := t.filled(0.2, device.Activation, in(pooledShape, before+outputs)...), t.vector(0.5, outputs)
	t.ConvForward(cubicConv, x, w, t.Slice(joined, before, outputs), device.Epilogue{Bias: bias, ReLU: true})
	t.read("a convolution into channels of a tensor", joined)
	dy := t.Slice(t.positive(0.8, device.Activation, in(pooledShape, before+outputs)...), before, outputs)
	dw, dx := t.empty(device.Weights, w.Shape()...), t.empty(device.Activation, x.Shape()...)
	t.ConvBackwardWeights(cubicConv, x, dy, dw)
	t.read("the gradient of weights, from channels of a tensor", dw)
	t.ConvBackwardData(cubicConv, dy, w, dx, false)
	t.read("the gradient of an input", dx)
	t.ConvBackwardData(cubicConv, dy, w, dx, true)
	t.read("the gradient of an input, added", dx)
}

// head is what follows the last convolution: the average over all voxels, a linear layer and the loss.
func head(t *table) {
	const width, classes = 80, 3
	window := [3]int{2, 2, 4}
	x, features := t.filled(0.8, device.Activation, in(pooledShape, width)...), t.empty(device.Values, batch, width)
	w, b, logits := t.filled(0.6, device.Values, classes, width), t.vector(0.3, classes), t.empty(device.Values, batch, classes)
	loss, dlogits := t.empty(device.Values), t.empty(device.Values, batch, classes)
	t.AvgPoolMean(window, x, features)
	t.read("the average", features)
	t.Linear(features, w, b, logits)
	t.CrossEntropy([]int{classes}, logits, t.given([]float32{2, 0}, batch, 1), loss, dlogits)
	t.read("the loss", loss)
	t.read("the gradient of the loss", dlogits)
	dfeatures, dw, db := t.empty(device.Values, batch, width), t.empty(device.Values, classes, width), t.zeros(classes)
	t.LinearBackward(features, t.given([]float32{0.5, -0.25, -0.25, -0.75, 0.5, 0.25}, batch, classes), w, dfeatures, dw, db)
	t.read("the gradient of features", dfeatures)
	t.read("the gradient of the linear layer's weights", dw)
	t.read("the gradient of the linear layer's bias", db)
	dx := t.empty(device.Activation, x.Shape()...)
	t.AvgPoolMeanBackward(window, dfeatures, dx)
	t.read("the gradient of the average", dx)
}

const parameters = 1000

func sgd(t *table) {
	params, grads, momentum := t.vector(0.7, parameters), t.vector(0.5, parameters), t.zeros(parameters)
	for _, first := range []bool{true, false} {
		t.Step(device.SGD{LR: 0.5, Momentum: 0.9, WeightDecay: 1e-3, ClipNorm: 8, First: first}, params, grads, momentum)
	}
	t.read("the optimiser's step", params)
	t.read("the momentum", momentum)
}

func adamW(t *table) {
	params, grads, momentum, second := t.vector(0.7, parameters), t.vector(0.5, parameters), t.zeros(parameters), t.zeros(parameters)
	for step := 1; step <= 2; step++ {
		t.StepAdamW(device.AdamW{LR: 0.05, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.05, ClipNorm: 8, Step: step}, params, grads, momentum, second)
	}
	t.read("AdamW's step", params)
	t.Average(second, params, 0.75)
	t.read("the running average", second)
}

// recorded is a pass that has run before and is repeated as a whole, on another input.
func recorded(t *table) {
	input, w, raw, sums := t.filled(0.9, device.Input, inputShape...), t.stemWeights(), t.empty(device.Activation, stemShape...), t.empty(device.Sums, channels)
	bn, normed := t.norm(0.8, 0.4), t.empty(device.Activation, stemShape...)
	pooled, winners := t.empty(device.Activation, pooledShape...), t.empty(device.Winners, pooledShape...)
	w2, y := t.filled(0.3, device.Weights, 32, channels, 1, 1, 1), t.empty(device.Activation, in(pooledShape, 32)...)
	pass := func() error {
		t.ConvForward(stemConv, input, w, raw, device.Epilogue{Sums: sums})
		t.BatchNormStats(sums, device.Count(stemShape)/channels, bn)
		t.BatchNormReLU(raw, bn, normed)
		t.MaxPool(flatPool, normed, pooled, winners)
		t.ConvForward(pointConv, pooled, w2, y, device.Epilogue{})
		return nil
	}
	for range 2 { // a device may choose algorithms in the first and take memory in the second
		_ = pass()
	}
	var recording device.Recording
	if recorder := device.RecorderOf(t.Device); recorder != nil {
		if recording, t.err = recorder.Record(pass); t.err != nil {
			return
		}
	}
	values := make([]float32, input.Size())
	for i := range values {
		values[i] = float32(math.Round(64*math.Cos(float64(i)*0.3)) / 64)
	}
	t.Upload(input, values)
	if recording == nil || !recording.Run() {
		_ = pass()
	}
	if recording != nil {
		recording.Close()
	}
	t.read("a recorded pass ("+env.CUDAGraph+"=0 does without)", y)
}
