// Package device is what the network's operations need of a device: memory, and kernels on tensors that never leave it.
package device

import "math"

// Kind says what a tensor holds; from it a device chooses how to lay the values out.
type Kind uint8

const (
	// Input is the network's input (N, C, D, H, W): few channels, only ever read by a convolution.
	Input Kind = iota
	// Activation is any other activation or its gradient (N, C, D, H, W).
	Activation
	// Weights are those of a convolution, or their gradient (Out, In, KD, KH, KW).
	Weights
	// Values are small arrays without a layout of their own: per-channel parameters, linear weights, logits.
	Values
	// Sums are two float64 sums per channel (C), as a convolution gathers for the batch norm that follows.
	Sums
	// Winners say which voxel of each window won a max pooling; their shape is that of its output.
	Winners
)

// Spec describes a tensor: shape in PyTorch's axis order.
type Spec struct {
	Kind  Kind
	Shape []int
}

// Block is one piece of device memory. Whoever asked for it gives it back.
type Block interface {
	Bytes() int64
	// Free gives the memory back at once, before Close of the device does; tensors in it must not be used any more. It
	// does nothing where that has been done.
	Free()
}

// Conv is a 3D convolution (cross-correlation) with TensorFlow's SAME padding of kernel - stride: per axis
// max(kernel-stride, 0) zeros in total, the lower side gets the smaller half, whatever the input's size. Channels and
// sizes are those of the tensors.
type Conv struct {
	Kernel, Stride [3]int
	// Fixed says that the weights change by Upload only, so that ConvForward may keep what it makes of them.
	Fixed bool
}

// Pooling is a 3D max pooling with the padding of Conv (its zeros take part in the maximum) in ceil mode.
type Pooling struct {
	Kernel, Stride [3]int
}

// Epilogue is what a convolution does to its results on the way out; nil members are skipped.
type Epilogue struct {
	Bias *Tensor // (Out), added
	ReLU bool
	Sums *Tensor // (Out), overwritten by the sums of the results and of their squares
}

// BatchNorm are the tensors of one batch norm over C channels, all (C).
type BatchNorm struct {
	Gamma, Beta             *Tensor // parameters
	Mean, InvStd            *Tensor // of this batch
	RunningMean, RunningVar *Tensor // updated by BatchNormStats
}

// Numbers of torch.nn.BatchNorm3d's defaults.
const (
	BatchNormEps      = 1e-5
	BatchNormMomentum = 0.1
)

// SGD are the numbers of one optimiser step: torch.optim.SGD with Nesterov momentum after
// torch.nn.utils.clip_grad_norm_.
type SGD struct {
	LR, Momentum, WeightDecay float64
	ClipNorm                  float64 // largest gradient norm; 0 switches clipping off
	First                     bool    // there is no momentum yet: it becomes the gradient
}

// AdamW are the numbers of one optimiser step: torch.optim.AdamW after torch.nn.utils.clip_grad_norm_.
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
	ClipNorm                           float64 // largest gradient norm; 0 switches clipping off
	Step                               int     // counted from 1, for the correction of the moments' bias; they are taken as 0 in step 1
}

// Factors are those of p = shrink*p - rate*m/(sqrt(v)*root + Eps), which corrects the bias of the moments m and v.
func (o AdamW) Factors() (shrink, rate, root float64) {
	return 1 - o.LR*o.WeightDecay, o.LR / (1 - math.Pow(o.Beta1, float64(o.Step))), 1 / math.Sqrt(1-math.Pow(o.Beta2, float64(o.Step)))
}

// Device runs the network's operations. Tensors passed to one call belong to this device; outputs are overwritten
// unless a parameter says otherwise. Calls may come from several goroutines, and run one after the other. Shapes that
// do not fit together are a programmer's mistake and panic.
type Device interface {
	// Name describes the device for a person.
	Name() string
	// Precision is the number format of activations: "fp32", "bf16" or "fp16".
	Precision() string
	// Close gives everything back; nothing of the device may be used afterwards.
	Close()

	// Bytes is the memory a tensor takes, rounded up so that tensors may lie behind one another in a block.
	Bytes(s Spec) int64
	// NewBlock allocates memory, holding zeros.
	NewBlock(bytes int64) (Block, error)
	// Place puts a tensor into a block, offset bytes from its start; offset is a sum of Bytes.
	Place(s Spec, b Block, offset int64) *Tensor
	// Slice views [first, first+count) of the channels of an Activation, the outputs of Weights or the first axis of
	// Values or Sums. first is a multiple of 16.
	Slice(t *Tensor, first, count int) *Tensor
	// Upload fills a tensor with values in C order of its shape; Download reads them.
	Upload(t *Tensor, values []float32)
	Download(t *Tensor, values []float32)
	// WorkspaceBytes is the memory that kernels hold in addition to the blocks.
	WorkspaceBytes() int64

	// ConvForward computes y = epilogue(conv(x, w)).
	ConvForward(c Conv, x, w, y *Tensor, e Epilogue)
	// ConvBackwardData computes the gradient dx of the input, or adds it.
	ConvBackwardData(c Conv, dy, w, dx *Tensor, accumulate bool)
	// ConvBackwardWeights computes the gradient dw of the weights.
	ConvBackwardWeights(c Conv, x, dy, dw *Tensor)

	// BatchNormStats turns the sums over count values per channel into mean and inverse deviation (biased variance) and
	// moves the running statistics (unbiased variance).
	BatchNormStats(sums *Tensor, count int, b BatchNorm)
	// BatchNormReLU computes y = max(0, batchnorm(x)).
	BatchNormReLU(x *Tensor, b BatchNorm, y *Tensor)
	// BatchNormReLUBackward computes the gradients of BatchNormReLU from its input x; dx may be dy.
	BatchNormReLUBackward(x, dy *Tensor, b BatchNorm, dx, dgamma, dbeta *Tensor)

	// ReLUBackward sets dy to 0 where y, the result of a ReLU, is 0: the gradient of what went into it.
	ReLUBackward(y, dy *Tensor)

	// MaxPool computes the maxima y and, unless nil, which tap won each (the first of equals).
	MaxPool(p Pooling, x, y, winners *Tensor)
	// MaxPoolBackward sends dy to the winners, into dx or added to it.
	MaxPoolBackward(p Pooling, dy, winners, dx *Tensor, accumulate bool)

	// AvgPoolMean computes features (N, C): the mean over all positions of an average pooling with stride 1 and the given
	// window, clipped to the size of x.
	AvgPoolMean(window [3]int, x, features *Tensor)
	AvgPoolMeanBackward(window [3]int, dfeatures, dx *Tensor)

	// Linear computes y = x w' + b for x (N, I), w (O, I), b (O).
	Linear(x, w, b, y *Tensor)
	LinearBackward(x, dy, w, dx, dw, db *Tensor)

	// CrossEntropy computes the loss (a single value): over labels, the sum of the mean cross-entropy of that label's
	// columns of logits (N, sum of classes) with targets (N, labels), class numbers; and its gradient.
	CrossEntropy(classes []int, logits, targets, loss, dlogits *Tensor)

	// Step updates params, given grads, and returns the norm of grads before clipping. Where that is not finite, nothing
	// changes. All three are Values of one length. A LossScaler may skip the update, and returns -1 then.
	Step(o SGD, params, grads, momentum *Tensor) (gradNorm float64)
	// StepAdamW is Step with torch.optim.AdamW; second holds the second moments and is as long as the others.
	StepAdamW(o AdamW, params, grads, momentum, second *Tensor) (gradNorm float64)
	// Average moves a running average: dst = keep*dst + (1-keep)*src. Both are Values of one length. keep 0 copies.
	Average(dst, src *Tensor, keep float64)
}
