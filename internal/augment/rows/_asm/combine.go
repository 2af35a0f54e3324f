package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// combine emits dst[i] = sum of weights[k] * src[i + k*stride]; stride in bytes, taps > 0.
func (v isa) combine() {
	v.function("combine", "(dst *float32, src *float32, n int, stride int, weights *float32, taps int)")
	dst, src, n, stride := pointer("dst"), pointer("src"), pointer("n"), pointer("stride")
	weights := pointer("weights")
	p, w, taps := GP64(), GP64(), GP64()
	sum := func(vectors int, load func(acc []VecVirtual, weight Register)) []VecVirtual {
		acc := v.regs(vectors)
		weight := v.reg()
		for _, a := range acc {
			v.zero(a)
		}
		MOVQ(src, p)
		MOVQ(weights, w)
		Load(Param("taps"), taps)
		again := label("taps")
		Label(again)
		VBROADCASTSS(Mem{Base: w}, weight)
		load(acc, weight)
		ADDQ(stride, p)
		ADDQ(Imm(4), w)
		DECQ(taps)
		JNZ(LabelRef(again))
		return acc
	}
	v.loop(n, 5, func(vectors int) {
		acc := sum(vectors, func(acc []VecVirtual, weight Register) {
			for i, a := range acc {
				VFMADD231PS(Mem{Base: p, Disp: i * v.bytes()}, weight, a)
			}
		})
		for i, a := range acc {
			VMOVUPS(a, Mem{Base: dst, Disp: i * v.bytes()})
		}
		ADDQ(U32(uint32(vectors*v.bytes())), dst)
		ADDQ(U32(uint32(vectors*v.bytes())), src)
	})
	v.rest(n, func(t tail) {
		value := v.reg()
		acc := sum(1, func(acc []VecVirtual, weight Register) {
			t.load(Mem{Base: p}, value)
			VFMADD231PS(value, weight, acc[0])
		})
		t.store(acc[0], Mem{Base: dst})
	})
	finish()
}

// combine4 emits four neighbouring rows of a correlation: weights is padded with three zeros at either end, and
// steps = taps + 3 rows of src go in; strides in bytes.
func (v isa) combine4() {
	v.function("combine4", "(dst *float32, dstStride int, n int, src *float32, stride int, weights *float32, steps int)")
	dst, dstStride, n, src, stride := pointer("dst"), pointer("dstStride"), pointer("n"), pointer("src"), pointer("stride")
	weights := pointer("weights")
	p, w, steps := GP64(), GP64(), GP64()
	sum := func(vectors int, load func(r []VecVirtual)) [][]VecVirtual {
		acc := make([][]VecVirtual, 4)
		for j := range acc {
			acc[j] = v.regs(vectors)
			for _, a := range acc[j] {
				v.zero(a)
			}
		}
		value, weight := v.regs(vectors), v.reg()
		MOVQ(src, p)
		MOVQ(weights, w)
		Load(Param("steps"), steps)
		again := label("steps")
		Label(again)
		load(value)
		for j := range acc {
			// Row j takes source row r with weight r-j, which lies three further in the padded weights.
			VBROADCASTSS(Mem{Base: w, Disp: 4 * (3 - j)}, weight)
			for i, a := range acc[j] {
				VFMADD231PS(value[i], weight, a)
			}
		}
		ADDQ(stride, p)
		ADDQ(Imm(4), w)
		DECQ(steps)
		JNZ(LabelRef(again))
		return acc
	}
	store := func(acc [][]VecVirtual, put func(i int, a Register, m Mem)) {
		to := GP64()
		MOVQ(dst, to)
		for j := range acc {
			for i, a := range acc[j] {
				put(i, a, Mem{Base: to, Disp: i * v.bytes()})
			}
			if j < 3 {
				ADDQ(dstStride, to)
			}
		}
	}
	v.loop(n, 2, func(vectors int) {
		acc := sum(vectors, func(r []VecVirtual) {
			for i := range r {
				VMOVUPS(Mem{Base: p, Disp: i * v.bytes()}, r[i])
			}
		})
		store(acc, func(_ int, a Register, m Mem) { VMOVUPS(a, m) })
		ADDQ(U32(uint32(vectors*v.bytes())), dst)
		ADDQ(U32(uint32(vectors*v.bytes())), src)
	})
	v.rest(n, func(t tail) {
		acc := sum(1, func(r []VecVirtual) { t.load(Mem{Base: p}, r[0]) })
		store(acc, func(_ int, a Register, m Mem) { t.store(a, m) })
	})
	finish()
}

// smooth emits one vector of results for each of eight rows: over steps values of the rows, each times the vector of
// weights that ends one further to the left with every step. Strides in bytes.
func (v isa) smooth() {
	v.function("smooth", "(dst *float32, dstStride int, src *float32, stride int, weights *float32, steps int)")
	dst, dstStride, src, stride := pointer("dst"), pointer("dstStride"), pointer("src"), pointer("stride")
	w, steps := pointer("weights"), pointer("steps")
	stride3, lower := GP64(), GP64()
	eight := func(upper, lower, stride, stride3 Register) []Mem {
		var rows []Mem
		for _, base := range []Register{upper, lower} {
			rows = append(rows, Mem{Base: base}, Mem{Base: base, Index: stride, Scale: 1},
				Mem{Base: base, Index: stride, Scale: 2}, Mem{Base: base, Index: stride3, Scale: 1})
		}
		return rows
	}
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	LEAQ(Mem{Base: src, Index: stride, Scale: 4}, lower)
	acc := v.regs(8)
	for _, a := range acc {
		v.zero(a)
	}
	Label("step")
	weights, value := v.reg(), v.reg()
	VMOVUPS(Mem{Base: w}, weights)
	for j, row := range eight(src, lower, stride, stride3) {
		if v.lanes == 16 {
			VFMADD231PS_BCST(row, weights, acc[j])
			continue
		}
		VBROADCASTSS(row, value)
		VFMADD231PS(value, weights, acc[j])
	}
	SUBQ(Imm(4), w)
	ADDQ(Imm(4), src)
	ADDQ(Imm(4), lower)
	DECQ(steps)
	JNZ(LabelRef("step"))
	LEAQ(Mem{Base: dstStride, Index: dstStride, Scale: 2}, stride3)
	LEAQ(Mem{Base: dst, Index: dstStride, Scale: 4}, lower)
	for j, row := range eight(dst, lower, dstStride, stride3) {
		VMOVUPS(acc[j], row)
	}
	finish()
}

// decay emits dst[i] += pole * other[i], or backwards dst[i] = pole * (other[i] - dst[i]).
func (v isa) decay(name string, backwards bool) {
	v.function(name, "(dst *float32, other *float32, n int, pole float32)")
	dst, other, n := pointer("dst"), pointer("other"), pointer("n")
	pole := v.argument("pole")
	step := func(a, b Register) Register {
		if !backwards {
			VFMADD231PS(pole, b, a)
			return a
		}
		VSUBPS(a, b, b)
		VMULPS(pole, b, b)
		return b
	}
	v.loop(n, 4, func(vectors int) {
		for i := range vectors {
			a, b := v.reg(), v.reg()
			at := i * v.bytes()
			VMOVUPS(Mem{Base: dst, Disp: at}, a)
			VMOVUPS(Mem{Base: other, Disp: at}, b)
			VMOVUPS(step(a, b), Mem{Base: dst, Disp: at})
		}
		ADDQ(U32(uint32(vectors*v.bytes())), dst)
		ADDQ(U32(uint32(vectors*v.bytes())), other)
	})
	v.rest(n, func(t tail) {
		a, b := v.reg(), v.reg()
		t.load(Mem{Base: dst}, a)
		t.load(Mem{Base: other}, b)
		t.store(step(a, b), Mem{Base: dst})
	})
	finish()
}

// interleave emits dst[2i] = a[i], dst[2i+1] = b[i] for a whole number of vectors.
func (v isa) interleave() {
	v.function("interleave", "(dst *float32, a *float32, b *float32, n int)")
	dst, a, b, n := pointer("dst"), pointer("a"), pointer("b"), pointer("n")
	v.loop(n, 1, func(int) {
		// Unpack works within 128-bit quarters; the order of those is put right afterwards.
		ra, low, high := v.reg(), v.reg(), v.reg()
		VMOVUPS(Mem{Base: a}, ra)
		rb := v.reg()
		VMOVUPS(Mem{Base: b}, rb)
		VUNPCKLPS(rb, ra, low)
		VUNPCKHPS(rb, ra, high)
		first, second := v.reg(), v.reg()
		if v.lanes == 8 {
			VPERM2F128(Imm(0x20), high, low, first)
			VPERM2F128(Imm(0x31), high, low, second)
		} else {
			// Quarters low0 high0 low1 high1, then low2 high2 low3 high3.
			t := v.reg()
			VSHUFF32X4(Imm(0x44), high, low, t) // low0 low1 high0 high1
			VSHUFF32X4(Imm(0xd8), t, t, first)
			u := v.reg()
			VSHUFF32X4(Imm(0xee), high, low, u)
			VSHUFF32X4(Imm(0xd8), u, u, second)
		}
		VMOVUPS(first, Mem{Base: dst})
		VMOVUPS(second, Mem{Base: dst, Disp: v.bytes()})
		ADDQ(U32(uint32(2*v.bytes())), dst)
		ADDQ(U32(uint32(v.bytes())), a)
		ADDQ(U32(uint32(v.bytes())), b)
	})
	finish()
}
