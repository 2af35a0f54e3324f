package winograd

import (
	"math"
	"testing"
)

// TestSchemes compares every scheme with the sum that defines it.
func TestSchemes(t *testing.T) {
	for _, s := range Schemes() {
		d, g := make([]float64, s.Inputs), make([]float64, s.R)
		for i := range d {
			d[i] = math.Sin(float64(3*i + 1))
		}
		for i := range g {
			g[i] = math.Cos(float64(2*i + 1))
		}
		v, u := apply(s.BT, d), apply(s.G, g)
		for i := range v {
			v[i] *= u[i]
		}
		for k, got := range apply(s.AT, v) {
			want := 0.0
			for j := range g {
				// inputs Skip.. of the tile are the d that is given; others are zeros of the padding
				if at := k + j + s.TapSkip - s.Skip; at >= 0 && at < len(d) {
					want += d[at] * g[j]
				}
			}
			if math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: output %d is %g, want %g", s.Name, k, got, want)
			}
		}
	}
}

func apply(m [][]float64, v []float64) []float64 {
	out := make([]float64, len(m))
	for i, row := range m {
		for j, f := range row {
			out[i] += f * v[j]
		}
	}
	return out
}
