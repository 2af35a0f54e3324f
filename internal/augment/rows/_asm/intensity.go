package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// inPlace emits a loop over a row that f changes, f(r) returning the result's register.
func (v isa) inPlace(x, n Register, f func(r Register) Register) {
	v.loop(n, 4, func(vectors int) {
		for i := range vectors {
			r := v.reg()
			VMOVUPS(Mem{Base: x, Disp: i * v.bytes()}, r)
			VMOVUPS(f(r), Mem{Base: x, Disp: i * v.bytes()})
		}
		ADDQ(U32(uint32(vectors*v.bytes())), x)
	})
	v.rest(n, func(t tail) {
		r := v.reg()
		t.load(Mem{Base: x}, r)
		t.store(f(r), Mem{Base: x})
	})
	finish()
}

func (v isa) affine() {
	v.function("affine", "(x *float32, n int, scale float32, shift float32, low float32, high float32)")
	x, n := pointer("x"), pointer("n")
	scale, shift, low, high := v.argument("scale"), v.argument("shift"), v.argument("low"), v.argument("high")
	v.inPlace(x, n, func(r Register) Register {
		VFMADD213PS(shift, scale, r)
		VMAXPS(low, r, r)
		VMINPS(high, r, r)
		return r
	})
}

func (v isa) scale() {
	v.function("scale", "(x *float32, n int, factor float32)")
	x, n := pointer("x"), pointer("n")
	factor := v.argument("factor")
	v.inPlace(x, n, func(r Register) Register {
		VMULPS(factor, r, r)
		return r
	})
}

// accumulators are the lane-wise sums of a pass: sum, squares, minimum, maximum.
type accumulators struct {
	v   isa
	acc []VecVirtual
}

func (v isa) accumulators() accumulators {
	a := accumulators{v, v.regs(4)}
	v.zero(a.acc[0])
	v.zero(a.acc[1])
	VBROADCASTSS(word(math.Float32bits(float32(math.Inf(1)))), a.acc[2])
	VBROADCASTSS(word(math.Float32bits(float32(math.Inf(-1)))), a.acc[3])
	return a
}

// add takes the values of r, which it overwrites.
func (a accumulators) add(r, about Register) {
	VMINPS(r, a.acc[2], a.acc[2])
	VMAXPS(r, a.acc[3], a.acc[3])
	VSUBPS(about, r, r)
	VADDPS(r, a.acc[0], a.acc[0])
	VFMADD231PS(r, r, a.acc[1])
}

// store writes the accumulators, each in room for 16 lanes.
func (a accumulators) store(to Register) {
	for i, r := range a.acc {
		VMOVUPS(r, Mem{Base: to, Disp: 64 * i})
	}
}

// describe emits the lane-wise sums of a whole number of groups of two vectors.
func (v isa) describe() {
	v.function("describe", "(x *float32, n int, about float32, to *[128]float32)")
	x, n, to := pointer("x"), pointer("n"), pointer("to")
	about := v.argument("about")
	a, b := v.accumulators(), v.accumulators()
	v.loop(n, 2, func(vectors int) {
		for i, acc := range []accumulators{a, b}[:vectors] {
			r := v.reg()
			VMOVUPS(Mem{Base: x, Disp: i * v.bytes()}, r)
			acc.add(r, about)
		}
		ADDQ(U32(uint32(vectors*v.bytes())), x)
	})
	a.store(to)
	ADDQ(U32(256), to)
	b.store(to)
	finish()
}

// power emits powers.of of elementary.go and the lane-wise sums of the result about a value. With AVX-512 scale points
// to the 32 entries of the table that are not 0, which two registers hold; with AVX2 to the whole table.
func (v isa) power() {
	v.function("power", "(x *float32, n int, shift float32, factor float32, about float32, scale *float32, poly *float32, to *[128]float32)")
	x, n, scale, poly, to := pointer("x"), pointer("n"), pointer("scale"), pointer("poly"), pointer("to")
	shift, factor, about := v.argument("shift"), v.argument("factor"), v.argument("about")
	acc := v.accumulators()
	var table [2]VecVirtual
	if v.lanes == 16 {
		for i := range table {
			table[i] = v.reg()
			VMOVUPS(Mem{Base: scale, Disp: 64 * i}, table[i])
		}
	}
	zero := v.reg()
	v.zero(zero)
	v.loop(n, 1, func(int) {
		r, exponent, t := v.reg(), v.reg(), v.reg()
		VMOVUPS(Mem{Base: x}, r)
		VSUBPS(shift, r, r)
		VMULPS(factor, r, r)
		VMAXPS(zero, r, r)
		VPSRLD(Imm(23), r, exponent)
		v.with(mantissaBits, VANDPS, VANDPS_BCST, r, t)
		v.with(math.Float32bits(1), VORPS, VORPS_BCST, t, t)
		v.with(math.Float32bits(1.5), VSUBPS, VSUBPS_BCST, t, t)
		y := v.reg()
		VBROADCASTSS(Mem{Base: poly, Disp: 4 * 6}, y)
		for i := 5; i >= 0; i-- {
			c := Mem{Base: poly, Disp: 4 * i}
			if v.lanes == 16 {
				VFMADD213PS_BCST(c, t, y)
				continue
			}
			coefficient := v.reg()
			VBROADCASTSS(c, coefficient)
			VFMADD213PS(coefficient, t, y)
		}
		if v.lanes == 16 {
			k := K()
			VCMPPS_BCST(Imm(13), word(math.Float32bits(smallestBase)), r, k) // at least
			VPERMI2PS(table[1], table[0], exponent)
			VMULPS_Z(exponent, y, k, y)
		} else {
			mask, entries := v.reg(), v.reg()
			VPCMPEQD(mask, mask, mask)
			VGATHERDPS(mask, Mem{Base: scale, Index: exponent, Scale: 4}, entries)
			VMULPS(entries, y, y)
		}
		VMOVUPS(y, Mem{Base: x})
		acc.add(y, about)
		ADDQ(U32(uint32(v.bytes())), x)
	})
	acc.store(to)
	finish()
}

// The numbers of elementary.go.
const (
	smallestBase = 1. / (1 << 31)
	sqrtHalfBits = 0x3f3504f3
	mantissaBits = 0x7fffff
)

var (
	log2Poly = []float32{1.44269477, -0.721357121, 0.480939392, -0.360088119, 0.28670854, -0.250061196, 0.236882485, -0.14575751}
	sinPoly  = []float32{1.57079632, -0.645963479, 0.0796802281, -0.004602177}
	cosPoly  = []float32{0.999999972, -1.23369701, 0.253598644, -0.0204083525}
)

// polynomial evaluates coefficients, constant term first, at t by Horner's rule.
func (v isa) polynomial(coefficients []float32, t Register) VecVirtual {
	y := v.constant(coefficients[len(coefficients)-1])
	for i := len(coefficients) - 2; i >= 0; i-- {
		v.with(math.Float32bits(coefficients[i]), VFMADD213PS, VFMADD213PS_BCST, t, y)
	}
	return y
}

// log2 emits log2 of elementary.go; v > 0.
func (v isa) log2(r Register) VecVirtual {
	bits, exponent, t := v.reg(), v.reg(), v.reg()
	v.with(sqrtHalfBits, VPSUBD, VPSUBD_BCST, r, bits)
	VPSRAD(Imm(23), bits, exponent)
	VCVTDQ2PS(exponent, exponent)
	v.with(mantissaBits, VANDPS, VANDPS_BCST, bits, t)
	v.with(sqrtHalfBits, VPADDD, VPADDD_BCST, t, t)
	v.with(math.Float32bits(1), VSUBPS, VSUBPS_BCST, t, t)
	y := v.polynomial(log2Poly, t)
	VFMADD213PS(exponent, t, y)
	return y
}

// reversed turns a register round.
func (v isa) reversed(order, r Register) { VPERMPS(r, order, r) }

func (v isa) reversal() Register {
	order := v.reg()
	m := GLOBL("reversal"+v.name, RODATA|NOPTR)
	for i := range v.lanes {
		DATA(4*i, U32(uint32(v.lanes-1-i)))
	}
	VMOVUPS(m, order)
	return order
}

// swapReversed emits the swap of a row of a whole number of vectors that begins at a with the one whose last vector
// begins at b, both turned round.
func (v isa) swapReversed() {
	v.function("swapReversed", "(a *float32, b *float32, n int)")
	a, b, n := pointer("a"), pointer("b"), pointer("n")
	order := v.reversal()
	v.loop(n, 1, func(int) {
		ra, rb := v.reg(), v.reg()
		VMOVUPS(Mem{Base: a}, ra)
		VMOVUPS(Mem{Base: b}, rb)
		v.reversed(order, ra)
		v.reversed(order, rb)
		VMOVUPS(rb, Mem{Base: a})
		VMOVUPS(ra, Mem{Base: b})
		ADDQ(U32(uint32(v.bytes())), a)
		SUBQ(U32(uint32(v.bytes())), b)
	})
	finish()
}

// swap emits the swap of two rows of a whole number of vectors.
func (v isa) swap() {
	v.function("swap", "(a *float32, b *float32, n int)")
	a, b, n := pointer("a"), pointer("b"), pointer("n")
	v.loop(n, 1, func(int) {
		ra, rb := v.reg(), v.reg()
		VMOVUPS(Mem{Base: a}, ra)
		VMOVUPS(Mem{Base: b}, rb)
		VMOVUPS(rb, Mem{Base: a})
		VMOVUPS(ra, Mem{Base: b})
		ADDQ(U32(uint32(v.bytes())), a)
		ADDQ(U32(uint32(v.bytes())), b)
	})
	finish()
}
