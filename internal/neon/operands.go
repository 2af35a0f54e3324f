package neon

import "fmt"

// V is a vector register, by its number.
type V uint8

// Vec is a vector register with an arrangement of lanes.
type Vec struct {
	V
	full  bool // 128 bits, not 64
	width uint // log2 of a lane's bytes
}

// B16 is v as 16 bytes.
func (v V) B16() Vec { return Vec{v, true, 0} }

// B8 is the lower half of v as 8 bytes.
func (v V) B8() Vec { return Vec{v, false, 0} }

// H8 is v as 8 lanes of 16 bits.
func (v V) H8() Vec { return Vec{v, true, 1} }

// H4 is the lower half of v as 4 lanes of 16 bits.
func (v V) H4() Vec { return Vec{v, false, 1} }

// S4 is v as 4 lanes of 32 bits.
func (v V) S4() Vec { return Vec{v, true, 2} }

// S2 is the lower half of v as 2 lanes of 32 bits.
func (v V) S2() Vec { return Vec{v, false, 2} }

// D2 is v as 2 lanes of 64 bits.
func (v V) D2() Vec { return Vec{v, true, 3} }

func (v Vec) String() string {
	lanes := 8 >> v.width
	if v.full {
		lanes *= 2
	}
	return fmt.Sprintf("v%d.%d%c", uint8(v.V), lanes, "bhsd"[v.width])
}

// q is the bit of an encoding that says that all 128 bits take part.
func (v Vec) q() uint32 {
	if v.full {
		return 1 << 30
	}
	return 0
}

// Lane is one lane of a vector register.
type Lane struct {
	V
	width uint // log2 of its bytes
	index uint
}

// B is byte i of v.
func (v V) B(i int) Lane { return lane(v, 0, i) }

// H is lane i of 16 bits of v.
func (v V) H(i int) Lane { return lane(v, 1, i) }

// S is lane i of 32 bits of v.
func (v V) S(i int) Lane { return lane(v, 2, i) }

// D is lane i of 64 bits of v.
func (v V) D(i int) Lane { return lane(v, 3, i) }

func lane(v V, width uint, i int) Lane {
	if i < 0 || i >= 16>>width {
		panic(fmt.Sprintf("neon: v%d has no lane %d of %d bits", v, i, 8<<width))
	}
	return Lane{v, width, uint(i)}
}

func (l Lane) String() string { return fmt.Sprintf("v%d.%c[%d]", uint8(l.V), "bhsd"[l.width], l.index) }

// imm5 is how DUP, INS and MOV name a lane.
func (l Lane) imm5() uint32 { return uint32(l.index<<(l.width+1) | 1<<l.width) }

// need panics unless what a generator asks for is an instruction.
func need(ok bool, name string, operands ...any) {
	if !ok {
		panic(fmt.Sprintf("neon: there is no instruction %s %v", name, operands))
	}
}

// the registers of an instruction
func regs(d, n, m V) uint32 { return uint32(d) | uint32(n)<<5 | uint32(m)<<16 }

func (r R) field(bit uint) uint32 { return uint32(r) << bit }
