package evaluate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// The band holds the true sensitivity about 95 times in 100, and lies around the curve.
func TestBandOfROCCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	normal := func(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
	const rounds, per = 40, 60
	// At 1 - specificity of 0.2 and 0.5, with scores of positive cases higher by 1.
	places := map[int]float64{20: normal(1 - 0.8416212), 50: normal(1)}
	inside := map[int]int{}
	for range rounds {
		var truth []bool
		var scores []float64
		for i := range 2 * per {
			truth = append(truth, i < per)
			scores = append(scores, rng.NormFloat64()+float64(index(i < per)))
		}
		b, err := BandOfROC(truth, scores, make([]string, len(truth)))
		if err != nil {
			t.Fatal(err)
		}
		for place, want := range places {
			if b.Low[place] <= want && want <= b.High[place] {
				inside[place]++
			}
		}
		if b.FPR[0] != 0 || b.FPR[100] != 1 || b.Low[100] != 1 || b.High[100] != 1 {
			t.Fatalf("ends at %v, %v to %v", b.FPR[100], b.Low[100], b.High[100])
		}
	}
	for place, n := range inside {
		if n < rounds*85/100 {
			t.Errorf("at %d %%: %d of %d bands hold the truth", place, n, rounds)
		}
	}
}

// Without resampling the points are those of the curve: at jumps the upper value, between points on the line.
func TestSensitivityAtFixedPlaces(t *testing.T) {
	truth := []bool{true, false, true, true, false, false, false}
	scores := []float64{9, 8, 7, 6, 6, 5, 1}
	order, err := descending(truth, scores)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]float64{}
	sensitivityAt(order, truth, scores, []int{1, 1, 1, 1, 1, 1, 1}, func(point int, tpr float64) { got[point] = tpr })
	for point, want := range map[int]float64{0: 1. / 3, 10: 1. / 3, 25: 2. / 3, 40: (2 + 0.6) / 3, 50: 1, 100: 1} {
		if math.Abs(got[point]-want) > 1e-12 {
			t.Errorf("at %d %%: %g, want %g", point, got[point], want)
		}
	}
	if len(got) != bandPoints {
		t.Errorf("%d points", len(got))
	}
}

// Scans of one patient that are alike tell less than scans of as many patients.
func TestBandOfROCIsWiderForClusters(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	var truth []bool
	var scores []float64
	var patients []string
	for i := range 40 {
		score := rng.NormFloat64() + 0.7*float64(i%2)
		for range 4 {
			truth, scores, patients = append(truth, i%2 == 1), append(scores, score+0.01*rng.NormFloat64()), append(patients, fmt.Sprint(i))
		}
	}
	alone, err := BandOfROC(truth, scores, make([]string, len(truth)))
	if err != nil {
		t.Fatal(err)
	}
	together, err := BandOfROC(truth, scores, patients)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := alone.High[30]-alone.Low[30], together.High[30]-together.Low[30]; b < 1.4*a {
		t.Errorf("width %g of cases, %g of patients", a, b)
	}
	if _, err := BandOfROC([]bool{true}, []float64{1}, []string{""}); !errors.Is(err, ErrOneClass) {
		t.Error(err)
	}
}
