package drift

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func draw(rng *rand.Rand, n int, mean float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = mean + rng.NormFloat64()
	}
	return out
}

// The statistic and its p value by hand, and SciPy's: ks_2samp(range(10), [x + 3.5 for x in range(10)]) has the
// distance 0.4.
func TestCompareByHand(t *testing.T) {
	var a, b []float64
	for i := range 10 {
		a, b = append(a, float64(i)), append(b, float64(i)+3.5)
	}
	d := Compare("x", a, b)
	if math.Abs(d.KS-0.4) > 1e-12 || math.Abs(*d.Standardised-3.5/3.0276503540974917) > 1e-12 || d.P < 0.2 || d.P > 0.5 || d.Differs {
		t.Errorf("%+v", d)
	}
}

// Cohorts of one kind hardly ever differ, those half a standard deviation apart do.
func TestChanceAndDrift(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	false1, true1 := 0, 0
	for range 300 {
		if Compare("x", draw(rng, 200, 0), draw(rng, 60, 0)).Differs {
			false1++
		}
		if Compare("x", draw(rng, 200, 0), draw(rng, 60, 0.9)).Differs {
			true1++
		}
	}
	if false1 > 9 || true1 < 280 {
		t.Errorf("%d of 300 differ by chance, %d by drift", false1, true1)
	}
}

func TestConstants(t *testing.T) {
	if d := Compare("x", []float64{1, 1, 1}, []float64{2, 2}); !d.Differs || d.Standardised != nil || !strings.Contains(d.String(), "every case") {
		t.Errorf("%+v", d)
	}
	if d := Compare("x", []float64{1, 1, 1}, []float64{1, 1 + 1e-7}); d.Differs {
		t.Errorf("%+v", d)
	}
}
