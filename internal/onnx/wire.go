package onnx

import "encoding/binary"

// Wire types of protobuf (https://protobuf.dev/programming-guides/encoding/).
const (
	wireVarint = 0
	wireBytes  = 2
)

// message is an encoded protobuf message, or the part of one written so far. The order of its fields is free.
type message []byte

func (m *message) tag(field, wire int) {
	*m = binary.AppendUvarint(*m, uint64(field)<<3|uint64(wire))
}

func (m *message) int(field int, v int64) {
	m.tag(field, wireVarint)
	*m = binary.AppendUvarint(*m, uint64(v))
}

func (m *message) bytes(field int, b []byte) {
	m.prefix(field, int64(len(b)))
	*m = append(*m, b...)
}

func (m *message) string(field int, s string) { m.bytes(field, []byte(s)) }

// prefix begins a field of n bytes, which are to follow.
func (m *message) prefix(field int, n int64) {
	m.tag(field, wireBytes)
	*m = binary.AppendUvarint(*m, uint64(n))
}

// prefixed is the number of bytes of a field with n bytes of content.
func prefixed(field int, n int64) int64 {
	var m message
	m.prefix(field, n)
	return int64(len(m)) + n
}
