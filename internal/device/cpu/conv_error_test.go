package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
	"github.com/universal-classifier/uc/internal/testutil"
)

// bf16Tolerance is what the conformance tests of devices allow with activations in bfloat16, relative to the largest
// value.
const bf16Tolerance = 2e-2

// hardLayer is a random convolution that tries the rounding of Winograd's factors: with few channels, odd sizes, inputs
// far from zero, weights of uneven size.
type hardLayer struct {
	c     Conv
	x, dy tensor
	w     []float64
}

// newHardLayer makes a layer with so many input channels. Inputs and weights are spread as kind says.
func newHardLayer(r *rand.Rand, in int, kind string) hardLayer {
	size := [3]int{1 + r.IntN(9), 2 + r.IntN(9), 2 + r.IntN(9)}
	taps, stride := [3]int{3, 3, 3}, [3]int{1, 1, 1}
	switch r.IntN(6) {
	case 0:
		taps = [3]int{4, 4, 4}
	case 1:
		stride[r.IntN(3)] = 2
	}
	out := 1 + r.IntN(40)
	l := hardLayer{c: SameConv(in, out, taps, stride, size), x: randomTensor(r, 1+r.IntN(2), in, size)}
	l.dy, l.w = randomTensor(r, l.x.n, out, l.c.OutSize), randomTensor(r, out, in, taps).v
	for i := range l.x.v {
		switch kind {
		case "after ReLU":
			l.x.v[i] = max(0, l.x.v[i])
		case "far from zero":
			l.x.v[i] += 3
		}
	}
	scales := make([]float64, out+in+out*in)
	for i := range scales {
		scales[i] = math.Exp(1.5 * r.NormFloat64())
	}
	for i := range l.w {
		o, c := i/l.c.Taps()/in, i/l.c.Taps()%in
		switch kind {
		case "uneven outputs":
			l.w[i] *= scales[o]
		case "uneven inputs":
			l.w[i] *= scales[out+c]
		case "uneven pairs":
			l.w[i] *= scales[out+in+o*in+c]
		}
		l.w[i] = float64(float32(l.w[i]))
	}
	return l
}

var hardKinds = []string{"normal", "after ReLU", "far from zero", "uneven outputs", "uneven inputs", "uneven pairs"}

// TestWinogradErrors checks all directions of convolutions between activations in bfloat16, with weights that change
// and with fixed ones, on layers that are hard on Winograd's schemes.
func TestWinogradErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, in := range []int{1, 2, 3, 5, 16, 64} {
		for _, kind := range hardKinds {
			l := newHardLayer(r, in, kind)
			c := &l.c
			y := naiveConv(c, l.x, l.w)
			dx, dw := naiveConvBackward(c, l.x, l.dy, l.w)
			packed := kernel.AlignedFloats(PackedLen(c))
			PackWeights(c, testutil.Float32(l.w), packed)
			for _, level := range cpulevel.Available() {
				if kernel.KernelSets[level].BF16 == nil {
					continue
				}
				t.Run(fmt.Sprintf("%s %v/%v", kind, convCase{l.x.n, *c}, level), func(t *testing.T) {
					p := NewWorkersAt(2, level)
					defer p.Close()
					var s Scratch
					var forms Forms
					defer s.free()
					defer forms.free()
					x, dy := l.x.bf16(p), l.dy.bf16(p)
					for _, f := range []*Forms{nil, &forms} {
						got := y.bf16(p)
						ConvForward(p, c, x, packed, got, &Epilogue{Forms: f}, &s)
						testutil.Near(t, fmt.Sprintf("forward, fixed %v", f != nil), y.fromAct(p, got).v, y.v, bf16Tolerance)
					}
					back := dx.bf16(p)
					ConvBackwardData(p, c, dy, packed, back, false, &s)
					testutil.Near(t, "backward data", dx.fromAct(p, back).v, dx.v, bf16Tolerance)
					grads, plain := kernel.AlignedFloats(len(packed)), make([]float32, len(dw))
					ConvBackwardWeights(p, c, x, dy, grads, &s)
					UnpackWeights(c, grads, plain)
					testutil.Near(t, "backward weights", testutil.Float64(plain), dw, bf16Tolerance)
				})
			}
		}
	}
}

// TestWeightsTail checks that weights count as few channels where they are, and that changed weights are looked at
// again.
func TestWeightsTail(t *testing.T) {
	p := NewWorkers(1)
	defer p.Close()
	c := SameConv(32, 40, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{6, 6, 6})
	even := make([]float32, c.Out*c.In*c.Taps())
	one, single := make([]float32, len(even)), make([]float32, len(even))
	for i := range even {
		even[i] = 1
		if channel := i / c.Taps() % c.In; channel == 17 {
			one[i] = 1
		}
		if output := i / c.Taps() / c.In; output == 38 {
			single[i] = 1
		}
	}
	packed := kernel.AlignedFloats(PackedLen(&c))
	var forms Forms
	for _, k := range []struct {
		weights []float32
		in, out float64
	}{{even, 32, 40}, {one, 1, 40}, {single, 32, 1}, {even, 32, 40}} {
		PackWeights(&c, k.weights, packed)
		forms.Clear()
		if got, want := forms.tail(p, &c, packed), bf16Tail(k.in, k.out); math.Abs(got-want) > 1e-6 {
			t.Errorf("tail %g, want that of %g -> %g channels, %g", got, k.in, k.out, want)
		}
	}
	few, ok := c.chooseSchemes(bf16Products, bf16Tail(1, 40), 1)
	many, _ := c.chooseSchemes(bf16Products, bf16Tail(64, 64), 1)
	if noise := func(s [3]int) float64 {
		return kernel.Schemes[s[0]].Noise * kernel.Schemes[s[1]].Noise * kernel.Schemes[s[2]].Noise
	}; !ok || !(noise(few) < noise(many)) {
		t.Errorf("one channel takes schemes %v, many take %v", few, many)
	}
	clear(packed)
	if got := c.weightsTail(p, packed); got != 1 {
		t.Errorf("tail of zeros is %g, want 1", got)
	}
}

// TestFormsOfManySizes checks that images of many sizes do not make weights be kept in ever more forms, and that forms
// which were given up are made again.
func TestFormsOfManySizes(t *testing.T) {
	p := NewWorkers(1)
	defer p.Close()
	r := rand.New(rand.NewPCG(9, 10))
	var s Scratch
	var forms Forms
	defer s.free()
	defer forms.free()
	w := randomTensor(r, 16, 16, [3]int{3, 3, 3})
	var packed []float32
	schemes := map[[3]int]bool{}
	for _, side := range []int{1, 2, 3, 4, 5, 6, 7, 8, 20, 1, 4, 8} {
		size := [3]int{side, side, side}
		c := SameConv(16, 16, [3]int{3, 3, 3}, [3]int{1, 1, 1}, size)
		if packed == nil {
			packed = kernel.AlignedFloats(PackedLen(&c))
			PackWeights(&c, w.f32(), packed)
		}
		scheme, _ := c.chooseSchemes(anyScheme, 0, 1)
		schemes[scheme] = true
		x := randomTensor(r, 1, 16, size)
		want, got := naiveConv(&c, x, w.v), NewAct(1, 16, side, side, side)
		ConvForward(p, &c, x.act(p), packed, got, &Epilogue{Forms: &forms}, &s)
		testutil.Near(t, fmt.Sprint(size), want.fromAct(p, got).v, want.v, convTolerance)
		if len(forms.made) > keptForms {
			t.Errorf("%d forms of the weights are kept, at most %d should be", len(forms.made), keptForms)
		}
	}
	if len(schemes) <= keptForms {
		t.Errorf("the sizes take %d schemes, too few to try this", len(schemes))
	}
}
