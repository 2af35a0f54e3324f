// Package hypothesis tests whether groups of cases, or two readers of the same cases, differ.
package hypothesis

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Methods of a test, as they stand in the reports.
const (
	MethodZ          = "z test"
	MethodWald       = "chi-square test of heterogeneity"
	MethodPearson    = "Pearson's chi-square test"
	MethodFisher     = "Fisher's exact test"
	MethodFreeman    = "Fisher-Freeman-Halton exact test"
	MethodScore      = "score test clustered by patient"
	MethodMcNemar    = "McNemar's exact test"
	MethodSignFlip   = "exact sign-flip test by patient"
	MethodFewPearson = "Pearson's chi-square test (expected counts below 5)"
)

// Test is the result of a test. What is not defined is NaN, and P too where the data allow no test.
type Test struct {
	Method    string
	Statistic float64 // NaN where the method has none
	DF        int     // degrees of freedom of the statistic; 0 where it has none
	P         float64 // two-sided
}

var none = Test{Statistic: math.NaN(), P: math.NaN()}

// Normal is the two-sided p value of a standard normal statistic.
func Normal(z float64) float64 { return math.Erfc(math.Abs(z) / math.Sqrt2) }

// chiSquare is the p value of a chi-square statistic.
func chiSquare(x float64, df int) float64 {
	return distuv.ChiSquared{K: float64(df)}.Survival(x)
}

// Holm corrects p values for their number by Holm's step-down procedure (A simple sequentially rejective multiple test
// procedure, Scandinavian Journal of Statistics 6, 1979). NaN is not a test: it does not count, and it stays.
func Holm(p []float64) []float64 {
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	out := slices.Clone(p)
	highest := 0.0
	for rank, i := range order {
		highest = max(highest, min(1, float64(len(order)-rank)*p[i]))
		out[i] = highest
	}
	return out
}

// Heterogeneity tests whether estimates with a covariance, (groups, groups), are of one value: Wald's test of their
// differences, which for independent groups is Cochran's Q, and for two groups the z test.
func Heterogeneity(estimates []float64, covariance *mat.SymDense) Test {
	k := len(estimates)
	if k < 2 {
		return none
	}
	contrasts, spread := mat.NewVecDense(k-1, nil), mat.NewSymDense(k-1, nil)
	last := k - 1
	for i := range k - 1 {
		contrasts.SetVec(i, estimates[i]-estimates[last])
		for j := i; j < k-1; j++ {
			spread.SetSym(i, j, covariance.At(i, j)-covariance.At(i, last)-covariance.At(j, last)+covariance.At(last, last))
		}
	}
	q, ok := quadratic(contrasts, spread)
	if !ok {
		return none
	}
	if k == 2 {
		z := math.Sqrt(q)
		if estimates[0] < estimates[1] {
			z = -z
		}
		return Test{Method: MethodZ, Statistic: z, P: Normal(z)}
	}
	return Test{Method: MethodWald, Statistic: q, DF: k - 1, P: chiSquare(q, k-1)}
}

// quadratic is x' V^-1 x; not ok if V is not positive definite.
func quadratic(x *mat.VecDense, v *mat.SymDense) (float64, bool) {
	for i := range x.Len() {
		if !(v.At(i, i) > 0) || math.IsInf(v.At(i, i), 0) {
			return 0, false
		}
	}
	var factors mat.Cholesky
	if !factors.Factorize(v) || factors.Cond() > 1e12 {
		return 0, false
	}
	var solved mat.VecDense
	if err := factors.SolveVecTo(&solved, x); err != nil {
		return 0, false
	}
	return mat.Dot(x, &solved), true
}
