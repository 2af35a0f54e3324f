package device

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"
)

// Tensor is a handle to values on a device. It is a gorgonia.Value, so that it travels along the graph; what it holds
// is read with Device.Download.
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
