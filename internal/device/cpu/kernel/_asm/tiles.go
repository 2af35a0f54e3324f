package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The instructions of AMX, which Go's assembler and avo do not know: bytes, with VEX prefixes.

// vex emits an instruction of opcode map 0F38 with VEX.128 and W = 0. prefix is 0, 1 for 66, 2 for F3 and 3 for F2;
// high are the fourth bits of ModRM's reg, of the index and of the base or ModRM's rm; second is VEX.vvvv.
func vex(prefix, opcode uint8, reg, index, base bool, second int, rest ...uint8) {
	not := func(b bool, shift int) uint8 {
		if b {
			return 0
		}
		return 1 << shift
	}
	bytes := append([]uint8{0xc4, not(reg, 7) | not(index, 6) | not(base, 5) | 2, ^uint8(second)&15<<3 | prefix, opcode}, rest...)
	for _, b := range bytes {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(b)}})
	}
}

// number returns the number of a register of 64 bits as the processor counts them.
func number(r GPPhysical) uint8 { return uint8(r.PhysicalIndex()) }

// tileMemory emits a load or store of a tile whose rows lie stride bytes apart from base.
func tileMemory(prefix uint8, tile int, base, stride GPPhysical) {
	b, s := number(base), number(stride)
	if b&7 == 5 {
		panic("a base that needs a displacement")
	}
	vex(prefix, 0x4b, false, s > 7, b > 7, 0, uint8(tile)<<3|4, s&7<<3|b&7)
}

func tileLoad(tile int, base, stride GPPhysical)  { tileMemory(3, tile, base, stride) }
func tileStore(tile int, base, stride GPPhysical) { tileMemory(2, tile, base, stride) }
func tileZero(tile int)                           { vex(3, 0x49, false, false, false, 0, 0xc0|uint8(tile)<<3) }
func tileRelease()                                { vex(0, 0x49, false, false, false, 0, 0xc0) }

// tileDot emits TDPBF16PS: sum[m][n] += the sum over k of a[m][k] * b[k/2][n][k%2].
func tileDot(sum, a, b int) { vex(2, 0x5c, false, false, false, b, 0xc0|uint8(sum)<<3|uint8(a)) }

// tileStep emits a step of the products of m first factors and n second ones, one or two of each: load(tile) loads the
// first ones, 4 and 5, and the second ones, 6 and 7; the products are added to the tiles 0 to 3.
func tileStep(m, n int, load func(tile int)) {
	load(4)
	load(6)
	tileDot(0, 4, 6)
	if n == 2 {
		load(7)
		tileDot(1, 4, 7)
	}
	if m == 2 {
		load(5)
		tileDot(2, 5, 6)
		if n == 2 {
			tileDot(3, 5, 7)
		}
	}
}

var tileShapes *Mem

// tileConfigure emits LDTILECFG: all tiles have 16 rows of 64 bytes. It changes a register.
func tileConfigure(r GPPhysical) {
	if tileShapes == nil {
		m := GLOBL("tileShapes", RODATA|NOPTR)
		DATA(0, U64(1))
		DATA(8, U64(0))
		for i := range 4 {
			DATA(16+8*i, U64(uint64(0x0040004000400040)*uint64(1-i/2)))
		}
		DATA(48, U64(0x1010101010101010))
		DATA(56, U64(0))
		tileShapes = &m
	}
	LEAQ(*tileShapes, r)
	vex(0, 0x49, false, false, number(r) > 7, 0, number(r)&7)
}

// tileKernels emits the kernels on tiles. Tiles 0 to 3 are results, 4 and 5 first factors, 6 and 7 second ones.
func tileKernels() {
	for nr := 1; nr <= 2; nr++ {
		tileProduct(nr)
	}
	for nz := 1; nz <= 2; nz++ {
		tileOuter(nz)
	}
	gatherRows()
	packTurned()
	splitPhases()
}

// quadLanes returns a permutation of the 8 quadwords of two registers, which it lists in pairs.
func quadLanes(name string, pairs ...uint64) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, p := range pairs {
		DATA(16*i, U64(2*p))
		DATA(16*i+8, U64(2*p+1))
	}
	return m
}

// turnLanes turns, in every quarter of the registers 0 to 7, 8 rows of 4 values of 32 bits: register 16+k gets value
// k of the first four rows, register 20+k that of the others.
func turnLanes() {
	for half := 0; half < 8; half += 4 {
		z, t, u := half, 8+half, 16+half
		for i := 0; i < 4; i += 2 {
			VPUNPCKLDQ(zmm[z+i+1], zmm[z+i], zmm[t+i])
			VPUNPCKHDQ(zmm[z+i+1], zmm[z+i], zmm[t+i+1])
		}
		for i := range 2 {
			VPUNPCKLQDQ(zmm[t+2+i], zmm[t+i], zmm[u+2*i])
			VPUNPCKHQDQ(zmm[t+2+i], zmm[t+i], zmm[u+2*i+1])
		}
	}
}

// packTurned emits the rounding of a 16x16 matrix to pairs of the transposed matrix's rows.
func packTurned() {
	even, odd := quadLanes("evenLanes", 0, 4, 2, 6), quadLanes("oddLanes", 1, 5, 3, 7)
	TEXT("packTurnedAVX512", NOSPLIT, "func(dst, src *float32)")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	VMOVDQU64(even, zmm[30])
	VMOVDQU64(odd, zmm[31])
	for i := range 8 {
		VMOVUPS(Mem{Base: src, Disp: 64 * i}, zmm[8+i%2])
		VMOVUPS(Mem{Base: src, Disp: 64 * (i + 8)}, zmm[10+i%2])
		roundTwo(zmm[10+i%2], zmm[8+i%2], zmm[i])
	}
	turnLanes()
	for k := range 4 {
		VMOVDQA64(zmm[16+k], zmm[k])
		VPERMT2Q(zmm[20+k], zmm[30], zmm[k])
		VMOVDQU64(zmm[k], Mem{Base: dst, Disp: 64 * k})
		VPERMT2Q(zmm[20+k], zmm[31], zmm[16+k])
		VMOVDQU64(zmm[16+k], Mem{Base: dst, Disp: 64 * (4 + k)})
	}
	VZEROUPPER()
	RET()
}

// splitPhases emits the rounding of 8 rows of pairs to voxels of 8 pairs, 16 voxels at a time.
func splitPhases() {
	low, high := quadLanes("lowLanes", 0, 4, 1, 5), quadLanes("highLanes", 2, 6, 3, 7)
	TEXT("splitPhasesAVX512", NOSPLIT, "func(dst *float32, src *[8]*float32, groups int)")
	Pragma("noescape")
	dst, src, groups := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("groups"), GP64())
	VMOVDQU64(low, zmm[30])
	VMOVDQU64(high, zmm[31])
	offset, row := GP64(), GP64()
	XORQ(offset, offset)
	Label("group")
	for i := range 8 {
		MOVQ(Mem{Base: src, Disp: 8 * i}, row)
		VMOVUPS(Mem{Base: row, Index: offset, Scale: 1}, zmm[8+i%2])
		VMOVUPS(Mem{Base: row, Index: offset, Scale: 1, Disp: 64}, zmm[10+i%2])
		roundTwo(zmm[10+i%2], zmm[8+i%2], zmm[i])
	}
	turnLanes()
	for k := range 4 {
		VMOVDQA64(zmm[16+k], zmm[k])
		VPERMT2Q(zmm[20+k], zmm[30], zmm[k])
		VPERMT2Q(zmm[20+k], zmm[31], zmm[16+k])
		for l, z := range []VecPhysical{zmm[k], zmm[16+k]} {
			VMOVDQU64(z.AsY(), Mem{Base: dst, Disp: 32 * (8*l + k)})
			VEXTRACTI64X4(Imm(1), z, Mem{Base: dst, Disp: 32 * (8*l + 4 + k)})
		}
	}
	ADDQ(U32(128), offset)
	ADDQ(U32(512), dst)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// ahead is how far in bytes weights are fetched ahead of their use.
const ahead = 8 << 10

// tileProduct emits the product of two tiles of rows at a time by nr blocks of columns.
func tileProduct(nr int) {
	TEXT(fmt.Sprintf("tileProductAMX%d", nr), NOSPLIT, "func(a *float32, starts *int, tiles int, offsets *int, steps int, together int, b *float32, bStride int, c *float32, cStride int, rows *int, bias *float32, add int, relu int, sums *float32, sumsStride int)")
	Pragma("noescape")
	starts, tiles, stride := R9, R10, R13
	a0, a1, offset, cursor, count, b0, b1 := RAX, RBX, R12, RCX, RDX, RSI, RDI
	sum, rows, c, c2, sums, fetch := R11, R15, R8, RSI, R14, R8
	// Of the steps done together now: where their offsets and weights begin, how many they are and how many come behind.
	// soon are weights that long products fetch meanwhile: those of the steps that follow or of the next blocks.
	locals := AllocLocal(40)
	local := func(i int) Mem { return locals.Offset(8 * i) }
	const firstOffset, firstB, now, left, soon = 0, 1, 2, 3, 4
	tileConfigure(RAX)
	MOVQ(U32(64), stride)
	VPXORD(zmm[28], zmm[28], zmm[28])
	VPXORD(zmm[29], zmm[29], zmm[29])
	Load(Param("bias"), RAX)
	TESTQ(RAX, RAX)
	JZ(LabelRef("unbiased"))
	for j := range nr {
		VMOVUPS(Mem{Base: RAX, Disp: 64 * j}, zmm[28+j])
	}
	Label("unbiased")
	VPXORD(zmm[30], zmm[30], zmm[30])
	Load(Param("relu"), RAX)
	TESTQ(RAX, RAX)
	JNZ(LabelRef("rectified"))
	MOVQ(U32(0xff800000), RAX) // -Inf
	VPBROADCASTD(EAX, zmm[30])
	Label("rectified")
	for i, name := range []string{firstOffset: "offsets", firstB: "b", left: "steps"} {
		if name != "" {
			Load(Param(name), RAX)
			MOVQ(RAX, local(i))
		}
	}

	// results emits f for the results of one or two tiles of rows, those of a block of columns behind one another.
	results := func(mr int, f func(tile int, at Mem)) {
		for j := range nr {
			for i := range mr {
				f(2*i+j, Mem{Base: sums, Disp: 2048*j + 1024*i})
			}
		}
	}
	load := func(tile int, at Mem) {
		LEAQ(at, R11)
		tileLoad(tile, R11, stride)
	}
	store := func(tile int, at Mem) {
		LEAQ(at, R11)
		tileStore(tile, R11, stride)
	}
	zero := func(tile int, _ Mem) { tileZero(tile) }

	// body emits the steps over one or two tiles of rows. As a result is stored, that of the next tiles takes its place.
	body := func(mr int, name string, prefetch bool) {
		Load(Param("a"), offset)
		MOVQ(Mem{Base: starts}, a0)
		ADDQ(offset, a0)
		if mr == 2 {
			MOVQ(Mem{Base: starts, Disp: 8}, a1)
			ADDQ(offset, a1)
		}
		MOVQ(local(firstOffset), cursor)
		MOVQ(local(now), count)
		MOVQ(local(firstB), b0)
		if nr == 2 {
			Load(Param("bStride"), b1)
			ADDQ(b0, b1)
		}
		MOVQ(local(soon), fetch)
		Label(name)
		MOVQ(Mem{Base: cursor}, offset)
		for l := range 2 {
			PREFETCHT1(Mem{Base: fetch, Disp: 64 * l})
		}
		if nr == 2 {
			MOVQ(b1, R11)
			SUBQ(b0, R11)
			for l := range 2 {
				PREFETCHT1(Mem{Base: fetch, Index: R11, Scale: 1, Disp: 64 * l})
			}
		}
		if prefetch {
			for l := range 16 {
				PREFETCHT0(Mem{Base: b0, Disp: ahead + 64*l})
				if nr == 2 {
					PREFETCHT0(Mem{Base: b1, Disp: ahead + 64*l})
				}
			}
		}
		tileStep(mr, nr, func(tile int) {
			if tile < 6 {
				LEAQ(Mem{Base: []Register{a0, a1}[tile-4], Index: offset, Scale: 1}, R11)
				tileLoad(tile, R11, stride)
			} else {
				tileLoad(tile, []GPPhysical{b0, b1}[tile-6], stride)
			}
		})
		ADDQ(Imm(8), cursor)
		SUBQ(I8(-128), fetch)
		ADDQ(U32(1024), b0)
		if nr == 2 {
			ADDQ(U32(1024), b1)
		}
		DECQ(count)
		JNZ(LabelRef(name))
		MOVQ(fetch, local(soon))
		Load(Param("offsets"), RAX)
		CMPQ(RAX, local(firstOffset))
		JNE(LabelRef(name + "_on"))
		results(mr, func(tile int, at Mem) {
			store(tile, at)
			tileZero(tile)
		})
		JMP(LabelRef(name + "_end"))
		Label(name + "_on")
		MOVQ(sums, R12)
		ADDQ(paramMem("sumsStride"), R12)
		results(2, func(tile int, at Mem) {
			if tile < 2*mr {
				store(tile, at)
			}
			at.Base = R12
			load(tile, at)
		})
		Label(name + "_end")
		ADDQ(Imm(uint64(8*mr)), starts)
		SUBQ(Imm(uint64(mr)), tiles)
		MOVQ(U32(uint32(4*mr)), count)
	}
	results(2, zero)
	Label("block")
	MOVQ(local(left), RAX)
	Load(Param("together"), RCX)
	CMPQ(RAX, RCX)
	CMOVQLT(RAX, RCX)
	SUBQ(RCX, RAX)
	MOVQ(RAX, local(left))
	MOVQ(RCX, local(now))
	SHLQ(Imm(10), RCX)
	ADDQ(local(firstB), RCX)
	if nr == 2 {
		MOVQ(RCX, RBX)
		ADDQ(paramMem("bStride"), RBX)
		TESTQ(RAX, RAX)
		CMOVQEQ(RBX, RCX)
	}
	CMPQ(paramMem("sumsStride"), Imm(0))
	CMOVQEQ(local(firstB), RCX)
	MOVQ(RCX, local(soon))
	Load(Param("starts"), starts)
	Load(Param("tiles"), tiles)
	Load(Param("rows"), rows)
	Load(Param("sums"), sums)
	// The first tiles of rows meet weights that may come from memory.
	CMPQ(tiles, Imm(2))
	JL(LabelRef("one"))
	body(2, "first_step", true)
	JMP(LabelRef("stored"))
	Label("next")
	CMPQ(tiles, Imm(2))
	JL(LabelRef("one"))
	body(2, "two_step", false)
	JMP(LabelRef("stored"))
	Label("one")
	body(1, "one_step", true)

	Label("stored")
	MOVQ(sums, sum)
	ADDQ(paramMem("sumsStride"), sums)
	CMPQ(local(left), Imm(0))
	JNE(LabelRef("rows_end"))
	Load(Param("c"), c)
	if nr == 2 {
		Load(Param("cStride"), c2)
		ADDQ(c, c2)
	}
	at := func(j int) Mem { return Mem{Base: []Register{c, c2}[j], Index: offset, Scale: 1} }
	rowsLoop := func(name string, add bool) {
		Label(name)
		for m := range 4 {
			MOVQ(Mem{Base: rows, Disp: 8 * m}, offset)
			TESTQ(offset, offset)
			JS(LabelRef(fmt.Sprintf("%s_%d", name, m)))
			for j := range nr {
				VADDPS(Mem{Base: sum, Disp: 2048*j + 64*m}, zmm[28+j], zmm[j])
				if add {
					loadHalf(at(j), zmm[2+j])
					VADDPS(zmm[2+j], zmm[j], zmm[j])
				}
				VMAXPS(zmm[j], zmm[30], zmm[j]) // Intel's last operand wins when one is not a number
				storeHalf(zmm[j], at(j))
			}
			Label(fmt.Sprintf("%s_%d", name, m))
		}
		ADDQ(Imm(32), rows)
		ADDQ(U32(256), sum)
		DECQ(count)
		JNZ(LabelRef(name))
	}
	Load(Param("add"), RAX)
	TESTQ(RAX, RAX)
	JNZ(LabelRef("added"))
	rowsLoop("plain", false)
	JMP(LabelRef("rows_end"))
	rowsLoop("added", true)
	Label("rows_end")
	TESTQ(tiles, tiles)
	JNZ(LabelRef("next"))
	CMPQ(local(left), Imm(0))
	JE(LabelRef("done"))
	// The steps that follow add to the sums.
	Load(Param("sums"), sums)
	results(2, load)
	MOVQ(local(now), RAX)
	LEAQ(Mem{Base: RAX, Index: RAX, Scale: 1}, RCX)
	SHLQ(Imm(3), RAX)
	ADDQ(RAX, local(firstOffset))
	SHLQ(Imm(9), RCX)
	ADDQ(RCX, local(firstB))
	JMP(LabelRef("block"))
	Label("done")
	tileRelease()
	VZEROUPPER()
	RET()
}

// tileOuter emits the products of nz blocks of z by two blocks of x at a time, summed over rows.
func tileOuter(nz int) {
	TEXT(fmt.Sprintf("tileOuterAMX%d", nz), NOSPLIT, "func(z *float32, zStride int, x *float32, starts *int, steps int, offsets *int, halves int, c *float32, cStride int, add int)")
	Pragma("noescape")
	offsets, halves, stride, c := R9, R10, R13, R8
	z0, z1, x0, x1, cursor, count, offset := RAX, RBX, RSI, RDI, RCX, RDX, R12
	tileConfigure(RAX)
	Load(Param("offsets"), offsets)
	Load(Param("halves"), halves)
	Load(Param("c"), c)
	MOVQ(U32(64), stride)
	results := func(nx int, f func(tile int, at GPPhysical, stride GPPhysical)) {
		Load(Param("cStride"), R15)
		ADDQ(c, R15)
		for o := range nz {
			for h := range nx {
				LEAQ(Mem{Base: []Register{c, R15}[o], Disp: 1024 * h}, R11)
				f(2*o+h, R11, stride)
			}
		}
	}
	body := func(nx int, name string) {
		Load(Param("x"), offset)
		MOVQ(Mem{Base: offsets}, x0)
		ADDQ(offset, x0)
		if nx == 2 {
			MOVQ(Mem{Base: offsets, Disp: 8}, x1)
			ADDQ(offset, x1)
		}
		for o := range nz {
			for h := range nx {
				tileZero(2*o + h)
			}
		}
		Load(Param("add"), RAX)
		TESTQ(RAX, RAX)
		JZ(LabelRef(name + "_zero"))
		results(nx, tileLoad)
		Label(name + "_zero")
		Load(Param("z"), z0)
		if nz == 2 {
			Load(Param("zStride"), z1)
			ADDQ(z0, z1)
		}
		Load(Param("starts"), cursor)
		Load(Param("steps"), count)
		Label(name)
		MOVQ(Mem{Base: cursor}, offset)
		tileStep(nz, nx, func(tile int) {
			if tile < 6 {
				tileLoad(tile, []GPPhysical{z0, z1}[tile-4], stride)
			} else {
				LEAQ(Mem{Base: []Register{x0, x1}[tile-6], Index: offset, Scale: 1}, R11)
				tileLoad(tile, R11, stride)
			}
		})
		ADDQ(Imm(8), cursor)
		ADDQ(U32(1024), z0)
		if nz == 2 {
			ADDQ(U32(1024), z1)
		}
		DECQ(count)
		JNZ(LabelRef(name))
		results(nx, tileStore)
		ADDQ(U32(uint32(8*nx)), offsets)
		ADDQ(U32(uint32(1024*nx)), c)
		SUBQ(Imm(uint64(nx)), halves)
	}
	Label("next")
	CMPQ(halves, Imm(2))
	JL(LabelRef("one"))
	body(2, "two_step")
	JMP(LabelRef("next"))
	Label("one")
	TESTQ(halves, halves)
	JZ(LabelRef("done"))
	body(1, "one_step")
	Label("done")
	tileRelease()
	RET()
}

// gatherRows emits the copies of rows of 32 bytes into a box with zeros around them.
func gatherRows() {
	TEXT("gatherRowsAVX512", NOSPLIT, "func(dst, src *float32, box *[12]int)")
	Pragma("noescape")
	dst, src, box := R8, R9, R10
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("box"), box)
	field := func(i int) Mem { return Mem{Base: box, Disp: 8 * i} }
	const planes, dstPlane, srcPlane, top, lines, bottom, srcLine, lead, count, trail, dstRow, partner = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	to, from, n, line, left, step, line0 := RAX, RBX, RCX, RDX, RSI, RDI, R11
	VPXORD(zmm[0], zmm[0], zmm[0])
	MOVQ(field(dstRow), step)
	MOVQ(field(planes), left)
	second := R12
	loops := func(pairs bool, suffix string) {
		row := func(copies bool) {
			switch {
			case copies && pairs:
				VMOVDQU(Mem{Base: from}, zmm[1].AsY())
				VINSERTI64X4(Imm(1), Mem{Base: from, Index: second, Scale: 1}, zmm[1], zmm[1])
				VMOVDQU64(zmm[1], Mem{Base: to})
			case copies:
				VMOVDQU(Mem{Base: from}, zmm[1].AsY())
				VMOVDQU(zmm[1].AsY(), Mem{Base: to})
			case pairs:
				VMOVDQU64(zmm[0], Mem{Base: to})
			default:
				VMOVDQU(zmm[0].AsY(), Mem{Base: to})
			}
			if copies {
				ADDQ(Imm(32), from)
			}
			ADDQ(step, to)
		}
		rows := func(size int, name string, copies bool) {
			name += suffix
			MOVQ(field(size), n)
			SUBQ(Imm(2), n)
			JL(LabelRef(name + "_last"))
			Label(name)
			row(copies)
			row(copies)
			SUBQ(Imm(2), n)
			JGE(LabelRef(name))
			Label(name + "_last")
			CMPQ(n, I8(-1))
			JNE(LabelRef(name + "_end"))
			row(copies)
			Label(name + "_end")
		}
		Label("plane" + suffix)
		TESTQ(left, left)
		JZ(LabelRef("done"))
		MOVQ(dst, to)
		MOVQ(src, line0)
		rows(top, "top", false)
		MOVQ(field(lines), line)
		TESTQ(line, line)
		JZ(LabelRef("lines_end" + suffix))
		Label("line" + suffix)
		MOVQ(line0, from)
		rows(lead, "lead", false)
		rows(count, "copy", true)
		rows(trail, "trail", false)
		ADDQ(field(srcLine), line0)
		DECQ(line)
		JNZ(LabelRef("line" + suffix))
		Label("lines_end" + suffix)
		rows(bottom, "bottom", false)
		ADDQ(field(dstPlane), dst)
		ADDQ(field(srcPlane), src)
		DECQ(left)
		JMP(LabelRef("plane" + suffix))
	}
	MOVQ(field(partner), second)
	TESTQ(second, second)
	JNZ(LabelRef("plane_pairs"))
	loops(false, "")
	loops(true, "_pairs")
	Label("done")
	VZEROUPPER()
	RET()
}
