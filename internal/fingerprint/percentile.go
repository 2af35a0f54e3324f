package fingerprint

import (
	"math"
	"slices"
)

// Percentile is NumPy's linear percentile q (0 to 100) of values, rounded as NumPy rounds it.
func Percentile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	low, high, t := PercentileRank(len(sorted), q)
	return Interpolate(sorted[low], sorted[high], t)
}

// PercentileRank tells which two of n sorted values the percentile q lies between, and how far along.
func PercentileRank(n int, q float64) (low, high int, t float64) {
	at := float64(q / 100 * float64(n-1)) // rounded, not fused with the subtraction below
	low = int(math.Floor(at))
	high = min(low+1, n-1)
	return low, high, at - math.Floor(at)
}

// Interpolate goes the fraction t of the way from a to b, from the nearer end as NumPy does.
func Interpolate(a, b, t float64) float64 {
	if t >= 0.5 {
		return b - float64((b-a)*(1-t))
	}
	return a + float64((b-a)*t)
}
