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
}

var (
	avx512 = set{"AVX512", zmm, 1, 64}
	avx2   = set{"AVX2", ymm, 2, 32}
)

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

func (s set) store(v pair, base Register, disp int) {
	for i, r := range v {
		VMOVUPS(r, Mem{Base: base, Disp: disp + i*s.bytes})
	}
}

func elementwiseKernels() {
	for _, s := range []set{avx2, avx512} {
		normalize(s)
		sums(s)
		gradientSums(s)
		normalizeBack(s)
		sgd(s)
		ceiling(s)
	}
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
		VMOVUPS(Mem{Base: src, Disp: i * s.bytes}, x[i])
		VFMADD213PS(shift[i], scale[i], x[i])
		VMAXPS(x[i], floor[i], x[i]) // the first operand here is returned when one is not a number
		VMOVUPS(x[i], Mem{Base: dst, Disp: i * s.bytes})
	}
	ADDQ(Imm(64), src)
	ADDQ(Imm(64), dst)
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

// half returns the register of half the width, the source of a conversion to float64.
func (s set) half(v VecPhysical) Op {
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

// gradientSums: with g' = g where x*scale + shift > floor, else 0: out = 16 sums of g' and 16 of g'*(x-mean), in float64.
// params are 16 scales, shifts, floors, means.
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
				VCVTPS2PD(s.half(g), y)
				VCVTPS2PD(s.half(x), d)
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

// normalizeBack: dst = x*slope + offset, plus g*scale where x*scale + shift > floor; params are 16 scales, shifts, floors, slopes, offsets.
func normalizeBack(s set) {
	TEXT("normalizeBack"+s.name, NOSPLIT, "func(dst, x, dy *float32, count int, params *float32)")
	Pragma("noescape")
	dst, px, pg, count, params := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("dy"), GP64()), Load(Param("count"), GP64()), Load(Param("params"), GP64())
	x, y, z, g := s.regs[0], s.regs[1], s.regs[2], s.regs[3]
	at := func(p Register, which, i int) Mem { return Mem{Base: p, Disp: which*64 + i*s.bytes} }
	Label("voxel")
	for i := range s.parts {
		VMOVUPS(at(px, 0, i), x)
		VMOVUPS(at(params, 1, i), y)
		VFMADD231PS(at(params, 0, i), x, y)
		VMOVUPS(at(params, 4, i), z)
		VFMADD231PS(at(params, 3, i), x, z)
		if s.parts == 1 {
			VCMPPS(Imm(0x1e), at(params, 2, i), y, K1)
			VMOVUPS_Z(at(pg, 0, i), K1, g)
		} else {
			VCMPPS(Imm(0x1e), at(params, 2, i), y, y)
			VANDPS(at(pg, 0, i), y, g)
		}
		VFMADD231PS(at(params, 0, i), g, z)
		VMOVUPS(z, at(dst, 0, i))
	}
	ADDQ(Imm(64), px)
	ADDQ(Imm(64), pg)
	ADDQ(Imm(64), dst)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	VZEROUPPER()
	RET()
}

// sgd: g' = scale*g + decay*w; m = momentum*m + g' (keep = momentum, or 0 on the first step); w -= lr*(g' + momentum*m).
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
