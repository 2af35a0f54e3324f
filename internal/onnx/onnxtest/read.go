// Package onnxtest reads and runs ONNX files in tests, slowly and independently of the code that writes them: the
// operators that uc's networks use, as the operators' specification words them.
package onnxtest

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// Tensor is a value in a graph; one of F and I holds it.
type Tensor struct {
	Shape []int
	F     []float32
	I     []int64
}

// Node is an operation.
type Node struct {
	Op              string
	Inputs, Outputs []string
	Ints            map[string][]int64 // attributes
}

// Value is a declared input or output: sizes, or names of sizes.
type Value struct {
	Name string
	Dims []string
}

// Model is what a file says.
type Model struct {
	IRVersion, Opset int64
	Metadata         map[string]string
	Nodes            []Node
	Constants        map[string]Tensor
	Inputs, Outputs  []Value
}

// field is a field of a protobuf message.
type field struct {
	number int
	varint int64
	bytes  []byte
}

func fields(t testing.TB, b []byte) (all []field) {
	t.Helper()
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatal("protobuf: broken varint")
		}
		b = b[n:]
		return v
	}
	for len(b) > 0 {
		tag := next()
		f := field{number: int(tag >> 3)}
		switch tag & 7 {
		case 0:
			f.varint = int64(next())
		case 2:
			n := next()
			if n > uint64(len(b)) {
				t.Fatalf("protobuf: field %d of %d bytes, %d are left", f.number, n, len(b))
			}
			f.bytes, b = b[:n], b[n:]
		default:
			t.Fatalf("protobuf: wire type %d", tag&7)
		}
		all = append(all, f)
	}
	return all
}

// Read parses a file.
func Read(t testing.TB, b []byte) *Model {
	t.Helper()
	m := &Model{Metadata: map[string]string{}, Constants: map[string]Tensor{}}
	for _, f := range fields(t, b) {
		switch f.number {
		case 1:
			m.IRVersion = f.varint
		case 7:
			m.graph(t, f.bytes)
		case 8:
			for _, o := range fields(t, f.bytes) {
				if o.number == 2 {
					m.Opset = o.varint
				}
			}
		case 14:
			kv := fields(t, f.bytes)
			m.Metadata[string(kv[0].bytes)] = string(kv[1].bytes)
		}
	}
	return m
}

func (m *Model) graph(t testing.TB, b []byte) {
	for _, f := range fields(t, b) {
		switch f.number {
		case 1:
			m.Nodes = append(m.Nodes, node(t, f.bytes))
		case 5:
			name, c := constant(t, f.bytes)
			if _, twice := m.Constants[name]; twice {
				t.Fatalf("constant %s twice", name)
			}
			m.Constants[name] = c
		case 11:
			m.Inputs = append(m.Inputs, value(t, f.bytes))
		case 12:
			m.Outputs = append(m.Outputs, value(t, f.bytes))
		}
	}
}

func node(t testing.TB, b []byte) Node {
	n := Node{Ints: map[string][]int64{}}
	for _, f := range fields(t, b) {
		switch f.number {
		case 1:
			n.Inputs = append(n.Inputs, string(f.bytes))
		case 2:
			n.Outputs = append(n.Outputs, string(f.bytes))
		case 4:
			n.Op = string(f.bytes)
		case 5:
			name, values, kind := "", []int64(nil), int64(0)
			for _, a := range fields(t, f.bytes) {
				switch a.number {
				case 1:
					name = string(a.bytes)
				case 3, 8:
					values = append(values, a.varint)
				case 20:
					kind = a.varint
				}
			}
			if kind != 2 && kind != 7 { // INT, INTS
				t.Fatalf("attribute %s of type %d", name, kind)
			}
			n.Ints[name] = values
		}
	}
	return n
}

func constant(t testing.TB, b []byte) (name string, c Tensor) {
	kind, raw, count := int64(0), []byte(nil), 1
	for _, f := range fields(t, b) {
		switch f.number {
		case 1:
			c.Shape = append(c.Shape, int(f.varint))
			count *= int(f.varint)
		case 2:
			kind = f.varint
		case 8:
			name = string(f.bytes)
		case 9:
			raw = f.bytes
		}
	}
	switch {
	case kind == 1 && len(raw) == 4*count:
		for i := range count {
			c.F = append(c.F, math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		}
	case kind == 7 && len(raw) == 8*count:
		for i := range count {
			c.I = append(c.I, int64(binary.LittleEndian.Uint64(raw[8*i:])))
		}
	default:
		t.Fatalf("constant %s: %d bytes of type %d for the shape %v", name, len(raw), kind, c.Shape)
	}
	return name, c
}

func value(t testing.TB, b []byte) (v Value) {
	for _, f := range fields(t, b) {
		switch f.number {
		case 1:
			v.Name = string(f.bytes)
		case 2:
			tensor := fields(t, fields(t, f.bytes)[0].bytes)
			if tensor[0].varint != 1 {
				t.Fatalf("%s is not float32", v.Name)
			}
			for _, d := range fields(t, tensor[1].bytes) {
				dim := fields(t, d.bytes)[0]
				if dim.number == 1 {
					v.Dims = append(v.Dims, fmt.Sprint(dim.varint))
				} else {
					v.Dims = append(v.Dims, string(dim.bytes))
				}
			}
		}
	}
	return v
}
