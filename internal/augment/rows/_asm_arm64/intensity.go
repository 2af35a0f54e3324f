package main

import (
	"math"

	. "github.com/universal-classifier/uc/internal/neon"
)

// inPlace emits a loop over a row that change changes, whose values lie in v.
func inPlace(f *Func, change func(v Vec)) {
	x, n := f.Load("x"), f.Load("n")
	f.OverRow(n, 4, func(count int, a Access) {
		a.Load(f, 0, count, x)
		for i := range V(count) {
			change(i.S4())
		}
		a.Store(f, 0, count, x)
		a.Advance(f, count, x)
	})
	f.RET()
}

func affine(file *File) {
	f := file.Func("affineNEON", "(x *float32, n int, scale float32, shift float32, low float32, high float32)")
	const result, scale, shift, low, high = V(8), V(16), V(17), V(18), V(19)
	f.LoadFloat("scale", scale)
	f.LoadEverywhere("shift", shift)
	f.LoadEverywhere("low", low)
	f.LoadEverywhere("high", high)
	inPlace(f, func(v Vec) {
		f.MOV(result, shift)
		f.FMLA(result.S4(), v, scale.S(0))
		f.FMAX(v, result.S4(), low.S4())
		f.FMIN(v, v, high.S4())
	})
}

func scale(file *File) {
	f := file.Func("scaleNEON", "(x *float32, n int, factor float32)")
	const factor = V(16)
	f.LoadFloat("factor", factor)
	inPlace(f, func(v Vec) { f.FMUL(v, v, factor.S(0)) })
}

// accumulators are the lane-wise sums of a pass, in four registers from first on: sum, squares, minimum, maximum.
type accumulators struct{ first V }

func (a accumulators) clear(f *Func) {
	f.Zero(a.first)
	f.Zero(a.first + 1)
	f.LoadConstants(a.first+3, float32(math.Inf(1)), float32(math.Inf(-1)))
	f.DUP((a.first + 2).S4(), (a.first + 3).S(0))
	f.DUP((a.first + 3).S4(), (a.first + 3).S(1))
}

// add takes the values of v, which it overwrites.
func (a accumulators) add(f *Func, v, about Vec) {
	f.FMIN((a.first + 2).S4(), (a.first + 2).S4(), v)
	f.FMAX((a.first + 3).S4(), (a.first + 3).S4(), v)
	f.FSUB(v, v, about)
	f.FADD(a.first.S4(), a.first.S4(), v)
	f.FMLA((a.first + 1).S4(), v, v)
}

// store writes the accumulators, each in room for 16 lanes.
func (a accumulators) store(f *Func, to R, offset int) {
	for i := range V(4) {
		f.STRQ(a.first+i, to, 64*int(i)+offset)
	}
}

// describe emits the lane-wise sums of a whole number of groups of four vectors, which have sums of their own.
func describe(file *File) {
	f := file.Func("describeNEON", "(x *float32, n int, about float32, to *[64]float32)")
	x, n, to := f.Load("x"), f.Load("n"), f.Load("to")
	const about = V(20)
	f.LoadEverywhere("about", about)
	var acc [4]accumulators
	for i := range acc {
		acc[i].first = V(4 * i)
		acc[i].clear(f)
	}
	f.Vectors(n, 4, func() {
		Vector.Load(f, 16, 4, x)
		Vector.Advance(f, 4, x)
		for i, a := range acc {
			a.add(f, V(16+i).S4(), about.S4())
		}
	})
	for i, a := range acc {
		a.store(f, to, 16*i)
	}
	f.RET()
}

// smallestExponent is that of elementary.go.
const smallestExponent = 127 - 31

// power emits powers.of of elementary.go and the lane-wise sums of the result about a value, for a whole number of
// vectors. scale points to the 32 entries of the table that are not 0: eight registers, in which the bytes of an entry
// are looked up.
func power(file *File) {
	f := file.Func("powerNEON", "(x *float32, n int, shift float32, factor float32, about float32, scale *float32, poly *float32, to *[64]float32)")
	x, n, scale, poly, to := f.Load("x"), f.Load("n"), f.Load("scale"), f.Load("poly"), f.Load("to")
	acc := accumulators{0}
	acc.clear(f)
	const r, exponent, t = V(4), V(5), V(6)
	const first, second = V(8), V(12)
	table := func(from V) []V { return []V{from, from + 1, from + 2, from + 3} }
	Vector.Load(f, first, 8, scale)
	const shift, factor, about = V(16), V(17), V(18)
	f.LoadEverywhere("shift", shift)
	f.LoadFloat("factor", factor)
	f.LoadEverywhere("about", about)
	const coefficients = V(19) // two registers
	f.LDRQ(coefficients, poly, 0)
	f.LDRQ(coefficients+1, poly, 12) // 3 to 6
	coefficient := func(i int) Lane {
		if i < 4 {
			return coefficients.S(i)
		}
		return (coefficients + 1).S(i - 3)
	}
	const zero, bias, outside, spread, within, half, one, middle, mantissa = V(21), V(22), V(23), V(24), V(25), V(26), V(27), V(28), V(29)
	f.Zero(zero)
	f.MOVI(bias.S4(), smallestExponent, 0)
	f.NOT(outside.B16(), zero.B16()) // -1
	f.USHR(mantissa.S4(), outside.S4(), 9)
	f.MOVIBytes(spread.B16(), 4)
	p := f.GP()
	f.Address(file.Words(0x03020100, 0x03020100, 0x03020100, 0x03020100), p)
	f.LDRQ(within, p, 0)
	f.MOVIBytes(half.B16(), 64)
	f.FMOVOne(one.S4())
	f.Address(file.Floats(1.5, 1.5, 1.5, 1.5), p)
	f.LDRQ(middle, p, 0)
	f.Free(p)
	f.Vectors(n, 1, func() {
		f.LDRQ(r, x, 0)
		f.FSUB(r.S4(), r.S4(), shift.S4())
		f.FMUL(r.S4(), r.S4(), factor.S(0))
		f.FMAX(r.S4(), r.S4(), zero.S4())
		f.USHR(exponent.S4(), r.S4(), 23)
		f.AND(t.B16(), r.B16(), mantissa.B16())
		f.ORR(t.B16(), t.B16(), one.B16())
		f.FSUB(t.S4(), t.S4(), middle.S4())
		var c [7]Lane
		for i := range c {
			c[i] = coefficient(i)
		}
		y := polynomial(f, c[:], t, 30, 31)
		// Byte b of entry e of the table is 4e + b; entries below the table, which are 0, get numbers outside of it.
		f.SUB(exponent.S4(), exponent.S4(), bias.S4())
		f.SMAX(exponent.S4(), exponent.S4(), outside.S4())
		f.MUL(exponent.S4(), exponent.S4(), spread.S4())
		f.ADD(exponent.S4(), exponent.S4(), within.S4())
		f.TBL(r.B16(), table(first), exponent.B16())
		f.SUB(exponent.B16(), exponent.B16(), half.B16())
		f.TBX(r.B16(), table(second), exponent.B16())
		f.FMUL(y.S4(), y.S4(), r.S4())
		f.STRQPost(y, x, 16)
		acc.add(f, y.S4(), about.S4())
	})
	acc.store(f, to, 0)
	f.RET()
}

// polynomial evaluates coefficients, constant term first, at t by Horner's rule. It uses the two registers given, and
// returns the one with the result.
func polynomial(f *Func, coefficients []Lane, t, a, b V) V {
	last := len(coefficients) - 1
	f.DUP(a.S4(), coefficients[last])
	for i := last - 1; i >= 0; i-- {
		f.DUP(b.S4(), coefficients[i])
		f.FMLA(b.S4(), a.S4(), t.S4())
		a, b = b, a
	}
	return a
}

// swapReversed emits the swap of a row of a whole number of vectors that begins at a with the one whose last vector
// begins at b, both turned round.
func swapReversed(file *File) {
	f := file.Func("swapReversedNEON", "(a *float32, b *float32, n int)")
	a, b, n := f.Load("a"), f.Load("b"), f.Load("n")
	f.Vectors(n, 1, func() {
		f.LDRQ(0, a, 0)
		f.LDRQ(1, b, 0)
		for v := range V(2) {
			f.REV64(v.S4(), v.S4())
			f.EXT(v.B16(), v.B16(), v.B16(), 8)
		}
		f.STRQPost(1, a, 16)
		f.STRQPost(0, b, -16)
	})
	f.RET()
}

// swap emits the swap of two rows.
func swap(file *File) {
	f := file.Func("swapNEON", "(a *float32, b *float32, n int)")
	a, b, n := f.Load("a"), f.Load("b"), f.Load("n")
	f.OverRow(n, 4, func(count int, by Access) {
		by.Load(f, 0, count, a)
		by.Load(f, 4, count, b)
		by.Store(f, 4, count, a)
		by.Store(f, 0, count, b)
		by.Advance(f, count, a, b)
	})
	f.RET()
}
