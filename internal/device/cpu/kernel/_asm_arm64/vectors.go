package main

import "github.com/universal-classifier/uc/internal/neon"

// format is a format of activations.
type format struct {
	name  string
	voxel int // bytes of the 16 values of a voxel
}

var (
	float32s = format{"NEON", 64}
	bfloats  = format{"BF16NEON", 32}
)

func (a format) half() bool { return a.voxel == 32 }

// quad is a vector of 16 float32 in registers.
type quad [4]neon.V

// quadAt is four registers from first on.
func quadAt(first neon.V) quad { return quad{first, first + 1, first + 2, first + 3} }

// load reads 16 float32.
func load(f *neon.Func, q quad, base neon.R, at int) {
	f.LDPQ(q[0], q[1], base, at)
	f.LDPQ(q[2], q[3], base, at+32)
}

// store writes 16 float32.
func store(f *neon.Func, q quad, base neon.R, at int) {
	f.STPQ(q[0], q[1], base, at)
	f.STPQ(q[2], q[3], base, at+32)
}

// read loads the voxel at base as float32, then adds by to base.
func (a format) read(f *neon.Func, q quad, base neon.R, by int) {
	if a.half() {
		if by == 0 {
			f.LDPQ(q[1], q[3], base, 0)
		} else {
			f.LDPQPost(q[1], q[3], base, by)
		}
		widen(f, q)
		return
	}
	if by == 0 {
		load(f, q, base, 0)
		return
	}
	f.LDPQ(q[2], q[3], base, 32)
	f.LDPQPost(q[0], q[1], base, by)
}

// widen turns the 16 bfloat16 in q[1] and q[3] into float32.
func widen(f *neon.Func, q quad) {
	for _, i := range []int{0, 2} {
		f.SHLL(q[i].S4(), q[i+1].H4())
		f.SHLL2(q[i+1].S4(), q[i+1].H8())
	}
}

// rounding are the registers that rounding to bfloat16 takes: two constants and one to work with.
type rounding struct{ exponent, sign, work neon.V }

// newRounding emits the constants.
func newRounding(f *neon.Func, exponent, sign, work neon.V) rounding {
	r := f.GP()
	f.Go("MOVD $0x7f80, %v", r)
	f.DUPGeneral(exponent.H8(), r)
	f.Free(r)
	f.MOVI(sign.H8(), 0x80, 8)
	return rounding{exponent, sign, work}
}

// flush turns numbers below 2^-126 among the 8 bfloat16 of h into zeros of their sign. high, which is lost, holds the
// upper halves of the float32 that they were before they were rounded.
func (r rounding) flush(f *neon.Func, h, high neon.V) {
	f.CMTST(high.H8(), high.H8(), r.exponent.H8())
	f.ORR(high.B16(), high.B16(), r.sign.B16())
	f.AND(h.B16(), h.B16(), high.B16())
}

// round rounds low and high to the 8 bfloat16 of h, which may be low.
func (r rounding) round(f *neon.Func, h, low, high neon.V) {
	f.UZP2(r.work.H8(), low.H8(), high.H8())
	f.BFCVTN(h.H4(), low.S4())
	f.BFCVTN2(h.H8(), high.S4())
	r.flush(f, h, r.work)
}

// write stores q, which is lost, to the voxel at base, then adds by to base.
func (a format) write(f *neon.Func, q quad, r rounding, base neon.R, by int) {
	if a.half() {
		r.round(f, q[0], q[0], q[1])
		r.round(f, q[2], q[2], q[3])
		f.STPQPost(q[0], q[2], base, by)
		return
	}
	f.STPQ(q[2], q[3], base, 32)
	f.STPQPost(q[0], q[1], base, by)
}

// writeExact stores q, which is lost and holds numbers of the format (or what is not a number), to the voxel at base,
// then adds by to base.
func (a format) writeExact(f *neon.Func, q quad, r rounding, base neon.R, by int) {
	if a.half() {
		for _, i := range []int{0, 2} {
			f.UZP2(q[i].H8(), q[i].H8(), q[i+1].H8())
			f.MOV(q[i+1], q[i])
			r.flush(f, q[i], q[i+1])
		}
		f.STPQPost(q[0], q[2], base, by)
		return
	}
	a.write(f, q, r, base, by)
}

// zero clears q.
func zero(f *neon.Func, q quad) {
	for _, v := range q {
		f.Zero(v)
	}
}

// copyTo writes q to d.
func copyTo(f *neon.Func, d, q quad) {
	for i, v := range q {
		f.MOV(d[i], v)
	}
}
