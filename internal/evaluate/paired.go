package evaluate

import (
	"fmt"
	"math"
)

// CompareAUC is the difference between the areas under the ROC curves of two scores of the same cases, the first minus
// the second, with its 95 % interval, and the two-sided p value of the areas being equal: DeLong's paired test
// (Biometrics 44, 1988). Where the variance of the difference is 0 or does not exist (both rank perfectly, or there are
// fewer than two cases on a side) the interval is Newcombe's of the first area, moved by the second, and p is not
// defined.
func CompareAUC(truth []bool, first, second []float64) (difference Estimate, p Number, err error) {
	return ClusteredCompareAUC(truth, first, second, nil)
}

// ClusteredCompareAUC is CompareAUC where patients are the patients of the cases: if one of them has several, the
// variance is that of Obuchowski's paired test (Biometrics 53, 1997).
func ClusteredCompareAUC(truth []bool, first, second []float64, patients []string) (difference Estimate, p Number, err error) {
	none := Estimate{Value: undefined, Low: undefined, High: undefined}
	a, err := clusteredComponents(truth, first, patients)
	if err != nil {
		return none, undefined, err
	}
	b, err := components(truth, second)
	if err != nil {
		return none, undefined, fmt.Errorf("second score: %w", err)
	}
	d := a.auc - b.auc
	variance := areaVariance(minus(a.positives, b.positives), minus(a.negatives, b.negatives), a.positiveOf, a.negativeOf)
	if !(variance > noVariance) {
		low, high := a.newcombe()
		return Estimate{Value: Number(d), Low: Number(low - b.auc), High: Number(high - b.auc), Method: MethodNewcombe}, undefined, nil
	}
	sd := math.Sqrt(variance)
	return Estimate{Value: Number(d), Low: Number(math.Max(-1, d-z95*sd)), High: Number(math.Min(1, d+z95*sd)), Method: a.method()},
		Number(math.Erfc(math.Abs(d) / sd / math.Sqrt2)), nil
}

func minus(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}
