package main

import (
	"math"

	. "github.com/universal-classifier/uc/internal/neon"
)

// streams are the 16 streams, the state of four in each four registers: 16 registers from 0 on.
type streams struct {
	f     *Func
	state R
}

func (s streams) register(word, set int) V { return V(4*set + word) }

// load loads the state, in which each word of all streams lies side by side.
func (s streams) load() {
	for word := range 4 {
		for set := range 4 {
			s.f.LDRQ(s.register(word, set), s.state, 64*word+16*set)
		}
	}
}

func (s streams) save() {
	for word := range 4 {
		for set := range 4 {
			s.f.STRQ(s.register(word, set), s.state, 64*word+16*set)
		}
	}
}

// rotate sets d to r rotated left by n.
func rotate(f *Func, d, r V, n int) {
	f.USHR(d.S4(), r.S4(), 32-n)
	f.SLI(d.S4(), r.S4(), n)
}

// next advances the streams of one set and puts their values into result; t is overwritten.
func (s streams) next(set int, result, t V) {
	f := s.f
	s0, s1, s2, s3 := s.register(0, set), s.register(1, set), s.register(2, set), s.register(3, set)
	f.ADD(t.S4(), s0.S4(), s3.S4())
	rotate(f, result, t, 7)
	f.ADD(result.S4(), result.S4(), s0.S4())
	f.SHL(t.S4(), s1.S4(), 9)
	f.EOR(s2.B16(), s2.B16(), s0.B16())
	f.EOR(s3.B16(), s3.B16(), s1.B16())
	f.EOR(s1.B16(), s1.B16(), s2.B16())
	f.EOR(s0.B16(), s0.B16(), s3.B16())
	f.EOR(s2.B16(), s2.B16(), t.B16())
	f.MOV(t, s3)
	rotate(f, s3, t, 11)
}

// symmetric emits numbers uniform over [-1, 1); n is a multiple of 16, not 0.
func symmetric(file *File) {
	f := file.Func("symmetricNEON", "(state *[4][16]uint32, dst *float32, n int)")
	s := streams{f, f.Load("state")}
	dst, n := f.Load("dst"), f.Load("n")
	s.load()
	const result, t, factor = V(16), V(20), V(21)
	f.LoadConstants(factor, 1./(1<<31))
	f.Vectors(n, 4, func() {
		for set := range 4 {
			r := result + V(set)
			s.next(set, r, t)
			f.SCVTF(r.S4(), r.S4())
			f.FMUL(r.S4(), r.S4(), factor.S(0))
		}
		Vector.Store(f, result, 4, dst)
		Vector.Advance(f, 4, dst)
	})
	s.save()
	f.RET()
}

// The numbers of elementary.go.
const sqrtHalfBits = 0x3f3504f3

var (
	log2Poly = []float32{1.44269477, -0.721357121, 0.480939392, -0.360088119, 0.28670854, -0.250061196, 0.236882485, -0.14575751}
	sinPoly  = []float32{1.57079632, -0.645963479, 0.0796802281, -0.004602177}
	cosPoly  = []float32{0.999999972, -1.23369701, 0.253598644, -0.0204083525}
)

// addNormal emits dst += sd * normal numbers; n is a multiple of 32, not 0. See addNormalPortable.
func addNormal(file *File) {
	f := file.Func("addNormalNEON", "(state *[4][16]uint32, dst *float32, n int, sd float32)")
	s := streams{f, f.Load("state")}
	dst, n := f.Load("dst"), f.Load("n")
	s.load()
	// Coefficients, four to a register, and the factors.
	const log2, sin, cos, factors, sd, least, splitting = V(16), V(18), V(19), V(20), V(21), V(22), V(23)
	f.LoadConstants(log2, log2Poly...)
	f.LoadConstants(sin, sinPoly...)
	f.LoadConstants(cos, cosPoly...)
	f.LoadConstants(factors, 1./(1<<31), 1./(1<<33), -2*math.Ln2, 1./(1<<32))
	f.LoadFloat("sd", sd)
	f.DUP(least.S4(), factors.S(1))
	p := f.GP()
	f.Address(file.Words(sqrtHalfBits, sqrtHalfBits, sqrtHalfBits, sqrtHalfBits), p)
	f.LDRQ(splitting, p, 0)
	f.Free(p)
	lanes := func(first V, count int) []Lane {
		l := make([]Lane, count)
		for i := range l {
			l[i] = (first + V(i/4)).S(i % 4)
		}
		return l
	}
	f.Vectors(n, 8, func() {
		for set := range 4 {
			const u, direction, a, b, c, radius = V(24), V(25), V(26), V(27), V(28), V(29)
			s.next(set, u, a)
			s.next(set, direction, a)
			f.USHR(u.S4(), u.S4(), 1)
			f.SCVTF(u.S4(), u.S4())
			f.FMUL(u.S4(), u.S4(), factors.S(0))
			f.FADD(u.S4(), u.S4(), least.S4())
			// log2: the exponent, and the mantissa less 1, with which the polynomial is multiplied.
			f.SUB(a.S4(), u.S4(), splitting.S4())
			f.SSHR(a.S4(), a.S4(), 23)
			f.SHL(b.S4(), a.S4(), 23)
			f.SUB(u.S4(), u.S4(), b.S4())
			f.FMOVOne(b.S4())
			f.FSUB(u.S4(), u.S4(), b.S4())
			f.SCVTF(radius.S4(), a.S4())
			f.FMLA(radius.S4(), polynomial(f, lanes(log2, 8), u, b, c).S4(), u.S4())
			f.FMUL(radius.S4(), radius.S4(), factors.S(2))
			f.Zero(a)
			f.FMAX(radius.S4(), radius.S4(), a.S4())
			f.FSQRT(radius.S4(), radius.S4())
			f.FMUL(radius.S4(), radius.S4(), sd.S(0))
			// The direction: its sine and its cosine, of which the top bits make all eight parts of the circle.
			const x, xx, sign, other = V(24), V(26), V(30), V(31)
			f.SHL(x.S4(), direction.S4(), 2)
			f.SCVTF(x.S4(), x.S4())
			f.FMUL(x.S4(), x.S4(), factors.S(3))
			f.FMUL(xx.S4(), x.S4(), x.S4())
			sine := polynomial(f, lanes(sin, 4), xx, b, c)
			f.FMUL(x.S4(), sine.S4(), x.S4())
			cosine := polynomial(f, lanes(cos, 4), xx, b, c)
			f.USHR(sign.S4(), direction.S4(), 31)
			f.SHL(sign.S4(), sign.S4(), 31)
			f.EOR(cosine.B16(), cosine.B16(), sign.B16())
			// Bit 30 swaps the two.
			f.SHL(direction.S4(), direction.S4(), 1)
			f.SSHR(direction.S4(), direction.S4(), 31)
			f.MOV(sign, direction)
			f.BSL(sign.B16(), x.B16(), cosine.B16())
			f.BSL(direction.B16(), cosine.B16(), x.B16())
			f.LDRQ(other, dst, 16*set)
			f.FMLA(other.S4(), sign.S4(), radius.S4())
			f.STRQ(other, dst, 16*set)
			f.LDRQ(other, dst, 64+16*set)
			f.FMLA(other.S4(), direction.S4(), radius.S4())
			f.STRQ(other, dst, 64+16*set)
		}
		Vector.Advance(f, 8, dst)
	})
	s.save()
	f.RET()
}
