package cpu

import "unsafe"

// AlignedFloats returns n zeros whose first lies on a 64-byte boundary, one cache line and one AVX-512 register.
func AlignedFloats(n int) []float32 {
	raw := make([]float32, n+Block)
	skip := 0
	if rest := int(uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % 64); rest != 0 {
		skip = (64 - rest) / 4
	}
	return raw[skip : skip+n : skip+n]
}
