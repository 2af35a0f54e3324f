package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
	"github.com/universal-classifier/uc/internal/testutil"
)

// tensor is a plain (N, C, D, H, W) array of float64, on which the references of the tests compute.
type tensor struct {
	n, c int
	size [3]int
	v    []float64
}

func newTensor(n, c int, size [3]int) tensor {
	return tensor{n, c, size, make([]float64, n*c*size[0]*size[1]*size[2])}
}

func randomTensor(r *rand.Rand, n, c int, size [3]int) tensor {
	t := newTensor(n, c, size)
	for i := range t.v {
		t.v[i] = float64(float32(r.NormFloat64()))
	}
	return t
}

func (t tensor) at(n, c, d, h, w int) int {
	return (((n*t.c+c)*t.size[0]+d)*t.size[1]+h)*t.size[2] + w
}

func (t tensor) inside(d, h, w int) bool {
	return d >= 0 && h >= 0 && w >= 0 && d < t.size[0] && h < t.size[1] && w < t.size[2]
}

func (t tensor) f32() []float32 { return testutil.Float32(t.v) }

const guard = float32(-12345.5)

// act returns t as a blocked activation that is channels [16, 16+C) of a wider array filled with guard values, which
// checkGuards expects unharmed.
func (t tensor) act(p *Workers) Act {
	vox := t.size[0] * t.size[1] * t.size[2]
	cb := Blocks(t.c)
	wide := Act{N: t.n, C: (cb + 2) * kernel.Block, D: t.size[0], H: t.size[1], W: t.size[2], NStride: (cb + 2) * kernel.Block * vox}
	wide.Data = kernel.AlignedFloats(t.n * wide.NStride)
	for i := range wide.Data {
		wide.Data[i] = guard
	}
	a := wide.Slice(kernel.Block, t.c)
	PackActivations(p, t.f32(), a)
	return a
}

func checkGuards(t *testing.T, what string, a Act) {
	t.Helper()
	size := Blocks(a.C) * kernel.Block * a.Voxels()
	for n := range a.N {
		for i := size; i < a.NStride && n*a.NStride+i < len(a.Data); i++ {
			if a.Data[n*a.NStride+i] != guard {
				t.Fatalf("%s: sample %d: wrote %d floats beyond its channels", what, n, i-size+1)
			}
		}
		for b := range Blocks(a.C) {
			blk := a.block(n, b)
			for i := range blk {
				if b*kernel.Block+i%kernel.Block >= a.C && blk[i] != 0 {
					t.Fatalf("%s: channel %d of %d is %g, must be zero", what, b*kernel.Block+i%kernel.Block, a.C, blk[i])
				}
			}
		}
	}
}

func (t tensor) fromAct(p *Workers, a Act) tensor {
	f := make([]float32, len(t.v))
	UnpackActivations(p, a, f)
	out := newTensor(t.n, t.c, t.size)
	for i, v := range f {
		out.v[i] = float64(v)
	}
	return out
}

func naiveConv(c *Conv, x tensor, w []float64) tensor {
	y := newTensor(x.n, c.Out, c.OutSize)
	c.eachProduct(x, y, func(xi, wi, yi int) { y.v[yi] += x.v[xi] * w[wi] })
	return y
}

func naiveConvBackward(c *Conv, x, dy tensor, w []float64) (dx tensor, dw []float64) {
	dx, dw = newTensor(x.n, c.In, c.InSize), make([]float64, len(w))
	c.eachProduct(x, dy, func(xi, wi, yi int) {
		dx.v[xi] += dy.v[yi] * w[wi]
		dw[wi] += dy.v[yi] * x.v[xi]
	})
	return dx, dw
}

func (c *Conv) eachProduct(x, y tensor, f func(xi, wi, yi int)) {
	k := c.Kernel
	for n := range x.n {
		for o := range c.Out {
			for i := range c.In {
				for p := range c.OutVoxels() {
					d, h, w := p/(c.OutSize[1]*c.OutSize[2]), p/c.OutSize[2]%c.OutSize[1], p%c.OutSize[2]
					for tap := range c.Taps() {
						id := d*c.Stride[0] - c.PadLo[0] + tap/(k[1]*k[2])
						ih := h*c.Stride[1] - c.PadLo[1] + tap/k[2]%k[1]
						iw := w*c.Stride[2] - c.PadLo[2] + tap%k[2]
						if x.inside(id, ih, iw) {
							f(x.at(n, i, id, ih, iw), (o*c.In+i)*c.Taps()+tap, y.at(n, o, d, h, w))
						}
					}
				}
			}
		}
	}
}

// eachPool runs f for every kernel set with one and with three threads.
func eachPool(t *testing.T, f func(t *testing.T, p *Workers)) {
	for _, set := range cpulevel.Available() {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%v/%d", set, threads), func(t *testing.T) {
				p := NewWorkersAt(threads, set)
				defer p.Close()
				f(t, p)
			})
		}
	}
}
