package bootstrap

import (
	"math"
	"math/rand/v2"
	"testing"
)

func mean(values []float64) func(weights, out []float64) {
	return func(weights, out []float64) {
		var n float64
		out[0] = 0
		for i, w := range weights {
			n, out[0] = n+w, out[0]+w*values[i]
		}
		out[0] /= n
	}
}

// The interval of a mean is that of its standard error, over patients where cases are clustered; and the same each
// time.
func TestIntervalOfAMean(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	values, cluster := make([]float64, 200), make([]int, 200)
	for i := range values {
		cluster[i] = i / 2
		values[i] = r.NormFloat64()
		if i%2 == 1 {
			values[i] = values[i-1]
		}
	}
	width := func(cluster []int) float64 {
		b := Run(len(values), cluster, 1, mean(values))
		low, high := b.Percentile(0)
		again := Run(len(values), cluster, 1, mean(values))
		if l, h := again.Percentile(0); l != low || h != high {
			t.Error("the interval is another one the second time")
		}
		if !(low < b.Values[0] && b.Values[0] < high) {
			t.Errorf("%v not within [%v, %v]", b.Values[0], low, high)
		}
		return high - low
	}
	var square, sum float64
	for _, v := range values {
		sum, square = sum+v, square+v*v
	}
	n := 200.0
	want := 2 * 1.96 * math.Sqrt((square/n-sum/n*sum/n)/n)
	if got := width(nil); math.Abs(got/want-1) > 0.1 {
		t.Errorf("width %v, want %v", got, want)
	}
	if got := width(cluster); math.Abs(got/want/math.Sqrt2-1) > 0.1 {
		t.Errorf("width over patients %v, want %v", got, want*math.Sqrt2)
	}
}

func TestWhatIsNotDefined(t *testing.T) {
	b := Run(4, nil, 1, func(weights, out []float64) {
		out[0] = math.NaN()
		if weights[0] > 0 && weights[1] == 1 {
			out[0] = 1
		}
	})
	if low, high := b.Percentile(0); !math.IsNaN(low) || !math.IsNaN(high) {
		t.Errorf("defined on few draws: [%v, %v]", low, high)
	}
	if b := Run(0, nil, 1, mean(nil)); !math.IsNaN(b.Values[0]) {
		t.Errorf("no cases: %v", b.Values)
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{1, 2, 4}
	for q, want := range map[float64]float64{0: 1, 0.25: 1.5, 0.5: 2, 0.75: 3, 1: 4} {
		if got := Quantile(v, q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
}
