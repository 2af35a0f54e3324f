// Command _asm writes the machine code of package inflate: the loop over literals and matches, for processors with
// BMI2.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Layout of the table entries, see tables.go.
const (
	litBits      = 12
	distBits     = 9
	litSize      = 1 << 13
	distSize     = 1 << 11
	codeShift    = 8
	codeMask     = 15
	literalShift = 12
	secondShift  = 20
	baseShift    = 12
	countShift   = 28
	flagLiteral  = 1 << 29
	flagSub      = 1 << 30
	flagStop     = 1 << 31
	flagAny      = 7 << 29
)

// What decode returns.
const (
	paused = iota
	ended
	corrupt
)

func main() {
	ConstraintExpr("amd64,!noasm")
	decode()
	Generate()
}

// decode is decodePortable, s a *stretch; of nbits only the lowest six bits mean anything.
func decode() {
	TEXT("decodeBMI2", NOSPLIT, "func(s *byte) int")
	Pragma("noescape")
	s := Load(Param("s"), GP64())
	field := func(i int) Mem { return Mem{Base: s, Disp: 8 * i} }
	load := func(i int) GPVirtual {
		r := GP64()
		MOVQ(field(i), r)
		return r
	}
	const (
		inField = iota
		outField
		litField
		distField
		posField
		stopField
		toField
		limitField
		validField
		bitsField
		nbitsField
	)
	in, stop := load(posField), load(stopField)
	out, limit, valid := load(toField), load(limitField), load(validField)
	for _, r := range []GPVirtual{in, stop} {
		ADDQ(field(inField), r)
	}
	for _, r := range []GPVirtual{out, limit, valid} {
		ADDQ(field(outField), r)
	}
	lit, dist, bits, nbits := load(litField), load(distField), load(bitsField), load(nbitsField)
	e, t, u, length := GP64(), GP64(), GP64(), GP64()

	bounds := func() {
		CMPQ(out, limit)
		JAE(LabelRef("pause"))
		CMPQ(in, stop)
		JHI(LabelRef("pause"))
	}
	refill := func() {
		MOVQ(Mem{Base: in}, t)
		SHLXQ(nbits, t, t)
		ORQ(t, bits)
		MOVL(nbits.As32(), u.As32())
		SHRL(Imm(3), u.As32())
		ANDL(Imm(7), u.As32())
		ADDQ(Imm(7), in)
		SUBQ(u, in)
		ORL(Imm(56), nbits.As32())
	}
	lookup := func(table GPVirtual, size int) {
		MOVL(bits.As32(), e.As32())
		ANDL(U32(1<<size-1), e.As32())
		MOVL(Mem{Base: table, Index: e, Scale: 4}, e.As32())
	}
	// secondary replaces an entry by the one it leads to, in another table.
	secondary := func(table GPVirtual, primary, entries int) {
		MOVQ(bits, t)
		SHRQ(U8(primary), t)
		MOVL(e.As32(), u.As32())
		SHRL(Imm(codeShift), u.As32())
		ANDL(Imm(codeMask), u.As32())
		BZHIQ(u, t, t)
		SHRL(Imm(literalShift), e.As32())
		ADDL(t.As32(), e.As32())
		ANDL(U32(entries-1), e.As32())
		MOVL(Mem{Base: table, Index: e, Scale: 4}, e.As32())
	}
	// extra is the value of an entry's extra bits.
	extra := func(value GPVirtual) {
		BZHIQ(e, bits, value)
		MOVL(e.As32(), t.As32())
		SHRL(Imm(codeShift), t.As32())
		ANDL(Imm(codeMask), t.As32())
		SHRXQ(t, value, value)
	}
	drop := func() {
		SHRXQ(e, bits, bits)
		SUBL(e.As32(), nbits.As32())
	}
	putLiterals := func() {
		MOVL(e.As32(), t.As32())
		SHRL(Imm(literalShift), t.As32())
		MOVW(t.As16(), Mem{Base: out})
	}
	count := func() {
		MOVL(e.As32(), t.As32())
		SHRL(Imm(countShift), t.As32())
		ANDL(Imm(1), t.As32())
		ADDQ(t, out)
	}

	Label("next")
	bounds()
	refill()
	lookup(lit, litBits)

	Label("entry")
	putLiterals()
	TESTL(U32(flagLiteral), e.As32())
	JZ(LabelRef("noLiteral"))
	count()
	INCQ(out)
	drop()
	lookup(lit, litBits) // which the bits that are left suffice for, while the refill is under way
	bounds()
	refill()
	JMP(LabelRef("entry"))

	Label("noLiteral")
	TESTL(U32(flagAny), e.As32())
	JNZ(LabelRef("special"))

	Label("match")
	count()
	extra(length)
	MOVL(e.As32(), u.As32())
	SHRL(Imm(secondShift), u.As32())
	MOVBLZX(u.As8(), u.As32())
	ADDQ(u, length) // less 3
	drop()
	lookup(dist, distBits)
	TESTL(U32(flagSub), e.As32())
	JNZ(LabelRef("longDistance"))

	Label("distance")
	back := u
	extra(back)
	MOVL(e.As32(), t.As32())
	SHRL(Imm(baseShift), t.As32())
	MOVWLZX(t.As16(), t.As32())
	ADDQ(t, back)
	drop()
	TESTL(e.As32(), e.As32())
	JS(LabelRef("damaged"))
	from := e
	MOVQ(out, from)
	SUBQ(back, from)
	CMPQ(from, valid)
	JB(LabelRef("damaged"))
	CMPQ(back, Imm(8))
	JB(LabelRef("near"))
	for _, at := range []int{0, 8} {
		MOVQ(Mem{Base: from, Disp: at}, t)
		MOVQ(t, Mem{Base: out, Disp: at})
	}
	CMPQ(length, Imm(16-3))
	JHI(LabelRef("long"))
	LEAQ(Mem{Base: out, Index: length, Scale: 1, Disp: 3}, out)
	JMP(LabelRef("next"))

	Label("long")
	end := length
	LEAQ(Mem{Base: out, Index: length, Scale: 1, Disp: 3}, end)
	ADDQ(Imm(16), out)
	ADDQ(Imm(16), from)
	Label("words")
	MOVQ(Mem{Base: from}, t)
	MOVQ(t, Mem{Base: out})
	ADDQ(Imm(8), out)
	ADDQ(Imm(8), from)
	CMPQ(out, end)
	JB(LabelRef("words"))
	MOVQ(end, out)
	JMP(LabelRef("next"))

	Label("near")
	LEAQ(Mem{Base: out, Index: length, Scale: 1, Disp: 3}, end)
	Label("bytes")
	MOVB(Mem{Base: from}, t.As8())
	MOVB(t.As8(), Mem{Base: out})
	INCQ(out)
	INCQ(from)
	CMPQ(out, end)
	JB(LabelRef("bytes"))
	JMP(LabelRef("next"))

	Label("longDistance")
	secondary(dist, distBits, distSize)
	JMP(LabelRef("distance"))

	Label("special")
	TESTL(U32(flagSub), e.As32())
	JZ(LabelRef("stop"))
	secondary(lit, litBits, litSize)
	MOVL(e.As32(), t.As32())
	SHRL(Imm(literalShift), t.As32())
	MOVB(t.As8(), Mem{Base: out})
	TESTL(U32(flagAny), e.As32())
	JZ(LabelRef("match"))
	TESTL(U32(flagLiteral), e.As32())
	JZ(LabelRef("stop"))
	INCQ(out)
	drop()
	JMP(LabelRef("next"))

	status := length
	Label("stop") // the end of the block, or no code
	drop()
	SHRL(Imm(literalShift), e.As32())
	ANDL(Imm(1), e.As32())
	LEAQ(Mem{Base: e, Disp: ended}, status)
	JMP(LabelRef("leave"))

	Label("damaged")
	MOVL(U32(corrupt), status.As32())
	JMP(LabelRef("leave"))

	Label("pause")
	XORL(status.As32(), status.As32())

	Label("leave")
	Load(Param("s"), s)
	SUBQ(field(inField), in)
	SUBQ(field(outField), out)
	ANDL(Imm(63), nbits.As32())
	MOVQ(in, field(posField))
	MOVQ(out, field(toField))
	MOVQ(bits, field(bitsField))
	MOVQ(nbits, field(nbitsField))
	Store(status, ReturnIndex(0))
	RET()
}
