package logistic

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func TestEqualsScikitLearn(t *testing.T) {
	b, err := os.ReadFile("testdata/sklearn.json")
	if err != nil {
		t.Fatal(err)
	}
	var cohorts []struct {
		Classes            int
		X                  [][]float64
		Y                  []int
		New, Probabilities [][]float64
	}
	if err := json.Unmarshal(b, &cohorts); err != nil {
		t.Fatal(err)
	}
	for i, c := range cohorts {
		m, err := Fit(c.X, c.Y, c.Classes)
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range c.New {
			for class, l := range m.LogProbabilities(x) {
				if got, want := math.Exp(l), c.Probabilities[k][class]; !(math.Abs(got-want) < 1e-7) {
					t.Errorf("cohort %d, case %d, class %d: %.10f, want %.10f", i, k, class, got, want)
				}
			}
		}
	}
	if len(cohorts) == 0 {
		t.Error("no cohorts")
	}
}

func probabilities(m *Model, x ...float64) []float64 {
	p := m.LogProbabilities(x)
	for i := range p {
		p[i] = math.Exp(p[i])
	}
	return p
}

func near(a, b []float64) bool {
	for i := range a {
		if !(math.Abs(a[i]-b[i]) < 1e-6) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestWithoutUsefulFeaturesTheSharesOfTheClasses(t *testing.T) {
	y := []int{0, 0, 3, 0, 1, 3}
	shares := []float64{3.0 / 6, 1.0 / 6, 0, 2.0 / 6}
	for name, features := range map[string][]float64{"none": {}, "one that is the same everywhere": {0.1}} {
		x := make([][]float64, len(y))
		for i := range x {
			x[i] = features
		}
		m, err := Fit(x, y, 4)
		if err != nil {
			t.Fatal(err)
		}
		if got := probabilities(m, features...); !near(got, shares) || !near(m.Prior(), shares) {
			t.Errorf("%s: %v, prior %v", name, got, m.Prior())
		}
	}
	m, err := Fit([][]float64{{1}, {2}}, []int{1, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got := probabilities(m, 7); !near(got, []float64{0, 1, 0}) {
		t.Errorf("one class: %v", got)
	}
}

// Classes that a feature separates perfectly have no best fit without a penalty; a middle class is found between two
// others.
func TestSeparatedAndMiddleClasses(t *testing.T) {
	var x [][]float64
	var y []int
	for i := range 30 {
		x, y = append(x, []float64{1e5 + 1e4*float64(i)}), append(y, i/10)
	}
	m, err := Fit(x, y, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range x {
		p := probabilities(m, row...)
		if i%10 > 1 && i%10 < 8 && !(p[y[i]] > 0.5) {
			t.Errorf("case %d of class %d: %v", i, y[i], p)
		}
	}
}

// The gradient vanishes at the result, whatever the cohort.
func TestIsTheMinimum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		classes, features := 2+rng.IntN(4), 1+rng.IntN(5)
		var x [][]float64
		var y []int
		for range 5 + rng.IntN(60) {
			row := make([]float64, features)
			class := rng.IntN(classes)
			for k := range row {
				row[k] = 1e6 + 1e3*rng.NormFloat64() + 3e3*float64(class)
			}
			x, y = append(x, row), append(y, class)
		}
		m, err := Fit(x, y, classes)
		if err != nil {
			t.Fatal(err)
		}
		rows, targets := [][]float64{}, []int{}
		index := map[int]int{}
		for i, class := range m.present {
			index[class] = i
		}
		for i := range x {
			rows, targets = append(rows, m.row(x[i])), append(targets, index[y[i]])
		}
		at := m.loss(m.coefficients, rows, targets)
		for i := range m.coefficients {
			for _, d := range []float64{-1e-3, 1e-3} {
				moved := append([]float64{}, m.coefficients...)
				moved[i] += d
				if l := m.loss(moved, rows, targets); l < at-1e-9 {
					t.Errorf("coefficient %d moved by %g: loss %.12g, before %.12g", i, d, l, at)
				}
			}
		}
	}
}

func TestWhatCannotBeFitted(t *testing.T) {
	for name, c := range map[string]struct {
		x    [][]float64
		y    []int
		want string
	}{
		"no cases": {nil, nil, "0 cases"},
		"NaN":      {[][]float64{{1}, {math.NaN()}}, []int{0, 1}, "case 1: feature 0 is NaN"},
		"ragged":   {[][]float64{{1}, {1, 2}}, []int{0, 1}, "2 features"},
		"class":    {[][]float64{{1}, {2}}, []int{0, 2}, "class 2"},
	} {
		if _, err := Fit(c.x, c.y, 2); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
