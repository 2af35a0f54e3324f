package neon

// Arithmetic, comparisons, conversions and shifts. Operands are those of Arm's manual: result, first, second.

// same emits an instruction on three vectors of one arrangement.
func (f *Func) same(name string, code uint32, d, n, m Vec) {
	need(d.full == n.full && n.full == m.full && d.width == n.width && n.width == m.width, name, d, n, m)
	f.word(code|d.q()|regs(d.V, n.V, m.V), "%s %v, %v, %v", name, d, n, m)
}

// floats3 emits an instruction on three vectors of float32 or float64.
func (f *Func) floats3(name string, code uint32, d, n, m Vec) {
	need(d.width >= 2, name, d)
	f.same(name, code|uint32(d.width-2)<<22, d, n, m)
}

// ints3 emits an instruction on three vectors of integers.
func (f *Func) ints3(name string, code uint32, d, n, m Vec) {
	f.same(name, code|uint32(d.width)<<22, d, n, m)
}

// bits3 emits an instruction on the bits of three vectors.
func (f *Func) bits3(name string, code uint32, d, n, m Vec) {
	need(d.width == 0, name, d)
	f.same(name, code, d, n, m)
}

// Three vectors of float32 or float64.

// FMAXNM: the larger numbers; a NaN loses against a number.
func (f *Func) FMAXNM(d, n, m Vec) { f.floats3("FMAXNM", 0xe20c400, d, n, m) }

// FADD: n + m.
func (f *Func) FADD(d, n, m Vec) { f.floats3("FADD", 0xe20d400, d, n, m) }

// FCMEQ: all ones where n == m.
func (f *Func) FCMEQ(d, n, m Vec) { f.floats3("FCMEQ", 0xe20e400, d, n, m) }

// FMAX: the larger numbers; NaN if one is, and +0 above -0.
func (f *Func) FMAX(d, n, m Vec) { f.floats3("FMAX", 0xe20f400, d, n, m) }

// FRECPS: 2 - n*m.
func (f *Func) FRECPS(d, n, m Vec) { f.floats3("FRECPS", 0xe20fc00, d, n, m) }

// FMINNM: the smaller numbers; a NaN loses against a number.
func (f *Func) FMINNM(d, n, m Vec) { f.floats3("FMINNM", 0xea0c400, d, n, m) }

// FSUB: n - m.
func (f *Func) FSUB(d, n, m Vec) { f.floats3("FSUB", 0xea0d400, d, n, m) }

// FMIN: the smaller numbers; NaN if one is, and -0 below +0.
func (f *Func) FMIN(d, n, m Vec) { f.floats3("FMIN", 0xea0f400, d, n, m) }

// FRSQRTS: (3 - n*m)/2.
func (f *Func) FRSQRTS(d, n, m Vec) { f.floats3("FRSQRTS", 0xea0fc00, d, n, m) }

// FADDP: the sums of neighbours, of n and then of m.
func (f *Func) FADDP(d, n, m Vec) { f.floats3("FADDP", 0x2e20d400, d, n, m) }

// FCMGE: all ones where n >= m.
func (f *Func) FCMGE(d, n, m Vec) { f.floats3("FCMGE", 0x2e20e400, d, n, m) }

// FACGE: all ones where |n| >= |m|.
func (f *Func) FACGE(d, n, m Vec) { f.floats3("FACGE", 0x2e20ec00, d, n, m) }

// FMAXP: the larger ones of neighbours, of n and then of m.
func (f *Func) FMAXP(d, n, m Vec) { f.floats3("FMAXP", 0x2e20f400, d, n, m) }

// FDIV: n / m.
func (f *Func) FDIV(d, n, m Vec) { f.floats3("FDIV", 0x2e20fc00, d, n, m) }

// FABD: |n - m|.
func (f *Func) FABD(d, n, m Vec) { f.floats3("FABD", 0x2ea0d400, d, n, m) }

// FCMGT: all ones where n > m.
func (f *Func) FCMGT(d, n, m Vec) { f.floats3("FCMGT", 0x2ea0e400, d, n, m) }

// FACGT: all ones where |n| > |m|.
func (f *Func) FACGT(d, n, m Vec) { f.floats3("FACGT", 0x2ea0ec00, d, n, m) }

// FMINP: the smaller ones of neighbours, of n and then of m.
func (f *Func) FMINP(d, n, m Vec) { f.floats3("FMINP", 0x2ea0f400, d, n, m) }

// Three vectors of integers.

// ADD: n + m.
func (f *Func) ADD(d, n, m Vec) { f.ints3("ADD", 0xe208400, d, n, m) }

// SUB: n - m.
func (f *Func) SUB(d, n, m Vec) { f.ints3("SUB", 0x2e208400, d, n, m) }

// CMGT: all ones where n > m, signed.
func (f *Func) CMGT(d, n, m Vec) { f.ints3("CMGT", 0xe203400, d, n, m) }

// CMHI: all ones where n > m, unsigned.
func (f *Func) CMHI(d, n, m Vec) { f.ints3("CMHI", 0x2e203400, d, n, m) }

// CMGE: all ones where n >= m, signed.
func (f *Func) CMGE(d, n, m Vec) { f.ints3("CMGE", 0xe203c00, d, n, m) }

// CMHS: all ones where n >= m, unsigned.
func (f *Func) CMHS(d, n, m Vec) { f.ints3("CMHS", 0x2e203c00, d, n, m) }

// SSHL: n shifted left by the lowest byte of m, right where that is negative, signed.
func (f *Func) SSHL(d, n, m Vec) { f.ints3("SSHL", 0xe204400, d, n, m) }

// USHL: n shifted left by the lowest byte of m, right where that is negative, unsigned.
func (f *Func) USHL(d, n, m Vec) { f.ints3("USHL", 0x2e204400, d, n, m) }

// SMAX: the larger ones, signed.
func (f *Func) SMAX(d, n, m Vec) { f.ints3("SMAX", 0xe206400, d, n, m) }

// UMAX: the larger ones, unsigned.
func (f *Func) UMAX(d, n, m Vec) { f.ints3("UMAX", 0x2e206400, d, n, m) }

// SMIN: the smaller ones, signed.
func (f *Func) SMIN(d, n, m Vec) { f.ints3("SMIN", 0xe206c00, d, n, m) }

// UMIN: the smaller ones, unsigned.
func (f *Func) UMIN(d, n, m Vec) { f.ints3("UMIN", 0x2e206c00, d, n, m) }

// CMTST: all ones where n and m share a bit.
func (f *Func) CMTST(d, n, m Vec) { f.ints3("CMTST", 0xe208c00, d, n, m) }

// CMEQ: all ones where n == m.
func (f *Func) CMEQ(d, n, m Vec) { f.ints3("CMEQ", 0x2e208c00, d, n, m) }

// MLA: d += n*m.
func (f *Func) MLA(d, n, m Vec) { f.ints3("MLA", 0xe209400, d, n, m) }

// MLS: d -= n*m.
func (f *Func) MLS(d, n, m Vec) { f.ints3("MLS", 0x2e209400, d, n, m) }

// MUL: n * m.
func (f *Func) MUL(d, n, m Vec) { f.ints3("MUL", 0xe209c00, d, n, m) }

// ADDP: the sums of neighbours, of n and then of m.
func (f *Func) ADDP(d, n, m Vec) { f.ints3("ADDP", 0xe20bc00, d, n, m) }

// SABD: |n - m|, signed.
func (f *Func) SABD(d, n, m Vec) { f.ints3("SABD", 0xe207400, d, n, m) }

// UABD: |n - m|, unsigned.
func (f *Func) UABD(d, n, m Vec) { f.ints3("UABD", 0x2e207400, d, n, m) }

// UHADD: (n + m)/2, unsigned, rounded down.
func (f *Func) UHADD(d, n, m Vec) { f.ints3("UHADD", 0x2e200400, d, n, m) }

// URHADD: (n + m + 1)/2, unsigned, rounded down.
func (f *Func) URHADD(d, n, m Vec) { f.ints3("URHADD", 0x2e201400, d, n, m) }

// SQADD: n + m, signed, at the limits of the lane.
func (f *Func) SQADD(d, n, m Vec) { f.ints3("SQADD", 0xe200c00, d, n, m) }

// UQADD: n + m, unsigned, at the limits of the lane.
func (f *Func) UQADD(d, n, m Vec) { f.ints3("UQADD", 0x2e200c00, d, n, m) }

// UQSUB: n - m, unsigned, at the limits of the lane.
func (f *Func) UQSUB(d, n, m Vec) { f.ints3("UQSUB", 0x2e202c00, d, n, m) }

// Three vectors of bits, as bytes.

// AND: n & m.
func (f *Func) AND(d, n, m Vec) { f.bits3("AND", 0xe201c00, d, n, m) }

// BIC: n &^ m.
func (f *Func) BIC(d, n, m Vec) { f.bits3("BIC", 0xe601c00, d, n, m) }

// ORR: n | m.
func (f *Func) ORR(d, n, m Vec) { f.bits3("ORR", 0xea01c00, d, n, m) }

// ORN: n | ^m.
func (f *Func) ORN(d, n, m Vec) { f.bits3("ORN", 0xee01c00, d, n, m) }

// EOR: n ^ m.
func (f *Func) EOR(d, n, m Vec) { f.bits3("EOR", 0x2e201c00, d, n, m) }

// BSL: n where a bit of d is set, else m.
func (f *Func) BSL(d, n, m Vec) { f.bits3("BSL", 0x2e601c00, d, n, m) }

// BIT: n where a bit of m is set, else d.
func (f *Func) BIT(d, n, m Vec) { f.bits3("BIT", 0x2ea01c00, d, n, m) }

// BIF: n where a bit of m is not set, else d.
func (f *Func) BIF(d, n, m Vec) { f.bits3("BIF", 0x2ee01c00, d, n, m) }

// MOV: n.
func (f *Func) MOV(d, n V) { f.ORR(d.B16(), n.B16(), n.B16()) }

// multiplied emits an instruction on float32 or float64 whose last operand is a vector or one lane.
func (f *Func) multiplied(name string, vector, element uint32, d, n Vec, m Operand) {
	l, ok := m.(Lane)
	if !ok {
		f.floats3(name, vector, d, n, m.(Vec))
		return
	}
	need(d.full == n.full && d.width == n.width && l.width == d.width && d.width >= 2, name, d, n, l)
	index := uint32(l.index&1)<<21 | uint32(l.index>>1)<<11
	if d.width == 3 {
		index = uint32(l.index)<<11 | 1<<22
	}
	f.word(element|d.q()|index|regs(d.V, n.V, l.V), "%s %v, %v, %v", name, d, n, l)
}

// Operand is a Vec or a Lane.
type Operand interface{ operand() }

func (Vec) operand()  {}
func (Lane) operand() {}

// FMLA: d += n*m, rounded once.
func (f *Func) FMLA(d, n Vec, m Operand) { f.multiplied("FMLA", 0xe20cc00, 0xf801000, d, n, m) }

// FMLS: d -= n*m, rounded once.
func (f *Func) FMLS(d, n Vec, m Operand) { f.multiplied("FMLS", 0xea0cc00, 0xf805000, d, n, m) }

// FMUL: n * m.
func (f *Func) FMUL(d, n Vec, m Operand) { f.multiplied("FMUL", 0x2e20dc00, 0xf809000, d, n, m) }

// Products of bfloat16 (FEAT_BF16).

// halves3 emits an instruction that multiplies bfloat16.
func (f *Func) halves3(name string, code uint32, d, n, m Vec) {
	need(d.width == 2 && n.width == 1 && m.width == 1 && d.full == n.full && n.full == m.full, name, d, n, m)
	f.word(code|d.q()|regs(d.V, n.V, m.V), "%s %v, %v, %v", name, d, n, m)
}

// BFDOT adds, in every lane of 32 bits, the products of two pairs of bfloat16; m may be a lane of 32 bits, one pair.
func (f *Func) BFDOT(d, n Vec, m Operand) {
	l, ok := m.(Lane)
	if !ok {
		f.halves3("BFDOT", 0x2e40fc00, d, n, m.(Vec))
		return
	}
	need(d.width == 2 && n.width == 1 && d.full == n.full && l.width == 2, "BFDOT", d, n, l)
	index := uint32(l.index&1)<<21 | uint32(l.index>>1)<<11
	f.word(0x0f40f000|d.q()|index|regs(d.V, n.V, l.V), "bfdot %v, %v, v%d.2h[%d]", d, n, uint8(l.V), l.index)
}

// BFMMLA adds to the 2x2 float32 of d the product of the 2x4 bfloat16 of n and the transposed 2x4 bfloat16 of m.
func (f *Func) BFMMLA(d, n, m Vec) {
	need(d.full, "BFMMLA", d)
	f.halves3("BFMMLA", 0x2e40ec00, d, n, m)
}

// BFMLALB adds the products of the even lanes of bfloat16, rounded once.
func (f *Func) BFMLALB(d, n, m Vec) { f.halfProducts("BFMLALB", 0x2ec0fc00, d, n, m) }

// BFMLALT adds the products of the odd lanes of bfloat16, rounded once.
func (f *Func) BFMLALT(d, n, m Vec) { f.halfProducts("BFMLALT", 0x6ec0fc00, d, n, m) }

func (f *Func) halfProducts(name string, code uint32, d, n, m Vec) {
	need(d == d.S4() && n == n.H8() && m == m.H8(), name, d, n, m)
	f.word(code|regs(d.V, n.V, m.V), "%s %v, %v, %v", name, d, n, m)
}

// BFCVTN rounds 4 float32 to bfloat16, to the nearest, ties to even; the upper half of d becomes zero.
func (f *Func) BFCVTN(d, n Vec) {
	need(d == d.H4() && n == n.S4(), "BFCVTN", d, n)
	f.word(0x0ea16800|regs(d.V, n.V, 0), "bfcvtn %v, %v", d, n)
}

// BFCVTN2 rounds 4 float32 to the upper half of d.
func (f *Func) BFCVTN2(d, n Vec) {
	need(d == d.H8() && n == n.S4(), "BFCVTN2", d, n)
	f.word(0x4ea16800|regs(d.V, n.V, 0), "bfcvtn2 %v, %v", d, n)
}

// pair emits an instruction on two vectors of one arrangement.
func (f *Func) pair(name string, code uint32, d, n Vec) {
	need(d.full == n.full && d.width == n.width, name, d, n)
	f.word(code|d.q()|regs(d.V, n.V, 0), "%s %v, %v", name, d, n)
}

// floats2 emits an instruction on two vectors of float32 or float64 (or integers of their width).
func (f *Func) floats2(name string, code uint32, d, n Vec) {
	need(d.width >= 2, name, d)
	f.pair(name, code|uint32(d.width-2)<<22, d, n)
}

// ints2 emits an instruction on two vectors of integers.
func (f *Func) ints2(name string, code uint32, d, n Vec) {
	f.pair(name, code|uint32(d.width)<<22, d, n)
}

// zero2 emits a comparison with zero.
func (f *Func) zero2(name string, code uint32, zero string, d, n Vec) {
	need(d.full == n.full && d.width == n.width, name, d, n)
	f.word(code|d.q()|regs(d.V, n.V, 0), "%s %v, %v, #%s", name, d, n, zero)
}

// FRINTN: n as an integer, ties to even.
func (f *Func) FRINTN(d, n Vec) { f.floats2("FRINTN", 0xe218800, d, n) }

// FRINTM: n as an integer, rounded down.
func (f *Func) FRINTM(d, n Vec) { f.floats2("FRINTM", 0xe219800, d, n) }

// FRINTP: n as an integer, rounded up.
func (f *Func) FRINTP(d, n Vec) { f.floats2("FRINTP", 0xea18800, d, n) }

// FRINTZ: n as an integer, rounded towards zero.
func (f *Func) FRINTZ(d, n Vec) { f.floats2("FRINTZ", 0xea19800, d, n) }

// FRINTA: n as an integer, ties away from zero.
func (f *Func) FRINTA(d, n Vec) { f.floats2("FRINTA", 0x2e218800, d, n) }

// FCVTNS: n to signed integers, ties to even.
func (f *Func) FCVTNS(d, n Vec) { f.floats2("FCVTNS", 0xe21a800, d, n) }

// FCVTMS: n to signed integers, rounded down.
func (f *Func) FCVTMS(d, n Vec) { f.floats2("FCVTMS", 0xe21b800, d, n) }

// FCVTZS: n to signed integers, towards zero.
func (f *Func) FCVTZS(d, n Vec) { f.floats2("FCVTZS", 0xea1b800, d, n) }

// FCVTZU: n to unsigned integers, towards zero.
func (f *Func) FCVTZU(d, n Vec) { f.floats2("FCVTZU", 0x2ea1b800, d, n) }

// SCVTF: signed integers to floating point.
func (f *Func) SCVTF(d, n Vec) { f.floats2("SCVTF", 0xe21d800, d, n) }

// UCVTF: unsigned integers to floating point.
func (f *Func) UCVTF(d, n Vec) { f.floats2("UCVTF", 0x2e21d800, d, n) }

// FRECPE: estimate of 1/n.
func (f *Func) FRECPE(d, n Vec) { f.floats2("FRECPE", 0xea1d800, d, n) }

// FRSQRTE: estimate of 1/sqrt(n).
func (f *Func) FRSQRTE(d, n Vec) { f.floats2("FRSQRTE", 0x2ea1d800, d, n) }

// FABS: |n|.
func (f *Func) FABS(d, n Vec) { f.floats2("FABS", 0xea0f800, d, n) }

// FNEG: -n.
func (f *Func) FNEG(d, n Vec) { f.floats2("FNEG", 0x2ea0f800, d, n) }

// FSQRT: sqrt(n).
func (f *Func) FSQRT(d, n Vec) { f.floats2("FSQRT", 0x2ea1f800, d, n) }

// FCMGT0: all ones where n > 0.0.
func (f *Func) FCMGT0(d, n Vec) { f.zero2("FCMGT", 0xea0c800|uint32(d.width-2)<<22, "0.0", d, n) }

// FCMGE0: all ones where n >= 0.0.
func (f *Func) FCMGE0(d, n Vec) { f.zero2("FCMGE", 0x2ea0c800|uint32(d.width-2)<<22, "0.0", d, n) }

// FCMEQ0: all ones where n == 0.0.
func (f *Func) FCMEQ0(d, n Vec) { f.zero2("FCMEQ", 0xea0d800|uint32(d.width-2)<<22, "0.0", d, n) }

// FCMLE0: all ones where n <= 0.0.
func (f *Func) FCMLE0(d, n Vec) { f.zero2("FCMLE", 0x2ea0d800|uint32(d.width-2)<<22, "0.0", d, n) }

// FCMLT0: all ones where n < 0.0.
func (f *Func) FCMLT0(d, n Vec) { f.zero2("FCMLT", 0xea0e800|uint32(d.width-2)<<22, "0.0", d, n) }

// CMGT0: all ones where n > 0, signed.
func (f *Func) CMGT0(d, n Vec) { f.zero2("CMGT", 0xe208800|uint32(d.width)<<22, "0", d, n) }

// CMGE0: all ones where n >= 0, signed.
func (f *Func) CMGE0(d, n Vec) { f.zero2("CMGE", 0x2e208800|uint32(d.width)<<22, "0", d, n) }

// CMEQ0: all ones where n == 0, signed.
func (f *Func) CMEQ0(d, n Vec) { f.zero2("CMEQ", 0xe209800|uint32(d.width)<<22, "0", d, n) }

// CMLE0: all ones where n <= 0, signed.
func (f *Func) CMLE0(d, n Vec) { f.zero2("CMLE", 0x2e209800|uint32(d.width)<<22, "0", d, n) }

// CMLT0: all ones where n < 0, signed.
func (f *Func) CMLT0(d, n Vec) { f.zero2("CMLT", 0xe20a800|uint32(d.width)<<22, "0", d, n) }

// ABS: |n|.
func (f *Func) ABS(d, n Vec) { f.ints2("ABS", 0xe20b800, d, n) }

// NEG: -n.
func (f *Func) NEG(d, n Vec) { f.ints2("NEG", 0x2e20b800, d, n) }

// CLZ: how many leading bits are zero.
func (f *Func) CLZ(d, n Vec) { f.ints2("CLZ", 0x2e204800, d, n) }

// REV64: the lanes of every 64 bits in reverse order.
func (f *Func) REV64(d, n Vec) { f.ints2("REV64", 0xe200800, d, n) }

// REV32: the lanes of every 32 bits in reverse order.
func (f *Func) REV32(d, n Vec) { f.ints2("REV32", 0x2e200800, d, n) }

// REV16: the bytes of every 16 bits in reverse order.
func (f *Func) REV16(d, n Vec) { f.ints2("REV16", 0xe201800, d, n) }

// CNT: how many bits of every byte are set.
func (f *Func) CNT(d, n Vec) { f.pair("CNT", 0xe205800, d, n) }

// NOT: ^n.
func (f *Func) NOT(d, n Vec) { f.pair("NOT", 0x2e205800, d, n) }

// RBIT: the bits of every byte in reverse order.
func (f *Func) RBIT(d, n Vec) { f.pair("RBIT", 0x2e605800, d, n) }

// Changes of width. Those whose names end in 2 take or write the upper half of the narrower vector.

// widen emits an instruction from lanes to lanes of twice the width.
func (f *Func) widen(name string, code uint32, d, n Vec, upper bool) {
	need(d.full && d.width == n.width+1 && n.full == upper, name, d, n)
	f.word(code|n.q()|regs(d.V, n.V, 0), "%s %v, %v", name, d, n)
}

// narrow emits an instruction from lanes to lanes of half the width.
func (f *Func) narrow(name string, code uint32, d, n Vec, upper bool) {
	need(n.full && n.width == d.width+1 && d.full == upper, name, d, n)
	f.word(code|d.q()|regs(d.V, n.V, 0), "%s %v, %v", name, d, n)
}

// FCVTL: float16 to float32, or float32 to float64.
func (f *Func) FCVTL(d, n Vec) { f.widen("FCVTL", 0xe217800|uint32(n.width-1)<<22, d, n, false) }

// FCVTN: float32 to float16, or float64 to float32, rounded to the nearest.
func (f *Func) FCVTN(d, n Vec) { f.narrow("FCVTN", 0xe216800|uint32(d.width-1)<<22, d, n, false) }

// XTN: the lower halves of lanes.
func (f *Func) XTN(d, n Vec) { f.narrow("XTN", 0xe212800|uint32(d.width)<<22, d, n, false) }

// SQXTN: signed lanes, at the limits of half the width.
func (f *Func) SQXTN(d, n Vec) { f.narrow("SQXTN", 0xe214800|uint32(d.width)<<22, d, n, false) }

// SQXTUN: signed lanes as unsigned ones, at the limits of half the width.
func (f *Func) SQXTUN(d, n Vec) { f.narrow("SQXTUN", 0x2e212800|uint32(d.width)<<22, d, n, false) }

// UQXTN: unsigned lanes, at the limits of half the width.
func (f *Func) UQXTN(d, n Vec) { f.narrow("UQXTN", 0x2e214800|uint32(d.width)<<22, d, n, false) }

// FCVTL2: float16 to float32, or float32 to float64.
func (f *Func) FCVTL2(d, n Vec) { f.widen("FCVTL2", 0xe217800|uint32(n.width-1)<<22, d, n, true) }

// FCVTN2: float32 to float16, or float64 to float32, rounded to the nearest.
func (f *Func) FCVTN2(d, n Vec) { f.narrow("FCVTN2", 0xe216800|uint32(d.width-1)<<22, d, n, true) }

// XTN2: the lower halves of lanes.
func (f *Func) XTN2(d, n Vec) { f.narrow("XTN2", 0xe212800|uint32(d.width)<<22, d, n, true) }

// SQXTN2: signed lanes, at the limits of half the width.
func (f *Func) SQXTN2(d, n Vec) { f.narrow("SQXTN2", 0xe214800|uint32(d.width)<<22, d, n, true) }

// SQXTUN2: signed lanes as unsigned ones, at the limits of half the width.
func (f *Func) SQXTUN2(d, n Vec) { f.narrow("SQXTUN2", 0x2e212800|uint32(d.width)<<22, d, n, true) }

// UQXTN2: unsigned lanes, at the limits of half the width.
func (f *Func) UQXTN2(d, n Vec) { f.narrow("UQXTN2", 0x2e214800|uint32(d.width)<<22, d, n, true) }

// wideSame emits an instruction on lanes whose result has twice their width.
func (f *Func) wideSame(name string, code uint32, d, n, m Vec, upper bool) {
	need(d.full && d.width == n.width+1 && n.width == m.width && n.full == upper && m.full == upper, name, d, n, m)
	f.word(code|n.q()|uint32(n.width)<<22|regs(d.V, n.V, m.V), "%s %v, %v, %v", name, d, n, m)
}

// wideMixed emits an instruction on lanes and lanes of half the width.
func (f *Func) wideMixed(name string, code uint32, d, n, m Vec, upper bool) {
	need(d.full && n.full && d.width == n.width && d.width == m.width+1 && m.full == upper, name, d, n, m)
	f.word(code|m.q()|uint32(m.width)<<22|regs(d.V, n.V, m.V), "%s %v, %v, %v", name, d, n, m)
}

// SADDL: n + m, signed.
func (f *Func) SADDL(d, n, m Vec) { f.wideSame("SADDL", 0xe200000, d, n, m, false) }

// UADDL: n + m, unsigned.
func (f *Func) UADDL(d, n, m Vec) { f.wideSame("UADDL", 0x2e200000, d, n, m, false) }

// SSUBL: n - m, signed.
func (f *Func) SSUBL(d, n, m Vec) { f.wideSame("SSUBL", 0xe202000, d, n, m, false) }

// USUBL: n - m, unsigned.
func (f *Func) USUBL(d, n, m Vec) { f.wideSame("USUBL", 0x2e202000, d, n, m, false) }

// SMULL: n * m, signed.
func (f *Func) SMULL(d, n, m Vec) { f.wideSame("SMULL", 0xe20c000, d, n, m, false) }

// UMULL: n * m, unsigned.
func (f *Func) UMULL(d, n, m Vec) { f.wideSame("UMULL", 0x2e20c000, d, n, m, false) }

// SMLAL: d += n*m, signed.
func (f *Func) SMLAL(d, n, m Vec) { f.wideSame("SMLAL", 0xe208000, d, n, m, false) }

// UMLAL: d += n*m, unsigned.
func (f *Func) UMLAL(d, n, m Vec) { f.wideSame("UMLAL", 0x2e208000, d, n, m, false) }

// SADDW: n + m, m signed.
func (f *Func) SADDW(d, n, m Vec) { f.wideMixed("SADDW", 0xe201000, d, n, m, false) }

// UADDW: n + m, m unsigned.
func (f *Func) UADDW(d, n, m Vec) { f.wideMixed("UADDW", 0x2e201000, d, n, m, false) }

// SADDL2: n + m, signed.
func (f *Func) SADDL2(d, n, m Vec) { f.wideSame("SADDL2", 0xe200000, d, n, m, true) }

// UADDL2: n + m, unsigned.
func (f *Func) UADDL2(d, n, m Vec) { f.wideSame("UADDL2", 0x2e200000, d, n, m, true) }

// SSUBL2: n - m, signed.
func (f *Func) SSUBL2(d, n, m Vec) { f.wideSame("SSUBL2", 0xe202000, d, n, m, true) }

// USUBL2: n - m, unsigned.
func (f *Func) USUBL2(d, n, m Vec) { f.wideSame("USUBL2", 0x2e202000, d, n, m, true) }

// SMULL2: n * m, signed.
func (f *Func) SMULL2(d, n, m Vec) { f.wideSame("SMULL2", 0xe20c000, d, n, m, true) }

// UMULL2: n * m, unsigned.
func (f *Func) UMULL2(d, n, m Vec) { f.wideSame("UMULL2", 0x2e20c000, d, n, m, true) }

// SMLAL2: d += n*m, signed.
func (f *Func) SMLAL2(d, n, m Vec) { f.wideSame("SMLAL2", 0xe208000, d, n, m, true) }

// UMLAL2: d += n*m, unsigned.
func (f *Func) UMLAL2(d, n, m Vec) { f.wideSame("UMLAL2", 0x2e208000, d, n, m, true) }

// SADDW2: n + m, m signed.
func (f *Func) SADDW2(d, n, m Vec) { f.wideMixed("SADDW2", 0xe201000, d, n, m, true) }

// UADDW2: n + m, m unsigned.
func (f *Func) UADDW2(d, n, m Vec) { f.wideMixed("UADDW2", 0x2e201000, d, n, m, true) }

// Shifts by a constant.

// right emits a shift right by 1 to all bits of a lane.
func (f *Func) right(name string, code uint32, d, n Vec, by int) {
	need(d.full == n.full && d.width == n.width && by >= 1 && by <= 8<<d.width, name, d, n, by)
	f.word(code|d.q()|uint32(16<<d.width-by)<<16|regs(d.V, n.V, 0), "%s %v, %v, #%d", name, d, n, by)
}

// left emits a shift left by less than the bits of a lane.
func (f *Func) left(name string, code uint32, d, n Vec, by int) {
	need(d.full == n.full && d.width == n.width && by >= 0 && by < 8<<d.width, name, d, n, by)
	f.word(code|d.q()|uint32(8<<d.width+by)<<16|regs(d.V, n.V, 0), "%s %v, %v, #%d", name, d, n, by)
}

// narrowRight emits a shift right to lanes of half the width.
func (f *Func) narrowRight(name string, code uint32, d, n Vec, by int, upper bool) {
	need(n.full && n.width == d.width+1 && d.full == upper && by >= 1 && by <= 8<<d.width, name, d, n, by)
	f.word(code|d.q()|uint32(16<<d.width-by)<<16|regs(d.V, n.V, 0), "%s %v, %v, #%d", name, d, n, by)
}

// wideLeft emits a shift left to lanes of twice the width.
func (f *Func) wideLeft(name string, code uint32, d, n Vec, by int, upper bool) {
	need(d.full && d.width == n.width+1 && n.full == upper && by >= 0 && by < 8<<n.width, name, d, n, by)
	f.word(code|n.q()|uint32(8<<n.width+by)<<16|regs(d.V, n.V, 0), "%s %v, %v, #%d", name, d, n, by)
}

// SSHR: n >> by, signed.
func (f *Func) SSHR(d, n Vec, by int) { f.right("SSHR", 0xf000400, d, n, by) }

// USHR: n >> by, unsigned.
func (f *Func) USHR(d, n Vec, by int) { f.right("USHR", 0x2f000400, d, n, by) }

// SSRA: d += n >> by, signed.
func (f *Func) SSRA(d, n Vec, by int) { f.right("SSRA", 0xf001400, d, n, by) }

// USRA: d += n >> by, unsigned.
func (f *Func) USRA(d, n Vec, by int) { f.right("USRA", 0x2f001400, d, n, by) }

// SRI: n >> by, below the upper by bits of d.
func (f *Func) SRI(d, n Vec, by int) { f.right("SRI", 0x2f004400, d, n, by) }

// SHL: n << by.
func (f *Func) SHL(d, n Vec, by int) { f.left("SHL", 0xf005400, d, n, by) }

// SLI: n << by, above the lower by bits of d.
func (f *Func) SLI(d, n Vec, by int) { f.left("SLI", 0x2f005400, d, n, by) }

// SHRN: n >> by, cut to half the width.
func (f *Func) SHRN(d, n Vec, by int) { f.narrowRight("SHRN", 0xf008400, d, n, by, false) }

// RSHRN: n >> by, rounded, cut to half the width.
func (f *Func) RSHRN(d, n Vec, by int) { f.narrowRight("RSHRN", 0xf008c00, d, n, by, false) }

// SSHLL: n << by in lanes of twice the width, signed; by 0 widens.
func (f *Func) SSHLL(d, n Vec, by int) { f.wideLeft("SSHLL", 0xf00a400, d, n, by, false) }

// USHLL: n << by in lanes of twice the width, unsigned; by 0 widens.
func (f *Func) USHLL(d, n Vec, by int) { f.wideLeft("USHLL", 0x2f00a400, d, n, by, false) }

// SHRN2: n >> by, cut to half the width.
func (f *Func) SHRN2(d, n Vec, by int) { f.narrowRight("SHRN2", 0xf008400, d, n, by, true) }

// RSHRN2: n >> by, rounded, cut to half the width.
func (f *Func) RSHRN2(d, n Vec, by int) { f.narrowRight("RSHRN2", 0xf008c00, d, n, by, true) }

// SSHLL2: n << by in lanes of twice the width, signed; by 0 widens.
func (f *Func) SSHLL2(d, n Vec, by int) { f.wideLeft("SSHLL2", 0xf00a400, d, n, by, true) }

// USHLL2: n << by in lanes of twice the width, unsigned; by 0 widens.
func (f *Func) USHLL2(d, n Vec, by int) { f.wideLeft("USHLL2", 0x2f00a400, d, n, by, true) }

// SHLL: n << the bits of its lanes, in lanes of twice the width: bfloat16 to float32.
func (f *Func) SHLL(d, n Vec) { f.shll("SHLL", d, n, false) }

// SHLL2 is SHLL of the upper half.
func (f *Func) SHLL2(d, n Vec) { f.shll("SHLL2", d, n, true) }

func (f *Func) shll(name string, d, n Vec, upper bool) {
	need(d.full && d.width == n.width+1 && n.full == upper, name, d, n)
	f.word(0x2e213800|n.q()|uint32(n.width)<<22|regs(d.V, n.V, 0), "%s %v, %v, #%d", name, d, n, 8<<n.width)
}

// Sums and extremes of all lanes; the result is the lowest lane of d.

// across emits an instruction on all lanes of n, to a scalar of width.
func (f *Func) across(name string, code uint32, d V, n Vec, width uint) {
	f.word(code|n.q()|regs(d, n.V, 0), "%s %c%d, %v", name, "bhsd"[width], uint8(d), n)
}

// ADDV: the sum.
func (f *Func) ADDV(d V, n Vec) { f.across("ADDV", 0xe31b800|uint32(n.width)<<22, d, n, n.width) }

// SMAXV: the largest, signed.
func (f *Func) SMAXV(d V, n Vec) { f.across("SMAXV", 0xe30a800|uint32(n.width)<<22, d, n, n.width) }

// UMAXV: the largest, unsigned.
func (f *Func) UMAXV(d V, n Vec) { f.across("UMAXV", 0x2e30a800|uint32(n.width)<<22, d, n, n.width) }

// SMINV: the smallest, signed.
func (f *Func) SMINV(d V, n Vec) { f.across("SMINV", 0xe31a800|uint32(n.width)<<22, d, n, n.width) }

// UMINV: the smallest, unsigned.
func (f *Func) UMINV(d V, n Vec) { f.across("UMINV", 0x2e31a800|uint32(n.width)<<22, d, n, n.width) }

// UADDLV: the sum in twice the width, unsigned.
func (f *Func) UADDLV(d V, n Vec) {
	f.across("UADDLV", 0x2e303800|uint32(n.width)<<22, d, n, n.width+1)
}

// FMAXV: the largest of 4 float32.
func (f *Func) FMAXV(d V, n Vec) { f.across("FMAXV", 0x2e30f800, d, n, 2) }

// FMINV: the smallest of 4 float32.
func (f *Func) FMINV(d V, n Vec) { f.across("FMINV", 0x2eb0f800, d, n, 2) }

// FMAXNMV: the largest of 4 float32 that is a number.
func (f *Func) FMAXNMV(d V, n Vec) { f.across("FMAXNMV", 0x2e30c800, d, n, 2) }
