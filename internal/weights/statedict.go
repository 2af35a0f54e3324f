// Package weights holds named network parameters and their safetensors files.
//
// Own code, since nlpodyssey/safetensors wants the whole file in memory: checkpoints are written while a network
// trains.
package weights

import (
	"fmt"
	"slices"
)

// Tensor is one entry of a state dictionary: values in C order of Shape, either float32 (F32) or int64 (I64).
// A scalar has an empty shape and one value.
type Tensor struct {
	Shape []int
	F32   []float32
	I64   []int64
}

// NewTensor returns a float32 tensor of zeros.
func NewTensor(shape ...int) *Tensor {
	return &Tensor{Shape: slices.Clone(shape), F32: make([]float32, product(shape))}
}

// NewScalar returns an int64 scalar, as PyTorch keeps num_batches_tracked.
func NewScalar(v int64) *Tensor { return &Tensor{Shape: []int{}, I64: []int64{v}} }

// Len is the number of values.
func (t *Tensor) Len() int { return product(t.Shape) }

// Clone returns a copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	return &Tensor{Shape: slices.Clone(t.Shape), F32: slices.Clone(t.F32), I64: slices.Clone(t.I64)}
}

// Check reports whether the number of values equals what the shape wants, in one of the two types.
func (t *Tensor) Check() error {
	n := t.Len()
	if (t.F32 == nil) == (t.I64 == nil) && n > 0 {
		return fmt.Errorf("must hold either float32 or int64 values")
	}
	if len(t.F32)+len(t.I64) != n {
		return fmt.Errorf("holds %d values, but shape %v wants %d", len(t.F32)+len(t.I64), t.Shape, n)
	}
	return nil
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// StateDict is an ordered set of named tensors with the names of PyTorch's state_dict
// ("mixed_3b.branch_0.conv3d.weight").
type StateDict struct {
	names   []string
	tensors map[string]*Tensor
}

// NewStateDict returns an empty state dictionary.
func NewStateDict() *StateDict { return &StateDict{tensors: map[string]*Tensor{}} }

// Set adds a tensor at the end, or replaces the one of that name in its place.
func (sd *StateDict) Set(name string, t *Tensor) {
	if _, ok := sd.tensors[name]; !ok {
		sd.names = append(sd.names, name)
	}
	sd.tensors[name] = t
}

// Get returns the tensor of that name, or nil.
func (sd *StateDict) Get(name string) *Tensor { return sd.tensors[name] }

// Names lists the names in order.
func (sd *StateDict) Names() []string { return slices.Clone(sd.names) }

// Len is the number of tensors.
func (sd *StateDict) Len() int { return len(sd.names) }

// Clone returns a copy that shares nothing with sd.
func (sd *StateDict) Clone() *StateDict {
	c := NewStateDict()
	for _, n := range sd.names {
		c.Set(n, sd.tensors[n].Clone())
	}
	return c
}

// Want returns the float32 tensor of that name and shape; the error says what is missing or how it differs.
func (sd *StateDict) Want(name string, shape ...int) (*Tensor, error) {
	t := sd.tensors[name]
	switch {
	case t == nil:
		return nil, fmt.Errorf("weights: %s is missing", name)
	case !slices.Equal(t.Shape, shape):
		return nil, fmt.Errorf("weights: %s has shape %v, expected %v", name, t.Shape, shape)
	case len(t.F32) != t.Len():
		return nil, fmt.Errorf("weights: %s is not float32", name)
	}
	return t, nil
}
