package onnxtest

import (
	"math"
	"slices"
	"testing"
)

// Run computes every tensor of the graph.
func (m *Model) Run(t testing.TB, inputs map[string]Tensor) map[string]Tensor {
	t.Helper()
	values := map[string]Tensor{}
	for name, c := range m.Constants {
		values[name] = c
	}
	for name, x := range inputs {
		values[name] = x
	}
	for _, n := range m.Nodes {
		var in []Tensor
		for _, name := range n.Inputs {
			v, ok := values[name]
			if !ok {
				t.Fatalf("%s reads %s, which nothing has made yet", n.Op, name)
			}
			in = append(in, v)
		}
		operator := operators[n.Op]
		if operator == nil {
			t.Fatalf("no operator %s", n.Op)
		}
		if _, twice := values[n.Outputs[0]]; twice || len(n.Outputs) != 1 {
			t.Fatalf("%s writes %v, which is there", n.Op, n.Outputs)
		}
		values[n.Outputs[0]] = operator(n, in)
	}
	return values
}

var operators = map[string]func(n Node, in []Tensor) Tensor{
	"Conv":    convolution,
	"MaxPool": maxPool,
	"Relu":    func(_ Node, in []Tensor) Tensor { return each(in[0], func(v float32) float32 { return max(v, 0) }) },
	"Concat":  concat,
	"Shape": func(_ Node, in []Tensor) Tensor {
		out := Tensor{Shape: []int{len(in[0].Shape)}}
		for _, n := range in[0].Shape {
			out.I = append(out.I, int64(n))
		}
		return out
	},
	"Gather": func(_ Node, in []Tensor) Tensor { return Tensor{I: []int64{in[0].I[in[1].I[0]]}} }, // a scalar index
	"Range": func(_ Node, in []Tensor) Tensor {
		out := Tensor{}
		for v := in[0].I[0]; v < in[1].I[0]; v += in[2].I[0] {
			out.I = append(out.I, v)
		}
		out.Shape = []int{len(out.I)}
		return out
	},
	"Cast": func(_ Node, in []Tensor) Tensor {
		out := Tensor{Shape: in[0].Shape}
		for _, v := range in[0].I {
			out.F = append(out.F, float32(v))
		}
		return out
	},
	"Unsqueeze": func(_ Node, in []Tensor) Tensor {
		shape := slices.Clone(in[0].Shape)
		for _, a := range in[1].I {
			shape = slices.Insert(shape, int(a), 1)
		}
		return Tensor{shape, in[0].F, in[0].I}
	},
	"Min": broadcast(func(a, b float64) float64 { return min(a, b) }),
	"Add": broadcast(func(a, b float64) float64 { return a + b }),
	"Sub": broadcast(func(a, b float64) float64 { return a - b }),
	"Mul": broadcast(func(a, b float64) float64 { return a * b }),
	"Div": broadcast(func(a, b float64) float64 { return a / b }),
	"Mean": func(n Node, in []Tensor) Tensor {
		sum := broadcast(func(a, b float64) float64 { return a + b })(n, in)
		return each(sum, func(v float32) float32 { return v / float32(len(in)) })
	},
	"ReduceSum": func(_ Node, in []Tensor) Tensor { // over all axes behind the first two
		out := Tensor{Shape: in[0].Shape[:2], F: make([]float32, in[0].Shape[0]*in[0].Shape[1])}
		run := len(in[0].F) / len(out.F)
		for i := range out.F {
			sum := 0.0
			for _, v := range in[0].F[i*run:][:run] {
				sum += float64(v)
			}
			out.F[i] = float32(sum)
		}
		return out
	},
	"Gemm": func(_ Node, in []Tensor) Tensor { // x w' + b
		rows, inner, columns := in[0].Shape[0], in[0].Shape[1], in[1].Shape[0]
		out := Tensor{Shape: []int{rows, columns}}
		for r := range rows {
			for c := range columns {
				sum := float64(in[2].F[c])
				for i := range inner {
					sum += float64(in[0].F[r*inner+i]) * float64(in[1].F[c*inner+i])
				}
				out.F = append(out.F, float32(sum))
			}
		}
		return out
	},
	"Softmax": func(_ Node, in []Tensor) Tensor {
		out := Tensor{Shape: in[0].Shape}
		n := in[0].Shape[1]
		for from := 0; from < len(in[0].F); from += n {
			row, sum := in[0].F[from:][:n], 0.0
			for _, v := range row {
				sum += math.Exp(float64(v))
			}
			for _, v := range row {
				out.F = append(out.F, float32(math.Exp(float64(v))/sum))
			}
		}
		return out
	},
}

func each(x Tensor, f func(float32) float32) Tensor {
	out := Tensor{Shape: x.Shape, F: make([]float32, len(x.F))}
	for i, v := range x.F {
		out.F[i] = f(v)
	}
	return out
}

// broadcast applies f from left to right; shapes are aligned at their last axis, and axes of 1 are repeated.
func broadcast(f func(a, b float64) float64) func(Node, []Tensor) Tensor {
	return func(_ Node, in []Tensor) Tensor {
		out := in[0]
		for _, b := range in[1:] {
			out = combine(out, b, f)
		}
		return out
	}
}

func combine(a, b Tensor, f func(a, b float64) float64) Tensor {
	axes := max(len(a.Shape), len(b.Shape))
	size := func(x Tensor, axis int) int {
		if i := axis - axes + len(x.Shape); i >= 0 {
			return x.Shape[i]
		}
		return 1
	}
	out, count := Tensor{}, 1
	for d := range axes {
		out.Shape = append(out.Shape, max(size(a, d), size(b, d)))
		count *= out.Shape[d]
	}
	at := func(x Tensor, i int) float64 {
		from, stride := 0, 1
		for d := axes - 1; d >= 0; d-- {
			if n := size(x, d); n > 1 {
				from += i % out.Shape[d] * stride
				stride *= n
			}
			i /= out.Shape[d]
		}
		if x.I != nil {
			return float64(x.I[from])
		}
		return float64(x.F[from])
	}
	for i := range count {
		v := f(at(a, i), at(b, i))
		if a.I != nil {
			out.I = append(out.I, int64(v))
		} else {
			out.F = append(out.F, float32(v))
		}
	}
	return out
}

func concat(_ Node, in []Tensor) Tensor { // along axis 1
	out := Tensor{Shape: slices.Clone(in[0].Shape)}
	out.Shape[1] = 0
	for _, x := range in {
		out.Shape[1] += x.Shape[1]
	}
	for n := range out.Shape[0] {
		for _, x := range in {
			part := len(x.F) / out.Shape[0]
			out.F = append(out.F, x.F[n*part:][:part]...)
		}
	}
	return out
}

// window is the geometry of a convolution or pooling: kernel, stride, lower padding, sizes of input and output.
type window struct{ k, s, lo, in, out [3]int }

func geometry(n Node, shape []int) (g window) {
	for a := range 3 {
		g.k[a], g.s[a], g.lo[a] = int(n.Ints["kernel_shape"][a]), int(n.Ints["strides"][a]), int(n.Ints["pads"][a])
		g.in[a] = shape[2+a]
		g.out[a] = (g.in[a]+g.lo[a]+int(n.Ints["pads"][3+a])-g.k[a])/g.s[a] + 1
	}
	return g
}

// visit calls f with every pair of positions in output and input, and the position in the kernel, that a window joins.
func (g window) visit(f func(out, in, kernel int)) {
	o := 0
	for z := range g.out[0] {
		for y := range g.out[1] {
			for x := range g.out[2] {
				k := 0
				for dz := range g.k[0] {
					for dy := range g.k[1] {
						for dx := range g.k[2] {
							p := [3]int{z*g.s[0] + dz - g.lo[0], y*g.s[1] + dy - g.lo[1], x*g.s[2] + dx - g.lo[2]}
							if p[0] >= 0 && p[0] < g.in[0] && p[1] >= 0 && p[1] < g.in[1] && p[2] >= 0 && p[2] < g.in[2] {
								f(o, (p[0]*g.in[1]+p[1])*g.in[2]+p[2], k)
							}
							k++
						}
					}
				}
				o++
			}
		}
	}
}

func product(n [3]int) int { return n[0] * n[1] * n[2] }

func convolution(n Node, in []Tensor) Tensor {
	x, w, bias := in[0], in[1], in[2]
	g := geometry(n, x.Shape)
	channels, outputs := x.Shape[1], w.Shape[0]
	kernel, from, to := product(g.k), product(g.in), product(g.out)
	out := Tensor{Shape: []int{x.Shape[0], outputs, g.out[0], g.out[1], g.out[2]}, F: make([]float32, x.Shape[0]*outputs*to)}
	for b := range x.Shape[0] {
		for o := range outputs {
			y := out.F[(b*outputs+o)*to:][:to]
			for i := range y {
				y[i] = bias.F[o]
			}
			for c := range channels {
				src, weights := x.F[(b*channels+c)*from:][:from], w.F[(o*channels+c)*kernel:][:kernel]
				g.visit(func(o, i, k int) { y[o] += src[i] * weights[k] })
			}
		}
	}
	return out
}

func maxPool(n Node, in []Tensor) Tensor {
	x := in[0]
	g := geometry(n, x.Shape)
	planes, from, to := x.Shape[0]*x.Shape[1], product(g.in), product(g.out)
	out := Tensor{Shape: []int{x.Shape[0], x.Shape[1], g.out[0], g.out[1], g.out[2]}, F: make([]float32, planes*to)}
	for p := range planes {
		y := out.F[p*to:][:to]
		for i := range y {
			y[i] = float32(math.Inf(-1))
		}
		g.visit(func(o, i, _ int) { y[o] = max(y[o], x.F[p*from+i]) })
	}
	return out
}
