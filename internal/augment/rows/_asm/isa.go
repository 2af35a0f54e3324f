package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set: kernels are written once for both.
type isa struct {
	name  string
	lanes int // float32 values in a register
}

var (
	avx2   = isa{"AVX2", 8}
	avx512 = isa{"AVX512", 16}
)

// bytes is the size of a register.
func (v isa) bytes() int { return 4 * v.lanes }

func (v isa) reg() VecVirtual {
	if v.lanes == 16 {
		return ZMM()
	}
	return YMM()
}

func (v isa) regs(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = v.reg()
	}
	return r
}

// function begins a kernel for this instruction set.
func (v isa) function(name, signature string) {
	TEXT(name+v.name, NOSPLIT, "func"+signature)
	Pragma("noescape")
}

func (v isa) zero(r Register) {
	if v.lanes == 16 {
		VPXORD(r, r, r)
		return
	}
	VXORPS(r, r, r)
}

// tail prepares access to the last n values of a row, 0 < n < lanes.
type tail struct {
	v    isa
	mask Register
}

// masks of AVX2's tails lie in a table of lanes ones and as many zeros.
var tailTable Mem

func (v isa) tail(n Register) tail {
	if v.lanes == 16 {
		k, one := K(), GP64()
		// (1 << n) - 1
		MOVQ(U64(math.MaxUint64), one)
		BZHIQ(n, one, one)
		KMOVW(one.As32(), k)
		return tail{v, k}
	}
	if tailTable.Symbol.Name == "" {
		tailTable = GLOBL("tailMasks", RODATA|NOPTR)
		for i := range 16 {
			value := U32(0)
			if i < 8 {
				value = math.MaxUint32
			}
			DATA(4*i, value)
		}
	}
	base, mask := GP64(), YMM()
	LEAQ(tailTable.Offset(32), base)
	negative := GP64()
	MOVQ(n, negative)
	NEGQ(negative)
	VMOVDQU(Mem{Base: base, Index: negative, Scale: 4}, mask)
	return tail{v, mask}
}

// load reads the values and zeros.
func (t tail) load(m Mem, r Register) {
	if t.v.lanes == 16 {
		VMOVUPS_Z(m, t.mask, r)
		return
	}
	VMASKMOVPS(m, t.mask, r)
}

func (t tail) store(r Register, m Mem) {
	if t.v.lanes == 16 {
		VMOVUPS(r, t.mask, m)
		return
	}
	VMASKMOVPS(r, t.mask, m)
}

var constants = map[uint32]Mem{}

// constant returns a register that holds a value in all lanes.
func (v isa) constant(value float32) VecVirtual { return v.bits(math.Float32bits(value)) }

func (v isa) bits(bits uint32) VecVirtual {
	r := v.reg()
	VBROADCASTSS(word(bits), r)
	return r
}

// with emits op with a constant as its first operand: from memory where the instruction can spread it by itself, else
// from a register.
func (v isa) with(bits uint32, op, spread func(...Op), operands ...Op) {
	if v.lanes == 16 {
		spread(append([]Op{word(bits)}, operands...)...)
		return
	}
	op(append([]Op{v.bits(bits)}, operands...)...)
}

// word returns a 32-bit word of read-only memory.
func word(bits uint32) Mem {
	m, ok := constants[bits]
	if !ok {
		m = GLOBL(fmt.Sprintf("word%08x", bits), RODATA|NOPTR)
		DATA(0, U32(bits))
		constants[bits] = m
	}
	return m
}

// argument broadcasts a float32 parameter.
func (v isa) argument(name string) VecVirtual {
	addr, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.reg()
	VBROADCASTSS(addr.Addr, r)
	return r
}

// loop runs body for as many whole groups of vectors as n holds, then single vectors; n keeps what is left, < lanes.
// body advances its pointers itself.
func (v isa) loop(n Register, group int, body func(vectors int)) {
	for _, vectors := range []int{group, 1} {
		values := vectors * v.lanes
		again, done := label("vectors"), label("vectorsEnd")
		Label(again)
		CMPQ(n, U32(uint32(values)))
		JL(LabelRef(done))
		body(vectors)
		SUBQ(U32(uint32(values)), n)
		JMP(LabelRef(again))
		Label(done)
		if group == 1 {
			break
		}
	}
}

// rest runs body for the values that loop left over, if any.
func (v isa) rest(n Register, body func(t tail)) {
	done := label("rest")
	TESTQ(n, n)
	JZ(LabelRef(done))
	body(v.tail(n))
	Label(done)
}

var labels int

func label(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

func pointer(name string) Register { return Load(Param(name), GP64()) }

// finish clears the upper halves of the registers, which SSE code after it would stumble over, and returns.
func finish() {
	VZEROUPPER()
	RET()
}
