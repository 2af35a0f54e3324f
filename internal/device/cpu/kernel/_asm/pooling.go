package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func poolingKernels() {
	for _, s := range []set{avx2, avx512} {
		windows(s)
		axisMax(s)
		winners(s)
		combineMax(s)
		splitSum(s)
	}
}

func poolingHalfKernels() {
	windows(bf16)
	axisMax(bf16)
	winners(bf16)
	combineMaxHalf()
	splitSum(bf16)
}

// windows: count outputs of a row, window positions step bytes apart. The taps of a window lie at the byte offsets;
// between the first before and the remaining after of them a zero of the padding takes part when zeroTap >= 0. The
// number of a tap is taps[16*i].
func windows(s set) {
	TEXT("windowArgMax"+s.name, NOSPLIT, "func(dst *float32, winners *uint8, src *float32, step, count int, offsets *int, taps *[16]uint8, before, after int, zeroTap int)")
	Pragma("noescape")
	dst, src, count := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("count"), GP64())
	offsets, taps := Load(Param("offsets"), GP64()), Load(Param("taps"), GP64())
	win, step := Load(Param("winners"), GP64()), Load(Param("step"), GP64())
	zero := Load(Param("zeroTap"), GP64())
	r := &allocator{set: s}
	best, which, none, least, zeroTap := r.vector(), r.vector(), r.vector(), r.vector(), r.vector()
	x, id := r.regs[r.next], r.regs[r.next+1]
	inf := GP32()
	MOVL(U32(0xff800000), inf)
	for i := range s.parts {
		s.zero(none[i])
		VMOVD(inf, least[i].AsX())
		VBROADCASTSS(least[i].AsX(), least[i])
		VMOVQ(zero, zeroTap[i].AsX())
		VPBROADCASTD(zeroTap[i].AsX(), zeroTap[i])
	}
	left, p, t, at := GP64(), GP64(), GP64(), GP64()
	take := func(v Op, i int, tap func(k Register)) {
		if s.parts == 1 {
			VCMPPS(Imm(0x16), best[i], v, K1) // not less or equal, quiet
			VMOVAPS(v, K1, best[i])
		} else {
			VCMPPS(Imm(0x16), best[i], v, id)
			VBLENDVPS(id, v, best[i], best[i])
		}
		tap(id)
	}
	loop := func(label string) {
		TESTQ(left, left)
		JZ(LabelRef(label + "Done"))
		Label(label)
		MOVQ(Mem{Base: p}, at)
		for i := range s.parts {
			s.read(Mem{Base: src, Index: at, Scale: 1, Disp: i * s.bytes}, x)
			take(x, i, func(k Register) {
				if s.parts == 1 {
					VPMOVZXBD(Mem{Base: t}, K1, which[i])
				} else {
					VPMOVZXBD(Mem{Base: t}, x)
					VBLENDVPS(k, x, which[i], which[i])
				}
			})
		}
		ADDQ(Imm(8), p)
		ADDQ(Imm(16), t)
		DECQ(left)
		JNZ(LabelRef(label))
		Label(label + "Done")
	}
	Label("window")
	for i := range s.parts {
		VMOVAPS(least[i], best[i])
		s.zero(which[i])
	}
	MOVQ(offsets, p)
	MOVQ(taps, t)
	Load(Param("before"), left)
	loop("front")
	TESTQ(zero, zero)
	JS(LabelRef("noZero"))
	for i := range s.parts {
		take(none[i], i, func(k Register) {
			if s.parts == 1 {
				VMOVDQA32(zeroTap[i], K1, which[i])
			} else {
				VBLENDVPS(k, zeroTap[i], which[i], which[i])
			}
		})
	}
	Label("noZero")
	Load(Param("after"), left)
	loop("back")
	for i, b := range best {
		s.write(b, Mem{Base: dst, Disp: i * s.bytes})
	}
	if s.parts == 1 {
		VPMOVDB(which[0], Mem{Base: win})
	} else {
		VPACKUSDW(which[1], which[0], x) // lanes: 0-3, 8-11 | 4-7, 12-15
		VPERMQ(Imm(0xd8), x, x)
		VEXTRACTI128(Imm(1), x, id.AsX())
		VPACKUSWB(id.AsX(), x.AsX(), x.AsX())
		VMOVDQU(x.AsX(), Mem{Base: win})
	}
	ADDQ(Imm(uint64(s.voxel)), dst)
	ADDQ(Imm(16), win)
	ADDQ(step, src)
	DECQ(count)
	JNZ(LabelRef("window"))
	VZEROUPPER()
	RET()
}

// axisMaxPositive emits axisMax for bfloat16 of which none has its sign set, as behind a ReLU: these are in order as
// integers, a number that is none comes last. Where a maximum has its sign set, what follows begins again.
func axisMaxPositive() {
	dst, src, lines, count := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("lines"), GP64()), GP64()
	step, tap1, tap2, start := Load(Param("step"), GP64()), Load(Param("tap1"), GP64()), Load(Param("tap2"), GP64()), Load(Param("start"), GP64())
	to, from, signs := GP64(), GP64(), GP32()
	TESTQ(start, start)
	JG(LabelRef("any")) // results that are there already
	VPXORD(zmm[1], zmm[1], zmm[1])
	body := func(as func(i int) Op, bytes int) {
		VMOVDQU16(Mem{Base: from}, as(0))
		VPMAXUW(Mem{Base: from, Index: tap1, Scale: 1}, as(0), as(0))
		VPMAXUW(Mem{Base: from, Index: tap2, Scale: 1}, as(0), as(0))
		VPORD(zmm[0], zmm[1], zmm[1]) // the upper half of register 0 is zero after half a register's load
		VMOVDQU16(as(0), Mem{Base: to})
		ADDQ(Imm(uint64(bytes)), to)
	}
	half := func(i int) Op { return zmm[i].AsY() }
	Label("positive")
	MOVQ(dst, to)
	MOVQ(src, from)
	Load(Param("count"), count)
	CMPQ(step, Imm(32))
	JNE(LabelRef("apart"))
	SUBQ(Imm(2), count)
	JL(LabelRef("last"))
	Label("pairs")
	body(func(i int) Op { return zmm[i] }, 64)
	ADDQ(Imm(64), from)
	SUBQ(Imm(2), count)
	JGE(LabelRef("pairs"))
	Label("last")
	ADDQ(Imm(2), count)
	JZ(LabelRef("positive_end"))
	Label("apart")
	body(half, 32)
	ADDQ(step, from)
	DECQ(count)
	JNZ(LabelRef("apart"))
	Label("positive_end")
	ADDQ(paramMem("dstLine"), dst)
	ADDQ(paramMem("srcLine"), src)
	DECQ(lines)
	JNZ(LabelRef("positive"))
	VPMOVW2M(zmm[1], K1)
	KMOVD(K1, signs)
	TESTL(signs, signs)
	JNZ(LabelRef("any"))
	VZEROUPPER()
	RET()
	Label("any")
}

// paramMem is where a parameter of the function lies.
func paramMem(name string) Mem {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// axisMax: for lines of count voxels, whose sources lie step bytes apart: the maximum of the source, what lies tap1 and
// tap2 bytes further, and (start == 0) zero or (start > 0) dst. Where one is not a number or they are equal, the later
// of dst or zero and the taps wins.
func axisMax(s set) {
	TEXT("axisMax"+s.name, NOSPLIT, "func(dst, src *float32, lines, dstLine, srcLine, count, step, tap1, tap2, start int)")
	Pragma("noescape")
	if s.name == bf16.name {
		axisMaxPositive()
	}
	dst, src, lines := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("lines"), GP64())
	dstLine, srcLine := Load(Param("dstLine"), GP64()), Load(Param("srcLine"), GP64())
	step, tap1, tap2, start := Load(Param("step"), GP64()), Load(Param("tap1"), GP64()), Load(Param("tap2"), GP64()), Load(Param("start"), GP64())
	to, from, left := GP64(), GP64(), GP64()
	r := &allocator{set: s}
	least, best, x := r.vector(), r.vector(), r.vector()
	inf := GP32()
	XORL(inf, inf)
	TESTQ(start, start)
	JZ(LabelRef("least"))
	MOVL(U32(0xff800000), inf)
	Label("least")
	for i := range s.parts {
		VMOVD(inf, least[i].AsX())
		VBROADCASTSS(least[i].AsX(), least[i])
	}
	Label("line")
	MOVQ(dst, to)
	MOVQ(src, from)
	Load(Param("count"), left)
	Label("voxel")
	for i := range s.parts {
		VMOVAPS(least[i], best[i])
	}
	TESTQ(start, start)
	JLE(LabelRef("taps"))
	for i := range s.parts {
		s.read(Mem{Base: to, Disp: i * s.bytes}, best[i])
	}
	Label("taps")
	for i := range s.parts {
		for _, m := range []Mem{{Base: from}, {Base: from, Index: tap1, Scale: 1}, {Base: from, Index: tap2, Scale: 1}} {
			m.Disp = i * s.bytes
			s.read(m, x[i])
			VMAXPS(x[i], best[i], best[i])
		}
		s.write(best[i], Mem{Base: to, Disp: i * s.bytes})
	}
	ADDQ(Imm(uint64(s.voxel)), to)
	ADDQ(step, from)
	DECQ(left)
	JNZ(LabelRef("voxel"))
	ADDQ(dstLine, dst)
	ADDQ(srcLine, src)
	DECQ(lines)
	JNZ(LabelRef("line"))
	VZEROUPPER()
	RET()
}

// winners: count inputs of a row, step bytes apart: dst = (dst or 0) + sum of the gradients of the windows that it won.
// Window i's gradient lies offsets[i] vectors of 16 from g (its winners from w), and dst is tap taps[i] of it.
func winners(s set) {
	TEXT("winnersSum"+s.name, NOSPLIT, "func(dst *float32, step int, dy *float32, w *uint8, count int, offsets *int, taps *[16]uint8, windows int, add int)")
	Pragma("noescape")
	dst, step, g, w := Load(Param("dst"), GP64()), Load(Param("step"), GP64()), Load(Param("dy"), GP64()), Load(Param("w"), GP64())
	count, offsets, taps := Load(Param("count"), GP64()), Load(Param("offsets"), GP64()), Load(Param("taps"), GP64())
	add := Load(Param("add"), GP64())
	left, p, t, at := GP64(), GP64(), GP64(), GP64()
	r := &allocator{set: s}
	acc := r.vector()
	x, y := r.regs[r.next], r.regs[r.next+1]
	Label("voxel")
	for _, a := range acc {
		s.zero(a)
	}
	TESTQ(add, add)
	JZ(LabelRef("start"))
	for i, a := range acc {
		s.read(Mem{Base: dst, Disp: i * s.bytes}, a)
	}
	Label("start")
	Load(Param("windows"), left)
	MOVQ(offsets, p)
	MOVQ(taps, t)
	TESTQ(left, left)
	JZ(LabelRef("done"))
	Label("next")
	MOVQ(Mem{Base: p}, at)
	SHLQ(Imm(4), at)
	if s.parts == 1 {
		VMOVDQU(Mem{Base: t}, x.AsX())
		VPCMPEQB(Mem{Base: w, Index: at, Scale: 1}, x.AsX(), K1)
		if s.half() {
			s.readMasked(Mem{Base: g, Index: at, Scale: 2}, K1, y)
			VADDPS(y, acc[0], acc[0])
		} else {
			SHLQ(Imm(2), at)
			VADDPS(Mem{Base: g, Index: at, Scale: 1}, acc[0], K1, acc[0])
		}
	} else {
		VPMOVZXBD(Mem{Base: t}, x)
		for i := range 2 {
			VPMOVZXBD(Mem{Base: w, Index: at, Scale: 1, Disp: i * 8}, y)
			VPCMPEQD(x, y, y)
			VANDPS(Mem{Base: g, Index: at, Scale: 4, Disp: i * 32}, y, y)
			VADDPS(y, acc[i], acc[i])
		}
	}
	ADDQ(Imm(8), p)
	ADDQ(Imm(16), t)
	DECQ(left)
	JNZ(LabelRef("next"))
	Label("done")
	for i, a := range acc {
		s.write(a, Mem{Base: dst, Disp: i * s.bytes})
	}
	ADDQ(step, dst)
	ADDQ(Imm(uint64(s.voxel)), g)
	ADDQ(Imm(16), w)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	VZEROUPPER()
	RET()
}
