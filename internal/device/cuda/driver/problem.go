package driver

import "fmt"

// Op is what a convolution plan computes.
type Op uint8

// The three convolutions of a layer.
const (
	Forward Op = iota
	BackwardData
	BackwardWeights
)

func (o Op) String() string { return [...]string{"forward", "data", "weights"}[o] }

// Type is the number format of a convolution's tensors; it adds in float32 always.
type Type uint8

// Formats. Exact float32 keeps away from TF32 and other short cuts.
const (
	Float32 Type = iota
	BFloat16
	FP16
)

func (t Type) String() string { return [...]string{"fp32", "bf16", "fp16"}[t] }

// Problem is a convolution for which plans are sought: channels-last tensors whose voxels lie a pitch of elements
// apart.
type Problem struct {
	Op            Op
	Type          Type
	N, C, K       int    // samples, input and output channels
	In, Out       [3]int // D, H, W
	Kernel        [3]int
	Stride        [3]int
	PadLo, PadHi  [3]int
	XPitch        int
	YPitch        int
	Bias, ReLU    bool // Forward only: y = relu(conv + bias)
	Deterministic bool // the same bits every time
}

// String is a key for caches.
func (p Problem) String() string {
	s := fmt.Sprintf("%v-%v-n%d-c%d-k%d-i%dx%dx%d-o%dx%dx%d-k%dx%dx%d-s%dx%dx%d-p%dx%dx%d-q%dx%dx%d-x%d-y%d", p.Op, p.Type, p.N, p.C, p.K,
		p.In[0], p.In[1], p.In[2], p.Out[0], p.Out[1], p.Out[2], p.Kernel[0], p.Kernel[1], p.Kernel[2], p.Stride[0], p.Stride[1], p.Stride[2],
		p.PadLo[0], p.PadLo[1], p.PadLo[2], p.PadHi[0], p.PadHi[1], p.PadHi[2], p.XPitch, p.YPitch)
	for _, f := range []struct {
		set  bool
		mark string
	}{{p.Bias, "-bias"}, {p.ReLU, "-relu"}, {p.Deterministic, "-det"}} {
		if f.set {
			s += f.mark
		}
	}
	return s
}

// pointwise reports whether every output voxel depends on one input voxel only.
func (p Problem) pointwise() bool {
	one := [3]int{1, 1, 1}
	return p.Kernel == one && p.Stride == one && p.In == p.Out
}

// shapes are the dimensions and strides of x, w and y as cuDNN wants them, (N, C, D, H, W) whatever the layout. A
// pointwise convolution becomes one of two dimensions, for which cuDNN has more and better kernels.
func (p Problem) shapes() (x, w, y tensorShape, conv convShape) {
	if p.pointwise() {
		flat := func(channels, pitch int) tensorShape {
			h, wd, c := int64(p.In[1]), int64(p.In[2]), int64(pitch)
			return tensorShape{[]int64{int64(p.N * p.In[0]), int64(channels), h, wd}, []int64{h * wd * c, 1, wd * c, c}}
		}
		one := []int64{1, 1}
		return flat(p.C, p.XPitch), tensorShape{[]int64{int64(p.K), int64(p.C), 1, 1}, []int64{int64(p.C), 1, int64(p.C), int64(p.C)}},
			flat(p.K, p.YPitch), convShape{one, []int64{0, 0}, []int64{0, 0}}
	}
	full := func(n, channels int, size [3]int, pitch int) tensorShape {
		d, h, wd, c := int64(size[0]), int64(size[1]), int64(size[2]), int64(pitch)
		return tensorShape{[]int64{int64(n), int64(channels), d, h, wd}, []int64{d * h * wd * c, 1, h * wd * c, wd * c, c}}
	}
	three := func(v [3]int) []int64 { return []int64{int64(v[0]), int64(v[1]), int64(v[2])} }
	return full(p.N, p.C, p.In, p.XPitch), full(p.K, p.C, p.Kernel, p.C), full(p.N, p.K, p.Out, p.YPitch),
		convShape{three(p.Stride), three(p.PadLo), three(p.PadHi)}
}

type tensorShape struct{ dims, strides []int64 }

type convShape struct{ stride, padLo, padHi []int64 }
