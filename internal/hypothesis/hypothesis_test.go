package hypothesis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The expected values are SciPy's (chi2_contingency without correction, fisher_exact), or counted out in Python.
func TestProportions(t *testing.T) {
	for _, c := range []struct {
		hits, totals []int
		method       string
		p            float64
	}{
		{[]int{30, 20}, []int{50, 50}, MethodPearson, 0.04550026389635857},
		{[]int{10, 20, 33}, []int{40, 50, 60}, MethodPearson, 0.011163855669195807},
		{[]int{2, 9}, []int{12, 15}, MethodFisher, 0.04732803876699421},
		{[]int{12, 9}, []int{12, 15}, MethodFisher, 0.0200297287253809},
		{[]int{1, 5, 9, 3}, []int{10, 12, 14, 11}, MethodFreeman, 0.04765280943388906},
		{[]int{0, 0}, []int{10, 10}, MethodPearson, 1},
	} {
		got := Proportions(c.hits, c.totals)
		if got.Method != c.method {
			t.Errorf("%v of %v: %s, want %s", c.hits, c.totals, got.Method, c.method)
		}
		near(t, got.Method, got.P, c.p)
	}
}

// statsmodels' multipletests.
func TestHolm(t *testing.T) {
	got := Holm([]float64{0.01, 0.04, math.NaN(), 0.03, 0.005, 0.5})
	for i, want := range []float64{0.04, 0.09, math.NaN(), 0.09, 0.025, 0.5} {
		if math.IsNaN(want) {
			if !math.IsNaN(got[i]) {
				t.Errorf("no test became %v", got[i])
			}
			continue
		}
		near(t, "Holm", got[i], want)
	}
}

func TestHeterogeneity(t *testing.T) {
	cov := mat.NewSymDense(3, []float64{.002, .0003, 0, .0003, .003, .0001, 0, .0001, .001})
	three := Heterogeneity([]float64{.8, .7, .9}, cov)
	near(t, "three groups", three.P, 0.003997491044980456)
	two := Heterogeneity([]float64{.8, .7}, mat.NewSymDense(2, []float64{.002, .0003, .0003, .003}))
	near(t, "two groups", two.P, 0.1316680160228128)
	if two.Method != MethodZ || two.Statistic <= 0 || three.Method != MethodWald || three.DF != 2 {
		t.Errorf("%+v, %+v", two, three)
	}
	if got := Heterogeneity([]float64{1, 1}, mat.NewSymDense(2, nil)); !math.IsNaN(got.P) {
		t.Errorf("without any variance: %+v", got)
	}
}

func bits(values ...int) []bool {
	out := make([]bool, len(values))
	for i, v := range values {
		out[i] = v == 1
	}
	return out
}

// statsmodels' score test of generalised estimating equations.
func TestClusteredProportions(t *testing.T) {
	hits := bits(1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0)
	group := []int{0, 0, 1, 0, 2, 2, 2, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 2, 1, 0, 2, 1, 2, 0}
	cluster := make([]int, len(hits))
	for i := range cluster {
		cluster[i] = i / 2
	}
	near(t, "score test", ClusteredProportions(hits, group, cluster, 3).P, 0.6707124215303134)
	if got := ClusteredProportions(bits(1, 1, 1, 1), []int{0, 0, 1, 1}, []int{0, 0, 1, 1}, 2); got.P != 1 {
		t.Errorf("no misses at all: %+v", got)
	}
}

// Without clusters SciPy's binomial test of the cases that one side alone gets right; with clusters all signs are
// counted out in Python.
func TestPaired(t *testing.T) {
	a := bits(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1)
	b := bits(0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 0)
	cluster := make([]int, len(a))
	for i := range cluster {
		cluster[i] = i / 3
	}
	near(t, "McNemar", Paired(a, b, nil).P, 0.00341796875)
	near(t, "sign flips", Paired(a, b, cluster).P, 0.0625)
	near(t, "exchanged", Paired(b, a, cluster).P, 0.0625)
	near(t, "no difference", Paired(a, a, cluster).P, 1)
	if got := Paired(a, b, cluster).Method; got != MethodSignFlip {
		t.Error(got)
	}
}

// Under the null hypothesis tests must not find a difference more often than in 5 % of cohorts, and those that are not
// exact not much less often.
func TestLevel(t *testing.T) {
	const cohorts = 2000
	rng := rand.New(rand.NewPCG(7, 8))
	alarms := map[string]int{}
	for range cohorts {
		var hits, totals []int
		for range 3 {
			n, hit := 20+rng.IntN(40), 0
			for range n {
				if rng.Float64() < 0.7 {
					hit++
				}
			}
			hits, totals = append(hits, hit), append(totals, n)
		}
		count := func(name string, p float64) {
			if p < 0.05 {
				alarms[name]++
			}
		}
		count("proportions", Proportions(hits, totals).P)
		var rare [2]int
		for g, n := range []int{15, 17} {
			for range n {
				if rng.Float64() < 0.25 {
					rare[g]++
				}
			}
		}
		count("rare", Proportions(rare[:], []int{15, 17}).P)

		// Forty patients of three cases each, alike, which may lie in different groups.
		var right, other []bool
		var group, cluster []int
		for c := range 40 {
			skill := 0.2 + 0.6*rng.Float64()
			for range 3 {
				right, other = append(right, rng.Float64() < skill), append(other, rng.Float64() < skill)
				group, cluster = append(group, rng.IntN(2)), append(cluster, c)
			}
		}
		count("clustered", ClusteredProportions(right, group, cluster, 2).P)
		whole := slices.Clone(cluster)
		for i := range whole {
			whole[i] %= 2
		}
		count("clustered, patients in one group", ClusteredProportions(right, whole, cluster, 2).P)
		count("paired", Paired(right, other, nil).P)
		count("paired by patient", Paired(right, other, cluster).P)
	}
	for _, c := range []struct {
		name      string
		low, high float64
	}{
		{"proportions", 0.035, 0.065}, {"rare", 0.005, 0.06}, {"clustered", 0.035, 0.065}, {"clustered, patients in one group", 0.035, 0.065},
		{"paired", 0.02, 0.06}, {"paired by patient", 0.02, 0.06},
	} {
		rate := float64(alarms[c.name]) / cohorts
		t.Logf("%s: %.4f", c.name, rate)
		if rate < c.low || rate > c.high {
			t.Errorf("%s: false alarms in %.2f %% of cohorts", c.name, 100*rate)
		}
	}
}
