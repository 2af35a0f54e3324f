package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// streams holds the state of as many streams as a register has lanes: 16 streams are one such set, or two.
type streams struct {
	v     isa
	state Register // pointer to [4][16]uint32
	sets  []*[4]VecVirtual
}

func (v isa) streams(state Register) streams {
	s := streams{v: v, state: state}
	for half := range 16 / v.lanes {
		var set [4]VecVirtual
		for i := range set {
			set[i] = v.reg()
			VMOVUPS(s.at(i, half), set[i])
		}
		s.sets = append(s.sets, &set)
	}
	return s
}

func (s streams) at(word, half int) Mem {
	return Mem{Base: s.state, Disp: 64*word + half*s.v.bytes()}
}

func (s streams) save() {
	for half, set := range s.sets {
		for i, r := range set {
			VMOVUPS(r, s.at(i, half))
		}
	}
}

func (v isa) rotate(r Register, n uint8) {
	if v.lanes == 16 {
		VPROLD(Imm(uint64(n)), r, r)
		return
	}
	t := v.reg()
	VPSRLD(Imm(uint64(32-n)), r, t)
	VPSLLD(Imm(uint64(n)), r, r)
	VORPS(t, r, r)
}

// next advances the streams of one set and returns their values.
func (s streams) next(set *[4]VecVirtual) VecVirtual {
	v := s.v
	result, t := v.reg(), v.reg()
	VPADDD(set[3], set[0], result)
	v.rotate(result, 7)
	VPADDD(set[0], result, result)
	VPSLLD(Imm(9), set[1], t)
	VXORPS(set[0], set[2], set[2])
	VXORPS(set[1], set[3], set[3])
	VXORPS(set[2], set[1], set[1])
	VXORPS(set[3], set[0], set[0])
	VXORPS(t, set[2], set[2])
	v.rotate(set[3], 11)
	return result
}

// symmetric emits numbers uniform over [-1, 1); n is a multiple of 16, not 0.
func (v isa) symmetric() {
	v.function("symmetric", "(state *[4][16]uint32, dst *float32, n int)")
	s := v.streams(pointer("state"))
	dst, n := pointer("dst"), pointer("n")
	factor := v.constant(1. / (1 << 31))
	Label("again")
	for half, set := range s.sets {
		r := s.next(set)
		VCVTDQ2PS(r, r)
		VMULPS(factor, r, r)
		VMOVUPS(r, Mem{Base: dst, Disp: half * v.bytes()})
	}
	ADDQ(Imm(64), dst)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("again"))
	s.save()
	finish()
}

// addNormal emits dst += sd * normal numbers; n is a multiple of 32, not 0. See addNormalPortable.
func (v isa) addNormal() {
	v.function("addNormal", "(state *[4][16]uint32, dst *float32, n int, sd float32)")
	state := pointer("state")
	dst, n := pointer("dst"), pointer("n")
	sd := v.argument("sd")
	// AVX2 has not the registers for both sets, so a set's state comes from memory each time.
	Label("again")
	for half := range 16 / v.lanes {
		s := streams{v: v, state: state}
		var set [4]VecVirtual
		for i := range set {
			set[i] = v.reg()
			VMOVUPS(s.at(i, half), set[i])
		}
		u := s.next(&set)
		direction := s.next(&set)
		for i, r := range set {
			VMOVUPS(r, s.at(i, half))
		}
		VPSRLD(Imm(1), u, u)
		VCVTDQ2PS(u, u)
		VMULPS(v.constant(1./(1<<31)), u, u)
		VADDPS(v.constant(1./(1<<33)), u, u)
		radius := v.log2(u)
		VMULPS(v.constant(-2*math.Ln2), radius, radius)
		zero := v.reg()
		v.zero(zero)
		VMAXPS(zero, radius, radius)
		VSQRTPS(radius, radius)
		VMULPS(sd, radius, radius)
		x, xx := v.reg(), v.reg()
		VPSLLD(Imm(2), direction, x)
		VCVTDQ2PS(x, x)
		VMULPS(v.constant(1./(1<<32)), x, x)
		VMULPS(x, x, xx)
		sin := v.polynomial(sinPoly, xx)
		VMULPS(x, sin, sin)
		cos := v.polynomial(cosPoly, xx)
		sign := v.reg()
		VANDPS(v.bits(1<<31), direction, sign)
		VXORPS(sign, cos, cos)
		// Bit 30 swaps the two: both get the difference of their bits, or not.
		swap, difference := v.reg(), v.reg()
		VPSLLD(Imm(1), direction, swap)
		VPSRAD(Imm(31), swap, swap)
		VXORPS(sin, cos, difference)
		VANDPS(swap, difference, difference)
		VXORPS(difference, sin, sin)
		VXORPS(difference, cos, cos)
		for i, r := range []VecVirtual{cos, sin} {
			at := Mem{Base: dst, Disp: 64*i + half*v.bytes()}
			VFMADD213PS(at, radius, r)
			VMOVUPS(r, at)
		}
	}
	ADDQ(U32(128), dst)
	SUBQ(Imm(32), n)
	JNZ(LabelRef("again"))
	finish()
}
