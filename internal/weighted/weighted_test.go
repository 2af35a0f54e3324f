package weighted

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Cases that count several times measure as if they were listed several times, in any order.
func TestWeightsAreRepetitions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	measures := map[string]func(s *Scores, times []float64) float64{
		"AUC": (*Scores).AUC, "average precision": (*Scores).AveragePrecision, "Brier": (*Scores).Brier,
		"ECE": func(s *Scores, times []float64) float64 { bins := s.Bins(times); return bins.ECE() },
	}
	for range 50 {
		n := 2 + r.IntN(40)
		truth, scores, times := make([]bool, n), make([]float64, n), make([]float64, n)
		var longTruth []bool
		var longScores, ones []float64
		for i := range n {
			truth[i], scores[i], times[i] = r.IntN(2) == 1, math.Round(20*r.Float64())/20, float64(r.IntN(4))
			for range int(times[i]) {
				longTruth, longScores, ones = append(longTruth, truth[i]), append(longScores, scores[i]), append(ones, 1)
			}
		}
		r.Shuffle(len(ones), func(i, j int) {
			longTruth[i], longTruth[j] = longTruth[j], longTruth[i]
			longScores[i], longScores[j] = longScores[j], longScores[i]
		})
		for name, measure := range measures {
			got, want := measure(NewScores(truth, scores), times), measure(NewScores(longTruth, longScores), ones)
			if !(math.Abs(got-want) < 1e-12 || math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("%s of %v %v, %v times: %g, want %g", name, truth, scores, times, got, want)
			}
		}
	}
}

// A probability on an edge belongs to the range above it, and 1 to the last; the error is that of a count by hand.
func TestBins(t *testing.T) {
	for p, want := range map[float64]int{0: 0, 0.0999: 0, 0.1: 1, 0.5: 5, 0.999: 9, 1: 9, -1e-9: 0, 1 + 1e-9: 9} {
		if got := BinOf(p); got != want {
			t.Errorf("%g lies in range %d, want %d", p, got, want)
		}
	}
	s := NewScores([]bool{true, false, true, true}, []float64{0.92, 0.98, 0.31, 0.39})
	bins := s.Bins([]float64{1, 1, 2, 0})
	if got, want := bins.ECE(), (math.Abs(0.92+0.98-1)+2*math.Abs(0.31-1))/4; math.Abs(got-want) > 1e-15 {
		t.Errorf("ECE %g, want %g", got, want)
	}
	if got, want := s.Brier([]float64{1, 1, 2, 0}), (0.08*0.08+0.98*0.98+2*0.69*0.69)/4; math.Abs(got-want) > 1e-15 {
		t.Errorf("Brier score %g, want %g", got, want)
	}
	if none := new(Bins); !math.IsNaN(none.ECE()) {
		t.Errorf("ECE of nothing: %g", none.ECE())
	}
}

// The mean is over the classes that are there.
func TestBalancedAccuracy(t *testing.T) {
	got := BalancedAccuracy([]int{0, 0, 1, 1, 1, 2}, []int{0, 1, 1, 0, 1, 0}, 3, []float64{3, 1, 1, 0, 1, 0})
	if want := (3.0/4 + 1) / 2; got != want {
		t.Errorf("%g, want %g", got, want)
	}
}
