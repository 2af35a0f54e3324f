package outlier

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

func TestEqualsScikitLearn(t *testing.T) {
	raw, err := os.ReadFile("../calibrate/testdata/reliability.json")
	if err != nil {
		t.Fatal(err)
	}
	var of struct {
		LedoitWolf []struct {
			Cases, New     [][]float64
			Shrinkage      float64
			Distances, Own []float64
		} `json:"ledoit_wolf"`
	}
	if err := json.Unmarshal(raw, &of); err != nil || len(of.LedoitWolf) != 3 {
		t.Fatal(err)
	}
	for _, c := range of.LedoitWolf {
		g, err := NewGaussian(c.Cases)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(g.Shrinkage()-c.Shrinkage) > 1e-9 {
			t.Errorf("shrinkage %v, want %v", g.Shrinkage(), c.Shrinkage)
		}
		for i, x := range append(slices.Clone(c.New), c.Cases...) {
			want := append(slices.Clone(c.Distances), c.Own...)[i]
			if got := g.Distance(x); math.Abs(got-want) > 1e-9*want {
				t.Errorf("distance %v, want %v", got, want)
			}
		}
	}
}

func draw(r *rand.Rand, n, p int, shift float64) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		common := r.NormFloat64()
		for k := range p {
			out[i] = append(out[i], 1+0.3*common+0.3*r.NormFloat64()*float64(1+k%3)+shift*float64(1-k%2*2))
		}
	}
	return out
}

// The distances of held-out cases are those of new ones, so that a tail of 5 % is a false alarm of 5 %; those of the
// cases of the fit are smaller.
func TestHeldOutDistancesAreThoseOfNewCases(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var alarms, found, seen, total float64
	for range 20 {
		cases := draw(r, 60, 100, 0)
		g, err := NewGaussian(cases)
		if err != nil {
			t.Fatal(err)
		}
		held, err := g.HeldOut(make([]string, len(cases)))
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range cases {
			if g.Distance(x) < held[i] {
				seen++
			}
		}
		slices.Sort(held)
		for _, x := range draw(r, 60, 100, 0) {
			if Tail(held, g.Distance(x)) <= 0.05 {
				alarms++
			}
			total++
		}
		for _, x := range draw(r, 60, 100, 0.5) {
			if Tail(held, g.Distance(x)) <= 0.05 {
				found++
			}
		}
	}
	if seen < 0.95*total {
		t.Errorf("only %v of %v cases are closer to a fit that has seen them", seen, total)
	}
	if rate := alarms / total; rate < 0.02 || rate > 0.08 {
		t.Errorf("%.3f of new cases are flagged, want 0.05", rate)
	}
	if rate := found / total; rate < 0.9 {
		t.Errorf("%.3f of the shifted cases are flagged", rate)
	}
}

// Scans of one patient are never on both sides.
func TestHeldOutKeepsGroupsTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	cases := draw(r, 40, 30, 0)
	groups := make([]string, 40)
	for i := range groups {
		groups[i] = string(rune('a' + i/2))
		if i%2 == 1 { // nearly the same scan again
			cases[i] = slices.Clone(cases[i-1])
			cases[i][0] += 1e-3
		}
	}
	g, err := NewGaussian(cases)
	if err != nil {
		t.Fatal(err)
	}
	together, err := g.HeldOut(groups)
	if err != nil {
		t.Fatal(err)
	}
	apart, err := g.HeldOut(make([]string, 40))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := mean(together), mean(apart); a <= b {
		t.Errorf("distances of %v with patients kept together, %v without", a, b)
	}
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}

func TestWhatHasNoCovariance(t *testing.T) {
	same := [][]float64{{1, 2}, {1, 2}, {1, 2}, {1, 2}}
	if _, err := NewGaussian(same); !errors.Is(err, ErrConstant) {
		t.Errorf("equal cases: %v", err)
	}
	if _, err := NewGaussian(same[:2]); err == nil {
		t.Error("two cases were accepted")
	}
	if _, err := NewGaussian([][]float64{{1, 2}, {1, math.NaN()}, {1, 2}}); err == nil {
		t.Error("NaN was accepted")
	}
	g, err := NewGaussian([][]float64{{1, 2}, {2, 1}, {0, 3}, {4, 4}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range [][]float64{{math.NaN(), 0}, {math.Inf(1), 0}, {1}} {
		if d := g.Distance(x); !math.IsNaN(d) {
			t.Errorf("%v: distance %v", x, d)
		}
	}
}

func TestRanges(t *testing.T) {
	var values [][]float64
	for i := range 39 {
		values = append(values, []float64{1, 100 + float64(i)}) // one spacing, many intensities
	}
	r := NewRanges([]Measure{{Name: "spacing", Log: true, Least: 0.02}, {Name: "intensity", Least: 1e-6}}, values)
	if score, _ := r.Score([]float64{1, 119}); Tail(r.Scores, score) != 1 {
		t.Errorf("the median case scores %v", score)
	}
	if score, each := r.Score([]float64{3, 119}); Tail(r.Scores, score) != 1.0/40 || each[0] < 10 || each[1] != 0 {
		t.Errorf("another spacing: %v, %v", score, each)
	}
	if score, _ := r.Score([]float64{1.001, 119}); Tail(r.Scores, score) < 0.5 {
		t.Errorf("rounding of the spacing scores %v", score)
	}
	if score, _ := r.Score([]float64{1, math.NaN()}); Tail(r.Scores, score) != 1.0/40 {
		t.Errorf("NaN scores %v", score)
	}
	// Gains that differ by factors of a thousand in one case of ten hide no other spacing.
	for i := range values {
		values[i][1] = 100 + float64(i)
		if i%10 == 0 {
			values[i][1] *= 1000
		}
	}
	r = NewRanges([]Measure{{Name: "spacing", Log: true, Least: 0.02}, {Name: "intensity", Unit: 50, Least: 0.01}}, values)
	if score, _ := r.Score([]float64{3, 119}); Tail(r.Scores, score) != 1.0/40 {
		t.Errorf("another spacing beside intensities with heavy tails: %v of %v", score, r.Scores)
	}
	if score, _ := r.Score([]float64{1, -119}); Tail(r.Scores, score) > 0.9 {
		t.Errorf("a negative mean scores %v", score)
	}
	if Tail(nil, 3) != 1 {
		t.Error("without cases everything is usual")
	}
}
