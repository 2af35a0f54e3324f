package testutil

import (
	"math"
	"testing"
)

// Near fails the test at the first place where got differs from want by more than tolerance times the largest value of
// want.
func Near(t testing.TB, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	scale := 1e-30
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i := range want {
		if d := math.Abs(got[i] - want[i]); !(d <= tolerance*scale) {
			t.Fatalf("%s: value %d of %d is %g, want %g (error %.2g of %.3g)", what, i, len(want), got[i], want[i], d, scale)
		}
	}
}

// Float64 widens values.
func Float64(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, f := range v {
		out[i] = float64(f)
	}
	return out
}

// Float32 rounds values.
func Float32(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, f := range v {
		out[i] = float32(f)
	}
	return out
}
