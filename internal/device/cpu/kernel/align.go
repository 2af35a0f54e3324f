package kernel

import (
	"fmt"
	"unsafe"
)

// hugePage is the size of a large page of the usual processors. Winograd's products are spread over hundreds of
// pages, more than the first-level address cache holds of the small ones.
const hugePage = 2 << 20

// AlignedFloats returns n zeros whose first lies on a 64-byte boundary, one cache line and one AVX-512 register.
// The system is asked to put large arrays into large pages.
func AlignedFloats(n int) []float32 { return aligned(make([]float32, n+alignment(n)/4), n) }

// MapFloats is AlignedFloats with memory of the system instead of Go's heap, so that unmap gives it back at once,
// whenever the collector runs next. Nothing may use the floats afterwards.
func MapFloats(n int) (floats []float32, unmap func(), err error) {
	raw, err := mapMemory(4*n + alignment(n))
	if err != nil {
		return nil, nil, fmt.Errorf("%d bytes of memory: %w", 4*n, err)
	}
	return aligned(unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/4), n), func() { unmapMemory(raw) }, nil
}

// alignment of n floats in bytes.
func alignment(n int) int {
	if n*4 >= 2*hugePage {
		return hugePage
	}
	return 64
}

// aligned cuts n floats out of raw, which has room for them at any place.
func aligned(raw []float32, n int) []float32 {
	align, skip := alignment(n), 0
	if rest := int(uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % uintptr(align)); rest != 0 {
		skip = (align - rest) / 4
	}
	floats := raw[skip : skip+n : skip+n]
	if align == hugePage {
		adviseHugePages(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(floats))), n*4/hugePage*hugePage))
	}
	return floats
}
