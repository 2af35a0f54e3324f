package weights

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Correlate keeps mean and variance, gives the weights of a kernel the correlation that was asked for, and leaves those
// of different kernels independent.
func TestCorrelate(t *testing.T) {
	const taps, kernels = 27, 4000
	for _, want := range []float64{0, 0.3, 0.8, 1} {
		w := make([]float32, taps*kernels)
		rng := rand.New(rand.NewPCG(5, 6))
		InitUniform(rng, w, taps*kernels)
		before := slices.Clone(w)
		Correlate(rng, w, taps, want)
		if want == 0 && !slices.Equal(w, before) {
			t.Error("a correlation of 0 changed the weights")
		}
		var sum, squares, within, between float64
		for k := range kernels {
			kernel, next := w[k*taps:][:taps], w[(k+1)%kernels*taps:][:taps]
			for i, v := range kernel {
				sum, squares = sum+float64(v), squares+float64(v)*float64(v)
				within += float64(v) * float64(kernel[(i+1)%taps])
				between += float64(v) * float64(next[i])
			}
		}
		n := float64(taps * kernels)
		variance := 1. / 3 / n
		// Four standard errors: kernels are what is independent at a correlation of 1.
		if e := 4 / math.Sqrt(kernels); math.Abs(sum/n) > e*math.Sqrt(variance) || math.Abs(squares/n/variance-1) > 1.5*e ||
			math.Abs(within/n/variance-want) > 1.5*e || math.Abs(between/n/variance) > e {
			t.Errorf("correlation %g: mean %g, variance %g of %g, correlation %g within kernels and %g between them",
				want, sum/n, squares/n, variance, within/n/variance, between/n/variance)
		}
	}
	one := []float32{1, 2, 3}
	Correlate(rand.New(rand.NewPCG(1, 2)), one, 1, 0.8)
	if !slices.Equal(one, []float32{1, 2, 3}) {
		t.Errorf("kernels of one tap became %v", one)
	}
}
