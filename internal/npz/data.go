package npz

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// readData reads the elements that h announces and returns them in C order.
func readData(r io.Reader, h header) (any, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if h.big {
		order = binary.BigEndian
	}
	switch {
	case h.kind == 'f' && h.size == 4:
		return decode(r, h, func(b []byte) float32 { return math.Float32frombits(order.Uint32(b)) })
	case h.kind == 'f' && h.size == 8:
		return decode(r, h, func(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) })
	case h.kind == 'f' && h.size == 2:
		return decode(r, h, func(b []byte) float32 { return halfToFloat(order.Uint16(b)) })
	case h.kind == 'i' && h.size == 8:
		return decode(r, h, func(b []byte) int64 { return int64(order.Uint64(b)) })
	case h.kind == 'i' && h.size == 4:
		return decode(r, h, func(b []byte) int32 { return int32(order.Uint32(b)) })
	case h.kind == 'i' && h.size == 2:
		return decode(r, h, func(b []byte) int16 { return int16(order.Uint16(b)) })
	case h.kind == 'i' && h.size == 1:
		return decode(r, h, func(b []byte) int16 { return int16(int8(b[0])) })
	case h.kind == 'u' && h.size == 1:
		return decode(r, h, func(b []byte) uint8 { return b[0] })
	case h.kind == 'u' && h.size == 2:
		return decode(r, h, func(b []byte) int32 { return int32(order.Uint16(b)) })
	case h.kind == 'u' && h.size == 4:
		return decode(r, h, func(b []byte) int64 { return int64(order.Uint32(b)) })
	case h.kind == 'b' && h.size == 1:
		return decode(r, h, func(b []byte) bool { return b[0] != 0 })
	}
	return nil, fmt.Errorf("%w: data type %c%d", ErrFormat, h.kind, h.size)
}

// decode reads h.count elements, growing with what really arrives rather than with what the header says.
func decode[T any](r io.Reader, h header, element func([]byte) T) ([]T, error) {
	const trusted = 1 << 24 // elements that may be allocated before any of them has been seen
	out := make([]T, 0, min(h.count, trusted))
	buf := make([]byte, chunkBytes)
	for len(out) < h.count {
		n := min(h.count-len(out), chunkBytes/h.size)
		b := buf[:n*h.size]
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		if len(out)+n > cap(out) {
			grown := make([]T, len(out), min(h.count, 4*cap(out)))
			copy(grown, out)
			out = grown
		}
		at := len(out)
		out = out[:at+n]
		for i := range n {
			out[at+i] = element(b[i*h.size : (i+1)*h.size])
		}
	}
	if h.fortran && len(h.shape) > 1 {
		return fromFortran(out, h.shape), nil
	}
	return out, nil
}

// fromFortran brings data whose first axis is fastest into C order.
func fromFortran[T any](in []T, shape []int) []T {
	out := make([]T, len(in))
	stride := make([]int, len(shape))
	s := 1
	for d, n := range shape {
		stride[d] = s
		s *= n
	}
	index := make([]int, len(shape))
	from := 0
	for i := range out {
		out[i] = in[from]
		for d := len(shape) - 1; d >= 0; d-- {
			index[d]++
			from += stride[d]
			if index[d] < shape[d] {
				break
			}
			from -= stride[d] * shape[d]
			index[d] = 0
		}
	}
	return out
}

// halfToFloat converts an IEEE 754 binary16 number.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10)&31, uint32(h)&1023
	switch {
	case exponent == 31:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	case exponent != 0:
		return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
	}
	v := float32(fraction) / (1 << 24)
	if sign != 0 {
		return -v
	}
	return v
}

// writeArray writes header and data of a.
func writeArray(w io.Writer, a Array) error {
	count := 1
	for _, n := range a.Shape {
		count *= n
	}
	descr, n, err := describe(a.Data)
	if err != nil {
		return fmt.Errorf("array %q: %w", a.Name, err)
	}
	if n != count {
		return fmt.Errorf("array %q holds %d elements, but its shape %v wants %d", a.Name, n, a.Shape, count)
	}
	if _, err := w.Write(formatHeader(descr, a.Shape)); err != nil {
		return err
	}
	switch d := a.Data.(type) {
	case []float32:
		return encode(w, d, 4, func(b []byte, v float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(v)) })
	case []float64:
		return encode(w, d, 8, func(b []byte, v float64) { binary.LittleEndian.PutUint64(b, math.Float64bits(v)) })
	case []int64:
		return encode(w, d, 8, func(b []byte, v int64) { binary.LittleEndian.PutUint64(b, uint64(v)) })
	case []int32:
		return encode(w, d, 4, func(b []byte, v int32) { binary.LittleEndian.PutUint32(b, uint32(v)) })
	case []int16:
		return encode(w, d, 2, func(b []byte, v int16) { binary.LittleEndian.PutUint16(b, uint16(v)) })
	case []bool:
		_, err = w.Write(boolBytes(d))
	case []uint8:
		_, err = w.Write(d)
	}
	return err
}

// describe gives NumPy's name of the element type and the number of elements.
func describe(data any) (string, int, error) {
	switch d := data.(type) {
	case []float32:
		return "<f4", len(d), nil
	case []float64:
		return "<f8", len(d), nil
	case []int64:
		return "<i8", len(d), nil
	case []int32:
		return "<i4", len(d), nil
	case []int16:
		return "<i2", len(d), nil
	case []uint8:
		return "|u1", len(d), nil
	case []bool:
		return "|b1", len(d), nil
	}
	return "", 0, fmt.Errorf("cannot write %T to a NumPy file", data)
}

func encode[T any](w io.Writer, data []T, size int, put func([]byte, T)) error {
	buf := make([]byte, chunkBytes)
	for len(data) > 0 {
		n := min(len(data), chunkBytes/size)
		for i, v := range data[:n] {
			put(buf[i*size:], v)
		}
		if _, err := w.Write(buf[:n*size]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
