package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/evaluate/evaluatetest"
	"github.com/universal-classifier/uc/internal/figure"
	"github.com/universal-classifier/uc/internal/task"
)

// cohort is n cases of a two-class and a three-class label with a model that is right more often than not.
func cohort(n int) ([]task.Label, []evaluate.Prediction) {
	labels := []task.Label{{Name: "Lesion <i>", Values: []string{"absent", "present & large"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}}
	return labels, evaluatetest.Predictions(labels, n, 5)
}

func numbers(values ...float64) (out []evaluate.Number) {
	for _, v := range values {
		out = append(out, evaluate.Number(v))
	}
	return out
}

// drawn writes a figure in both formats and returns the words of the SVG.
func drawn(t *testing.T, name string, f *figure.Figure) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.SVG(&b); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := f.PDF(io.Discard); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if dir := os.Getenv("UC_KEEP_PICTURES"); dir != "" {
		if _, err := f.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var words strings.Builder
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if err == io.EOF {
			return words.String()
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text, ok := token.(xml.CharData); ok {
			words.Write(text)
		}
	}
}

func TestFiguresSayWhatTheReportSays(t *testing.T) {
	labels, predictions := cohort(120)
	r := evaluate.Evaluate(labels, predictions)
	for at, l := range r.Labels {
		roc := drawn(t, fmt.Sprintf("roc%d", at), ROC(l, at, r.Predictions))
		for _, v := range l.Values {
			if want := fmt.Sprintf("%s: AUC %s, %d of 120 cases", v.Name, v.AUC, v.Positives); !strings.Contains(roc, want) {
				t.Errorf("no %q in\n%s", want, roc)
			}
		}
		confusion := drawn(t, fmt.Sprintf("confusion%d", at), Confusion(l))
		if want := fmt.Sprintf("%d of", l.Confusion[0][1]); !strings.Contains(confusion, want) {
			t.Errorf("no %q in\n%s", want, confusion)
		}
	}
	if Calibration(r.Labels[0]) != nil && r.Labels[0].Calibration == nil || DecisionCurve(r.Labels[0]) != nil && r.Labels[0].Values[0].DecisionCurve == nil {
		t.Error("what was not measured was drawn")
	}
}

// A perfect curve has no band: every resample of it is perfect, which is no evidence of certainty.
func TestPerfectCurveHasNoBand(t *testing.T) {
	labels := []task.Label{{Name: "Lesion", Values: []string{"absent", "present"}}}
	var predictions []evaluate.Prediction
	for i := range 10 {
		predictions = append(predictions, evaluate.Prediction{Case: fmt.Sprint(i), Targets: []int{i % 2}, Logits: [][]float64{{0, float64(i%2*2-1) + 0.01*float64(i)}}})
	}
	bands := func(predictions []evaluate.Prediction) (n int) {
		r := evaluate.Evaluate(labels, predictions)
		for _, m := range ROC(r.Labels[0], 0, r.Predictions).Panels[0].Marks {
			if _, ok := m.(figure.Band); ok {
				n++
			}
		}
		return n
	}
	if n := bands(predictions); n != 0 {
		t.Errorf("%d bands of a perfect curve", n)
	}
	predictions[0].Targets = []int{1}
	if n := bands(predictions); n != 1 {
		t.Errorf("%d bands, want 1", n)
	}
}

func TestOneClassHasNoCurve(t *testing.T) {
	labels, predictions := cohort(6)
	for i := range predictions {
		predictions[i].Targets = []int{0, 0}
	}
	r := evaluate.Evaluate(labels, predictions)
	if got := drawn(t, "one_class", ROC(r.Labels[0], 0, r.Predictions)); !strings.Contains(got, "no curve, none of the 6 cases is of this class") {
		t.Errorf("got\n%s", got)
	}
	drawn(t, "one_class_confusion", Confusion(r.Labels[1]))
}

func TestCalibrationBeforeAndAfter(t *testing.T) {
	bins := func(shift float64) *evaluate.CalibrationMeasures {
		c := evaluate.ClassCalibration{Name: "present"}
		for i := range 5 {
			p := evaluate.Number(0.1 + 0.2*float64(i))
			c.Bins = append(c.Bins, evaluate.CalibrationBin{Cases: 9, Probability: p, Share: evaluate.Estimate{Value: p + evaluate.Number(shift), Low: p - 0.1, High: p + 0.1}})
		}
		return &evaluate.CalibrationMeasures{ECE: evaluate.Estimate{Value: 0.05, Low: 0.01, High: 0.1}, Classes: []evaluate.ClassCalibration{c}}
	}
	l := evaluate.LabelReport{Name: "Lesion", Calibration: &evaluate.CalibrationReport{Before: *bins(0.08), After: bins(0)}}
	got := drawn(t, "calibration", Calibration(l))
	for _, want := range []string{"as predicted", "after temperature scaling", "expected calibration error 0.050 [0.010, 0.100]", "of 9 cases at a mean probability of 0.500"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	l.Calibration.After = nil
	if f := Calibration(l); len(f.Panels) != 1 || f.Panels[0].Title != "" {
		t.Errorf("%d panels", len(f.Panels))
	}
}

func TestDecisionCurve(t *testing.T) {
	l := evaluate.LabelReport{Name: "Lesion", Values: []evaluate.ValueReport{{Name: "present", DecisionCurve: &evaluate.DecisionCurve{
		Calibrated: true, Thresholds: numbers(0.01, 0.25, 0.5, 0.75, 0.99), Model: numbers(0.4, 0.35, 0.25, 0.1, math.NaN()),
		Low: numbers(0.3, 0.25, 0.15, 0, math.NaN()), High: numbers(0.5, 0.45, 0.35, 0.2, math.NaN()),
		TreatAll: numbers(0.4, 0.2, -0.2, -1.4, -59), Raw: numbers(0.4, 0.33, 0.2, 0.05, 0)}}}}
	f := DecisionCurve(l)
	if got := drawn(t, "decision", f); !strings.Contains(got, "act on all cases") || !strings.Contains(got, "network, calibrated") {
		t.Errorf("got\n%s", got)
	}
	if low := f.Panels[0].Y.Min; low < -0.5 || low > 0 {
		t.Errorf("the axis begins at %g", low)
	}
}

func TestTrainings(t *testing.T) {
	var folds []Training
	rng := rand.New(rand.NewPCG(3, 4))
	for fold := range 5 {
		f := Training{Fold: fmt.Sprint(fold)}
		for epoch := range 40 {
			x := float64(epoch)
			f.TrainLoss = append(f.TrainLoss, 0.3+0.5*math.Exp(-x/10)+0.03*rng.NormFloat64())
			f.ValLoss = append(f.ValLoss, 0.45+0.3*math.Exp(-x/10)+0.03*rng.NormFloat64())
			f.AUC = append(f.AUC, 0.93-0.45*math.Exp(-x/10))
		}
		folds = append(folds, f)
	}
	if got := drawn(t, "trainings", Trainings(folds)); !strings.Contains(got, "fold 4") || !strings.Contains(got, "AUC on validation cases") {
		t.Errorf("got\n%s", got)
	}
	for i := range folds {
		folds[i].AUC = nil
	}
	if got := drawn(t, "trainings_losses", Trainings(folds)); !strings.Contains(got, "fold 4") || strings.Contains(got, "AUC") && !strings.Contains(got, "area") {
		t.Errorf("got\n%s", got)
	}
	if Trainings(nil) != nil {
		t.Error("no epochs")
	}
}
