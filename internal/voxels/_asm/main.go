// Command _asm writes the machine code of package voxels: what turns the commonest kind of voxel into float32.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	widen()
	Generate()
}

// widen: n values, a multiple of 16 that is not 0.
func widen() {
	TEXT("widenBlocks", NOSPLIT, "func(dst *float32, src *byte, n int)")
	Pragma("noescape")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	a, b := YMM(), YMM()
	Label("loop")
	VPMOVSXWD(Mem{Base: src}, a)
	VPMOVSXWD(Mem{Base: src, Disp: 16}, b)
	VCVTDQ2PS(a, a)
	VCVTDQ2PS(b, b)
	VMOVUPS(a, Mem{Base: dst})
	VMOVUPS(b, Mem{Base: dst, Disp: 32})
	ADDQ(Imm(32), src)
	ADDQ(Imm(64), dst)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
