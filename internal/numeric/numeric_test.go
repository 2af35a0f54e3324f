package numeric

import (
	"math"
	"testing"
)

func TestFinite(t *testing.T) {
	for _, v := range []float64{0, math.Copysign(0, -1), -1, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		if !Finite(v) || !Finite(float32(min(v, math.MaxFloat32))) {
			t.Errorf("%v is finite", v)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if Finite(v) || Finite(float32(v)) || AllFinite([]float32{1, float32(v), 2}) {
			t.Errorf("%v is not finite", v)
		}
	}
	if !AllFinite([]float32{math.MaxFloat32, -math.MaxFloat32}) || !AllFinite(nil) {
		t.Error("finite numbers are not")
	}
}

func TestMedian(t *testing.T) {
	values := []float64{5, 1, 4, 2}
	if got := Median(values); got != 3 || values[0] != 5 {
		t.Errorf("median %v of %v", got, values)
	}
	if got := Median(values[:3]); got != 4 {
		t.Errorf("median %v", got)
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("a median of nothing")
	}
}

func TestCrossEntropy(t *testing.T) {
	for _, row := range [][]float32{{1, 2, -3}, {1000, 1002, 997}, {-1000, -998, -1003}} { // differences of 1, 2 and 5
		largest, sum := Exponentials(row)
		want := math.Log(1 + math.Exp(-1) + math.Exp(-5))
		if row[1]-row[0] == 2 {
			want = math.Log(1 + math.Exp(-2) + math.Exp(-5))
		}
		if got := CrossEntropy(row[1], largest, sum); math.Abs(got-want) > 1e-12 {
			t.Errorf("%v: %v, want %v", row, got, want)
		}
	}
}
