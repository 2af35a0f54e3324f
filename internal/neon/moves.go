package neon

import (
	"fmt"
	"strings"
)

// Permutations, moves between lanes and registers, loads and stores.

// UZP1: the even lanes of n, then of m.
func (f *Func) UZP1(d, n, m Vec) { f.ints3("UZP1", 0xe001800, d, n, m) }

// TRN1: the even lanes of n and m in turn.
func (f *Func) TRN1(d, n, m Vec) { f.ints3("TRN1", 0xe002800, d, n, m) }

// ZIP1: the lanes of the lower halves of n and m in turn.
func (f *Func) ZIP1(d, n, m Vec) { f.ints3("ZIP1", 0xe003800, d, n, m) }

// UZP2: the odd lanes of n, then of m.
func (f *Func) UZP2(d, n, m Vec) { f.ints3("UZP2", 0xe005800, d, n, m) }

// TRN2: the odd lanes of n and m in turn.
func (f *Func) TRN2(d, n, m Vec) { f.ints3("TRN2", 0xe006800, d, n, m) }

// ZIP2: the lanes of the upper halves of n and m in turn.
func (f *Func) ZIP2(d, n, m Vec) { f.ints3("ZIP2", 0xe007800, d, n, m) }

// EXT: 16 bytes of n followed by m, from byte from on.
func (f *Func) EXT(d, n, m Vec, from int) {
	need(d == d.B16() && n == n.B16() && m == m.B16() && from >= 0 && from < 16, "EXT", d, n, m, from)
	f.word(0x6e000000|uint32(from)<<11|regs(d.V, n.V, m.V), "ext %v, %v, %v, #%d", d, n, m, from)
}

// TBL: bytes of the table, which are consecutive registers of 16 bytes, by their number in m; 0 beyond it.
func (f *Func) TBL(d Vec, table []V, m Vec) { f.lookUp("TBL", 0x0e000000, d, table, m) }

// TBX is TBL, but leaves the bytes of d as they are where the number lies beyond the table.
func (f *Func) TBX(d Vec, table []V, m Vec) { f.lookUp("TBX", 0x0e001000, d, table, m) }

func (f *Func) lookUp(name string, code uint32, d Vec, table []V, m Vec) {
	need(d.width == 0 && m.width == 0 && d.full == m.full, name, d, m)
	f.word(code|d.q()|uint32(len(table)-1)<<13|regs(d.V, table[0], m.V), "%s %v, %s, %v", name, d, list(table, table[0].B16()), m)
}

// list is consecutive registers as Arm writes them, in the arrangement of like.
func list(registers []V, like Vec) string {
	names := make([]string, len(registers))
	for i, v := range registers {
		need(i == 0 || v == (registers[i-1]+1)%32, "on a list", registers)
		names[i] = Vec{v, like.full, like.width}.String()
	}
	need(len(registers) >= 1 && len(registers) <= 4, "on a list", registers)
	return "{ " + strings.Join(names, ", ") + " }"
}

// DUP: a lane in every lane of d.
func (f *Func) DUP(d Vec, n Lane) {
	need(d.width == n.width, "DUP", d, n)
	f.word(0x0e000400|d.q()|n.imm5()<<16|regs(d.V, n.V, 0), "dup %v, %v", d, n)
}

// DUPGeneral: a general register in every lane of d.
func (f *Func) DUPGeneral(d Vec, n R) {
	f.word(0x0e000c00|d.q()|1<<(16+d.width)|regs(d.V, 0, 0)|n.field(5), "dup %v, %c%d", d, general32(d.width), uint8(n))
}

// general32 is the letter of a general register that holds a lane.
func general32(width uint) rune {
	if width == 3 {
		return 'x'
	}
	return 'w'
}

// INS: a lane of n in a lane of d; the others stay.
func (f *Func) INS(d, n Lane) {
	need(d.width == n.width, "INS", d, n)
	f.word(0x6e000400|d.imm5()<<16|uint32(n.index<<n.width)<<11|regs(d.V, n.V, 0), "ins %v, %v", d, n)
}

// INSGeneral: a general register in a lane of d; the others stay.
func (f *Func) INSGeneral(d Lane, n R) {
	f.word(0x4e001c00|d.imm5()<<16|regs(d.V, 0, 0)|n.field(5), "ins %v, %c%d", d, general32(d.width), uint8(n))
}

// UMOV: a lane in a general register, with zeros above.
func (f *Func) UMOV(d R, n Lane) {
	code := uint32(0x0e003c00)
	if n.width == 3 {
		code |= 1 << 30
	}
	f.word(code|n.imm5()<<16|uint32(d)|regs(0, n.V, 0), "umov %c%d, %v", general32(n.width), uint8(d), n)
}

// SMOV: a lane of less than 64 bits in a general register, with its sign.
func (f *Func) SMOV(d R, n Lane) {
	need(n.width < 3, "SMOV", n)
	f.word(0x4e002c00|n.imm5()<<16|uint32(d)|regs(0, n.V, 0), "smov x%d, %v", uint8(d), n)
}

// Zero clears d.
func (f *Func) Zero(d V) { f.word(0x6f00e400|uint32(d), "movi %v, #0", d.D2()) }

// MOVIBytes: a byte in every byte of d.
func (f *Func) MOVIBytes(d Vec, value uint8) {
	need(d.width == 0, "MOVI", d)
	f.word(0x0f00e400|d.q()|immediate(value)|uint32(d.V), "movi %v, #%d", d, value)
}

// MOVI: value << shift, a multiple of 8, in every lane of 16 or 32 bits of d.
func (f *Func) MOVI(d Vec, value uint8, shift int) {
	need((d.width == 1 || d.width == 2) && shift%8 == 0 && shift >= 0 && shift < 8<<d.width, "MOVI", d, value, shift)
	code := uint32(0x0f000400)
	if d.width == 1 {
		code |= 1 << 15
	}
	text := fmt.Sprintf("movi %v, #%d", d, value)
	if shift > 0 {
		text += fmt.Sprintf(", lsl #%d", shift)
	}
	f.word(code|uint32(shift/8)<<13|d.q()|immediate(value)|uint32(d.V), "%s", text)
}

func immediate(value uint8) uint32 { return uint32(value>>5)<<16 | uint32(value&31)<<5 }

// FMOVOne: 1.0 in every lane of 32 bits.
func (f *Func) FMOVOne(d Vec) {
	need(d.width == 2, "FMOV", d)
	f.word(0x0f00f400|d.q()|immediate(0x70)|uint32(d.V), "fmov %v, #1.0", d)
}

// Loads and stores of single registers. Offsets are in bytes.

// memory emits a load or store of 1<<size bytes: with an unsigned scaled offset where it fits, else a signed one.
func (f *Func) memory(name string, scaled, unscaled uint32, size uint, t V, base R, offset int) {
	letter, place := "bhsdq"[size], fmt.Sprintf("[x%d]", uint8(base))
	if offset != 0 {
		place = fmt.Sprintf("[x%d, #%d]", uint8(base), offset)
	}
	if unit := 1 << size; offset >= 0 && offset%unit == 0 && offset/unit < 4096 {
		f.word(scaled|uint32(offset/unit)<<10|uint32(t)|base.field(5), "%sr %c%d, %s", name, letter, uint8(t), place)
		return
	}
	need(offset >= -256 && offset < 256, name, t, base, offset)
	f.word(unscaled|uint32(offset&511)<<12|uint32(t)|base.field(5), "%sur %c%d, %s", name, letter, uint8(t), place)
}

// LDRQ loads 16 bytes.
func (f *Func) LDRQ(t V, base R, offset int) {
	f.memory("ld", 0x3dc00000, 0x3cc00000, 4, t, base, offset)
}

// STRQ stores 16 bytes.
func (f *Func) STRQ(t V, base R, offset int) {
	f.memory("st", 0x3d800000, 0x3c800000, 4, t, base, offset)
}

// LDRD loads 8 bytes; the rest of t becomes zero.
func (f *Func) LDRD(t V, base R, offset int) {
	f.memory("ld", 0xfd400000, 0xfc400000, 3, t, base, offset)
}

// STRD stores 8 bytes.
func (f *Func) STRD(t V, base R, offset int) {
	f.memory("st", 0xfd000000, 0xfc000000, 3, t, base, offset)
}

// LDRS loads 4 bytes; the rest of t becomes zero.
func (f *Func) LDRS(t V, base R, offset int) {
	f.memory("ld", 0xbd400000, 0xbc400000, 2, t, base, offset)
}

// STRS stores 4 bytes.
func (f *Func) STRS(t V, base R, offset int) {
	f.memory("st", 0xbd000000, 0xbc000000, 2, t, base, offset)
}

// LDRH loads 2 bytes; the rest of t becomes zero.
func (f *Func) LDRH(t V, base R, offset int) {
	f.memory("ld", 0x7d400000, 0x7c400000, 1, t, base, offset)
}

// STRH stores 2 bytes.
func (f *Func) STRH(t V, base R, offset int) {
	f.memory("st", 0x7d000000, 0x7c000000, 1, t, base, offset)
}

// LDRB loads one byte; the rest of t becomes zero.
func (f *Func) LDRB(t V, base R, offset int) {
	f.memory("ld", 0x3d400000, 0x3c400000, 0, t, base, offset)
}

// STRB stores one byte.
func (f *Func) STRB(t V, base R, offset int) {
	f.memory("st", 0x3d000000, 0x3c000000, 0, t, base, offset)
}

// indexed emits a load or store at base plus a register.
func (f *Func) indexed(name string, code uint32, size uint, t V, base, index R) {
	f.word(code|index.field(16)|base.field(5)|uint32(t), "%s %c%d, [x%d, x%d]", name, "bhsdq"[size], uint8(t), uint8(base), uint8(index))
}

// LDRQAt is LDRQ at base plus index, in bytes.
func (f *Func) LDRQAt(t V, base, index R) { f.indexed("ldr", 0x3ce06800, 4, t, base, index) }

// STRQAt is STRQ at base plus index, in bytes.
func (f *Func) STRQAt(t V, base, index R) { f.indexed("str", 0x3ca06800, 4, t, base, index) }

// LDRDAt is LDRD at base plus index, in bytes.
func (f *Func) LDRDAt(t V, base, index R) { f.indexed("ldr", 0xfc606800, 3, t, base, index) }

// STRDAt is STRD at base plus index, in bytes.
func (f *Func) STRDAt(t V, base, index R) { f.indexed("str", 0xfc206800, 3, t, base, index) }

// LDRSAt is LDRS at base plus index, in bytes.
func (f *Func) LDRSAt(t V, base, index R) { f.indexed("ldr", 0xbc606800, 2, t, base, index) }

// STRSAt is STRS at base plus index, in bytes.
func (f *Func) STRSAt(t V, base, index R) { f.indexed("str", 0xbc206800, 2, t, base, index) }

// after emits a load or store of 16 bytes that then moves base by -256 to 255 bytes.
func (f *Func) after(name string, code uint32, t V, base R, by int) {
	need(by >= -256 && by < 256, name, t, base, by)
	f.word(code|uint32(by&511)<<12|base.field(5)|uint32(t), "%s q%d, [x%d], #%d", name, uint8(t), uint8(base), by)
}

// LDRQPost loads 16 bytes, then adds by to base.
func (f *Func) LDRQPost(t V, base R, by int) { f.after("ldr", 0x3cc00400, t, base, by) }

// STRQPost stores 16 bytes, then adds by to base.
func (f *Func) STRQPost(t V, base R, by int) { f.after("str", 0x3c800400, t, base, by) }

// two emits a load or store of two registers of 16 bytes.
func (f *Func) two(name string, code uint32, t, u V, base R, offset int, format string) {
	need(offset%16 == 0 && offset >= -1024 && offset < 1024, name, t, u, base, offset)
	place := fmt.Sprintf("[x%d]", uint8(base))
	if format != "" {
		place = fmt.Sprintf(format, uint8(base), offset)
	}
	f.word(code|uint32(offset/16&127)<<15|uint32(u)<<10|base.field(5)|uint32(t), "%s q%d, q%d, %s", name, uint8(t), uint8(u), place)
}

func offsetFormat(offset int) string {
	if offset == 0 {
		return ""
	}
	return "[x%d, #%d]"
}

// LDPQ loads 32 bytes to two registers.
func (f *Func) LDPQ(t, u V, base R, offset int) {
	f.two("ldp", 0xad400000, t, u, base, offset, offsetFormat(offset))
}

// STPQ stores two registers to 32 bytes.
func (f *Func) STPQ(t, u V, base R, offset int) {
	f.two("stp", 0xad000000, t, u, base, offset, offsetFormat(offset))
}

// LDPQPost loads 32 bytes to two registers, then adds by to base.
func (f *Func) LDPQPost(t, u V, base R, by int) {
	f.two("ldp", 0xacc00000, t, u, base, by, "[x%d], #%d")
}

// STPQPost stores two registers to 32 bytes, then adds by to base.
func (f *Func) STPQPost(t, u V, base R, by int) {
	f.two("stp", 0xac800000, t, u, base, by, "[x%d], #%d")
}

// structure emits a load or store of whole registers, plain or with interleaved elements.
func (f *Func) structure(name string, code, opcode uint32, t []V, like Vec, base R, post bool) {
	code |= like.q() | opcode<<12 | uint32(like.width)<<10 | base.field(5) | uint32(t[0])
	text := fmt.Sprintf("%s %s, [x%d]", name, list(t, like), uint8(base))
	if post {
		bytes := 8 * len(t)
		if like.full {
			bytes *= 2
		}
		code |= 0x9f0000
		text += fmt.Sprintf(", #%d", bytes)
	}
	f.word(code, "%s", text)
}

// plain is the opcode of LD1 and ST1 by the number of registers.
var plain = [...]uint32{1: 7, 2: 10, 3: 6, 4: 2}

// interleaved is the opcode of LD2 to LD4 and ST2 to ST4.
var interleaved = [...]uint32{2: 8, 3: 4, 4: 0}

// LD1 loads 1 to 4 consecutive registers, with post adds their bytes to base. like, any register, gives the
// arrangement.
func (f *Func) LD1(t []V, like Vec, base R, post bool) {
	f.structure("ld1", 0x0c400000, plain[len(t)], t, like, base, post)
}

// ST1 stores 1 to 4 consecutive registers.
func (f *Func) ST1(t []V, like Vec, base R, post bool) {
	f.structure("st1", 0x0c000000, plain[len(t)], t, like, base, post)
}

// LDn loads 2 to 4 consecutive registers with elements in turn (LD2, LD3, LD4).
func (f *Func) LDn(t []V, like Vec, base R, post bool) {
	f.structure(fmt.Sprintf("ld%d", len(t)), 0x0c400000, interleaved[len(t)], t, like, base, post)
}

// STn stores 2 to 4 consecutive registers with elements in turn (ST2, ST3, ST4).
func (f *Func) STn(t []V, like Vec, base R, post bool) {
	f.structure(fmt.Sprintf("st%d", len(t)), 0x0c000000, interleaved[len(t)], t, like, base, post)
}

// LD1R loads one element to every lane of t.
func (f *Func) LD1R(t Vec, base R, post bool) {
	code, text := 0x0d40c000|t.q()|uint32(t.width)<<10|base.field(5)|uint32(t.V), fmt.Sprintf("ld1r { %v }, [x%d]", t, uint8(base))
	if post {
		code |= 0x9f0000
		text += fmt.Sprintf(", #%d", 1<<t.width)
	}
	f.word(code, "%s", text)
}

// LD1Lane loads one lane; the others stay.
func (f *Func) LD1Lane(t Lane, base R) { f.oneLane("ld1", 0x0d400000, t, base) }

// ST1Lane stores one lane.
func (f *Func) ST1Lane(t Lane, base R) { f.oneLane("st1", 0x0d000000, t, base) }

func (f *Func) oneLane(name string, code uint32, t Lane, base R) {
	at := uint32(t.index << t.width) // Q, S and size, as the number of a byte
	if t.width == 3 {
		at |= 1
	}
	opcode := [...]uint32{0, 2, 4, 4}[t.width]
	f.word(code|at>>3<<30|opcode<<13|at&7<<10|base.field(5)|uint32(t.V), "%s { v%d.%c }[%d], [x%d]", name, uint8(t.V), "bhsd"[t.width], t.index, uint8(base))
}
