package evaluate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// bruteForce is DeLong's area and variance from all pairs, as the paper of 1988 states them.
func bruteForce(pos, neg []float64) (auc, variance float64) {
	m, n := float64(len(pos)), float64(len(neg))
	wins := func(x, y float64) float64 {
		switch {
		case x > y:
			return 1
		case x == y:
			return 0.5
		}
		return 0
	}
	for _, x := range pos {
		for _, y := range neg {
			auc += wins(x, y) / (m * n)
		}
	}
	var s10, s01 float64
	for _, x := range pos {
		var v float64
		for _, y := range neg {
			v += wins(x, y) / n
		}
		s10 += (v - auc) * (v - auc) / (m - 1)
	}
	for _, y := range neg {
		var v float64
		for _, x := range pos {
			v += wins(x, y) / m
		}
		s01 += (v - auc) * (v - auc) / (n - 1)
	}
	return auc, s10/m + s01/n
}

func TestDeLongEqualsAllPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for trial := range 50 {
		var truth []bool
		var scores, pos, neg []float64
		for range 4 + rng.IntN(60) {
			positive := rng.IntN(3) == 0
			s := rng.NormFloat64() + float64(index(positive))
			if trial%2 == 0 {
				s = math.Round(2 * s) // ties
			}
			truth, scores = append(truth, positive), append(scores, s)
			if positive {
				pos = append(pos, s)
			} else {
				neg = append(neg, s)
			}
		}
		if len(pos) < 2 || len(neg) < 2 {
			continue
		}
		auc, variance := bruteForce(pos, neg)
		d, err := components(truth, scores)
		near(t, "auc", d.auc, auc, err)
		near(t, "variance", d.variance(), variance, nil)
		got, err := AUCInterval(truth, scores)
		if err != nil {
			t.Fatal(err)
		}
		if variance > 1e-12 {
			near(t, "low", float64(got.Low), math.Max(0, auc-1.959963984540054*math.Sqrt(variance)), nil)
			near(t, "high", float64(got.High), math.Min(1, auc+1.959963984540054*math.Sqrt(variance)), nil)
		}
	}
}

// A worked example: negatives 1 2 3, positives 2 3 4. The placements are 1/2, 5/6, 1 of the positives and 1, 5/6, 1/2
// of the negatives; both have mean 7/9 and variance 7/108; the variance of the area is 2 * 7/108 / 3.
func TestDeLongByHand(t *testing.T) {
	got, err := AUCInterval([]bool{false, false, false, true, true, true}, []float64{1, 2, 3, 2, 3, 4})
	near(t, "auc", float64(got.Value), 7.0/9, err)
	near(t, "low", float64(got.Low), 7.0/9-1.959963984540054*math.Sqrt(2*7.0/108/3), nil)
	near(t, "high", float64(got.High), 1, nil)
	if got.Method != MethodDeLong {
		t.Errorf("method %s", got.Method)
	}
}

func TestPerfectSeparationIsNotCertain(t *testing.T) {
	truth, scores := []bool{false, false, false, false, true, true, true}, []float64{1, 2, 3, 4, 5, 6, 7}
	got, err := AUCInterval(truth, scores)
	if err != nil || got.Value != 1 || got.High != 1 || got.Low < 0.3 || got.Low > 0.9 || got.Method != MethodNewcombe {
		t.Fatalf("got %+v, %v", got, err)
	}
	// The bound solves (1 - t)^2 = z^2 V(t), with m = 3 and n = 4.
	low, extra := float64(got.Low), 2.5
	v := low * (1 - low) * (1 + extra*((1-low)/(2-low)+low/(1+low))) / 12
	near(t, "bound", (1-low)*(1-low), z95*z95*v, nil)
	for i := range scores {
		scores[i] = -scores[i]
	}
	mirrored, err := AUCInterval(truth, scores)
	near(t, "mirrored", float64(mirrored.High), 1-low, err)
	lone, err := AUCInterval([]bool{false, true, false}, []float64{1, 2, 3})
	if err != nil || lone.Value != 0.5 || lone.Method != MethodNewcombe || !(lone.Low < 0.2 && lone.High > 0.8) {
		t.Errorf("one positive case: %+v, %v", lone, err)
	}
}

// The values of Newcombe (1998), Statistics in Medicine 17, table I: 81/263, 15/148, 0/20, 1/29, method 3 (Wilson's
// score).
func TestWilsonAsPublished(t *testing.T) {
	for _, c := range []struct {
		hits, total int
		low, high   float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		e := Proportion(c.hits, c.total)
		if math.Abs(float64(e.Low)-c.low) > 5e-5 || math.Abs(float64(e.High)-c.high) > 5e-5 {
			t.Errorf("%d/%d: %v to %v, want %v to %v", c.hits, c.total, e.Low, e.High, c.low, c.high)
		}
	}
	if e := Proportion(0, 0); e.Value.Defined() || e.Low.Defined() {
		t.Errorf("of no cases: %v", e)
	}
}

func TestArgmaxAsNumPy(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		values []float64
		want   int
	}{{[]float64{0.2, 0.5, 0.3}, 1}, {[]float64{0.5, 0.5}, 0}, {[]float64{1, nan, 3, nan}, 1}, {[]float64{math.Inf(-1), math.Inf(-1)}, 0}, {nil, -1}} {
		if got := Argmax(c.values); got != c.want {
			t.Errorf("%v: %d, want %d", c.values, got, c.want)
		}
	}
}

func TestSoftmaxOfLargeLogits(t *testing.T) {
	for _, shift := range []float64{0, 1000, -1000} {
		p := Softmax([]float64{shift, shift + math.Log(3)})
		if math.Abs(p[0]-0.25) > 1e-12 || math.Abs(p[1]-0.75) > 1e-12 {
			t.Errorf("shift %g: %v", shift, p)
		}
	}
}

func TestBadScoresAreErrors(t *testing.T) {
	for name, scores := range map[string][]float64{"not a number": {1, math.NaN()}, "infinite": {1, math.Inf(1)}, "too few": {1}} {
		_, e1 := ROC([]bool{true, false}, scores, true)
		_, e2 := AUCInterval([]bool{true, false}, scores)
		if e1 == nil || e2 == nil || errors.Is(e2, ErrOneClass) {
			t.Errorf("%s: %v, %v", name, e1, e2)
		}
	}
	if _, err := AveragePrecision(nil, nil); err == nil {
		t.Error("no cases: no error")
	}
}

func BenchmarkDeLong(b *testing.B) {
	for _, n := range []int{100, 10000} {
		rng := rand.New(rand.NewPCG(7, 8))
		truth, scores := make([]bool, n), make([]float64, n)
		for i := range scores {
			truth[i], scores[i] = rng.IntN(2) == 0, rng.NormFloat64()
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := AUCInterval(truth, scores); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
