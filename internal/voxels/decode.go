package voxels

import (
	"encoding/binary"
	"math"
)

// decode turns stored voxels into float32: stored * Slope + Inter, computed in float64 (as ITK does) and rounded once.
// NaN and infinities that are stored count as 0, before the scaling, as ITK reads NIfTI, and their number is returned;
// a finite value that float32 cannot hold becomes infinite. src holds len(dst) voxels; it is byte-swapped in place when
// the file is big-endian.
func (h Layout) decode(dst []float32, src []byte) (nonFinite int) {
	if h.BigEndian {
		swap(src, h.Type.Bytes())
	}
	le := binary.LittleEndian
	if h.Slope == 1 && h.Inter == 0 {
		switch h.Type { // the types that images mostly come in, without the detour
		case Int16:
			decodeInt16(dst, src)
			return 0
		case Uint8:
			src = src[:len(dst)]
			for i, v := range src {
				dst[i] = float32(v)
			}
			return 0
		case Float32:
			return decodeFloat32(dst, src)
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
			v := float64(math.Float32frombits(le.Uint32(src[4*i:])))
			if v-v != 0 { // NaN or infinite
				v = 0
				nonFinite++
			}
			dst[i] = scaled(v)
		}
	case Float64:
		for i := range dst {
			v := math.Float64frombits(le.Uint64(src[8*i:]))
			if v-v != 0 { // NaN or infinite
				v = 0
				nonFinite++
			}
			dst[i] = scaled(v)
		}
	}
	return nonFinite
}

// decodeFloat32 converts two values at a time, from words, and returns the number of those that are not finite.
func decodeFloat32(dst []float32, src []byte) (nonFinite int) {
	const exponent = 0x7f800000 // all its bits are set in NaN and infinities alone
	for ; len(dst) >= 2 && len(src) >= 8; dst, src = dst[2:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		low, high := uint32(w), uint32(w>>32)
		if low&exponent == exponent {
			low = 0
			nonFinite++
		}
		if high&exponent == exponent {
			high = 0
			nonFinite++
		}
		dst[0], dst[1] = math.Float32frombits(low), math.Float32frombits(high)
	}
	for i := range dst {
		bits := binary.LittleEndian.Uint32(src[4*i:])
		if bits&exponent == exponent {
			bits = 0
			nonFinite++
		}
		dst[i] = math.Float32frombits(bits)
	}
	return nonFinite
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

// decodeLabels turns stored voxels into labels where that is only widening, and reports whether it did; src is
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
