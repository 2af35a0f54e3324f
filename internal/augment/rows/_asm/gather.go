package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// taps4 emits dst[i] = sum of weights[4i+k] * src[index[i]+k]; n is a multiple of 4, not 0.
func taps4() {
	TEXT("taps4AVX2", NOSPLIT, "func(dst *float32, src *float32, index *int32, weights *float32, n int)")
	Pragma("noescape")
	dst, src, index, weights, n := pointer("dst"), pointer("src"), pointer("index"), pointer("weights"), pointer("n")
	Label("again")
	var products [4]VecVirtual
	for i := range products {
		at := GP64()
		MOVLQSX(Mem{Base: index, Disp: 4 * i}, at)
		products[i] = XMM()
		VMOVUPS(Mem{Base: src, Index: at, Scale: 4}, products[i])
		VMULPS(Mem{Base: weights, Disp: 16 * i}, products[i], products[i])
	}
	VHADDPS(products[1], products[0], products[0])
	VHADDPS(products[3], products[2], products[2])
	VHADDPS(products[2], products[0], products[0])
	VMOVUPS(products[0], Mem{Base: dst})
	ADDQ(Imm(16), dst)
	ADDQ(Imm(16), index)
	ADDQ(Imm(64), weights)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("again"))
	RET()
}

// bspline holds the polynomials of the four weights: bspline[p][k] is the factor of f^p in weight k.
var bspline = [4][4]float64{
	{1. / 6, 2. / 3, 1. / 6, 0},
	{-1. / 2, 0, 1. / 2, 0},
	{1. / 2, -1, 1. / 2, 0},
	{-1. / 6, 1. / 2, -1. / 2, 1. / 6},
}

// splineTable lays the polynomials out for the lanes that lane(i) names the weights of.
func splineTable(name string, lanes int, lane func(i int) int) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for p := range bspline {
		for i := range lanes {
			DATA(4*(p*lanes+i), U32(math.Float32bits(float32(bspline[p][lane(i)]))))
		}
	}
	return m
}

// cubic emits the gather from one channel, or from two whose values alternate; strides in bytes. A planeStride of 0 is
// a plane.
func cubic(channels int) {
	destinations := "dst0 *float32"
	if channels == 2 {
		destinations += ", dst1 *float32"
	}
	TEXT(fmt.Sprintf("cubic%dAVX2", channels), NOSPLIT,
		"func(n int, start *int32, fz *float32, fy *float32, fx *float32, coefficients *float32, rowStride int, planeStride int, "+destinations+")")
	Pragma("noescape")
	lanes := 4 * channels
	register := func() VecVirtual {
		if channels == 2 {
			return YMM()
		}
		return XMM()
	}
	each := splineTable(fmt.Sprintf("bspline%d", channels), lanes, func(i int) int { return i % 4 })
	along := each
	if channels == 2 {
		along = splineTable("bsplinePairs", lanes, func(i int) int { return i / 2 })
	}
	weights := func(table Mem, f Mem) VecVirtual {
		t, w := register(), register()
		VBROADCASTSS(f, t)
		VMOVUPS(table.Offset(3*4*lanes), w)
		for p := 2; p >= 0; p-- {
			VFMADD213PS(table.Offset(p*4*lanes), t, w)
		}
		return w
	}
	spread := func(w VecVirtual) (s [4]VecVirtual) {
		for k := range s {
			s[k] = register()
			VSHUFPS(Imm(uint64(k*0x55)), w, w, s[k])
		}
		return s
	}
	n, start := pointer("n"), pointer("start")
	fz, fy, fx := pointer("fz"), pointer("fy"), pointer("fx")
	coefficients, row, plane := pointer("coefficients"), pointer("rowStride"), pointer("planeStride")
	dst := []Register{pointer("dst0")}
	if channels == 2 {
		dst = append(dst, pointer("dst1"))
	}
	row3, i, p := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: row, Index: row, Scale: 2}, row3)
	XORQ(i, i)
	total := register()
	Label("voxel")
	CMPQ(i, n)
	JGE(LabelRef("done"))
	at := GP64()
	MOVLQSX(Mem{Base: start, Index: i, Scale: 4}, at)
	TESTQ(at, at)
	JS(LabelRef("outside"))
	SHLQ(Imm(uint64(2+channels-1)), at)
	LEAQ(Mem{Base: coefficients, Index: at, Scale: 1}, p)
	wy := spread(weights(each, Mem{Base: fy, Index: i, Scale: 4}))
	flat := func() VecVirtual {
		f := register()
		VMULPS(Mem{Base: p}, wy[0], f)
		VFMADD231PS(Mem{Base: p, Index: row, Scale: 1}, wy[1], f)
		VFMADD231PS(Mem{Base: p, Index: row, Scale: 2}, wy[2], f)
		VFMADD231PS(Mem{Base: p, Index: row3, Scale: 1}, wy[3], f)
		return f
	}
	TESTQ(plane, plane)
	JNZ(LabelRef("volume"))
	VMOVAPS(flat(), total)
	JMP(LabelRef("along"))
	Label("volume")
	wz := spread(weights(each, Mem{Base: fz, Index: i, Scale: 4}))
	for k := range 4 {
		f := flat()
		if k == 0 {
			VMULPS(f, wz[0], total)
		} else {
			VFMADD231PS(f, wz[k], total)
		}
		if k < 3 {
			ADDQ(plane, p)
		}
	}
	Label("along")
	wx := weights(along, Mem{Base: fx, Index: i, Scale: 4})
	VMULPS(wx, total, total)
	sum, upper := XMM(), XMM()
	if channels == 2 {
		VEXTRACTF128(Imm(1), total, upper)
		VADDPS(upper, total.AsX(), sum)
		VMOVHLPS(sum, sum, upper)
		VADDPS(upper, sum, sum)
		VMOVSS(sum, Mem{Base: dst[0], Index: i, Scale: 4})
		VMOVSHDUP(sum, upper)
		VMOVSS(upper, Mem{Base: dst[1], Index: i, Scale: 4})
	} else {
		VMOVHLPS(total, total, upper)
		VADDPS(upper, total, sum)
		VMOVSHDUP(sum, upper)
		VADDSS(upper, sum, sum)
		VMOVSS(sum, Mem{Base: dst[0], Index: i, Scale: 4})
	}
	INCQ(i)
	JMP(LabelRef("voxel"))
	Label("outside")
	for _, d := range dst {
		MOVL(U32(0), Mem{Base: d, Index: i, Scale: 4})
	}
	INCQ(i)
	JMP(LabelRef("voxel"))
	Label("done")
	finish()
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

// half is a register of as many 32-bit values as a full one has 64-bit values.
func (v isa) half() VecVirtual {
	if v.lanes == 16 {
		return YMM()
	}
	return XMM()
}

// locate emits where the voxels of a row lie; n is a multiple of half the lanes, not 0.
func (v isa) locate() {
	v.function("locate", "(n int, l *float64, start *int32, fz *float32, fy *float32, fx *float32)")
	n, l, start := pointer("n"), pointer("l"), pointer("start")
	f := []Register{pointer("fz"), pointer("fy"), pointer("fx")}
	width := v.lanes / 2
	wide := func(offset int) VecVirtual {
		r := v.reg()
		VBROADCASTSD(Mem{Base: l, Disp: offset}, r)
		return r
	}
	at, step := v.reg(), v.reg()
	counting := GLOBL("counting"+v.name, RODATA|NOPTR)
	for i := range width {
		DATA(8*i, U64(math.Float64bits(float64(i))))
	}
	VADDPD(counting, wide(atFirst), at)
	many := GLOBL("width"+v.name, RODATA|NOPTR)
	DATA(0, U64(math.Float64bits(float64(width))))
	VBROADCASTSD(many, step)
	zero := v.reg()
	v.zero(zero)
	var fields [3]Register
	for a := range fields {
		fields[a] = GP64()
		MOVQ(Mem{Base: l, Disp: atDisplacement + 8*a}, fields[a])
	}
	i := GP64()
	XORQ(i, i)
	displaced := []VecVirtual{v.reg(), v.reg(), v.reg()}
	for _, d := range displaced {
		v.zero(d)
	}
	Label("again")
	TESTQ(fields[0], fields[0])
	JZ(LabelRef("undisplaced"))
	var along [3]VecVirtual
	for a := range along {
		along[a] = v.half()
		VMOVUPS(Mem{Base: fields[a], Index: i, Scale: 4}, along[a])
	}
	for b, d := range displaced {
		sum, m := v.half(), v.half()
		for a := range along {
			VBROADCASTSS(Mem{Base: l, Disp: atMatrix + 4*(3*a+b)}, m)
			if a == 0 {
				VMULPS(along[a], m, sum)
			} else {
				VFMADD231PS(along[a], m, sum)
			}
		}
		VCVTPS2PD(sum, d)
	}
	Label("undisplaced")
	element := v.half()
	inside := v.inside()
	for b, d := range displaced {
		c, bound := v.reg(), wide(atStep+8*b)
		VMULPD(bound, at, c)
		VADDPD(wide(atBase+8*b), c, c)
		VADDPD(d, c, c)
		VADDPD(wide(atCenter+8*b), c, c)
		inside.require(13, zero, c) // c >= 0
		inside.require(2, wide(atLimit+8*b), c)
		whole, back := v.half(), v.reg()
		if v.lanes == 16 {
			VCVTTPD2DQ(c, whole)
		} else {
			VCVTTPD2DQY(c, whole)
		}
		VCVTDQ2PD(whole, back)
		VSUBPD(back, c, c)
		fraction := v.half()
		if v.lanes == 16 {
			VCVTPD2PS(c, fraction)
		} else {
			VCVTPD2PSY(c, fraction)
		}
		VMOVUPS(fraction, Mem{Base: f[b], Index: i, Scale: 4})
		if b == 2 {
			VPADDD(whole, element, element)
			continue
		}
		stride := v.half()
		VPBROADCASTD(Mem{Base: l, Disp: []int{atPlaneStride, atRowStride}[b]}, stride)
		VPMULLD(stride, whole, whole)
		if b == 0 {
			VMOVAPS(whole, element)
		} else {
			VPADDD(whole, element, element)
		}
	}
	VMOVUPS(inside.orMinusOne(element), Mem{Base: start, Index: i, Scale: 4})
	VADDPD(step, at, at)
	ADDQ(Imm(uint64(width)), i)
	CMPQ(i, n)
	JL(LabelRef("again"))
	finish()
}

// condition collects comparisons of 64-bit lanes.
type condition struct {
	v    isa
	mask Register // K, or a register of all ones where they hold
	set  *bool
}

func (v isa) inside() condition {
	if v.lanes == 16 {
		return condition{v, K(), new(bool)}
	}
	return condition{v, v.reg(), new(bool)}
}

// require adds that a compares to b by predicate.
func (c condition) require(predicate uint64, b, a Register) {
	first := !*c.set
	*c.set = true
	switch {
	case c.v.lanes == 16 && first:
		VCMPPD(Imm(predicate), b, a, c.mask)
	case c.v.lanes == 16:
		k := K()
		VCMPPD(Imm(predicate), b, a, k)
		KANDW(k, c.mask, c.mask)
	case first:
		VCMPPD(Imm(predicate), b, a, c.mask)
	default:
		t := c.v.reg()
		VCMPPD(Imm(predicate), b, a, t)
		VANDPD(t, c.mask, c.mask)
	}
}

// orMinusOne returns the 32-bit values where the condition holds and -1 elsewhere.
func (c condition) orMinusOne(values Register) Register {
	if c.v.lanes == 16 {
		ones := YMM()
		VPTERNLOGD(Imm(0xff), ones, ones, ones)
		VMOVDQA32(values, c.mask, ones)
		return ones
	}
	upper, mask, ones := XMM(), XMM(), XMM()
	VPCMPEQD(ones, ones, ones)
	VEXTRACTF128(Imm(1), c.mask, upper)
	VSHUFPS(Imm(0x88), upper, c.mask.(VecVirtual).AsX(), mask)
	VXORPS(ones, mask, mask)
	VORPS(values, mask, mask)
	return mask
}
