package evaluate

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

// bruteForceDifference is the variance of the difference of two areas from all pairs: DeLong's covariance matrix as the
// paper of 1988 states it.
func bruteForceDifference(truth []bool, a, b []float64) (difference, variance float64) {
	var pos, neg []int
	for i, t := range truth {
		if t {
			pos = append(pos, i)
		} else {
			neg = append(neg, i)
		}
	}
	m, n := float64(len(pos)), float64(len(neg))
	wins := func(s []float64, i, j int) float64 {
		switch {
		case s[i] > s[j]:
			return 1
		case s[i] == s[j]:
			return 0.5
		}
		return 0
	}
	scores := [2][]float64{a, b}
	var auc [2]float64
	v10, v01 := [2][]float64{make([]float64, len(pos)), make([]float64, len(pos))}, [2][]float64{make([]float64, len(neg)), make([]float64, len(neg))}
	for k, s := range scores {
		for x, i := range pos {
			for y, j := range neg {
				w := wins(s, i, j)
				auc[k] += w / (m * n)
				v10[k][x] += w / n
				v01[k][y] += w / m
			}
		}
	}
	covariance := func(r, s int) float64 {
		var s10, s01 float64
		for x := range pos {
			s10 += (v10[r][x] - auc[r]) * (v10[s][x] - auc[s]) / (m - 1)
		}
		for y := range neg {
			s01 += (v01[r][y] - auc[r]) * (v01[s][y] - auc[s]) / (n - 1)
		}
		return s10/m + s01/n
	}
	return auc[0] - auc[1], covariance(0, 0) + covariance(1, 1) - 2*covariance(0, 1)
}

func TestCompareAUCEqualsAllPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	compared := 0
	for trial := range 60 {
		var truth []bool
		var a, b []float64
		for i := range 6 + rng.IntN(60) {
			positive := i < 2 || i > 3 && rng.IntN(3) == 0
			shared := rng.NormFloat64()
			s := [2]float64{shared + rng.NormFloat64() + float64(index(positive)), shared + rng.NormFloat64()/2}
			if trial%2 == 0 {
				s[0], s[1] = math.Round(2*s[0]), math.Round(s[1]) // ties
			}
			truth, a, b = append(truth, positive), append(a, s[0]), append(b, s[1])
		}
		want, variance := bruteForceDifference(truth, a, b)
		got, p, err := CompareAUC(truth, a, b)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(float64(got.Value)-want) > 1e-12 {
			t.Errorf("difference %g, want %g", got.Value, want)
		}
		if variance < 1e-12 {
			continue
		}
		compared++
		sd := math.Sqrt(variance)
		if low, high := max(-1, want-1.959963984540054*sd), min(1, want+1.959963984540054*sd); math.Abs(float64(got.Low)-low) > 1e-12 || math.Abs(float64(got.High)-high) > 1e-12 {
			t.Errorf("interval [%g, %g], want [%g, %g]", got.Low, got.High, low, high)
		}
		if wantP := math.Erfc(math.Abs(want) / sd / math.Sqrt2); math.Abs(float64(p)-wantP) > 1e-9 || got.Method != MethodDeLong {
			t.Errorf("p %g, want %g; method %s", p, wantP, got.Method)
		}
		back, q, _ := CompareAUC(truth, b, a)
		if math.Abs(float64(back.Value+got.Value)) > 1e-12 || math.Abs(float64(back.Low+got.High)) > 1e-12 || math.Abs(float64(q-p)) > 1e-12 {
			t.Errorf("the other way round: %+v and %g, %+v and %g", back, q, got, p)
		}
	}
	if compared < 40 {
		t.Errorf("only %d compared", compared)
	}
}

func TestCompareAUCWithoutVariance(t *testing.T) {
	truth := []bool{false, false, false, true, true, true}
	perfect, constant := []float64{1, 2, 3, 4, 5, 6}, make([]float64, 6)
	d, p, err := CompareAUC(truth, perfect, constant)
	if err != nil || d.Value != 0.5 || d.Method != MethodNewcombe || p.Defined() || !(d.Low > -0.5 && d.Low < 0.4) || d.High != 0.5 {
		t.Errorf("perfect against chance: %+v, p %v, %v", d, p, err)
	}
	d, p, _ = CompareAUC(truth, perfect, perfect)
	if d.Value != 0 || p.Defined() || !(d.Low < 0) {
		t.Errorf("perfect against perfect: %+v, p %v", d, p)
	}
	if _, _, err := CompareAUC([]bool{true, true}, []float64{1, 2}, []float64{1, 2}); !errors.Is(err, ErrOneClass) {
		t.Errorf("one class: %v", err)
	}
	if _, _, err := CompareAUC(truth, perfect, []float64{1, 2, 3, 4, 5, math.NaN()}); err == nil {
		t.Error("NaN accepted")
	}
}

// withBaselines is a report of 40 cases on which the network is good for the first label and useless for the second.
func withBaselines(t *testing.T) *Report {
	t.Helper()
	labels := []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}}
	rng := rand.New(rand.NewPCG(3, 4))
	var predictions []Prediction
	var baseline [][][]float64
	for i := range 40 {
		lesion, grade := i%2, i%3
		p := Prediction{Case: string(rune('a'+i/26)) + string(rune('a'+i%26)), Fold: "0", Targets: []int{lesion, grade}}
		p.Logits = [][]float64{{0, 3*float64(lesion) + rng.NormFloat64()}, {rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}}
		predictions = append(predictions, p)
		good := []float64{0.1, 0.1, 0.1}
		good[grade] = 0.8
		baseline = append(baseline, [][]float64{{0.5, 0.5}, good})
	}
	r := Evaluate(labels, predictions)
	if err := r.AddBaseline(BaselineROIVolume, []string{"log(roi_volume_mm3)"}, baseline); err != nil {
		t.Fatal(err)
	}
	if err := r.AddBaseline(BaselineFrequency, nil, baseline[:1]); err == nil {
		t.Error("a baseline of one case was accepted")
	}
	r.WarnOfBaselines()
	return r
}

func TestBaselinesAreReported(t *testing.T) {
	r := withBaselines(t)
	lesion, grade := r.Labels[0].Baselines[0], r.Labels[1].Baselines[0]
	if lesion.Values[0].AUC.Value != 0.5 || lesion.Accuracy.Value != 0.5 || !(lesion.Values[0].Difference.Low > 0.2) {
		t.Errorf("lesion: %+v", lesion)
	}
	if len(grade.Values) != 3 || grade.MacroAUC != 1 || grade.Values[2].AUC.Value != 1 || !(grade.Values[1].Difference.High < 0) {
		t.Errorf("grade: %+v", grade)
	}
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "Grade: the network is no better than a few plain numbers") || !strings.Contains(r.Warnings[0], "ROI volume alone 1.000") {
		t.Errorf("warnings %q", r.Warnings)
	}
	table := r.Table()
	for _, want := range []string{"\n  baseline    accuracy  AUC yes\n  ROI volume  0.500     0.500 [", "\n  ROI volume  1.000     1.000    1.000       1.000\n",
		"class  best baseline  AUC of network minus baseline"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	var text bytes.Buffer
	if err := r.CSV(&text); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cell := func(row int, column string) string { return cellIn(t, rows, row, column) }
	if cell(1, "auc_roi_volume") != "0.5" || cell(2, "auc_roi_volume") != "0.5" || cell(2, "best_baseline") != BaselineROIVolume || cell(2, "auc_image_volume") != "" ||
		cell(6, "label") != "Grade" || cell(6, "auc_roi_volume") != "1" || !strings.HasPrefix(cell(6, "auc_minus_best_baseline"), "-0.") || cell(3, "best_baseline") != "" {
		t.Errorf("rows %v", rows)
	}
	text.Reset()
	if err := r.JSON(&text); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if b := back.Labels[1].Baselines; len(b) != 1 || b[0].Name != BaselineROIVolume || b[0].Values[1].AUC.Value != 1 || b[0].Features[0] != "log(roi_volume_mm3)" {
		t.Errorf("read back: %+v", b)
	}
}

// A network that is a little better, on few cases, is not shown to be better.
func TestUnclearDifferenceIsSaid(t *testing.T) {
	labels := []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}}
	var predictions []Prediction
	var baseline [][][]float64
	for i, s := range []float64{1, 3, 2, 5, 4, 6, 8, 7} {
		predictions = append(predictions, Prediction{Case: string(rune('a' + i)), Targets: []int{i / 4}, Logits: [][]float64{{0, s}}})
		p := 0.1 * []float64{1, 3, 5, 2, 4, 6, 8, 7}[i]
		if i == 3 {
			p = 0.65
		}
		baseline = append(baseline, [][]float64{{1 - p, p}})
	}
	r := Evaluate(labels, predictions)
	if err := r.AddBaseline(BaselineImageMean, []string{"image_mean[0]"}, baseline); err != nil {
		t.Fatal(err)
	}
	r.WarnOfBaselines()
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "do not show that the network is better") {
		t.Errorf("warnings %q", r.Warnings)
	}
}
