package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
	"github.com/universal-classifier/uc/internal/device/cpu/winograd/generate"
)

func winogradKernels() {
	for _, s := range winograd.Schemes() {
		for _, t := range generate.Transforms(s) {
			transformKernel(t, avx512)
			transformKernel(t, avx2)
		}
	}
}

func winogradHalfKernels() {
	for _, s := range winograd.Schemes() {
		kinds, products := generate.HalfTransforms(s)
		for _, t := range append(kinds, products) {
			transformKernel(t, bf16)
		}
	}
}

// emitter is a winograd.Machine on registers that hold one vector each.
type emitter struct {
	wide  bool
	konst VecPhysical // AVX2 only: a broadcast constant
	store func(row int, value VecPhysical)
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

func (e *emitter) Add(dst, x, y VecPhysical)        { VADDPS(y, x, dst) }
func (e *emitter) Subtract(dst, x, y VecPhysical)   { VSUBPS(y, x, dst) }
func (e *emitter) Copy(dst, x VecPhysical)          { VMOVAPS(x, dst) }
func (e *emitter) Clear(dst VecPhysical)            { VXORPS(dst, dst, dst) }
func (e *emitter) Store(row int, value VecPhysical) { e.store(row, value) }

func (e *emitter) Multiply(dst, x VecPhysical, k float64) {
	if e.wide {
		VMULPS_BCST(constant(k), x, dst)
		return
	}
	VBROADCASTSS(constant(k), e.konst)
	VMULPS(e.konst, x, dst)
}

func (e *emitter) AddMultiple(dst, x VecPhysical, k float64) {
	if e.wide {
		VFMADD231PS_BCST(constant(k), x, dst)
		return
	}
	VBROADCASTSS(constant(k), e.konst)
	VFMADD231PS(e.konst, x, dst)
}

// transformKernel emits dst[i] = sum_j matrix[i][j] src[j] on 16 channels for a two-dimensional field of lines.
func transformKernel(t generate.Transform, s set) {
	wide, regs := s.parts == 1, s.regs
	rows, cols := len(t.Matrix), len(t.Matrix[0])
	TEXT(t.Name+s.name, NOSPLIT, "func(dst *float32, src *float32, srcOffset int, dstElement int, srcElement int, "+
		"n1 int, dst1 int, src1 int, n2 int, dst2 int, src2 int, mask int, bias *float32)")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	de, se := Load(Param("dstElement"), GP64()), Load(Param("srcElement"), GP64())
	mask := Load(Param("mask"), GP64())
	tmp := GP64()
	Load(Param("srcOffset"), tmp)
	ADDQ(tmp, src)
	bias := regs[len(regs)-3]
	if t.ReLU && wide {
		Load(Param("bias"), tmp)
		VMOVUPS(Mem{Base: tmp}, bias)
		VPXORD(regs[len(regs)-4], regs[len(regs)-4], regs[len(regs)-4])
	}
	masked := 0
	if t.MasksIn {
		masked = cols
	} else if t.MasksOut {
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
		in := regs[:cols]
		for j := range cols {
			m := offset(at(j, ps, s4, se, se3))
			switch {
			case t.Reads:
				bf16.readMasked(m, masks[j], in[j])
			case !t.MasksIn:
				VMOVUPS(m, in[j])
			case wide:
				VMOVUPS_Z(m, masks[j], in[j])
			default:
				skip := fmt.Sprintf("in%d_%d", half, j)
				VXORPS(in[j], in[j], in[j])
				BTQ(Imm(uint64(j)), mask)
				JCC(LabelRef(skip))
				VMOVUPS(m, in[j])
				Label(skip)
			}
		}
		if t.ReLU && !wide {
			Load(Param("bias"), tmp)
			VMOVUPS(Mem{Base: tmp, Disp: half * 32}, bias)
			VXORPS(regs[len(regs)-4], regs[len(regs)-4], regs[len(regs)-4])
		}
		store := func(i int, r VecPhysical) {
			m := offset(at(i, pd, d4, de, de3))
			z := regs[len(regs)-2]
			if t.ReLU {
				VADDPS(bias, r, z)
				VMAXPS(z, regs[len(regs)-4], z) // the later operand of Intel's order wins when one is not a number
				r = z
			}
			switch {
			case t.Add && t.Writes:
				bf16.readMasked(m, masks[i], z)
				VADDPS(r, z, z)
				r = z
			case t.Add && wide:
				VADDPS_Z(m, r, masks[i], z)
				r = z
			}
			if t.Writes {
				round(r, z)
			}
			switch {
			case t.Writes && t.MasksOut:
				VMOVDQU16(z.AsY(), masks[i], m)
			case t.Writes:
				VMOVDQU16(z.AsY(), m)
			case !t.MasksOut:
				VMOVUPS(r, m)
			case wide:
				VMOVUPS(r, masks[i], m)
			default:
				skip := fmt.Sprintf("out%d_%d", half, i)
				BTQ(Imm(uint64(i)), mask)
				JCC(LabelRef(skip))
				if t.Add {
					VADDPS(m, r, z)
					r = z
				}
				VMOVUPS(r, m)
				Label(skip)
			}
		}
		winograd.Evaluate(t.Matrix, in, [3]VecPhysical(regs[cols:]), &emitter{wide, regs[len(regs)-1], store})
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

var masks = []OpmaskPhysical{K1, K2, K3, K4, K5, K6, K7}
