package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// transposeAVX512: dst = transposed src, both 16x16.
func transposeAVX512() {
	TEXT("transposeAVX512", NOSPLIT, "func(dst, src *float32)")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	for i := range 16 {
		VMOVUPS(Mem{Base: src, Disp: i * 64}, zmm[i])
	}
	for i := 0; i < 16; i += 2 {
		VUNPCKLPS(zmm[i+1], zmm[i], zmm[16+i])
		VUNPCKHPS(zmm[i+1], zmm[i], zmm[17+i])
	}
	for g := 0; g < 16; g += 4 {
		VUNPCKLPD(zmm[18+g], zmm[16+g], zmm[g])
		VUNPCKHPD(zmm[18+g], zmm[16+g], zmm[g+1])
		VUNPCKLPD(zmm[19+g], zmm[17+g], zmm[g+2])
		VUNPCKHPD(zmm[19+g], zmm[17+g], zmm[g+3])
	}
	// register g+j now holds, in its quarter l, rows g to g+3 of column 4l+j
	for h := 0; h < 16; h += 8 {
		for j := range 4 {
			VSHUFF32X4(Imm(0x88), zmm[h+4+j], zmm[h+j], zmm[16+h+j])
			VSHUFF32X4(Imm(0xdd), zmm[h+4+j], zmm[h+j], zmm[20+h+j])
		}
	}
	for j := range 4 {
		for odd := range 2 {
			low, high := zmm[16+4*odd+j], zmm[24+4*odd+j]
			VSHUFF32X4(Imm(0x88), high, low, zmm[0])
			VMOVUPS(zmm[0], Mem{Base: dst, Disp: (4*odd + j) * 64})
			VSHUFF32X4(Imm(0xdd), high, low, zmm[1])
			VMOVUPS(zmm[1], Mem{Base: dst, Disp: (8 + 4*odd + j) * 64})
		}
	}
	VZEROUPPER()
	RET()
}
