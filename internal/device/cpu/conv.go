package cpu

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// Conv describes a 3D convolution (cross-correlation, as PyTorch's Conv3d, no groups, no dilation).
// Arrays are (depth, height, width). Input voxel = output*Stride - PadLo + tap; what lies outside is zero, so the
// padding on the high side is implied by OutSize.
type Conv struct {
	In, Out               int
	Kernel, Stride, PadLo [3]int
	InSize, OutSize       [3]int
}

// SameConv returns the convolution of device.Conv, with its SAME padding.
func SameConv(in, out int, kernel, stride, size [3]int) Conv {
	c := device.Conv{Kernel: kernel, Stride: stride}
	low, _ := c.Padding()
	return Conv{In: in, Out: out, Kernel: kernel, Stride: stride, PadLo: low, InSize: size, OutSize: c.OutSize(size)}
}

// Taps returns the number of kernel positions.
func (c *Conv) Taps() int { return c.Kernel[0] * c.Kernel[1] * c.Kernel[2] }

// InVoxels returns the voxels of one input channel.
func (c *Conv) InVoxels() int { return c.InSize[0] * c.InSize[1] * c.InSize[2] }

// OutVoxels returns the voxels of one output channel.
func (c *Conv) OutVoxels() int { return c.OutSize[0] * c.OutSize[1] * c.OutSize[2] }

// FLOPs returns the floating-point operations of one direction for a batch, counted as direct convolution:
// two per output value, input channel and tap.
func (c *Conv) FLOPs(batch int) float64 {
	return 2 * float64(batch) * float64(c.Out) * float64(c.OutVoxels()) * float64(c.In) * float64(c.Taps())
}

// inner returns the input channels that lie side by side in packed weights: 16, or all of fewer.
func (c *Conv) inner() int { return min(c.In, kernel.Block) }

// PackedLen returns the floats of the packed weights, see PackWeights.
func PackedLen(c *Conv) int {
	return Blocks(c.Out) * Blocks(c.In) * c.Taps() * c.inner() * kernel.Block
}

// packedBlock returns the weights of an output and an input block: [tap][inner][16 outputs].
func (c *Conv) packedBlock(packed []float32, ob, ib int) []float32 {
	size := c.Taps() * c.inner() * kernel.Block
	start := (ob*Blocks(c.In) + ib) * size
	return packed[start : start+size : start+size]
}

// PackWeights rearranges [Out][In][KD][KH][KW] weights into the layout in which parameters and their gradients live on
// the device: [Out/16][In/16][tap][16 in][16 out], blocks filled up with zeros, "16 in" being In when In < 16. Because
// the output blocks are outermost, convolutions of one input whose Out are multiples of 16 can be stacked by
// concatenation.
func PackWeights(c *Conv, oidhw, packed []float32) {
	c.eachWeight(func(plain, pos int, pad bool) {
		if pad {
			packed[pos] = 0
		} else {
			packed[pos] = oidhw[plain]
		}
	})
}

// UnpackWeights is the inverse of PackWeights.
func UnpackWeights(c *Conv, packed, oidhw []float32) {
	c.eachWeight(func(plain, pos int, pad bool) {
		if !pad {
			oidhw[plain] = packed[pos]
		}
	})
}

func (c *Conv) eachWeight(f func(plain, packed int, pad bool)) {
	taps, inner, pos := c.Taps(), c.inner(), 0
	for ob := range Blocks(c.Out) {
		for ib := range Blocks(c.In) {
			for tap := range taps {
				for i := ib * kernel.Block; i < ib*kernel.Block+inner; i++ {
					for o := ob * kernel.Block; o < (ob+1)*kernel.Block; o++ {
						f((o*c.In+i)*taps+tap, pos, o >= c.Out || i >= c.In)
						pos++
					}
				}
			}
		}
	}
}

// Epilogue is what ConvForward does with its results before they leave the cache; nil members are skipped.
type Epilogue struct {
	Bias       []float32 // added per output channel, len >= Out
	ReLU       bool      // max(0, .) after the bias
	Sum, SumSq []float64 // per output channel: overwritten by the sum of the stored values and of their squares, len >= Out
	// Forms, if set, may keep what the convolution makes of its weights, which do not change until Forms is cleared.
	// Between activations in bfloat16 the factors of the products are then rounded to it, too.
	Forms *Forms
}

func (c *Conv) check(what string, x, y Act, packed []float32) {
	if x.BF16 != y.BF16 && !x.Planar {
		panic(fmt.Sprintf("cpu: %s: activations in different formats", what))
	}
	if x.C != c.In || x.Size() != c.InSize || y.C != c.Out || y.Size() != c.OutSize || x.N != y.N || y.Planar {
		panic(fmt.Sprintf("cpu: %s: convolution %d%v -> %d%v given arrays (%d,%d,%v) and (%d,%d,%v)", what,
			c.In, c.InSize, c.Out, c.OutSize, x.N, x.C, x.Size(), y.N, y.C, y.Size()))
	}
	if len(packed) < PackedLen(c) {
		panic(fmt.Sprintf("cpu: %s: %d packed weights, expected %d", what, len(packed), PackedLen(c)))
	}
}

// ConvForward computes y = conv(x, w) [+ bias] [ReLU] and, on request, the sums of a following batch norm. x is (N, In,
// InSize), blocked or planar; w is packed; y is blocked (N, Out, OutSize), in x's format unless x is planar.
func ConvForward(p *Workers, c *Conv, x Act, w []float32, y Act, e *Epilogue, s *Scratch) {
	c.check("forward", x, y, w)
	s.reset()
	if e == nil {
		e = &Epilogue{}
	}
	if plan, ok := c.tilePlan(p, x); ok {
		plan.forward(p, x, w, y, e, s)
		return
	}
	if _, ok := c.chooseSchemes(forOutputs, 0, x.N); ok && !x.Planar {
		winogradForward(p, c, x, w, y, e, s)
		return
	}
	if phases, ok := c.polyphase(); ok && x.Planar {
		polyphaseForward(p, c, &phases, x, w, y, e, s)
		return
	}
	switch {
	case !c.pointwise() || x.Planar:
		wide := widened(p, x, s)
		if y.BF16 {
			result := wideTwin(y, s)
			convForwardDirect(p, c, wide, w, result)
			narrow(p, result, y)
		} else {
			convForwardDirect(p, c, wide, w, y)
		}
	case x.BF16:
		pointwiseForwardBF16(p, c, x, w, y, e, s)
		return
	default:
		pointwiseProduct(p, x, w, y, false, e, s)
		return
	}
	applyEpilogue(p, y, e, s)
}

func winogradForward(p *Workers, c *Conv, x Act, w []float32, y Act, e *Epilogue, s *Scratch) {
	use := forOutputs
	if y.BF16 || e.Forms != nil {
		use = anyScheme
	}
	plan, _ := c.winogradPlan(x.N, use, 0)
	if x.BF16 && e.Forms != nil {
		if rounded, ok := c.winogradPlan(x.N, bf16Products, e.Forms.tail(p, c, w)); ok {
			plan = rounded
		}
	}
	how := convolution{kind: kernel.OutputTransform, forms: e.Forms}
	if e.ReLU {
		how.kind, how.bias = kernel.OutputReLUTransform, paddedBias(s, e.Bias, c.Out)
	}
	plan.convolve(p, x, w, y, &how, s)
	if !e.ReLU {
		applyEpilogue(p, y, e, s)
	} else if e.Sum != nil {
		channelSums(p, y, e.Sum, e.SumSq, s)
	}
}

// paddedBias returns the bias filled up with zeros to whole blocks.
func paddedBias(s *Scratch, bias []float32, out int) []float32 {
	padded := s.floats(Blocks(out) * kernel.Block)
	clear(padded)
	copy(padded, bias[:min(len(bias), out)])
	return padded
}

// ConvBackwardData computes the gradient of the input, dx = conv'(dy, w), or adds it to dx. Both are blocked.
func ConvBackwardData(p *Workers, c *Conv, dy Act, w []float32, dx Act, accumulate bool, s *Scratch) {
	c.check("backward data", dx, dy, w)
	s.reset()
	mirror := c.mirrored()
	if plan, ok := mirror.tilePlan(p, dy); ok {
		plan.inner = c.inner()
		plan.convolve(p, dy, w, dx, true, accumulate, &Epilogue{}, s)
		return
	}
	if plan, ok := mirror.winogradPlan(dy.N, forOutputs, 0); ok {
		plan.inner = c.inner()
		how := convolution{mirror: true, kind: kernel.OutputTransform}
		if accumulate {
			how.kind = kernel.OutputAddTransform
		}
		plan.convolve(p, dy, w, dx, &how, s)
		return
	}
	if c.pointwise() {
		pointwiseBackwardData(p, c, dy, w, dx, accumulate, s)
		return
	}
	result := widened(p, dx, s)
	convBackwardDataDirect(p, c, widened(p, dy, s), w, result, accumulate)
	if dx.BF16 {
		narrow(p, result, dx)
	}
}

// ConvBackwardWeights overwrites dw, packed, by the gradient of the weights. x may be planar.
func ConvBackwardWeights(p *Workers, c *Conv, x, dy Act, dw []float32, s *Scratch) {
	c.check("backward weights", x, dy, dw)
	s.reset()
	if plan, ok := c.tileGradient(p, x); ok {
		plan.gradient(p, x, dy, dw, s)
		return
	}
	if plan, ok := c.winogradPlan(x.N, forWeights, 0); ok && !x.Planar {
		plan.weightGradient(p, x, dy, dw, s)
		return
	}
	if phases, ok := c.polyphase(); ok && x.Planar {
		polyphaseBackwardWeights(p, c, &phases, x, dy, dw, s)
		return
	}
	if c.pointwise() && !x.Planar {
		pointwiseBackwardWeights(p, c, x, dy, dw, s)
		return
	}
	convBackwardWeightsDirect(p, c, widened(p, x, s), widened(p, dy, s), dw)
}
