package backend

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"
)

// Tensor is a handle to values on a device. It is a gorgonia.Value, so that it travels along the graph; what it holds is
// read with Device.Download.
type Tensor struct {
	spec Spec
	// Storage is the device's own; nil on a device that only plans.
	Storage any
	slot    int // in an arena, counted from 1
}

// NewTensor returns a handle over a device's storage.
func NewTensor(s Spec, storage any) *Tensor {
	return &Tensor{spec: Spec{s.Kind, slices.Clone(s.Shape)}, Storage: storage}
}

// Spec returns kind and shape.
func (t *Tensor) Spec() Spec { return t.spec }

// Dim returns the size of an axis.
func (t *Tensor) Dim(axis int) int { return t.spec.Shape[axis] }

// Shape is the logical shape, in PyTorch's axis order.
func (t *Tensor) Shape() tensor.Shape { return tensor.Shape(t.spec.Shape) }

// Size is the number of logical values.
func (t *Tensor) Size() int { return Count(t.spec.Shape) }

// Data returns the handle itself: the values stay on the device.
func (t *Tensor) Data() interface{} { return t }

// Dtype is float32.
func (t *Tensor) Dtype() tensor.Dtype { return tensor.Float32 }

// Uintptr is 0: there is no host memory to point to.
func (t *Tensor) Uintptr() uintptr { return 0 }

// MemSize is the size in bytes of the logical values.
func (t *Tensor) MemSize() uintptr { return uintptr(4 * t.Size()) }

// Format prints shape and kind.
func (t *Tensor) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "tensor%v", t.spec.Shape)
}

// Count is the product of a shape.
func Count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

func outSize(size, kernel, stride [3]int, ceil bool) [3]int {
	var out [3]int
	for a := range 3 {
		padded := size[a] + max(kernel[a]-stride[a], 0)
		if !ceil {
			out[a] = max(0, padded-kernel[a]+stride[a]) / stride[a]
			continue
		}
		out[a] = (max(padded-kernel[a], 0)+stride[a]-1)/stride[a] + 1
		if (out[a]-1)*stride[a] >= padded { // the last window must start inside, as in PyTorch
			out[a]--
		}
	}
	return out
}

// OutSize is the size (D, H, W) of the convolution's output; 0 on an axis too short for the kernel.
func (c Conv) OutSize(size [3]int) [3]int { return outSize(size, c.Kernel, c.Stride, false) }

// OutSize is the size (D, H, W) of the pooling's output.
func (p Pool) OutSize(size [3]int) [3]int { return outSize(size, p.Kernel, p.Stride, true) }
