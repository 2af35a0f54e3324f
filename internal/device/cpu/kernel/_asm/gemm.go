package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const gemmArgs = "(a *float32, aStride int, b *float32, bStride int, k4 int, c *float32, cStride int, tiles int, add int)"

// gemmShape is what gemmLoops needs to know of a kernel.
type gemmShape struct {
	name, args string
	mr, nr     int
	aRow, cRow int // bytes of a row of a, of c
	steps      int // step calls for a group of 4 inner indices
}

// gemmLoops emits the loops around the products of a tile of rows by columns of blocks: over tiles, blocks of 16
// and groups of 4 inner indices. step emits one inner index (or a pair), of which b holds 64 bytes.
func gemmLoops(g gemmShape, prologue func(), step func(u int, a, b, b2 Register), load, store func(c, c2 Register)) {
	TEXT(g.name, NOSPLIT, "func"+g.args)
	Pragma("noescape")
	a, aStride := Load(Param("a"), GP64()), Load(Param("aStride"), GP64())
	bStride := Load(Param("bStride"), GP64())
	c, cStride := Load(Param("c"), GP64()), Load(Param("cStride"), GP64())
	tiles := Load(Param("tiles"), GP64())
	SUBQ(Imm(uint64(g.aRow)), aStride)
	pa, pb, pb2, pc2, rest, count, four, next := GP64(), GP64(), GP64(), GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(U32(4), four)
	// While the first tile is multiplied, the columns behind its own come into the cache: those of the next call.
	ahead := GP64()
	MOVQ(bStride, ahead)
	if g.nr > 1 {
		ADDQ(bStride, ahead)
	}
	Label("tile")
	MOVQ(a, pa)
	Load(Param("b"), pb)
	if g.nr > 1 {
		LEAQ(Mem{Base: pb, Index: bStride, Scale: 1}, pb2)
		LEAQ(Mem{Base: c, Index: cStride, Scale: 1}, pc2)
	}
	Load(Param("k4"), rest)
	Load(Param("add"), count)
	TESTQ(count, count)
	JZ(LabelRef("zero"))
	load(c, pc2)
	JMP(LabelRef("block"))
	Label("zero")
	prologue()
	Label("block")
	MOVQ(rest, count)
	CMPQ(count, four)
	CMOVQGT(four, count)
	// While a block is multiplied, the rows of the next one, or of the next tile, come into the cache.
	LEAQ(Mem{Base: a, Disp: g.mr * g.aRow}, next)
	SUBQ(count, rest)
	JZ(LabelRef("inner"))
	LEAQ(Mem{Base: pa, Index: aStride, Scale: 1, Disp: g.aRow}, next)
	Label("inner")
	lines := (g.mr*g.aRow + 255) / 256
	for u := range g.steps {
		for l := u * lines / g.steps; l < (u+1)*lines/g.steps; l++ {
			PREFETCHT0(Mem{Base: next, Disp: l * 64})
		}
		for _, columns := range []Register{pb, pb2}[:g.nr] {
			PREFETCHT0(Mem{Base: columns, Index: ahead, Scale: 1, Disp: u * 64})
		}
		step(u, pa, pb, pb2)
	}
	ADDQ(U32(uint32(lines*64)), next)
	ADDQ(Imm(uint64(g.aRow/4)), pa)
	ADDQ(U32(uint32(g.steps*64)), pb)
	if g.nr > 1 {
		ADDQ(U32(uint32(g.steps*64)), pb2)
	}
	DECQ(count)
	JNZ(LabelRef("inner"))
	ADDQ(aStride, pa)
	TESTQ(rest, rest)
	JNZ(LabelRef("block"))
	store(c, pc2)
	ADDQ(U32(uint32(g.mr*g.aRow)), a)
	ADDQ(U32(uint32(g.mr*g.cRow)), c)
	XORQ(ahead, ahead)
	DECQ(tiles)
	JNZ(LabelRef("tile"))
}

func gemmAVX512(mr, nr int) {
	acc := func(p, j int) VecPhysical { return zmm[p*nr+j] }
	bs := func(j int) VecPhysical { return zmm[28+j] }
	each := func(f func(p, j int)) {
		for p := range mr {
			for j := range nr {
				f(p, j)
			}
		}
	}
	pick := func(j int, c, c2 Register) Register {
		if j == 0 {
			return c
		}
		return c2
	}
	gemmLoops(gemmShape{fmt.Sprintf("gemmAVX512x%dx%d", mr, nr), gemmArgs, mr, nr, 64, 64, 4},
		func() { each(func(p, j int) { VPXORD(acc(p, j), acc(p, j), acc(p, j)) }) },
		func(u int, a, b, b2 Register) {
			for j := range nr {
				VMOVUPS(Mem{Base: pick(j, b, b2), Disp: u * 64}, bs(j))
			}
			for p := range mr {
				if nr == 1 {
					VFMADD231PS_BCST(Mem{Base: a, Disp: p*64 + u*4}, bs(0), acc(p, 0))
					continue
				}
				x := zmm[30+p%2]
				VBROADCASTSS(Mem{Base: a, Disp: p*64 + u*4}, x)
				for j := range nr {
					VFMADD231PS(x, bs(j), acc(p, j))
				}
			}
		},
		func(c, c2 Register) {
			each(func(p, j int) { VMOVUPS(Mem{Base: pick(j, c, c2), Disp: p * 64}, acc(p, j)) })
		},
		func(c, c2 Register) {
			each(func(p, j int) { VMOVUPS(acc(p, j), Mem{Base: pick(j, c, c2), Disp: p * 64}) })
		})
	VZEROUPPER()
	RET()
}

func gemmAVX2(mr int) {
	each := func(f func(p, half int)) {
		for p := range mr {
			for half := range 2 {
				f(p, half)
			}
		}
	}
	acc := func(p, half int) VecPhysical { return ymm[p*2+half] }
	gemmLoops(gemmShape{fmt.Sprintf("gemmAVX2x%d", mr), gemmArgs, mr, 1, 64, 64, 4},
		func() { each(func(p, h int) { VXORPS(acc(p, h), acc(p, h), acc(p, h)) }) },
		func(u int, a, b, _ Register) {
			VMOVUPS(Mem{Base: b, Disp: u * 64}, ymm[12])
			VMOVUPS(Mem{Base: b, Disp: u*64 + 32}, ymm[13])
			for p := range mr {
				x := ymm[14+p%2]
				VBROADCASTSS(Mem{Base: a, Disp: p*64 + u*4}, x)
				VFMADD231PS(x, ymm[12], acc(p, 0))
				VFMADD231PS(x, ymm[13], acc(p, 1))
			}
		},
		func(c, _ Register) {
			each(func(p, h int) { VMOVUPS(Mem{Base: c, Disp: p*64 + h*32}, acc(p, h)) })
		},
		func(c, _ Register) {
			each(func(p, h int) { VMOVUPS(acc(p, h), Mem{Base: c, Disp: p*64 + h*32}) })
		})
	VZEROUPPER()
	RET()
}

const outerArgs = "(a *float32, z *float32, zStride int, rows int, c *float32, cStride int, add int)"

// outerLoops emits c[16][16*nr] (+)= sum over rows of outer products, group rows of c at a time.
func outerLoops(name string, group, nr int, zero func(), step func(a Register, z []Register), finish func(add bool, c []Register)) {
	TEXT(name, NOSPLIT, "func"+outerArgs)
	Pragma("noescape")
	a := Load(Param("a"), GP64())
	zs, cs := []Register{Load(Param("z"), GP64())}, []Register{Load(Param("c"), GP64())}
	zStride, cStride := Load(Param("zStride"), GP64()), Load(Param("cStride"), GP64())
	for j := 1; j < nr; j++ {
		zn, cn := GP64(), GP64()
		LEAQ(Mem{Base: zs[j-1], Index: zStride, Scale: 1}, zn)
		LEAQ(Mem{Base: cs[j-1], Index: cStride, Scale: 1}, cn)
		zs, cs = append(zs, zn), append(cs, cn)
	}
	rows := Load(Param("rows"), GP64())
	add := Load(Param("add"), GP64())
	groups, pa, count, at := GP64(), GP64(), GP64(), GP64()
	MOVQ(U32(uint32(16/group)), groups)
	Label("group")
	MOVQ(a, pa)
	MOVQ(rows, count)
	XORQ(at, at)
	zero()
	Label("row")
	step(pa, append([]Register{at}, zs...))
	ADDQ(Imm(64), pa)
	ADDQ(Imm(64), at)
	DECQ(count)
	JNZ(LabelRef("row"))
	TESTQ(add, add)
	JZ(LabelRef("store"))
	finish(true, cs)
	JMP(LabelRef("next"))
	Label("store")
	finish(false, cs)
	Label("next")
	ADDQ(Imm(uint64(group*4)), a)
	for _, c := range cs {
		ADDQ(U32(uint32(group*64)), c)
	}
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

func outerAVX512(nr int) {
	outerWide(fmt.Sprintf("outerAVX512x%d", nr), nr, VBROADCASTSS, VFMADD231PS)
}

// outerWide emits an outer product on zmm registers; broadcast and multiply work on float32 or on pairs of bfloat16.
func outerWide(name string, nr int, broadcast func(...Op), multiply func(...Op)) {
	group := 8
	if nr == 1 {
		group = 16
	}
	acc := func(i, j int) VecPhysical { return zmm[i*nr+j] }
	each := func(f func(i, j int)) {
		for i := range group {
			for j := range nr {
				f(i, j)
			}
		}
	}
	outerLoops(name, group, nr,
		func() { each(func(i, j int) { VPXORD(acc(i, j), acc(i, j), acc(i, j)) }) },
		func(a Register, z []Register) {
			for j := range nr {
				VMOVUPS(Mem{Base: z[1+j], Index: z[0], Scale: 1}, zmm[24+j])
			}
			for i := range group {
				x := zmm[28+i%4]
				broadcast(Mem{Base: a, Disp: i * 4}, x)
				for j := range nr {
					multiply(x, zmm[24+j], acc(i, j))
				}
			}
		},
		func(add bool, c []Register) {
			each(func(i, j int) {
				m := Mem{Base: c[j], Disp: i * 64}
				if add {
					VADDPS(m, acc(i, j), acc(i, j))
				}
				VMOVUPS(acc(i, j), m)
			})
		})
}

func outerAVX2() {
	const group = 4
	acc := func(i, h int) VecPhysical { return ymm[i*2+h] }
	each := func(f func(i, h int)) {
		for i := range group {
			for h := range 2 {
				f(i, h)
			}
		}
	}
	outerLoops("outerAVX2x1", group, 1,
		func() { each(func(i, h int) { VXORPS(acc(i, h), acc(i, h), acc(i, h)) }) },
		func(a Register, z []Register) {
			for h := range 2 {
				VMOVUPS(Mem{Base: z[1], Index: z[0], Scale: 1, Disp: h * 32}, ymm[8+h])
			}
			for i := range group {
				x := ymm[10+i]
				VBROADCASTSS(Mem{Base: a, Disp: i * 4}, x)
				for h := range 2 {
					VFMADD231PS(x, ymm[8+h], acc(i, h))
				}
			}
		},
		func(add bool, c []Register) {
			each(func(i, h int) {
				m := Mem{Base: c[0], Disp: i*64 + h*32}
				if add {
					VADDPS(m, acc(i, h), acc(i, h))
				}
				VMOVUPS(acc(i, h), m)
			})
		})
}

var zmm = []VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

var ymm = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}
