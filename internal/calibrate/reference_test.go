package calibrate

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"
)

// reference is what scripts/check_reliability.py computed with scikit-learn and SciPy.
type reference struct {
	Calibration []struct {
		Logits        [][]float64
		Targets       []int
		Temperature   float64
		Before, After struct {
			LogLoss     float64 `json:"log_loss"`
			Brier       float64
			Reliability float64
			Resolution  float64
			Uncertainty float64
			Within      float64
			ECE         float64
			DebiasedRMS float64 `json:"debiased_rms"`
			Slopes      []float64
			Intercepts  []float64
		}
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*math.Max(1, math.Abs(want))) {
		t.Errorf("%s: %.15g, want %.15g", what, got, want)
	}
}

func ones(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func TestEqualsScikitLearn(t *testing.T) {
	raw, err := os.ReadFile("testdata/reliability.json")
	if err != nil {
		t.Fatal(err)
	}
	var of reference
	if err := json.Unmarshal(raw, &of); err != nil || len(of.Calibration) != 4 {
		t.Fatal(err, len(of.Calibration))
	}
	for _, c := range of.Calibration {
		classes := len(c.Logits[0])
		temperature, bound, err := Temperature(c.Logits, c.Targets)
		if err != nil || bound != "" {
			t.Fatal(err, bound)
		}
		near(t, "temperature", temperature, c.Temperature)
		for k, applied := range []float64{1, temperature} {
			p := make([][]float64, len(c.Logits))
			for i, z := range c.Logits {
				p[i] = Apply(z, applied)
			}
			w := c.Before
			if k == 1 {
				w = c.After
			}
			s := NewSample(p, c.Targets, classes)
			m := s.Measure(ones(len(p)))
			near(t, "log loss", m.LogLoss, w.LogLoss)
			near(t, "Brier", m.Brier, w.Brier)
			near(t, "reliability", m.Reliability, w.Reliability)
			near(t, "resolution", m.Resolution, w.Resolution)
			near(t, "uncertainty", m.Uncertainty, w.Uncertainty)
			near(t, "within bins", m.WithinBins, w.Within)
			near(t, "ECE", m.ECE, w.ECE)
			near(t, "debiased RMS", m.DebiasedRMS, w.DebiasedRMS)
			for k := range s.Classes() {
				near(t, "slope", s.Slope(k, ones(len(p))), w.Slopes[k])
				near(t, "intercept", s.Intercept(k, ones(len(p))), w.Intercepts[k])
			}
		}
	}
}

// A case of weight 2 is as good as two of it.
func TestWeightsAreCounts(t *testing.T) {
	p := [][]float64{{0.9, 0.1}, {0.4, 0.6}, {0.3, 0.7}, {0.6, 0.4}, {0.55, 0.45}}
	y := []int{0, 1, 0, 1, 0}
	weights := []float64{2, 0, 1, 3, 1}
	var p2 [][]float64
	var y2 []int
	for i, w := range weights {
		for range int(w) {
			p2, y2 = append(p2, p[i]), append(y2, y[i])
		}
	}
	a, b := NewSample(p, y, 2), NewSample(p2, y2, 2)
	x, z := a.Measure(weights), b.Measure(ones(len(p2)))
	near(t, "ECE", x.ECE, z.ECE)
	near(t, "Brier", x.Brier, z.Brier)
	near(t, "log loss", x.LogLoss, z.LogLoss)
	near(t, "debiased", x.DebiasedRMS, z.DebiasedRMS)
	near(t, "slope", a.Slope(0, weights), b.Slope(0, ones(len(p2))))
	near(t, "intercept", a.Intercept(0, weights), b.Intercept(0, ones(len(p2))))
}

func TestTemperatureHasBounds(t *testing.T) {
	right := [][]float64{{2, -2}, {1, -1}, {-1, 1}, {-3, 2}}
	if got, bound, err := Temperature(right, []int{0, 0, 1, 1}); err != nil || got != MinTemperature || bound != boundSeparated {
		t.Errorf("separated: %v %q %v", got, bound, err)
	}
	if got, bound, err := Temperature(right, []int{1, 1, 0, 0}); err != nil || got != MaxTemperature || bound != boundUseless {
		t.Errorf("contrary: %v %q %v", got, bound, err)
	}
	if got, bound, err := Temperature([][]float64{{0, 0}, {0, 0}}, []int{0, 1}); err != nil || got != MaxTemperature || bound != boundUseless {
		t.Errorf("equal logits: %v %q %v", got, bound, err)
	}
	if _, _, err := Temperature(right, []int{1, 1, 1, 1}); !errors.Is(err, ErrOneClass) {
		t.Errorf("one class: %v", err)
	}
	if _, _, err := Temperature(nil, nil); !errors.Is(err, ErrNoCases) {
		t.Errorf("no cases: %v", err)
	}
	// Logits of hundreds neither overflow nor stop the search.
	hot := [][]float64{{90, 0}, {80, 0}, {0, 70}, {50, 0}, {0, 90}}
	if got, bound, err := Temperature(hot, []int{0, 0, 1, 1, 1}); err != nil || bound != "" || !(got > 20 && got < MaxTemperature) {
		t.Errorf("hot logits: %v %q %v", got, bound, err)
	}
}

func TestSlopeIsNotDefinedEverywhere(t *testing.T) {
	for name, c := range map[string]struct {
		p [][]float64
		y []int
	}{
		"separated": {[][]float64{{0.9, 0.1}, {0.8, 0.2}, {0.3, 0.7}, {0.1, 0.9}}, []int{0, 0, 1, 1}},
		"one class": {[][]float64{{0.9, 0.1}, {0.2, 0.8}}, []int{1, 1}},
		"equal":     {[][]float64{{0.5, 0.5}, {0.5, 0.5}}, []int{0, 1}},
	} {
		if got := NewSample(c.p, c.y, 2).Slope(0, ones(len(c.p))); !math.IsNaN(got) {
			t.Errorf("%s: slope %v", name, got)
		}
	}
	sure := NewSample([][]float64{{1, 0}, {0, 1}, {0, 1}}, []int{0, 1, 0}, 2)
	if m := sure.Measure(ones(3)); math.IsInf(m.LogLoss, 0) || math.IsNaN(m.LogLoss) || m.LogLoss < 10 {
		t.Errorf("a certain error: log loss %v", m.LogLoss)
	}
}
