package voxels

import (
	"encoding/binary"
	"math"
)

// decode turns stored voxels into float32: stored * Slope + Inter, computed in float64 (as ITK does) and rounded once.
// src holds len(dst) voxels; it is byte-swapped in place when the file is big-endian.
func (h Layout) decode(dst []float32, src []byte) {
	if h.BigEndian {
		swap(src, h.Type.Bytes())
	}
	le := binary.LittleEndian
	if h.Slope == 1 && h.Inter == 0 {
		switch h.Type { // the types that images mostly come in, without the detour
		case Int16:
			decodeInt16(dst, src)
			return
		case Uint8:
			src = src[:len(dst)]
			for i, v := range src {
				dst[i] = float32(v)
			}
			return
		case Float32:
			for ; len(dst) >= 2 && len(src) >= 8; dst, src = dst[2:], src[8:] {
				w := le.Uint64(src)
				dst[0] = math.Float32frombits(uint32(w))
				dst[1] = math.Float32frombits(uint32(w >> 32))
			}
			for i := range dst {
				dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
			}
			return
		}
	}
	scaled := func(v float64) float32 { return float32(float64(v*h.Slope) + h.Inter) } // the conversion forbids a fused multiply-add
	switch h.Type {
	case Uint8:
		for i := range dst {
			dst[i] = scaled(float64(src[i]))
		}
	case Int8:
		for i := range dst {
			dst[i] = scaled(float64(int8(src[i])))
		}
	case Uint16:
		for i := range dst {
			dst[i] = scaled(float64(le.Uint16(src[2*i:])))
		}
	case Int16:
		for i := range dst {
			dst[i] = scaled(float64(int16(le.Uint16(src[2*i:]))))
		}
	case Uint32:
		for i := range dst {
			dst[i] = scaled(float64(le.Uint32(src[4*i:])))
		}
	case Int32:
		for i := range dst {
			dst[i] = scaled(float64(int32(le.Uint32(src[4*i:]))))
		}
	case Uint64:
		for i := range dst {
			dst[i] = scaled(float64(le.Uint64(src[8*i:])))
		}
	case Int64:
		for i := range dst {
			dst[i] = scaled(float64(int64(le.Uint64(src[8*i:]))))
		}
	case Float32:
		for i := range dst {
			dst[i] = scaled(float64(math.Float32frombits(le.Uint32(src[4*i:]))))
		}
	case Float64:
		for i := range dst {
			dst[i] = scaled(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	}
}

// decodeInt16 converts four values at a time, from words, where the processor has nothing better.
func decodeInt16(dst []float32, src []byte) {
	done := widen(dst, src)
	dst, src = dst[done:], src[2*done:]
	for ; len(dst) >= 4 && len(src) >= 8; dst, src = dst[4:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		dst[0] = float32(int16(w))
		dst[1] = float32(int16(w >> 16))
		dst[2] = float32(int16(w >> 32))
		dst[3] = float32(int16(w >> 48))
	}
	for i := range dst {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:])))
	}
}

// decodeLabels turns stored voxels into labels where that is no more than widening, and reports whether it did; src is
// left as it is otherwise.
func (h Layout) decodeLabels(dst []int16, src []byte) bool {
	if h.Slope != 1 || h.Inter != 0 {
		return false
	}
	switch {
	case h.Type == Uint8:
		src = src[:len(dst)]
		for i, v := range src {
			dst[i] = int16(v)
		}
		return true
	case h.Type == Int16 && !h.BigEndian:
		for ; len(dst) >= 4 && len(src) >= 8; dst, src = dst[4:], src[8:] {
			w := binary.LittleEndian.Uint64(src)
			dst[0], dst[1], dst[2], dst[3] = int16(w), int16(w>>16), int16(w>>32), int16(w>>48)
		}
		for i := range dst {
			dst[i] = int16(binary.LittleEndian.Uint16(src[2*i:]))
		}
		return true
	}
	return false
}

// swap reverses the bytes of every value of size bytes.
func swap(b []byte, size int) {
	switch size {
	case 2:
		for ; len(b) >= 2; b = b[2:] {
			b[0], b[1] = b[1], b[0]
		}
	case 4:
		for ; len(b) >= 4; b = b[4:] {
			binary.LittleEndian.PutUint32(b, binary.BigEndian.Uint32(b))
		}
	case 8:
		for ; len(b) >= 8; b = b[8:] {
			binary.LittleEndian.PutUint64(b, binary.BigEndian.Uint64(b))
		}
	}
}
