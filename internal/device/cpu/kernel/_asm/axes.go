package main

import (
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	combineArgs = "func(dst *float32, winners *uint8, src *float32, srcWinners *uint8, count int, offsets *int, taps *[16]uint8, n int)"
	splitArgs   = "func(dst *float32, winners *uint8, dy *float32, w *uint8, count int, offsets *int, taps *[16]uint8, n, span int)"
)

// axis holds the pointers of the pooling kernels along one axis.
type axis struct {
	dst, win, src, from    Register
	offsets, taps, n       Register
	p, t, left, at16, atof Register // the offset in winners and in values
	voxel                  int
}

// newAxis loads the parameters; the first of them have the names given.
func newAxis(voxel int, src, from string) (a axis, count Register) {
	load := func(name string) Register { return Load(Param(name), GP64()) }
	a = axis{dst: load("dst"), win: load("winners"), src: load(src), from: load(from), offsets: load("offsets"), taps: load("taps"), n: load("n"),
		p: GP64(), t: GP64(), left: GP64(), at16: GP64(), atof: GP64(), voxel: voxel}
	return a, load("count")
}

// each emits f for every vector of a voxel: for the first, if not nil, and for the others.
func (a axis) each(label string, first, f func()) {
	MOVQ(a.offsets, a.p)
	MOVQ(a.taps, a.t)
	MOVQ(a.n, a.left)
	step := func(f func()) {
		MOVQ(Mem{Base: a.p}, a.at16)
		MOVQ(a.at16, a.atof)
		SHLQ(Imm(4), a.at16)
		SHLQ(Imm(uint64(bits.TrailingZeros(uint(a.voxel)))), a.atof)
		f()
		ADDQ(Imm(8), a.p)
		ADDQ(Imm(16), a.t)
	}
	if first != nil {
		step(first)
		DECQ(a.left)
		JZ(LabelRef(label + "Done"))
	} else {
		TESTQ(a.left, a.left)
		JZ(LabelRef(label + "Done"))
	}
	Label(label)
	step(f)
	DECQ(a.left)
	JNZ(LabelRef(label))
	Label(label + "Done")
}

func (a axis) values(disp int) Mem { return Mem{Base: a.src, Index: a.atof, Scale: 1, Disp: disp} }
func (a axis) winners() Mem        { return Mem{Base: a.from, Index: a.at16, Scale: 1} }

func (a axis) advance(voxels int) {
	for _, p := range []Register{a.dst, a.src} {
		ADDQ(Imm(uint64(voxels*a.voxel)), p)
	}
	for _, p := range []Register{a.win, a.from} {
		ADDQ(Imm(uint64(voxels*16)), p)
	}
}

func combineMax(s set) {
	TEXT("combineMax"+s.name, NOSPLIT, combineArgs)
	Pragma("noescape")
	a, count := newAxis(s.voxel, "src", "srcWinners")
	r := &allocator{set: s}
	best, x, greater := r.vector(), r.vector(), r.vector()
	which, w, packed := r.regs[r.next].AsX(), r.regs[r.next+1].AsX(), r.regs[r.next+2]
	take := func(best pair, which Op) {
		VMOVDQU(a.winners(), which)
		VPADDB(Mem{Base: a.t}, which, which)
		for i := range s.parts {
			VMOVUPS(a.values(i*s.bytes), best[i])
		}
	}
	Label("voxel")
	a.each("vector", func() { take(best, which) }, func() {
		take(x, w)
		if s.parts == 1 {
			VCMPPS(Imm(0x16), best[0], x[0], K1) // not less or equal, quiet
			VMOVAPS(x[0], K1, best[0])
			VMOVDQU8(w, K1, which)
			return
		}
		for i := range s.parts {
			VCMPPS(Imm(0x16), best[i], x[i], greater[i])
			VBLENDVPS(greater[i], x[i], best[i], best[i])
		}
		VPACKSSDW(greater[1], greater[0], packed) // lanes: 0-3, 8-11 | 4-7, 12-15
		VPERMQ(Imm(0xd8), packed, packed)
		VEXTRACTI128(Imm(1), packed, greater[0].AsX())
		VPACKSSWB(greater[0].AsX(), packed.AsX(), packed.AsX())
		VPBLENDVB(packed.AsX(), w, which, which)
	})
	s.store(best, a.dst)
	VMOVDQU(which, Mem{Base: a.win})
	a.advance(1)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	VZEROUPPER()
	RET()
}

// combineMaxHalf compares the bits of two voxels as integers, those of numbers below zero turned over.
func combineMaxHalf() {
	TEXT("combineMaxBF16", NOSPLIT, combineArgs)
	Pragma("noescape")
	a, count := newAxis(32, "src", "srcWinners")
	turned := GP32()
	MOVL(U32(0x7fff7fff), turned)
	VPBROADCASTD(turned, zmm[31])
	voxels := func(n int) {
		wide := func(i int) Op { return first(n, zmm[i]) }
		narrow := func(i int) Op {
			if n == 1 {
				return zmm[i].AsX()
			}
			return zmm[i].AsY()
		}
		turn := func(i int) {
			VPSRAW(Imm(15), wide(i), wide(30))
			VPTERNLOGD(Imm(0x78), wide(31), wide(30), wide(i)) // i ^ (30 & 31)
		}
		take := func(best, which int) {
			if n == 1 {
				VMOVDQU32(Mem{Base: a.t}, narrow(which))
			} else {
				VBROADCASTI32X4(Mem{Base: a.t}, narrow(which))
			}
			VPADDB(a.winners(), narrow(which), narrow(which))
			VMOVDQU16(a.values(0), wide(best))
			turn(best)
		}
		a.each([]string{"", "one", "two"}[n], func() { take(0, 1) }, func() {
			take(2, 3)
			VPCMPGTW(wide(0), wide(2), K1)
			VPMAXSW(wide(2), wide(0), wide(0))
			VMOVDQU8(narrow(3), K1, narrow(1))
		})
		turn(0)
		VMOVDQU16(wide(0), Mem{Base: a.dst})
		VMOVDQU8(narrow(1), Mem{Base: a.win})
	}
	SUBQ(Imm(2), count)
	JL(LabelRef("last"))
	Label("voxels")
	voxels(2)
	a.advance(2)
	SUBQ(Imm(2), count)
	JGE(LabelRef("voxels"))
	Label("last")
	ADDQ(Imm(2), count)
	JZ(LabelRef("done"))
	voxels(1)
	Label("done")
	VZEROUPPER()
	RET()
}

func splitSum(s set) {
	TEXT("splitSum"+s.name, NOSPLIT, splitArgs)
	Pragma("noescape")
	a, count := newAxis(s.voxel, "dy", "w")
	last := GP64()
	Load(Param("span"), last)
	DECQ(last)
	r := &allocator{set: s}
	acc, x := r.vector(), r.vector()
	free := r.regs[r.next:]
	which, d, mask, most := free[0].AsX(), free[1].AsX(), free[2], free[3].AsX()
	VMOVQ(last, most)
	VPBROADCASTB(most, most)
	Label("voxel")
	for _, v := range acc {
		s.zero(v)
	}
	VPCMPEQB(which, which, which)
	a.each("vector", nil, func() {
		VMOVDQU(a.winners(), d)
		VPSUBB(Mem{Base: a.t}, d, d)
		if s.parts == 1 {
			VPCMPUB(Imm(2), most, d, K1) // less or equal
			s.readMasked(a.values(0), K1, x[0])
			VADDPS(x[0], acc[0], acc[0])
			VMOVDQU8(d, K1, which)
			return
		}
		VPMINUB(most, d, mask.AsX())
		VPCMPEQB(d, mask.AsX(), mask.AsX())
		VPBLENDVB(mask.AsX(), d, which, which)
		for i := range s.parts {
			VPMOVSXBD(mask.AsX(), x[i])
			VANDPS(a.values(i*s.bytes), x[i], x[i])
			VADDPS(x[i], acc[i], acc[i])
			VPSRLDQ(Imm(8), mask.AsX(), mask.AsX())
		}
	})
	s.store(acc, a.dst)
	VMOVDQU(which, Mem{Base: a.win})
	a.advance(1)
	DECQ(count)
	JNZ(LabelRef("voxel"))
	VZEROUPPER()
	RET()
}

// store writes the registers of a voxel; rounded ones are lost.
func (s set) store(v pair, p Register) {
	for i, r := range v {
		s.write(r, Mem{Base: p, Disp: i * s.bytes})
	}
}
