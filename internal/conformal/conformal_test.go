package conformal

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestP(t *testing.T) {
	parts := []Scores{Of([][]float64{{0.9, 0.1}, {0.4, 0.6}, {0.2, 0.8}}, []int{0, 0, 1}, 2), Of([][]float64{{0.5, 0.5}}, []int{0}, 2)}
	// Class 0: scores 0.1 and 0.6 of the first network, 0.5 of the second; class 1: 0.2.
	got := P(parts, [][]float64{{0.7, 0.3}, {0.4, 0.6}})
	// Under the first network the case scores 0.3 (one of two at least as high), under the second 0.6 (none).
	if want := []float64{2.0 / 4, 1.0 / 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if set := Set([]float64{0.05, 0.1}, 0.1); !slices.Equal(set, []int{1}) {
		t.Errorf("where no class fits, got %v", set)
	}
	if set := Set([]float64{0.2, 0.05, 0.11}, 0.1); !slices.Equal(set, []int{0, 2}) {
		t.Errorf("got %v", set)
	}
	// Of a class without held-out cases nothing is known: it cannot be left out.
	if p := P([]Scores{{nil, {0.5}}}, [][]float64{{0.01, 0.99}}); p[0] != 1 {
		t.Errorf("p of an unknown class: %v", p[0])
	}
}

// Sets cover every class at the rate, the rare one too, under overconfident probabilities, over many cohorts.
func TestCoverage(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	draw := func(n int) (p [][]float64, y []int) {
		for range n {
			class := 0
			if r.Float64() < 0.15 {
				class = 1
			}
			logit := 3 * (r.NormFloat64() + float64(2*class) - 1.5) // three times too sharp
			q := 1 / (1 + math.Exp(-logit))
			p, y = append(p, []float64{1 - q, q}), append(y, class)
		}
		return p, y
	}
	var covered, all [2]float64
	var size float64
	for range 200 {
		var parts []Scores
		for range 5 {
			p, y := draw(40)
			parts = append(parts, Of(p, y, 2))
		}
		p, y := draw(100)
		for i := range p {
			set := Set(P(parts, [][]float64{p[i], p[i], p[i], p[i], p[i]}), 0.1)
			all[y[i]]++
			size += float64(len(set))
			if slices.Contains(set, y[i]) {
				covered[y[i]]++
			}
		}
	}
	for class := range covered {
		if rate := covered[class] / all[class]; rate < 0.89 || rate > 0.93 {
			t.Errorf("class %d is covered in %.3f of its cases", class, rate)
		}
	}
	if mean := size / (all[0] + all[1]); mean > 1.6 {
		t.Errorf("sets of %.2f classes say too little", mean)
	}
}
