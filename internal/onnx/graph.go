// Package onnx writes ONNX models: the few protobuf messages of onnx.proto that a network of layers needs, and weights
// that are streamed.
package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Opset is the version of the standard operators that nodes are written for, and irVersion that of the file format
// which goes with it.
const (
	Opset     = 17
	irVersion = 8
)

// maxBytes is the most that a protobuf message can hold.
const maxBytes = math.MaxInt32

// Field numbers of onnx.proto.
const (
	modelIRVersion     = 1
	modelProducerName  = 2
	modelDocString     = 6
	modelGraph         = 7
	modelOpsetImport   = 8
	modelMetadataProps = 14
	opsetVersion       = 2
	entryKey           = 1
	entryValue         = 2
	graphNode          = 1
	graphName          = 2
	graphInitializer   = 5
	graphInput         = 11
	graphOutput        = 12
	nodeInput          = 1
	nodeOutput         = 2
	nodeName           = 3
	nodeOpType         = 4
	nodeAttribute      = 5
	attributeName      = 1
	attributeI         = 3
	attributeInts      = 8
	attributeType      = 20
	valueName          = 1
	valueType          = 2
	typeTensor         = 1
	tensorTypeElem     = 1
	tensorTypeShape    = 2
	shapeDim           = 1
	dimValue           = 1
	dimParam           = 2
	tensorDims         = 1
	tensorDataType     = 2
	tensorName         = 8
	tensorRawData      = 9
)

// Codes of onnx.proto.
const (
	Float           = 1 // TensorProto.DataType; "to" of Cast
	typeInt64       = 7
	attributeIsInt  = 2 // AttributeProto.AttributeType
	attributeIsInts = 7
)

// Graph is a graph under construction. Names of tensors are the caller's; they must be unique in the graph.
type Graph struct {
	small   message // everything but the initializers
	tensors []tensor
	nodes   int
}

// tensor is an initializer whose data is written later.
type tensor struct {
	head  message
	bytes int64
	write func(w io.Writer) error
}

// Dim is the size of an axis: a number, or the name of a size that only a run knows.
type Dim struct {
	Size int
	Name string
}

// NewGraph returns an empty graph.
func NewGraph(name string) *Graph {
	g := new(Graph)
	g.small.string(graphName, name)
	return g
}

// Input declares a float32 tensor that a run is given.
func (g *Graph) Input(name string, dims ...Dim) { g.value(graphInput, name, dims) }

// Output declares a float32 tensor that a run returns.
func (g *Graph) Output(name string, dims ...Dim) { g.value(graphOutput, name, dims) }

func (g *Graph) value(field int, name string, dims []Dim) {
	var shape, tensorType, valueInfo, typed message
	for _, d := range dims {
		var dim message
		if d.Name != "" {
			dim.string(dimParam, d.Name)
		} else {
			dim.int(dimValue, int64(d.Size))
		}
		shape.bytes(shapeDim, dim)
	}
	tensorType.int(tensorTypeElem, Float)
	tensorType.bytes(tensorTypeShape, shape)
	typed.bytes(typeTensor, tensorType)
	valueInfo.string(valueName, name)
	valueInfo.bytes(valueType, typed)
	g.small.bytes(field, valueInfo)
}

// Attribute is a setting of a node.
type Attribute struct {
	name string
	ints []int64
	list bool
}

// Int is an attribute with one whole number.
func Int(name string, v int) Attribute { return Attribute{name, []int64{int64(v)}, false} }

// Ints is an attribute with a list of whole numbers.
func Ints(name string, values ...int) Attribute {
	a := Attribute{name: name, list: true}
	for _, v := range values {
		a.ints = append(a.ints, int64(v))
	}
	return a
}

// Node adds an operation with one output, whose name it returns.
func (g *Graph) Node(op, output string, inputs []string, attributes ...Attribute) string {
	var n message
	for _, in := range inputs {
		n.string(nodeInput, in)
	}
	n.string(nodeOutput, output)
	n.string(nodeName, fmt.Sprintf("%s_%d", op, g.nodes))
	n.string(nodeOpType, op)
	for _, a := range attributes {
		var m message
		m.string(attributeName, a.name)
		if a.list {
			for _, v := range a.ints {
				m.int(attributeInts, v)
			}
			m.int(attributeType, attributeIsInts)
		} else {
			m.int(attributeI, a.ints[0])
			m.int(attributeType, attributeIsInt)
		}
		n.bytes(nodeAttribute, m)
	}
	g.nodes++
	g.small.bytes(graphNode, n)
	return output
}

// Floats adds a constant of the given shape and returns its name. values is called when the model is written.
func (g *Graph) Floats(name string, shape []int, values func() []float32) string {
	count := 1
	for _, n := range shape {
		count *= n
	}
	g.constant(name, Float, shape, 4*int64(count), func(w io.Writer) error {
		v := values()
		if len(v) != count {
			return fmt.Errorf("onnx: %s has %d values for the shape %v", name, len(v), shape)
		}
		return writeFloats(w, v)
	})
	return name
}

// Integers adds a constant of whole numbers and returns its name; a nil shape makes it a scalar.
func (g *Graph) Integers(name string, shape []int, values ...int64) string {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	g.constant(name, typeInt64, shape, int64(len(b)), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	return name
}

func (g *Graph) constant(name string, dataType int64, shape []int, bytes int64, write func(io.Writer) error) {
	t := tensor{bytes: bytes, write: write}
	for _, n := range shape {
		t.head.int(tensorDims, int64(n))
	}
	t.head.int(tensorDataType, dataType)
	t.head.string(tensorName, name)
	t.head.prefix(tensorRawData, bytes)
	g.tensors = append(g.tensors, t)
}

func writeFloats(w io.Writer, values []float32) error {
	const chunk = 1 << 14
	b := make([]byte, 0, 4*min(chunk, len(values)))
	for len(values) > 0 {
		n := min(chunk, len(values))
		b = b[:0]
		for _, v := range values[:n] {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// Model is a graph with what a file says around it.
type Model struct {
	Graph    *Graph
	Producer string
	Doc      string
	Metadata [][2]string // key and value, in order
}

// Write writes the model.
func (m *Model) Write(w io.Writer) error {
	var head, opset message
	head.int(modelIRVersion, irVersion)
	head.string(modelProducerName, m.Producer)
	head.string(modelDocString, m.Doc)
	opset.int(opsetVersion, Opset)
	head.bytes(modelOpsetImport, opset)
	for _, p := range m.Metadata {
		var entry message
		entry.string(entryKey, p[0])
		entry.string(entryValue, p[1])
		head.bytes(modelMetadataProps, entry)
	}
	size := int64(len(m.Graph.small))
	for _, t := range m.Graph.tensors {
		size += prefixed(graphInitializer, t.size())
	}
	if total := int64(len(head)) + prefixed(modelGraph, size); total > maxBytes {
		return fmt.Errorf("a model of %d MiB, but ONNX files end at %d MiB; export fewer folds into one file", total>>20, maxBytes>>20)
	}
	head.prefix(modelGraph, size)
	if _, err := w.Write(append(head, m.Graph.small...)); err != nil {
		return err
	}
	for _, t := range m.Graph.tensors {
		var prefix message
		prefix.prefix(graphInitializer, t.size())
		if _, err := w.Write(append(prefix, t.head...)); err != nil {
			return err
		}
		if err := t.write(w); err != nil {
			return err
		}
	}
	return nil
}

func (t *tensor) size() int64 { return int64(len(t.head)) + t.bytes }
