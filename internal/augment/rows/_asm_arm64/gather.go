package main

import (
	"fmt"

	. "github.com/universal-classifier/uc/internal/neon"
)

// taps4 emits dst[i] = sum of weights[4i+k] * src[index[i]+k]; n is a multiple of 4.
func taps4(file *File) {
	f := file.Func("taps4NEON", "(dst *float32, src *float32, index *int32, weights *float32, n int)")
	dst, src, index, weights, n := f.Load("dst"), f.Load("src"), f.Load("index"), f.Load("weights"), f.Load("n")
	at := f.GP()
	const products, w = V(0), V(4)
	f.Vectors(n, 1, func() {
		Vector.Load(f, w, 4, weights)
		Vector.Advance(f, 4, weights)
		for i := range V(4) {
			f.Go("MOVW.P 4(%v), %v", index, at)
			f.Go("ADD %v<<2, %v, %v", at, src, at)
			f.LDRQ(products+i, at, 0)
			f.FMUL((products + i).S4(), (products + i).S4(), (w + i).S4())
		}
		f.FADDP(V(0).S4(), V(0).S4(), V(1).S4())
		f.FADDP(V(2).S4(), V(2).S4(), V(3).S4())
		f.FADDP(V(0).S4(), V(0).S4(), V(2).S4())
		f.STRQPost(0, dst, 16)
	})
	f.RET()
}

// bspline holds the polynomials of the four weights: bspline[p][k] is the factor of f^p in weight k.
var bspline = [4][4]float32{
	{1. / 6, 2. / 3, 1. / 6, 0},
	{-1. / 2, 0, 1. / 2, 0},
	{1. / 2, -1, 1. / 2, 0},
	{-1. / 6, 1. / 2, -1. / 2, 1. / 6},
}

// cubic emits the gather from one channel, or from two whose values alternate; strides in bytes. A planeStride of 0 is
// a plane. NEON cannot gather, but four neighbours along a row are one load.
func cubic(file *File, channels int) {
	destinations := "dst0 *float32"
	if channels == 2 {
		destinations += ", dst1 *float32"
	}
	f := file.Func(fmt.Sprintf("cubic%dNEON", channels),
		"(n int, start *int32, fz *float32, fy *float32, fx *float32, coefficients *float32, rowStride int, planeStride int, "+destinations+")")
	n, start := f.Load("n"), f.Load("start")
	fz, fy, fx := f.Load("fz"), f.Load("fy"), f.Load("fx")
	coefficients, row, plane := f.Load("coefficients"), f.Load("rowStride"), f.Load("planeStride")
	dst := []R{f.Load("dst0")}
	if channels == 2 {
		dst = append(dst, f.Load("dst1"))
	}
	at, p, q, row2, row3 := f.GP(), f.GP(), f.GP(), f.GP(), f.GP()
	f.Go("ADD %v, %v, %v", row, row, row2)
	f.Go("ADD %v, %v, %v", row, row2, row3)
	const poly = V(16)
	for i, c := range bspline {
		f.LoadConstants(poly+V(i), c[:]...)
	}
	// weights leaves the four weights at the position that from points to in w, and moves from on.
	const position, spare = V(20), V(21)
	weights := func(w V, from R) {
		f.LD1R(position.S4(), from, true)
		f.MOV(w, poly+2)
		f.FMLA(w.S4(), (poly + 3).S4(), position.S4())
		f.MOV(spare, poly+1)
		f.FMLA(spare.S4(), w.S4(), position.S4())
		f.MOV(w, poly)
		f.FMLA(w.S4(), spare.S4(), position.S4())
	}
	const wz, wy, wx, total, flat, value = V(22), V(23), V(24), V(0), V(2), V(4)
	// plane4 weighs the four rows from p on; flat, of one register per channel, is the result.
	rows := []R{row, row2, row3}
	plane4 := func(flat V) {
		for k := range 4 {
			switch {
			case k == 0:
				Vector.Load(f, value, channels, p)
			case channels == 1:
				f.LDRQAt(value, p, rows[k-1])
			default:
				f.Go("ADD %v, %v, %v", rows[k-1], p, q)
				Vector.Load(f, value, channels, q)
			}
			for c := range V(channels) {
				if k == 0 {
					f.FMUL((flat + c).S4(), (value + c).S4(), wy.S(k))
				} else {
					f.FMLA((flat + c).S4(), (value + c).S4(), wy.S(k))
				}
			}
		}
	}
	f.Go("CBZ %v, done", n)
	f.Label("voxel")
	f.Go("MOVW.P 4(%v), %v", start, at)
	f.Go("TBNZ $63, %v, outside", at)
	f.Go("ADD %v<<%d, %v, %v", at, channels+1, coefficients, p)
	weights(wy, fy)
	weights(wx, fx)
	f.Go("CBZ %v, flat", plane)
	weights(wz, fz)
	for k := range 4 {
		plane4(flat)
		for c := range V(channels) {
			if k == 0 {
				f.FMUL((total + c).S4(), (flat + c).S4(), wz.S(k))
			} else {
				f.FMLA((total + c).S4(), (flat + c).S4(), wz.S(k))
			}
		}
		if k < 3 {
			f.Go("ADD %v, %v, %v", plane, p, p)
		}
	}
	f.Label("along")
	if channels == 1 {
		f.FMUL(total.S4(), total.S4(), wx.S4())
		f.FADDP(total.S4(), total.S4(), total.S4())
		f.FADDP(total.S4(), total.S4(), total.S4())
	} else {
		// Lanes alternate between the channels: 0 and 1 of the first register belong to the first two weights.
		f.ZIP1(flat.S4(), wx.S4(), wx.S4())
		f.ZIP2((flat + 1).S4(), wx.S4(), wx.S4())
		f.FMUL(total.S4(), total.S4(), flat.S4())
		f.FMLA(total.S4(), (total + 1).S4(), (flat + 1).S4())
		f.EXT(flat.B16(), total.B16(), total.B16(), 8)
		f.FADD(total.S4(), total.S4(), flat.S4())
		f.DUP((total + 1).S4(), total.S(1))
	}
	f.Label("store")
	for c, d := range dst {
		f.STRS(total+V(c), d, 0)
		f.Go("ADD $4, %v, %v", d, d)
	}
	f.Go("SUBS $1, %v, %v", n, n)
	f.Go("BNE voxel")
	f.Label("done")
	f.RET()
	f.Label("flat")
	plane4(total)
	f.Go("B along")
	f.Label("outside")
	for _, r := range []R{fz, fy, fx} {
		f.Go("ADD $4, %v, %v", r, r)
	}
	for c := range V(channels) {
		f.Zero(total + c)
	}
	f.Go("B store")
}

// Offsets of the fields of locateArgs.
const (
	atBase         = 0
	atStep         = 24
	atCenter       = 48
	atLimit        = 72
	atFirst        = 96
	atRowStride    = 104
	atPlaneStride  = 108
	atMatrix       = 112
	atDisplacement = 152
)

// locate emits where the voxels of a row lie, four at a time, whose coordinates are two registers of float64 per axis;
// n is a multiple of 4, not 0.
func locate(file *File) {
	f := file.Func("locateNEON", "(n int, l *float64, start *int32, fz *float32, fy *float32, fx *float32)")
	n, l, start := f.Load("n"), f.Load("l"), f.Load("start")
	fractions := []R{f.Load("fz"), f.Load("fy"), f.Load("fx")}
	p := f.GP()
	// Two values of an axis to a register, and as many steps: lane 0 is the first.
	field := func(v V, offset int) V {
		f.Go("ADD $%d, %v, %v", offset, l, p)
		f.LD1R(v.D2(), p, false)
		return v
	}
	const at, zero, width, strides, matrix = V(0), V(2), V(3), V(4), V(5) // at two registers, matrix three
	var base, center, limit [3]V
	for b := range 3 {
		base[b], center[b], limit[b] = field(V(8+b), atBase+8*b), field(V(11+b), atCenter+8*b), field(V(14+b), atLimit+8*b)
	}
	const steps = V(17) // two registers: z and y, x
	f.LDRQ(steps, l, atStep)
	f.LDRD(steps+1, l, atStep+16)
	step := []Lane{steps.D(0), steps.D(1), (steps + 1).D(0)}
	f.LDRD(strides, l, atRowStride) // rows, planes
	stride := []Lane{strides.S(1), strides.S(0)}
	for a := range V(3) {
		f.LDRQ(matrix+a, l, atMatrix+12*int(a)-4*int(a/2)) // the last one begins one earlier, to end with the matrix
	}
	factor := func(a, b int) Lane { return (matrix + V(a)).S(b + a/2) }
	f.Zero(zero)
	// at = first + 0, 1 and first + 2, 3; width = 4.
	f.Address(file.Words(0, 0, 0, 0x3ff00000, 0, 0x40000000, 0, 0x40080000, 0, 0x40100000, 0, 0x40100000), p)
	f.LDPQ(at, at+1, p, 0)
	f.LDRQ(width, p, 32)
	field(20, atFirst)
	f.FADD(at.D2(), at.D2(), V(20).D2())
	f.FADD((at + 1).D2(), (at + 1).D2(), V(20).D2())
	var fields [3]R
	for a := range fields {
		fields[a] = f.GP()
		f.Go("MOVD %d(%v), %v", atDisplacement+8*a, l, fields[a])
	}
	const along, shift, coordinate, inside, element, whole, t = V(20), V(23), V(26), V(28), V(30), V(24), V(31)
	f.Label("again")
	f.MOVIBytes(inside.B16(), 255)
	f.MOVIBytes((inside + 1).B16(), 255)
	f.Go("CBZ %v, undisplaced", fields[0])
	for a, r := range fields {
		f.LDRQPost(along+V(a), r, 16)
	}
	f.Label("undisplaced")
	for b := range 3 {
		for i := range V(2) {
			c := (coordinate + i).D2()
			f.MOV(c.V, base[b])
			f.FMLA(c, (at + i).D2(), step[b])
		}
		skip := f.NewLabel("undisplaced")
		f.Go("CBZ %v, %s", fields[0], skip)
		f.FMUL(shift.S4(), along.S4(), factor(0, b))
		f.FMLA(shift.S4(), (along + 1).S4(), factor(1, b))
		f.FMLA(shift.S4(), (along + 2).S4(), factor(2, b))
		f.FCVTL(t.D2(), shift.S2())
		f.FADD(coordinate.D2(), coordinate.D2(), t.D2())
		f.FCVTL2(t.D2(), shift.S4())
		f.FADD((coordinate + 1).D2(), (coordinate + 1).D2(), t.D2())
		f.Label(skip)
		for i := range V(2) {
			c, in := (coordinate + i).D2(), (inside + i)
			f.FADD(c, c, center[b].D2())
			f.FCMGE(t.D2(), c, zero.D2())
			f.AND(in.B16(), in.B16(), t.B16())
			f.FCMGE(t.D2(), limit[b].D2(), c)
			f.AND(in.B16(), in.B16(), t.B16())
			f.FCVTZS((whole + i).D2(), c)
			f.SCVTF(t.D2(), (whole + i).D2())
			f.FSUB(c, c, t.D2())
		}
		f.XTN(whole.S2(), whole.D2())
		f.XTN2(whole.S4(), (whole + 1).D2())
		f.FCVTN(shift.S2(), coordinate.D2())
		f.FCVTN2(shift.S4(), (coordinate + 1).D2())
		f.STRQPost(shift, fractions[b], 16)
		switch b {
		case 0:
			f.DUP(t.S4(), stride[b])
			f.MUL(element.S4(), whole.S4(), t.S4())
		case 1:
			f.DUP(t.S4(), stride[b])
			f.MLA(element.S4(), whole.S4(), t.S4())
		default:
			f.ADD(element.S4(), element.S4(), whole.S4())
		}
	}
	f.XTN(inside.S2(), inside.D2())
	f.XTN2(inside.S4(), (inside + 1).D2())
	f.ORN(element.B16(), element.B16(), inside.B16()) // -1 outside
	f.STRQPost(element, start, 16)
	f.FADD(at.D2(), at.D2(), width.D2())
	f.FADD((at + 1).D2(), (at + 1).D2(), width.D2())
	f.Go("SUBS $4, %v, %v", n, n)
	f.Go("BNE again")
	f.RET()
}
