package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The sums over voxels in bfloat16 multiply pairs of voxels: 16 voxels are summed up in float32, and such sums in
// float64.

// halfSums are the registers of two sums of 16 channels.
type halfSums struct {
	short [2]VecPhysical    // float32, since they were added up last
	long  [2][2]VecPhysical // float64
}

const (
	sumOnes  = 30 // pairs of ones
	sumLanes = 31 // the permutation to pairs
)

// newHalfSums emits zero sums and loads what the loops need.
func newHalfSums() halfSums {
	s := halfSums{[2]VecPhysical{zmm[16], zmm[17]}, [2][2]VecPhysical{{zmm[18], zmm[19]}, {zmm[20], zmm[21]}}}
	for _, r := range []VecPhysical{s.short[0], s.short[1], s.long[0][0], s.long[0][1], s.long[1][0], s.long[1][1]} {
		VPXORD(r, r, r)
	}
	loadPairLanes(zmm[sumLanes])
	ones := GP32()
	MOVL(U32(0x3f803f80), ones)
	VPBROADCASTD(ones, zmm[sumOnes])
	return s
}

// fold adds the short sums to the long ones.
func (s halfSums) fold() {
	for i, short := range s.short {
		VCVTPS2PD(short.AsY(), zmm[22])
		VADDPD(zmm[22], s.long[i][0], s.long[i][0])
		VEXTRACTF64X4(Imm(1), short, zmm[22].AsY())
		VCVTPS2PD(zmm[22].AsY(), zmm[22])
		VADDPD(zmm[22], s.long[i][1], s.long[i][1])
		VPXORD(short, short, short)
	}
}

// loops emits voxels, which takes 1 or 2 of them at byte offset at, for count voxels.
func (s halfSums) loops(count Register, pointers []Register, voxels func(n, at int)) {
	advance := func(n int) {
		for _, p := range pointers {
			ADDQ(U32(uint32(n*32)), p)
		}
	}
	SUBQ(Imm(16), count)
	JL(LabelRef("few"))
	Label("many")
	for at := 0; at < 16*32; at += 64 {
		voxels(2, at)
	}
	s.fold()
	advance(16)
	SUBQ(Imm(16), count)
	JGE(LabelRef("many"))
	Label("few")
	ADDQ(Imm(14), count)
	JL(LabelRef("last"))
	Label("two")
	voxels(2, 0)
	advance(2)
	SUBQ(Imm(2), count)
	JGE(LabelRef("two"))
	Label("last")
	ADDQ(Imm(2), count)
	JZ(LabelRef("done"))
	voxels(1, 0)
	Label("done")
	s.fold()
}

// store writes the sums.
func (s halfSums) store(out Register) {
	for i, half := range s.long {
		for h, r := range half {
			VMOVUPD(r, Mem{Base: out, Disp: i*128 + h*64})
		}
	}
	VZEROUPPER()
	RET()
}

// first returns the part of a register that n voxels fill.
func first(n int, v VecPhysical) Op {
	if n == 1 {
		return v.AsY()
	}
	return v
}

func sumsHalf() {
	TEXT("sumsBF16", NOSPLIT, "func(src *float32, count int, out *float64)")
	Pragma("noescape")
	src, count, out := Load(Param("src"), GP64()), Load(Param("count"), GP64()), Load(Param("out"), GP64())
	s := newHalfSums()
	s.loops(count, []Register{src}, func(n, at int) {
		x := zmm[at/64]
		VMOVDQU16(Mem{Base: src, Disp: at}, first(n, x))
		VPERMW(x, zmm[sumLanes], x)
		dotPairs(x, zmm[sumOnes], s.short[0])
		dotPairs(x, x, s.short[1])
	})
	s.store(out)
}

// gradientSumsHalf takes the mean off at the end: the sum of g'*(x-mean) is that of g'*x less mean times the sum of g'.
func gradientSumsHalf() {
	TEXT("gradientSumsBF16", NOSPLIT, "func(x, dy *float32, count int, params *float32, out *float64)")
	Pragma("noescape")
	px, pg, count, params, out := Load(Param("x"), GP64()), Load(Param("dy"), GP64()), Load(Param("count"), GP64()), Load(Param("params"), GP64()), Load(Param("out"), GP64())
	scale, shift, floor, upper := zmm[24], zmm[25], zmm[26], zmm[27]
	for i, r := range []VecPhysical{scale, shift, floor} {
		VMOVUPS(Mem{Base: params, Disp: i * 64}, r)
	}
	s := newHalfSums()
	high := GP32()
	MOVL(U32(0xffff0000), high)
	VPBROADCASTD(high, upper)
	s.loops(count, []Register{px, pg}, func(n, at int) {
		x, y, g := zmm[at/64%2*4], zmm[at/64%2*4+1], zmm[at/64%2*4+2]
		VMOVDQU16(Mem{Base: px, Disp: at}, first(n, x))
		VPERMW(x, zmm[sumLanes], x)
		VPSLLD(Imm(16), x, y)
		VFMADD213PS(shift, scale, y)
		VCMPPS(Imm(0x1e), floor, y, K1) // greater, ordered, quiet
		if n == 2 {
			VPANDD(upper, x, y)
			VFMADD213PS(shift, scale, y)
			VCMPPS(Imm(0x1e), floor, y, K2)
			KUNPCKWD(K1, K2, K1)
		}
		VMOVDQU16_Z(Mem{Base: pg, Disp: at}, K1, first(n, g))
		VPERMW(g, zmm[sumLanes], g)
		dotPairs(g, zmm[sumOnes], s.short[0])
		dotPairs(g, x, s.short[1])
	})
	for h := range 2 {
		VCVTPS2PD(Mem{Base: params, Disp: 192 + h*32}, zmm[0])
		VFNMADD231PD(s.long[0][h], zmm[0], s.long[1][h])
	}
	s.store(out)
}
