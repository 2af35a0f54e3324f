package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
	"github.com/universal-classifier/uc/internal/device/cpu/winograd/generate"
	. "github.com/universal-classifier/uc/internal/neon"
)

func init() {
	kinds["winograd"] = func(f *File) {
		for _, s := range winograd.Schemes() {
			for _, t := range generate.Transforms(s) {
				transformKernel(f, t, "NEON")
			}
		}
		generate.Table{Path: "winograd_table_arm64.go", Command: "go run ./_asm_arm64 winograd", Arch: "arm64"}.Write("NEON")
	}
	kinds["winograd_bf16"] = func(f *File) {
		for _, s := range winograd.Schemes() {
			halves, products := generate.HalfTransforms(s)
			for _, t := range append(halves, products) {
				transformKernel(f, t, "BF16NEON")
			}
		}
		generate.Table{Path: "winograd_bf16_table_arm64.go", Command: "go run ./_asm_arm64 winograd_bf16", Arch: "arm64"}.WriteHalf("BF16NEON")
	}
}

// octet is two registers with 8 channels.
type octet [2]V

// machine is the winograd.Machine that works on octets.
type machine struct {
	f         *Func
	constants []float64 // by lane, from register first on
	first     V
	store     func(row int, value octet)
}

// constant returns the lane that holds k.
func (m *machine) constant(k float64) Lane {
	i := slices.Index(m.constants, k)
	return (m.first + V(i/4)).S(i % 4)
}

func (m *machine) Add(dst, x, y octet) {
	for h := range dst {
		m.f.FADD(dst[h].S4(), x[h].S4(), y[h].S4())
	}
}

func (m *machine) Subtract(dst, x, y octet) {
	for h := range dst {
		m.f.FSUB(dst[h].S4(), x[h].S4(), y[h].S4())
	}
}

func (m *machine) Multiply(dst, x octet, by float64) {
	for h := range dst {
		if by == -1 {
			m.f.FNEG(dst[h].S4(), x[h].S4())
		} else {
			m.f.FMUL(dst[h].S4(), x[h].S4(), m.constant(by))
		}
	}
}

func (m *machine) AddMultiple(dst, x octet, by float64) {
	add := m.f.FMLA
	if by < 0 {
		add = m.f.FMLS
	}
	for h := range dst {
		add(dst[h].S4(), x[h].S4(), m.constant(math.Abs(by)))
	}
}

func (m *machine) Copy(dst, x octet) {
	for h := range dst {
		m.f.MOV(dst[h], x[h])
	}
}

func (m *machine) Clear(dst octet) {
	for _, v := range dst {
		m.f.Zero(v)
	}
}

func (m *machine) Store(row int, value octet) { m.store(row, value) }

// constantsOf lists the constants that a machine needs to evaluate a matrix.
func constantsOf(matrix [][]float64) []float64 {
	var c collector
	winograd.Evaluate(matrix, make([]struct{}, len(matrix[0])), [3]struct{}{}, &c)
	return c.constants
}

// collector is a winograd.Machine that notes the constants.
type collector struct{ constants []float64 }

func (c *collector) Add(_, _, _ struct{})      {}
func (c *collector) Subtract(_, _, _ struct{}) {}
func (c *collector) Copy(_, _ struct{})        {}
func (c *collector) Clear(struct{})            {}
func (c *collector) Store(int, struct{})       {}

func (c *collector) Multiply(_, _ struct{}, by float64) {
	if by != -1 {
		c.note(by)
	}
}

func (c *collector) AddMultiple(_, _ struct{}, by float64) { c.note(math.Abs(by)) }

func (c *collector) note(k float64) {
	if !slices.Contains(c.constants, k) {
		c.constants = append(c.constants, k)
	}
}

// transformKernel emits dst[i] = sum_j matrix[i][j] src[j] on 16 channels for a two-dimensional field of lines.
func transformKernel(file *File, t generate.Transform, suffix string) {
	f := file.Func(t.Name+suffix, "(dst *float32, src *float32, srcOffset int, dstElement int, srcElement int, "+
		"n1 int, dst1 int, src1 int, n2 int, dst2 int, src2 int, mask int, bias *float32)")
	rows, cols := len(t.Matrix), len(t.Matrix[0])
	free := V(0)
	octets := func(n int) (list []octet) {
		for range n {
			list = append(list, octet{free, free + 1})
			free += 2
		}
		return list
	}
	in, temporaries, w := octets(cols), [3]octet(octets(3)), octets(1)[0]
	var bias []octet
	var zero V
	if t.ReLU {
		bias, zero = octets(2), free
		free++
	}
	m := &machine{f: f, constants: constantsOf(t.Matrix), first: free}
	if need := (len(m.constants) + 3) / 4; int(free)+need > 32 {
		panic(fmt.Sprintf("%s needs %d registers", t.Name, int(free)+need))
	}

	tmp := f.GP()
	if len(m.constants) > 0 {
		values := make([]float32, len(m.constants))
		for i, k := range m.constants {
			values[i] = float32(k)
		}
		f.LoadConstants(m.first, values...)
	}
	if t.ReLU {
		f.LoadInto("bias", tmp)
		for i, b := range bias {
			f.LDPQ(b[0], b[1], tmp, i*32)
		}
		f.Zero(zero)
	}
	body := func() {
		dst, src, mask := f.Load("dst"), f.Load("src"), f.Load("mask")
		f.LoadInto("srcOffset", tmp)
		f.Go("ADD %v, %v, %v", tmp, src, src)
		de, se := f.Load("dstElement"), f.Load("srcElement")
		count := f.GP()
		to, from := elements(f, rows), elements(f, cols)
		outer := f.Load("n2")
		masked := 0
		if t.MasksIn {
			masked = cols
		} else if t.MasksOut {
			masked = rows
		}
		// lines emits the loops; with all elements there it needs no branches around them
		lines := func(label string, masked bool) {
			f.Label("outer" + label)
			f.Go("MOVD %v, %v", dst, to[0])
			f.Go("MOVD %v, %v", src, from[0])
			f.LoadInto("n1", count)
			f.Label("line" + label)
			place(f, to, de)
			place(f, from, se)
			for part := range 2 {
				for j, v := range in {
					skip := fmt.Sprintf("in%s%d_%d", label, part, j)
					if masked && t.MasksIn {
						f.Zero(v[0])
						f.Zero(v[1])
						f.Go("TBZ $%d, %v, %s", j, mask, skip)
					}
					if t.Reads {
						loadHalves(f, v, from[j], part*16)
					} else {
						f.LDPQ(v[0], v[1], from[j], part*32)
					}
					if masked && t.MasksIn {
						f.Label(skip)
					}
				}
				m.store = func(i int, r octet) {
					skip := fmt.Sprintf("out%s%d_%d", label, part, i)
					if masked && t.MasksOut {
						f.Go("TBZ $%d, %v, %s", i, mask, skip)
					}
					if t.ReLU {
						for h := range w {
							f.FADD(w[h].S4(), r[h].S4(), bias[part][h].S4())
							f.FMAX(w[h].S4(), w[h].S4(), zero.S4())
						}
						r = w
					}
					if t.Add {
						if t.Writes {
							loadHalves(f, w, to[i], part*16)
						} else {
							f.LDPQ(w[0], w[1], to[i], part*32)
						}
						m.Add(w, w, r)
						r = w
					}
					if t.Writes {
						storeHalves(f, r, w[0], to[i], part*16)
					} else {
						f.STPQ(r[0], r[1], to[i], part*32)
					}
					if masked && t.MasksOut {
						f.Label(skip)
					}
				}
				winograd.Evaluate(t.Matrix, in, temporaries, m)
			}
			f.LoadInto("dst1", tmp)
			f.Go("ADD %v, %v, %v", tmp, to[0], to[0])
			f.LoadInto("src1", tmp)
			f.Go("ADD %v, %v, %v", tmp, from[0], from[0])
			f.Go("SUBS $1, %v, %v", count, count)
			f.Go("BNE line%s", label)
			f.LoadInto("dst2", tmp)
			f.Go("ADD %v, %v, %v", tmp, dst, dst)
			f.LoadInto("src2", tmp)
			f.Go("ADD %v, %v, %v", tmp, src, src)
			f.Go("SUBS $1, %v, %v", outer, outer)
			f.Go("BNE outer%s", label)
		}
		if masked == 0 {
			lines("", false)
			return
		}
		f.Go("AND $%d, %v, %v", 1<<masked-1, mask, tmp)
		f.Go("CMP $%d, %v", 1<<masked-1, tmp)
		f.Go("BNE some")
		lines("All", false)
		f.Go("B done")
		f.Label("some")
		lines("Some", true)
		f.Label("done")
	}
	if t.Writes {
		flushing(f, tmp, body)
	} else {
		body()
	}
	f.RET()
}

// elements returns registers for the addresses of the elements of a line.
func elements(f *Func, n int) (list []R) {
	for range n {
		list = append(list, f.GP())
	}
	return list
}

// place computes the addresses of elements that lie a stride apart, from the first.
func place(f *Func, list []R, stride R) {
	for i := 1; i < len(list); i++ {
		from, shift := 0, 0
		switch {
		case i >= 4:
			from, shift = i-4, 2
		case i >= 2:
			from, shift = i-2, 1
		}
		f.Go("ADD %v<<%d, %v, %v", stride, shift, list[from], list[i])
	}
}
