package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
)

// The transformations of one axis: name, matrix, and which side may end early (the mask tells which elements exist).
type transform struct {
	name     string
	matrix   [][]float64
	masksIn  bool
	masksOut bool
	add      bool // add to what is stored
	relu     bool // add the bias, then max(0, .)
	reads    bool // bfloat16
	writes   bool // bfloat16
}

// transformsOf returns the transformations of a scheme in the order of the package's transform kinds.
func transformsOf(s winograd.Scheme) []transform {
	return []transform{
		{name: s.Name + "Input", matrix: s.BT, masksIn: true},
		{name: s.Name + "Weights", matrix: s.G},
		{name: s.Name + "Output", matrix: s.AT, masksOut: true},
		{name: s.Name + "OutputAdd", matrix: s.AT, masksOut: true, add: true},
		{name: s.Name + "OutputReLU", matrix: s.AT, masksOut: true, relu: true},
		{name: s.Name + "Gradient", matrix: winograd.Transpose(s.AT), masksIn: true},
		{name: s.Name + "WeightsBack", matrix: winograd.Transpose(s.G)},
	}
}

// halfTransformsOf returns those of transformsOf that read or write activations, and the transformation of float32
// inputs to products.
func halfTransformsOf(s winograd.Scheme) (kinds []transform, products transform) {
	for _, t := range transformsOf(s) {
		if t.reads, t.writes = t.masksIn, t.masksOut; t.reads || t.writes {
			kinds = append(kinds, t)
		}
	}
	return kinds, transform{name: s.Name + "Products", matrix: s.BT, masksIn: true, writes: true}
}

func winogradKernels() {
	for _, s := range winograd.Schemes() {
		for _, t := range transformsOf(s) {
			transformKernel(t, avx512)
			transformKernel(t, avx2)
		}
	}
}

func winogradHalfKernels() {
	for _, s := range winograd.Schemes() {
		kinds, products := halfTransformsOf(s)
		for _, t := range append(kinds, products) {
			transformKernel(t, bf16)
		}
	}
}

// emitter emits linear forms over registers that hold one vector each.
type emitter struct {
	wide  bool
	in    []VecPhysical
	free  []VecPhysical
	konst VecPhysical // AVX2 only: a broadcast constant
}

var constants = map[float64]Mem{}

// constant returns the address of a float32.
func constant(v float64) Mem {
	if m, ok := constants[v]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("winogradConstant%d", len(constants)), RODATA|NOPTR)
	DATA(0, F32(float32(v)))
	constants[v] = m
	return m
}

// combine returns a register that holds sum coefs[i]*in[i] over the given columns; owned reports whether it is dst
// (else an input).
func (e *emitter) combine(coefs []float64, cols []int, dst VecPhysical) (reg VecPhysical, owned, zero bool) {
	var terms []int
	for _, i := range cols {
		if coefs[i] != 0 {
			terms = append(terms, i)
		}
	}
	if len(terms) == 0 {
		return dst, false, true
	}
	first := terms[0]
	for _, i := range terms {
		if coefs[i] == 1 {
			first = i
			break
		}
	}
	reg = e.in[first]
	if coefs[first] != 1 {
		e.multiply(coefs[first], e.in[first], dst)
		reg, owned = dst, true
	}
	for _, i := range terms {
		if i == first {
			continue
		}
		switch coefs[i] {
		case 1:
			VADDPS(e.in[i], reg, dst)
		case -1:
			VSUBPS(e.in[i], reg, dst)
		default:
			if !owned {
				VMOVAPS(reg, dst)
			}
			e.addMultiple(coefs[i], e.in[i], dst)
		}
		reg, owned = dst, true
	}
	return reg, owned, false
}

func (e *emitter) multiply(k float64, x, dst VecPhysical) {
	if e.wide {
		VMULPS_BCST(constant(k), x, dst)
		return
	}
	VBROADCASTSS(constant(k), e.konst)
	VMULPS(e.konst, x, dst)
}

func (e *emitter) addMultiple(k float64, x, dst VecPhysical) {
	if e.wide {
		VFMADD231PS_BCST(constant(k), x, dst)
		return
	}
	VBROADCASTSS(constant(k), e.konst)
	VFMADD231PS(e.konst, x, dst)
}

// transformKernel emits dst[i] = sum_j matrix[i][j] src[j] on 16 channels for a two-dimensional field of lines.
func transformKernel(t transform, s set) {
	wide, regs := s.parts == 1, s.regs
	rows, cols := len(t.matrix), len(t.matrix[0])
	TEXT(t.name+s.name, NOSPLIT, "func(dst *float32, src *float32, srcOffset int, dstElement int, srcElement int, "+
		"n1 int, dst1 int, src1 int, n2 int, dst2 int, src2 int, mask int, bias *float32)")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	de, se := Load(Param("dstElement"), GP64()), Load(Param("srcElement"), GP64())
	mask := Load(Param("mask"), GP64())
	tmp := GP64()
	Load(Param("srcOffset"), tmp)
	ADDQ(tmp, src)
	bias := regs[len(regs)-3]
	if t.relu && wide {
		Load(Param("bias"), tmp)
		VMOVUPS(Mem{Base: tmp}, bias)
		VPXORD(regs[len(regs)-4], regs[len(regs)-4], regs[len(regs)-4])
	}
	masked := 0
	if t.masksIn {
		masked = cols
	} else if t.masksOut {
		masked = rows
	}
	if wide {
		for i := range masked {
			MOVQ(mask, tmp)
			SHRQ(Imm(uint64(i)), tmp)
			ANDQ(Imm(1), tmp)
			NEGQ(tmp)
			KMOVW(tmp.As32(), masks[i])
		}
	}
	de3, se3 := GP64(), GP64()
	LEAQ(Mem{Base: de, Index: de, Scale: 2}, de3)
	LEAQ(Mem{Base: se, Index: se, Scale: 2}, se3)
	count := GP64()
	pd, ps, d4, s4 := GP64(), GP64(), GP64(), GP64()
	at := func(i int, base, base4, el, el3 Register) Mem {
		if i >= 4 {
			base, i = base4, i-4
		}
		switch i {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: el3, Scale: 1}
		default:
			return Mem{Base: base, Index: el, Scale: uint8(i)}
		}
	}
	outer := Load(Param("n2"), GP64())
	Label("outer")
	MOVQ(dst, pd)
	MOVQ(src, ps)
	Load(Param("n1"), count)
	Label("line")
	if rows > 4 {
		LEAQ(Mem{Base: pd, Index: de, Scale: 4}, d4)
	}
	if cols > 4 {
		LEAQ(Mem{Base: ps, Index: se, Scale: 4}, s4)
	}
	for half := range s.parts {
		offset := func(m Mem) Mem { m.Disp += half * 32; return m }
		e := &emitter{wide: wide, in: regs[:cols], free: regs[cols:], konst: regs[len(regs)-1]}
		for j := range cols {
			m := offset(at(j, ps, s4, se, se3))
			switch {
			case t.reads:
				bf16.readMasked(m, masks[j], e.in[j])
			case !t.masksIn:
				VMOVUPS(m, e.in[j])
			case wide:
				VMOVUPS_Z(m, masks[j], e.in[j])
			default:
				skip := fmt.Sprintf("in%d_%d", half, j)
				VXORPS(e.in[j], e.in[j], e.in[j])
				BTQ(Imm(uint64(j)), mask)
				JCC(LabelRef(skip))
				VMOVUPS(m, e.in[j])
				Label(skip)
			}
		}
		if t.relu && !wide {
			Load(Param("bias"), tmp)
			VMOVUPS(Mem{Base: tmp, Disp: half * 32}, bias)
			VXORPS(regs[len(regs)-4], regs[len(regs)-4], regs[len(regs)-4])
		}
		store := func(i int, r VecPhysical) {
			m := offset(at(i, pd, d4, de, de3))
			z := regs[len(regs)-2]
			if t.relu {
				VADDPS(bias, r, z)
				VMAXPS(z, regs[len(regs)-4], z) // the later operand of Intel's order wins when one is not a number
				r = z
			}
			switch {
			case t.add && t.writes:
				bf16.readMasked(m, masks[i], z)
				VADDPS(r, z, z)
				r = z
			case t.add && wide:
				VADDPS_Z(m, r, masks[i], z)
				r = z
			}
			if t.writes {
				round(r, z)
			}
			switch {
			case t.writes && t.masksOut:
				VMOVDQU16(z.AsY(), masks[i], m)
			case t.writes:
				VMOVDQU16(z.AsY(), m)
			case !t.masksOut:
				VMOVUPS(r, m)
			case wide:
				VMOVUPS(r, masks[i], m)
			default:
				skip := fmt.Sprintf("out%d_%d", half, i)
				BTQ(Imm(uint64(i)), mask)
				JCC(LabelRef(skip))
				if t.add {
					VADDPS(m, r, z)
					r = z
				}
				VMOVUPS(r, m)
				Label(skip)
			}
		}
		t.emitRows(e, store)
	}
	Load(Param("dst1"), tmp)
	ADDQ(tmp, pd)
	Load(Param("src1"), tmp)
	ADDQ(tmp, ps)
	DECQ(count)
	JNZ(LabelRef("line"))
	Load(Param("dst2"), tmp)
	ADDQ(tmp, dst)
	Load(Param("src2"), tmp)
	ADDQ(tmp, src)
	DECQ(outer)
	JNZ(LabelRef("outer"))
	VZEROUPPER()
	RET()
}

// emitRows computes all rows; rows of points +-p share their even and odd halves.
func (t transform) emitRows(e *emitter, store func(i int, r VecPhysical)) {
	rows, cols := len(t.matrix), len(t.matrix[0])
	all, same, other := []int{}, []int{}, []int{}
	for j := range cols {
		all = append(all, j)
	}
	x, y, z := e.free[0], e.free[1], e.free[2]
	t.matrix = e.foldColumns(t.matrix, x)
	done := make([]bool, rows)
	for i := range rows {
		if done[i] {
			continue
		}
		done[i] = true
		if i+1 < rows && cols > 2 {
			same, other = same[:0], other[:0]
			pair := true
			for j := range cols {
				a, b := t.matrix[i][j], t.matrix[i+1][j]
				switch {
				case a == b:
					same = append(same, j)
				case math.Abs(a) == math.Abs(b):
					other = append(other, j)
				default:
					pair = false
				}
			}
			if pair && nonzero(t.matrix[i], same) > 0 && nonzero(t.matrix[i], other) > 0 && nonzero(t.matrix[i], all) > 2 {
				p, _, _ := e.combine(t.matrix[i], same, x)
				q, _, _ := e.combine(t.matrix[i], other, y)
				VADDPS(q, p, z)
				store(i, z)
				VSUBPS(q, p, x)
				store(i+1, x)
				done[i+1] = true
				continue
			}
		}
		r, _, zero := e.combine(t.matrix[i], all, x)
		if zero {
			VXORPS(x, x, x)
		}
		store(i, r)
	}
}

// foldColumns replaces neighbouring inputs whose coefficients agree up to sign in every row by their sum and
// difference.
func (e *emitter) foldColumns(matrix [][]float64, tmp VecPhysical) [][]float64 {
	folded := make([][]float64, len(matrix))
	for i, row := range matrix {
		folded[i] = append([]float64{}, row...)
	}
	for j := 0; j+1 < len(matrix[0]); j++ {
		agree, used := true, 0
		for _, row := range matrix {
			agree = agree && math.Abs(row[j]) == math.Abs(row[j+1])
			if row[j] != 0 {
				used++
			}
		}
		if !agree || used < 3 {
			continue
		}
		VADDPS(e.in[j+1], e.in[j], tmp)
		VSUBPS(e.in[j+1], e.in[j], e.in[j+1])
		VMOVAPS(tmp, e.in[j])
		for i, row := range matrix {
			if row[j] == row[j+1] {
				folded[i][j+1] = 0
			} else {
				folded[i][j], folded[i][j+1] = 0, row[j]
			}
		}
		j++
	}
	return folded
}

func nonzero(row []float64, cols []int) (n int) {
	for _, j := range cols {
		if row[j] != 0 {
			n++
		}
	}
	return n
}

var masks = []OpmaskPhysical{K1, K2, K3, K4, K5, K6, K7}
