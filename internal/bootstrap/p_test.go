package bootstrap

import (
	"math"
	"testing"
)

// The draws of a mean of three cases can be counted by hand through the sorted draws.
func TestPCountsDrawsOnEitherSide(t *testing.T) {
	values := []float64{-1, 0.2, 0.5, 0.9, 0.3}
	b := Run(len(values), nil, 1, mean(values))
	below, above := 1, 1
	for _, v := range b.draws[0] {
		if v <= 0 {
			below++
		}
		if v >= 0 {
			above++
		}
	}
	if want := 2 * float64(min(below, above)) / (Draws + 1); b.P(0) != want || want < 0.05 {
		t.Errorf("p %v, want %v", b.P(0), want)
	}
	if p := Run(3, nil, 1, mean([]float64{0, 0, 0})).P(0); p != 1 {
		t.Errorf("no difference at all: p %v", p)
	}
	if p := Run(3, nil, 1, mean([]float64{1, 2, 3})).P(0); p != 2.0/(Draws+1) {
		t.Errorf("nothing below 0: p %v", p)
	}
	if p := Run(2, nil, 1, func(_, out []float64) { out[0] = math.NaN() }).P(0); !math.IsNaN(p) {
		t.Errorf("not defined: p %v", p)
	}
}
