package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// set is one instruction set; a vector of 16 floats takes one or two registers of it.
type set struct {
	name  string
	regs  []VecPhysical
	parts int // registers of 16 floats
	bytes int // bytes of one register
	voxel int // bytes of the 16 values of an activation's voxel
}

var (
	avx512 = set{"AVX512", zmm, 1, 64, 64}
	avx2   = set{"AVX2", ymm, 2, 32, 64}
	bf16   = set{"BF16", zmm, 1, 64, 32} // with activations in bfloat16
)

func (s set) half() bool { return s.voxel == 32 }

// read loads a register of an activation.
func (s set) read(m Mem, v VecPhysical) {
	if s.half() {
		loadHalf(m, v)
	} else {
		VMOVUPS(m, v)
	}
}

// readMasked loads a zmm register of an activation with zeros where k has none.
func (s set) readMasked(m Mem, k, v Op) {
	if s.half() {
		VPMOVZXWD_Z(m, k, v)
		VPSLLD(Imm(16), v, v)
	} else {
		VMOVUPS_Z(m, k, v)
	}
}

// write stores a register of an activation; a rounded one is lost.
func (s set) write(v VecPhysical, m Mem) {
	if s.half() {
		storeHalf(v, m)
	} else {
		VMOVUPS(v, m)
	}
}

// pair is a vector of 16 floats in registers.
type pair []VecPhysical

// allocator hands out registers in rising order.
type allocator struct {
	set
	next int
}

func (a *allocator) vector() (v pair) {
	for range a.parts {
		v = append(v, a.regs[a.next])
		a.next++
	}
	return v
}

func (s set) zero(v VecPhysical) {
	if s.parts == 1 {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

func (s set) load(base Register, disp int, v pair) {
	for i, r := range v {
		VMOVUPS(Mem{Base: base, Disp: disp + i*s.bytes}, r)
	}
}

func elementwiseKernels() {
	for _, s := range []set{avx2, avx512} {
		normalize(s)
		sums(s)
		gradientSums(s)
		normalizeBack(s)
		sgd(s)
		adamw(s)
		ceiling(s)
		max3(s)
	}
}

func elementwiseHalfKernels() {
	normalize(bf16)
	sumsHalf()
	gradientSumsHalf()
	normalizeBack(bf16)
	max3Half()
}

// normalize: dst = max(src*scale + shift, floor); params are 16 scales, 16 shifts, 16 floors.
func normalize(s set) {
	TEXT("normalize"+s.name, NOSPLIT, "func(dst, src *float32, count int, params *float32)")
	Pragma("noescape")
	dst, src, count, params := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("count"), GP64()), Load(Param("params"), GP64())
	r := &allocator{set: s}
	scale, shift, floor, x := r.vector(), r.vector(), r.vector(), r.vector()
	s.load(params, 0, scale)
	s.load(params, 64, shift)
	s.load(params, 128, floor)
	Label("voxel")
	for i := range s.parts {
		s.read(Mem{Base: src, Disp: i * s.bytes}, x[i])
		VFMADD213PS(shift[i], scale[i], x[i])
		VMAXPS(x[i], floor[i], x[i]) // the first operand here is returned when one is not a number
		s.write(x[i], Mem{Base: dst, Disp: i * s.bytes})
	}
	ADDQ(Imm(uint64(s.voxel)), src)
	ADDQ(Imm(uint64(s.voxel)), dst)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	VZEROUPPER()
	RET()
}

// quarters gives the float64 registers that hold 16 values.
func (a *allocator) doubles() (v []VecPhysical) {
	for range 2 * a.parts {
		v = append(v, a.regs[a.next])
		a.next++
	}
	return v
}

// lower returns the register of half the width, the source of a conversion to float64.
func (s set) lower(v VecPhysical) Op {
	if s.parts == 1 {
		return v.AsY()
	}
	return v.AsX()
}

// sums: out = 16 sums and 16 sums of squares in float64.
func sums(s set) {
	TEXT("sums"+s.name, NOSPLIT, "func(src *float32, count int, out *float64)")
	Pragma("noescape")
	src, count, out := Load(Param("src"), GP64()), Load(Param("count"), GP64()), Load(Param("out"), GP64())
	r := &allocator{set: s}
	sum, square := r.doubles(), r.doubles()
	x := r.regs[r.next]
	for i := range sum {
		s.zero(sum[i])
		s.zero(square[i])
	}
	Label("voxel")
	for i := range sum {
		VCVTPS2PD(Mem{Base: src, Disp: i * s.bytes / 2}, x)
		VADDPD(x, sum[i], sum[i])
		VFMADD231PD(x, x, square[i])
	}
	ADDQ(Imm(64), src)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	for i := range sum {
		VMOVUPD(sum[i], Mem{Base: out, Disp: i * s.bytes})
		VMOVUPD(square[i], Mem{Base: out, Disp: 128 + i*s.bytes})
	}
	VZEROUPPER()
	RET()
}

// gradientSums: with g' = g where x*scale + shift > floor, else 0: out = 16 sums of g' and 16 of g'*(x-mean), in
// float64. params are 16 scales, shifts, floors, means.
func gradientSums(s set) {
	TEXT("gradientSums"+s.name, NOSPLIT, "func(x, dy *float32, count int, params *float32, out *float64)")
	Pragma("noescape")
	px, pg, count, params, out := Load(Param("x"), GP64()), Load(Param("dy"), GP64()), Load(Param("count"), GP64()), Load(Param("params"), GP64()), Load(Param("out"), GP64())
	r := &allocator{set: s}
	sum, product := r.doubles(), r.doubles()
	for i := range sum {
		s.zero(sum[i])
		s.zero(product[i])
	}
	x, y, g, d := r.regs[r.next], r.regs[r.next+1], r.regs[r.next+2], r.regs[r.next+3]
	at := func(p Register, which, i int) Mem { return Mem{Base: p, Disp: which*64 + i*s.bytes} }
	Label("voxel")
	for i := range s.parts {
		VMOVUPS(at(px, 0, i), x)
		VMOVUPS(at(params, 1, i), y)
		VFMADD231PS(at(params, 0, i), x, y)
		VSUBPS(at(params, 3, i), x, x)
		if s.parts == 1 {
			VCMPPS(Imm(0x1e), at(params, 2, i), y, K1) // greater, ordered, quiet
			VMOVUPS_Z(at(pg, 0, i), K1, g)
		} else {
			VCMPPS(Imm(0x1e), at(params, 2, i), y, y)
			VANDPS(at(pg, 0, i), y, g)
		}
		for h := range 2 {
			if h == 1 {
				if s.parts == 1 {
					VEXTRACTF64X4(Imm(1), g, y.AsY())
					VCVTPS2PD(y.AsY(), y)
					VEXTRACTF64X4(Imm(1), x, d.AsY())
					VCVTPS2PD(d.AsY(), d)
				} else {
					VEXTRACTF128(Imm(1), g, y.AsX())
					VCVTPS2PD(y.AsX(), y)
					VEXTRACTF128(Imm(1), x, d.AsX())
					VCVTPS2PD(d.AsX(), d)
				}
			} else {
				VCVTPS2PD(s.lower(g), y)
				VCVTPS2PD(s.lower(x), d)
			}
			VADDPD(y, sum[2*i+h], sum[2*i+h])
			VFMADD231PD(y, d, product[2*i+h])
		}
	}
	ADDQ(Imm(64), px)
	ADDQ(Imm(64), pg)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	for i := range sum {
		VMOVUPD(sum[i], Mem{Base: out, Disp: i * s.bytes})
		VMOVUPD(product[i], Mem{Base: out, Disp: 128 + i*s.bytes})
	}
	VZEROUPPER()
	RET()
}

// normalizeBack: dst = x*slope + offset, plus g*scale where x*scale + shift > floor; params are 16 scales, shifts,
// floors, slopes, offsets.
func normalizeBack(s set) {
	TEXT("normalizeBack"+s.name, NOSPLIT, "func(dst, x, dy *float32, count int, params *float32)")
	Pragma("noescape")
	dst, px, pg, count, params := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("dy"), GP64()), Load(Param("count"), GP64()), Load(Param("params"), GP64())
	x, y, z, g := s.regs[0], s.regs[1], s.regs[2], s.regs[3]
	at := func(p Register, which, i int) Mem { return Mem{Base: p, Disp: which*64 + i*s.bytes} }
	Label("voxel")
	for i := range s.parts {
		s.read(at(px, 0, i), x)
		VMOVUPS(at(params, 1, i), y)
		VFMADD231PS(at(params, 0, i), x, y)
		VMOVUPS(at(params, 4, i), z)
		VFMADD231PS(at(params, 3, i), x, z)
		if s.parts == 1 {
			VCMPPS(Imm(0x1e), at(params, 2, i), y, K1)
			s.readMasked(at(pg, 0, i), K1, g)
		} else {
			VCMPPS(Imm(0x1e), at(params, 2, i), y, y)
			VANDPS(at(pg, 0, i), y, g)
		}
		VFMADD231PS(at(params, 0, i), g, z)
		s.write(z, at(dst, 0, i))
	}
	ADDQ(Imm(uint64(s.voxel)), px)
	ADDQ(Imm(uint64(s.voxel)), pg)
	ADDQ(Imm(uint64(s.voxel)), dst)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	VZEROUPPER()
	RET()
}

// sgd: g' = scale*g + decay*w; m = momentum*m + g' (keep = momentum, or 0 on the first step); w -= lr*(g' +
// momentum*m).
func sgd(s set) {
	TEXT("sgd"+s.name, NOSPLIT, "func(w, dw, m *float32, count int, scale, decay, keep, momentum, negativeRate float32)")
	Pragma("noescape")
	w, g, m, count := Load(Param("w"), GP64()), Load(Param("dw"), GP64()), Load(Param("m"), GP64()), Load(Param("count"), GP64())
	var k []VecPhysical
	for i, name := range []string{"scale", "decay", "keep", "momentum", "negativeRate"} {
		a, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		VBROADCASTSS(a.Addr, s.regs[i])
		k = append(k, s.regs[i])
	}
	x, y, z := s.regs[5], s.regs[6], s.regs[7]
	Label("loop")
	for i := range s.parts {
		at := func(p Register) Mem { return Mem{Base: p, Disp: i * s.bytes} }
		VMOVUPS(at(w), x)
		VMULPS(at(g), k[0], y)
		VFMADD231PS(k[1], x, y)
		VMOVAPS(y, z)
		VFMADD231PS(at(m), k[2], z)
		VMOVUPS(z, at(m))
		VFMADD231PS(k[3], z, y)
		VFMADD231PS(k[4], y, x)
		VMOVUPS(x, at(w))
	}
	for _, p := range []Register{w, g, m} {
		ADDQ(Imm(64), p)
	}
	DECQ(count)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// adamw: g' = scale*g; m = b1*m + c1*g'; v = b2*v + c2*g'*g'; w = shrink*w + negativeRate*m/(sqrt(v)*root + eps). The
// numbers lie at k, in this order.
func adamw(s set) {
	TEXT("adamw"+s.name, NOSPLIT, "func(w, dw, m, v *float32, count int, k *[9]float32)")
	Pragma("noescape")
	w, g, m, v := Load(Param("w"), GP64()), Load(Param("dw"), GP64()), Load(Param("m"), GP64()), Load(Param("v"), GP64())
	count, numbers := Load(Param("count"), GP64()), Load(Param("k"), GP64())
	for i := range 9 {
		VBROADCASTSS(Mem{Base: numbers, Disp: 4 * i}, s.regs[i])
	}
	scale, b1, c1, b2, c2, shrink, negativeRate, root, eps := s.regs[0], s.regs[1], s.regs[2], s.regs[3], s.regs[4], s.regs[5], s.regs[6], s.regs[7], s.regs[8]
	x, y, z, u := s.regs[9], s.regs[10], s.regs[11], s.regs[12]
	Label("loop")
	for i := range s.parts {
		at := func(p Register) Mem { return Mem{Base: p, Disp: i * s.bytes} }
		VMULPS(at(g), scale, y)
		VMULPS(at(m), b1, z)
		VFMADD231PS(c1, y, z)
		VMOVUPS(z, at(m))
		VMULPS(y, y, y)
		VMULPS(at(v), b2, u)
		VFMADD231PS(c2, y, u)
		VMOVUPS(u, at(v))
		VSQRTPS(u, u)
		VFMADD213PS(eps, root, u)
		VDIVPS(u, z, z)
		VMULPS(at(w), shrink, x)
		VFMADD231PS(negativeRate, z, x)
		VMOVUPS(x, at(w))
	}
	for _, p := range []Register{w, g, m, v} {
		ADDQ(Imm(64), p)
	}
	DECQ(count)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// ceiling: 12 independent multiply-adds a round.
func ceiling(s set) {
	TEXT("ceiling"+s.name, NOSPLIT, "func(rounds int)")
	rounds := Load(Param("rounds"), GP64())
	for i := range 14 {
		s.zero(s.regs[i])
	}
	Label("loop")
	for i := range 12 {
		VFMADD231PS(s.regs[12], s.regs[13], s.regs[i])
	}
	DECQ(rounds)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

const max3Args = "func(dst, x, y, z *float32, count int)"

// max3: dst = max(x, y, z); where one is not a number or they are equal, the later wins.
func max3(s set) {
	TEXT("max3"+s.name, NOSPLIT, max3Args)
	Pragma("noescape")
	dst, x, y, z, count := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("y"), GP64()), Load(Param("z"), GP64()), Load(Param("count"), GP64())
	at := GP64()
	XORQ(at, at)
	Label("loop")
	for i := range s.parts {
		m := func(p Register) Mem { return Mem{Base: p, Index: at, Scale: 1, Disp: i * s.bytes} }
		VMOVUPS(m(x), s.regs[i])
		VMOVUPS(m(y), s.regs[2+i])
		VMAXPS(s.regs[2+i], s.regs[i], s.regs[i])
		VMOVUPS(m(z), s.regs[4+i])
		VMAXPS(s.regs[4+i], s.regs[i], s.regs[i])
		VMOVUPS(s.regs[i], m(dst))
	}
	ADDQ(Imm(64), at)
	DECQ(count)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// max3Half compares the values at odd and at even places apart, as float32 whose lower halves are zero.
func max3Half() {
	TEXT("max3BF16", NOSPLIT, max3Args)
	Pragma("noescape")
	dst, x, y, z, count := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("y"), GP64()), Load(Param("z"), GP64()), Load(Param("count"), GP64())
	at, upper := GP64(), GP32()
	XORQ(at, at)
	MOVL(U32(0xffff0000), upper)
	VPBROADCASTD(upper, zmm[31])
	body := func(as func(i int) Op) {
		for i, p := range []Register{x, y, z} {
			VMOVDQU32(Mem{Base: p, Index: at, Scale: 1}, as(i))
			VPANDD(as(31), as(i), as(3+i))
			VPSLLD(Imm(16), as(i), as(i))
		}
		for i := 0; i < 6; i += 3 {
			VMAXPS(as(i+1), as(i), as(i))
			VMAXPS(as(i+2), as(i), as(i))
		}
		VPSRLD(Imm(16), as(0), as(0))
		VPORD(as(0), as(3), as(0))
		VMOVDQU32(as(0), Mem{Base: dst, Index: at, Scale: 1})
	}
	SUBQ(Imm(2), count)
	JL(LabelRef("rest"))
	Label("loop")
	body(func(i int) Op { return zmm[i] })
	ADDQ(Imm(64), at)
	SUBQ(Imm(2), count)
	JGE(LabelRef("loop"))
	Label("rest")
	ADDQ(Imm(2), count)
	JZ(LabelRef("done"))
	body(func(i int) Op { return zmm[i].AsY() })
	Label("done")
	VZEROUPPER()
	RET()
}
