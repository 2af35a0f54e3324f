package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The instructions of AVX512_BF16 that Go's assembler and avo do not know, on registers only. Operands follow Go's
// order, the result last.

// evex emits an instruction of 512 bits on registers from the opcode map 0F38, with W = 0. prefix is 2 for F3 and 3 for
// F2; second is the register that VEX has encoded as vvvv, nil without.
func evex(prefix, opcode uint32, first, second, result VecPhysical) {
	low := func(r VecPhysical) uint32 { return uint32(r.PhysicalIndex()) & 7 }
	// bit n of the number of a register, inverted
	not := func(r VecPhysical, n int) uint32 {
		if r == nil {
			return 1
		}
		return ^uint32(r.PhysicalIndex()) >> n & 1
	}
	p0 := not(result, 3)<<7 | not(first, 4)<<6 | not(first, 3)<<5 | not(result, 4)<<4 | 2
	p1 := not(second, 3)<<6 | not(second, 2)<<5 | not(second, 1)<<4 | not(second, 0)<<3 | 1<<2 | prefix
	p2 := uint32(2<<5) | not(second, 4)<<3
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(0x62 | p0<<8 | p1<<16 | p2<<24)}})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(opcode | (0xc0|low(result)<<3|low(first))<<8)}})
}

// dotPairs emits VDPBF16PS: sum[i] += x[2i+1]*y[2i+1] + x[2i]*y[2i] for 16 pairs of bfloat16.
func dotPairs(x, y, sum VecPhysical) { evex(2, 0x52, x, y, sum) }

// round emits VCVTNEPS2BF16: 16 float32 to the 16 bfloat16 of the lower half of a register.
func round(x, result VecPhysical) { evex(2, 0x72, x, nil, result) }

// roundTwo emits VCVTNE2PS2BF16: the float32 of low to the lower half of a register, those of high to the upper.
func roundTwo(high, low, result VecPhysical) { evex(3, 0x72, low, high, result) }

// loadHalf widens the 16 bfloat16 at m.
func loadHalf(m Mem, v VecPhysical) {
	VPMOVZXWD(m, v)
	VPSLLD(Imm(16), v, v)
}

// storeHalf rounds v, which is lost, to the 16 bfloat16 at m.
func storeHalf(v VecPhysical, m Mem) {
	round(v, v)
	VMOVDQU16(v.AsY(), m)
}

var pairLanes *Mem

// loadPairLanes loads the permutation that turns two rows of 16 words into pairs of them.
func loadPairLanes(v VecPhysical) {
	if pairLanes == nil {
		m := GLOBL("pairLanes", RODATA|NOPTR)
		for i := range 32 {
			DATA(2*i, U16(i/2+i%2*16))
		}
		pairLanes = &m
	}
	VMOVDQU16(*pairLanes, v)
}
