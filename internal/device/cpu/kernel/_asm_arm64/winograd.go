package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd"
	. "github.com/universal-classifier/uc/internal/neon"
)

func init() {
	kinds["winograd"] = func(f *File) {
		for _, s := range winograd.Schemes() {
			for _, t := range transformsOf(s) {
				transformKernel(f, t, "NEON")
			}
		}
		writeTable("winograd_table_arm64.go")
	}
	kinds["winograd_bf16"] = func(f *File) {
		for _, s := range winograd.Schemes() {
			halves, products := halfTransformsOf(s)
			for _, t := range append(halves, products) {
				transformKernel(f, t, "BF16NEON")
			}
		}
		writeHalfTable("winograd_bf16_table_arm64.go")
	}
}

// transform is a transformation of one axis: name, matrix, and which side may end early (the mask tells which elements
// exist).
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
func transformKernel(file *File, t transform, suffix string) {
	f := file.Func(t.name+suffix, "(dst *float32, src *float32, srcOffset int, dstElement int, srcElement int, "+
		"n1 int, dst1 int, src1 int, n2 int, dst2 int, src2 int, mask int, bias *float32)")
	rows, cols := len(t.matrix), len(t.matrix[0])
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
	if t.relu {
		bias, zero = octets(2), free
		free++
	}
	m := &machine{f: f, constants: constantsOf(t.matrix), first: free}
	if need := (len(m.constants) + 3) / 4; int(free)+need > 32 {
		panic(fmt.Sprintf("%s needs %d registers", t.name, int(free)+need))
	}

	tmp := f.GP()
	if len(m.constants) > 0 {
		values := make([]float32, len(m.constants))
		for i, k := range m.constants {
			values[i] = float32(k)
		}
		f.LoadConstants(m.first, values...)
	}
	if t.relu {
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
		if t.masksIn {
			masked = cols
		} else if t.masksOut {
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
					if masked && t.masksIn {
						f.Zero(v[0])
						f.Zero(v[1])
						f.Go("TBZ $%d, %v, %s", j, mask, skip)
					}
					if t.reads {
						loadHalves(f, v, from[j], part*16)
					} else {
						f.LDPQ(v[0], v[1], from[j], part*32)
					}
					if masked && t.masksIn {
						f.Label(skip)
					}
				}
				m.store = func(i int, r octet) {
					skip := fmt.Sprintf("out%s%d_%d", label, part, i)
					if masked && t.masksOut {
						f.Go("TBZ $%d, %v, %s", i, mask, skip)
					}
					if t.relu {
						for h := range w {
							f.FADD(w[h].S4(), r[h].S4(), bias[part][h].S4())
							f.FMAX(w[h].S4(), w[h].S4(), zero.S4())
						}
						r = w
					}
					if t.add {
						if t.writes {
							loadHalves(f, w, to[i], part*16)
						} else {
							f.LDPQ(w[0], w[1], to[i], part*32)
						}
						m.Add(w, w, r)
						r = w
					}
					if t.writes {
						storeHalves(f, r, w[0], to[i], part*16)
					} else {
						f.STPQ(r[0], r[1], to[i], part*32)
					}
					if masked && t.masksOut {
						f.Label(skip)
					}
				}
				winograd.Evaluate(t.matrix, in, temporaries, m)
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
	if t.writes {
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

// writeTable writes the Go file that lists the transformation kernels by scheme and kind.
func writeTable(path string) {
	var b bytes.Buffer
	b.WriteString("// Code generated by command: go run ./_asm_arm64 winograd. DO NOT EDIT.\n\n//go:build arm64 && !noasm\n\npackage kernel\n\n" +
		"var transformsNEON = [][transformKinds]transformFunc{\n")
	for _, s := range winograd.Schemes() {
		b.WriteString("\t{")
		for i, t := range transformsOf(s) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(t.name + "NEON")
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		panic(err)
	}
}

// writeHalfTable writes the Go file that lists the transformation kernels on bfloat16.
func writeHalfTable(path string) {
	var kinds, products bytes.Buffer
	for _, s := range winograd.Schemes() {
		some, p := halfTransformsOf(s)
		fmt.Fprintf(&products, "\t%sBF16NEON,\n", p.name)
		kinds.WriteString("\t{")
		for i, t := range transformsOf(s) {
			name := "nil"
			for _, h := range some {
				if h.name == t.name {
					name = h.name + "BF16NEON"
				}
			}
			if i > 0 {
				kinds.WriteString(", ")
			}
			kinds.WriteString(name)
		}
		kinds.WriteString("},\n")
	}
	text := fmt.Sprintf("// Code generated by command: go run ./_asm_arm64 winograd_bf16. DO NOT EDIT.\n\n//go:build arm64 && !noasm\n\npackage kernel\n\n"+
		"var transformsBF16NEON = [][transformKinds]transformFunc{\n%s}\n\nvar transformsVBF16NEON = []transformFunc{\n%s}\n", kinds.String(), products.String())
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		panic(err)
	}
}
