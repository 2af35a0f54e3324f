package hypothesis

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// maxTables bounds the enumeration of an exact test.
const maxTables = 2_000_000

// Proportions tests whether independent groups, with hits among totals, share one proportion: Pearson's chi-square test
// without correction for continuity, which for two groups is the z test with the pooled proportion. Where an expected
// count is below 5 it is the exact test of Fisher, or for more than two groups that of Freeman and Halton (Note on an
// exact treatment of contingency, goodness of fit and other problems of significance, Biometrika 38, 1951), unless that
// would take too long. Without any hit, or without any miss, nothing differs: p is 1.
func Proportions(hits, totals []int) Test {
	k, hit, total := len(hits), 0, 0
	smallest := math.Inf(1)
	for g := range hits {
		hit, total = hit+hits[g], total+totals[g]
	}
	if k < 2 || total == 0 {
		return none
	}
	if hit == 0 || hit == total {
		return Test{Method: MethodPearson, Statistic: 0, DF: k - 1, P: 1}
	}
	p := float64(hit) / float64(total)
	var x float64
	for g, n := range totals {
		if n == 0 {
			return none
		}
		d := float64(hits[g]) - float64(n)*p
		x += d * d / (float64(n) * p * (1 - p))
		smallest = min(smallest, float64(n)*min(p, 1-p))
	}
	if smallest >= 5 {
		return Test{Method: MethodPearson, Statistic: x, DF: k - 1, P: chiSquare(x, k-1)}
	}
	if exact, ok := exactProportions(hits, totals, hit, total); ok {
		method := MethodFreeman
		if k == 2 {
			method = MethodFisher
		}
		return Test{Method: method, Statistic: math.NaN(), P: exact}
	}
	return Test{Method: MethodFewPearson, Statistic: x, DF: k - 1, P: chiSquare(x, k-1)}
}

// exactProportions adds up the probabilities of all tables with these margins that are no likelier than the one seen;
// not ok if there are too many.
func exactProportions(hits, totals []int, hit, total int) (float64, bool) {
	if hit > total-hit { // misses are fewer
		misses := make([]int, len(hits))
		for g := range hits {
			misses[g] = totals[g] - hits[g]
		}
		hits, hit = misses, total-hit
	}
	if logChoose(hit+len(hits)-1, len(hits)-1) > math.Log(maxTables) {
		return 0, false
	}
	logs := make([][]float64, len(totals)) // of the ways to choose so many hits of a group
	seen := -logChoose(total, hit)
	for g, n := range totals {
		logs[g] = make([]float64, min(n, hit)+1)
		for h := range logs[g] {
			logs[g][h] = logChoose(n, h)
		}
		seen += logs[g][hits[g]]
	}
	limit := seen + 1e-7 // tables that are as likely but for rounding
	var sum float64
	var visit func(g, left int, log float64)
	visit = func(g, left int, log float64) {
		if g == len(totals)-1 {
			if left < len(logs[g]) {
				if log += logs[g][left]; log <= limit {
					sum += math.Exp(log)
				}
			}
			return
		}
		for h := 0; h <= left && h < len(logs[g]); h++ {
			visit(g+1, left-h, log+logs[g][h])
		}
	}
	visit(0, hit, -logChoose(total, hit))
	return min(1, sum), true
}

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// ClusteredProportions is Proportions where cases come in clusters, of which one may have cases in several groups: the
// generalised score test (Boos, On generalized score tests, The American Statistician 46, 1992) with the empirical
// covariance over clusters, as in generalised estimating equations with independent working correlation. hits, group
// (0 to groups-1) and cluster are those of the cases.
func ClusteredProportions(hits []bool, group, cluster []int, groups int) Test {
	if groups < 2 || len(hits) == 0 {
		return none
	}
	totals := make([]float64, groups)
	hit := 0
	for i, h := range hits {
		totals[group[i]]++
		if h {
			hit++
		}
	}
	mean := float64(hit) / float64(len(hits))
	if hit == 0 || hit == len(hits) {
		return Test{Method: MethodScore, Statistic: 0, DF: groups - 1, P: 1}
	}
	sums := map[int][]float64{} // of the residuals of a cluster, per group
	var order []int
	for i, h := range hits {
		of := sums[cluster[i]]
		if of == nil {
			of = make([]float64, groups)
			sums[cluster[i]] = of
			order = append(order, cluster[i])
		}
		r := -mean
		if h {
			r++
		}
		of[group[i]] += r
	}
	score, spread := mat.NewVecDense(groups-1, nil), mat.NewSymDense(groups-1, nil)
	u := make([]float64, groups-1)
	for _, c := range order {
		var all float64
		for _, r := range sums[c] {
			all += r
		}
		for g := range u { // what is left once the common proportion has been fitted
			u[g] = sums[c][g] - totals[g]/float64(len(hits))*all
			score.SetVec(g, score.AtVec(g)+u[g])
		}
		for g := range u {
			for h := g; h < len(u); h++ {
				spread.SetSym(g, h, spread.At(g, h)+u[g]*u[h])
			}
		}
	}
	x, ok := quadratic(score, spread)
	if !ok {
		return none
	}
	return Test{Method: MethodScore, Statistic: x, DF: groups - 1, P: chiSquare(x, groups-1)}
}
