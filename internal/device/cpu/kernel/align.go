package kernel

import "unsafe"

// hugePage is the size of a large page of the usual processors. Winograd's products are spread over hundreds of
// pages, more than the first-level address cache holds of the small ones.
const hugePage = 2 << 20

// AlignedFloats returns n zeros whose first lies on a 64-byte boundary, one cache line and one AVX-512 register.
// The system is asked to put large arrays into large pages.
func AlignedFloats(n int) []float32 {
	align := 64
	if n*4 >= 2*hugePage {
		align = hugePage
	}
	raw := make([]float32, n+align/4)
	skip := 0
	if rest := int(uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % uintptr(align)); rest != 0 {
		skip = (align - rest) / 4
	}
	aligned := raw[skip : skip+n : skip+n]
	if align == hugePage {
		adviseHugePages(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(aligned))), n*4/hugePage*hugePage))
	}
	return aligned
}
