// Package ops holds the network's layers as Gorgonia operations with symbolic gradients, on the tensors of a device.
//
// Two conventions keep memory small without reference counts. Every activation is the input of exactly one operation,
// which takes it over: it frees the activation's memory, or keeps it until its own gradient has run. And operations of
// a training graph share their state with the operation of their gradient, so a run of the graph must be complete and
// runs must not overlap.
package ops

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"time"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/universal-classifier/uc/internal/device"
)

// Trace is told of every operation that has run: its name (with ' behind it for the gradient's), its result, valid for
// now, and the time it took.
type Trace func(name string, result *device.Tensor, took time.Duration)

// Runtime is what the operations of one graph run on: the device and the memory of a run.
type Runtime struct {
	Device device.Device
	Arena  *device.Arena
	Trace  Trace // may be nil
	Failed error // of the device, in the last run
	serial uint32
}

func (rt *Runtime) activation(n, c int, size [3]int) *device.Tensor {
	return rt.Arena.Alloc(device.Activation, n, c, size[0], size[1], size[2])
}

func (rt *Runtime) free(ts ...*device.Tensor) {
	for _, t := range ts {
		rt.Arena.Free(t)
	}
}

// op is what all operations share: name, the dimensions of the inputs and the output's shape, known when the graph is
// built. The serial number keeps Gorgonia from merging two operations of equal kind.
type op struct {
	rt     *Runtime
	name   string
	serial uint32
	inDims []int
	out    []int
}

func (rt *Runtime) newOp(name string, inDims []int, out ...int) op {
	rt.serial++
	return op{rt: rt, name: name, serial: rt.serial, inDims: inDims, out: out}
}

func typeOf(dims int) hm.Type {
	if dims == 0 {
		return tensor.Float32
	}
	return gorgonia.TensorType{Dims: dims, Of: tensor.Float32}
}

// Arity implements gorgonia.Op.
func (o *op) Arity() int { return len(o.inDims) }

// Type implements gorgonia.Op.
func (o *op) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.inDims)+1)
	for _, d := range o.inDims {
		types = append(types, typeOf(d))
	}
	return hm.NewFnType(append(types, typeOf(len(o.out)))...)
}

// InferShape implements gorgonia.Op.
func (o *op) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return tensor.Shape(o.out), nil }

// ReturnsPtr implements gorgonia.Op.
func (o *op) ReturnsPtr() bool { return true }

// CallsExtern implements gorgonia.Op; true would make Gorgonia allocate the output.
func (o *op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op.
func (o *op) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op.
func (o *op) WriteHash(h hash.Hash) {
	fmt.Fprint(h, o.name)
	binary.Write(h, binary.LittleEndian, o.serial)
}

// Hashcode implements gorgonia.Op.
func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op) String() string { return o.name }

// arguments are the tensors behind an operation's inputs.
func arguments(values []gorgonia.Value) ([]*device.Tensor, error) {
	ts := make([]*device.Tensor, len(values))
	for i, v := range values {
		t, ok := v.(*device.Tensor)
		if !ok {
			return nil, fmt.Errorf("input %d is a %T, expected a tensor of the device", i, v)
		}
		ts[i] = t
	}
	return ts, nil
}

// function is a plain operation: what run makes of the tensors.
type function struct {
	op
	run func(in []*device.Tensor) *device.Tensor
}

// Do implements gorgonia.Op. Gorgonia calls it on a goroutine of its own, where nobody could catch the panic of a
// device that fails: Runtime.Failed carries it to whoever runs the graph.
func (f *function) Do(values ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer func() {
		if f.rt.Failed != nil {
			err = f.rt.Failed
		}
	}()
	defer device.Recover(&f.rt.Failed)
	in, err := arguments(values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if f.rt.Trace == nil {
		return f.run(in), nil
	}
	start := time.Now()
	result := f.run(in)
	f.rt.Trace(f.name, result, time.Since(start))
	return result, nil
}

// differentiable is a function with a gradient. backward runs once per run of the graph with the gradient of the
// output, writes the gradients of the parameters to where they belong and returns that of the first input (nil unless
// firstGrad).
type differentiable struct {
	function
	firstGrad  bool
	firstShape []int
	params     []*device.Tensor // gradients of the inputs from the second on
	backward   func(dy *device.Tensor) *device.Tensor
}

// DiffWRT implements gorgonia.SDOp.
func (d *differentiable) DiffWRT(inputs int) []bool {
	wrt := make([]bool, inputs)
	for i := range wrt {
		wrt[i] = i > 0 || d.firstGrad
	}
	return wrt
}

// SymDiff implements gorgonia.SDOp: one operation computes all gradients; the parameters' are picked from where it put
// them.
func (d *differentiable) SymDiff(inputs gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	shape := d.firstShape
	if !d.firstGrad {
		shape = d.params[0].Shape()
	}
	all := &function{op: d.rt.newOp(d.name+"'", []int{len(d.out)}, shape...)}
	all.run = func(in []*device.Tensor) *device.Tensor {
		if dx := d.backward(in[0]); d.firstGrad {
			return dx
		}
		return d.params[0]
	}
	main, err := gorgonia.ApplyOp(all, grad)
	if err != nil {
		return nil, err
	}
	grads := make(gorgonia.Nodes, len(inputs))
	if d.firstGrad {
		grads[0] = main
	}
	for i, p := range d.params {
		pick := &function{op: d.rt.newOp(d.name+"' parameter", []int{len(shape)}, p.Shape()...)}
		pick.run = func([]*device.Tensor) *device.Tensor { return p }
		if grads[i+1], err = gorgonia.ApplyOp(pick, main); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

func dims(ns []*gorgonia.Node) []int {
	d := make([]int, len(ns))
	for i, n := range ns {
		d[i] = n.Shape().Dims()
	}
	return d
}

func (d *differentiable) apply(inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	n, err := gorgonia.ApplyOp(d, inputs...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	return n, nil
}

func (f *function) apply(inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	n, err := gorgonia.ApplyOp(f, inputs...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return n, nil
}
