package reliability

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
)

var mass = []task.Label{{Name: "Mass", Values: []string{"no", "yes"}}}

// simulated is a cross-validation of overconfident networks: the logit of a case is sharpness times that of the truth.
func simulated(r *rand.Rand, n, folds int, sharpness float64) *evaluate.Report {
	var p []evaluate.Prediction
	for i := range n {
		logit := 1.5 * r.NormFloat64()
		target := 0
		if r.Float64() < 1/(1+math.Exp(-logit)) {
			target = 1
		}
		p = append(p, evaluate.Prediction{Case: fmt.Sprintf("case_%04d", i), Fold: fmt.Sprint(i % folds), Targets: []int{target}, Logits: [][]float64{{0, sharpness * logit}}})
	}
	return evaluate.Evaluate(mass, p)
}

func TestTemperatureMendsOverconfidence(t *testing.T) {
	r := simulated(rand.New(rand.NewPCG(1, 1)), 400, 5, 3)
	Add(r, Options{})
	c := r.Labels[0].Calibration
	if got := float64(c.Temperature.Value); got < 2.4 || got > 4.2 {
		t.Errorf("temperature %v, want about 3", got)
	}
	if len(c.Nested) != 5 || c.Nested[0].Cases != 320 || c.Parts != PartsFolds {
		t.Errorf("nested %+v of %s", c.Nested, c.Parts)
	}
	before, after := c.Before, c.After
	if !(after.LogLoss.Value < before.LogLoss.Value && after.BrierScore.Value < before.BrierScore.Value && after.ECE.Value < before.ECE.Value/2) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if s := after.Classes[0].Slope; !(s.Low < 1 && 1 < s.High) || before.Classes[0].Slope.High > 0.5 {
		t.Errorf("slope %v after, %v before", s, before.Classes[0].Slope)
	}
	for _, m := range []*evaluate.CalibrationMeasures{&before, after} {
		if sum := m.Reliability.Value - m.Resolution.Value + m.Uncertainty.Value + m.WithinBins; math.Abs(float64(sum-m.BrierScore.Value)) > 1e-12 {
			t.Errorf("Murphy's parts are %v together, the Brier score %v", sum, m.BrierScore.Value)
		}
		for _, e := range []evaluate.Estimate{m.LogLoss, m.BrierScore, m.Resolution, m.Uncertainty} {
			if !(e.Low < e.Value && e.Value < e.High) {
				t.Errorf("%v outside its interval", e)
			}
		}
	}
	// A temperature keeps the order of the cases.
	for _, p := range r.Predictions {
		if (p.Calibrated[0][1] > 0.5) != (p.Probabilities[0][1] > 0.5) {
			t.Errorf("case %s changed its class", p.Case)
		}
	}
	again := simulated(rand.New(rand.NewPCG(1, 1)), 400, 5, 3)
	Add(again, Options{})
	var first, second strings.Builder
	if r.JSON(&first) != nil || again.JSON(&second) != nil || first.String() != second.String() {
		t.Error("the same cases give another report the second time")
	}
}

// The temperature of a fold's cases does not know them: other classes in one fold leave its own temperature as it is.
func TestTemperaturesAreNested(t *testing.T) {
	a, b := simulated(rand.New(rand.NewPCG(2, 2)), 300, 5, 2), simulated(rand.New(rand.NewPCG(2, 2)), 300, 5, 2)
	for i := range b.Predictions {
		if b.Predictions[i].Fold == "3" {
			b.Predictions[i].Targets = []int{1 - b.Predictions[i].Targets[0]}
		}
	}
	Add(a, Options{})
	Add(b, Options{})
	for k, n := range a.Labels[0].Calibration.Nested {
		same := n.Value == b.Labels[0].Calibration.Nested[k].Value
		if same != (n.Part == "3") {
			t.Errorf("part %s: temperature %v, with other classes in fold 3 %v", n.Part, n.Value, b.Labels[0].Calibration.Nested[k].Value)
		}
	}
	for k, th := range a.Labels[0].Values[0].Thresholds {
		if of := b.Labels[0].Values[0].Thresholds[k]; th.Nested[3] != of.Nested[3] || reflect.DeepEqual(th.Nested, of.Nested) {
			t.Errorf("%s: thresholds %v, with other classes in fold 3 %v", th.Rule, th.Nested, of.Nested)
		}
	}
}

// A case that two folds held out teaches neither of them, nor is it taught by them.
func TestSharedCasesLearnFromNeither(t *testing.T) {
	s := &sample{part: []string{"0", "1", "0+1", "2"}}
	for part, want := range map[string][]int{"0": {1, 3}, "0+1": {3}, "2": {0, 1, 2}} {
		if got := s.others(part); !reflect.DeepEqual(got, want) {
			t.Errorf("part %s learns from %v, want %v", part, got, want)
		}
	}
}

func TestOneFoldIsDivided(t *testing.T) {
	r := simulated(rand.New(rand.NewPCG(3, 3)), 100, 1, 2)
	for i := range r.Predictions {
		r.Predictions[i].Patient = fmt.Sprint("p", i/2)
	}
	Add(r, Options{})
	c := r.Labels[0].Calibration
	if c.Parts != PartsCases || len(c.Nested) != 5 || c.After == nil || c.Method != "bootstrap of patients" {
		t.Errorf("%+v", c)
	}
	s := newSample(r)
	for i := 0; i < 100; i += 2 {
		if s.part[i] != s.part[i+1] {
			t.Fatalf("the scans of a patient are in parts %s and %s", s.part[i], s.part[i+1])
		}
	}
}

func TestWhereNothingCanBeLearned(t *testing.T) {
	one := func(target int, logit float64, fold string) evaluate.Prediction {
		return evaluate.Prediction{Case: fmt.Sprint("c", logit, fold), Fold: fold, Targets: []int{target}, Logits: [][]float64{{0, logit}}}
	}
	many := func(n int, of ...evaluate.Prediction) (all []evaluate.Prediction) {
		for i := range n {
			for k, p := range of {
				p.Case = fmt.Sprint(p.Case, " ", i, k)
				all = append(all, p)
			}
		}
		return all
	}
	for name, c := range map[string]struct {
		cases []evaluate.Prediction
		why   string
		bound string
	}{
		"one class":  {many(20, one(1, 1, "0"), one(1, 2, "1")), "all cases are of one class", ""},
		"fold all":   {many(20, one(1, 1, "all"), one(0, -2, "all")), notOutOfFold, ""},
		"two cases":  {many(1, one(1, 1, "0"), one(0, -2, "1")), "2 cases to learn from, expected at least 20", ""},
		"told apart": {many(20, one(1, 1, "0"), one(0, -2, "1")), "", "without an error"},
		"equal":      {many(10, one(1, 0, "0"), one(0, 0, "1"), one(1, 0, "1"), one(0, 0, "0")), "", "no information"},
		"contrary":   {many(10, one(1, 1, "0"), one(1, -2, "0"), one(0, 1, "1"), one(0, -1, "1")), "", "no information"},
		"not finite": {append(many(20, one(1, 1, "0"), one(0, 1, "1")), evaluate.Prediction{Case: "x", Fold: "1", Targets: []int{0}, Logits: [][]float64{{0, math.Inf(-1)}}, Probabilities: [][]float64{{1, 0}}}), "not finite", ""},
	} {
		r := evaluate.Evaluate(mass, c.cases)
		Add(r, Options{})
		got := r.Labels[0].Calibration
		if !strings.Contains(got.Why, c.why) || (c.why == "") != (got.Temperature != nil) {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Temperature != nil && (!strings.Contains(got.Temperature.Bound, c.bound) || c.bound == "" && got.Temperature.Bound != "") {
			t.Errorf("%s: temperature %+v", name, got.Temperature)
		}
		var b strings.Builder
		if err := r.JSON(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text := r.Table(); strings.Contains(text, "NaN") {
			t.Errorf("%s: %s", name, text)
		}
	}
	Add(evaluate.Evaluate(mass, nil), Options{}) // no cases
}

// A fold without which all cases are of one class has no temperature of its own.
func TestFoldThatHoldsAClassAlone(t *testing.T) {
	r := simulated(rand.New(rand.NewPCG(4, 4)), 60, 3, 1)
	for i := range r.Predictions {
		r.Predictions[i].Targets[0] = 0
		if r.Predictions[i].Fold == "1" {
			r.Predictions[i].Targets[0] = i % 2
		}
	}
	Add(r, Options{})
	c := r.Labels[0].Calibration
	if n := c.Nested[1]; n.Value != 1 || !strings.Contains(n.Bound, "one class") {
		t.Errorf("%+v", n)
	}
	for _, th := range r.Labels[0].Values[0].Thresholds {
		if th.Why == "" || th.PPV.Value.Defined() || !th.Threshold.Defined() {
			t.Errorf("%+v", th)
		}
	}
}

func TestThresholds(t *testing.T) {
	truth := []bool{false, false, false, false, false, false, false, false, false, false, true, true, true, true, true}
	scores := []float64{0.05, 0.1, 0.1, 0.2, 0.25, 0.3, 0.3, 0.4, 0.5, 0.75, 0.35, 0.6, 0.7, 0.8, 0.9}
	for k, want := range []float64{0.55, 0.55, 0.325} {
		// Youden: 4 of 5 above 0.55, one of ten wrong; the same keeps a specificity of 0.9; a sensitivity of 0.9 needs all
		// five, from 0.35 on.
		got, ok := rules[k].choose(truth, scores)
		if !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, want %v", rules[k].name, got, want)
		}
	}
	if got, ok := rules[1].choose([]bool{false, true}, []float64{0.9, 0.1}); !ok || got <= 0.9 {
		t.Errorf("where no case may be positive the threshold is %v", got)
	}
	if _, ok := rules[0].choose([]bool{true}, []float64{1}); ok {
		t.Error("a threshold for one class")
	}
	if got := between(0.5, math.Nextafter(0.5, 1)); got <= 0.5 {
		t.Errorf("between neighbours: %v", got)
	}
}

func TestPredictiveValues(t *testing.T) {
	share := func(hits, n int) evaluate.Estimate { return evaluate.Proportion(hits, n) }
	ppv, npv := predictiveValues(share(90, 100), share(160, 200), 0.02)
	// Bayes: 0.9 x 0.02 / (0.9 x 0.02 + 0.2 x 0.98), 0.8 x 0.98 / (0.8 x 0.98 + 0.1 x 0.02).
	if math.Abs(float64(ppv.Value)-0.018/(0.018+0.196)) > 1e-12 || math.Abs(float64(npv.Value)-0.784/(0.784+0.002)) > 1e-12 {
		t.Errorf("PPV %v, NPV %v", ppv, npv)
	}
	if !(ppv.Low < ppv.Value && ppv.Value < ppv.High && ppv.Low > 0.05 && ppv.High < 0.15) {
		t.Errorf("PPV %v [%v, %v]", ppv.Value, ppv.Low, ppv.High)
	}
	perfect, _ := predictiveValues(share(50, 50), share(50, 50), 0.5)
	if perfect.Value != 1 || perfect.High != 1 || perfect.Low > 0.97 {
		t.Errorf("without an error: %v", perfect)
	}
	if none, _ := predictiveValues(share(0, 50), share(50, 50), 0.5); none.Value.Defined() {
		t.Errorf("nobody is positive: %v", none)
	}
}

func TestStatedPrevalence(t *testing.T) {
	r := simulated(rand.New(rand.NewPCG(5, 5)), 400, 5, 1)
	Add(r, Options{Prevalence: []Prevalence{{Value: 0.5}, {Label: "Mass", Value: 0.1}, {Label: "Other", Value: 0.9}}})
	v := r.Labels[0].Values[0]
	if v.Thresholds[0].Prevalence != 0.1 || v.DecisionCurve.Prevalence != 0.1 {
		t.Fatalf("prevalence %v and %v", v.Thresholds[0].Prevalence, v.DecisionCurve.Prevalence)
	}
	// Treating all at a threshold of the prevalence is worth nothing; acting on the model is worth more than either.
	c := v.DecisionCurve
	if at := c.TreatAll[9]; math.Abs(float64(at)) > 1e-12 {
		t.Errorf("treating all at the prevalence is worth %v", at)
	}
	for k := 4; k < 20; k++ {
		if !(c.Model[k] > 0 && c.Model[k] >= c.TreatAll[k]-0.005) || !(c.Low[k] <= c.Model[k] && c.Model[k] <= c.High[k]) {
			t.Errorf("threshold %v: %v [%v, %v], treating all %v", c.Thresholds[k], c.Model[k], c.Low[k], c.High[k], c.TreatAll[k])
		}
	}
}

func TestKappaEqualsScikitLearn(t *testing.T) {
	raw, err := os.ReadFile("../calibrate/testdata/reliability.json")
	if err != nil {
		t.Fatal(err)
	}
	var of struct {
		Ordinal []struct {
			Targets, Predicted []int
			Classes            int
			Kappa, MAE         float64
		}
	}
	if err := json.Unmarshal(raw, &of); err != nil || len(of.Ordinal) != 2 {
		t.Fatal(err)
	}
	for _, c := range of.Ordinal {
		weights := make([]float64, len(c.Targets))
		for i := range weights {
			weights[i] = 1
		}
		kappa, mae := weightedKappa(c.Targets, c.Predicted, weights, c.Classes)
		if math.Abs(kappa-c.Kappa) > 1e-12 || math.Abs(mae-c.MAE) > 1e-12 {
			t.Errorf("kappa %v, error %v, want %v and %v", kappa, mae, c.Kappa, c.MAE)
		}
	}
	if kappa, _ := weightedKappa([]int{1, 1}, []int{1, 1}, []float64{1, 1}, 3); !math.IsNaN(kappa) {
		t.Errorf("kappa of one class: %v", kappa)
	}
}

func TestOrdinalLabels(t *testing.T) {
	labels := []task.Label{{Name: "Grade", Values: []string{"low", "middle", "high"}, Ordinal: true}}
	r := rand.New(rand.NewPCG(6, 6))
	var p []evaluate.Prediction
	for i := range 90 {
		target := r.IntN(3)
		logits := []float64{r.NormFloat64(), r.NormFloat64(), r.NormFloat64()}
		logits[target] += 2
		p = append(p, evaluate.Prediction{Case: fmt.Sprint(i), Fold: fmt.Sprint(i % 3), Targets: []int{target}, Logits: [][]float64{logits}})
	}
	report := evaluate.Evaluate(labels, p)
	Add(report, Options{Ordinal: func(label string) bool { return label == "Grade" }})
	l := report.Labels[0]
	if o := l.Ordinal; o == nil || !(o.Kappa.Low < o.Kappa.Value && o.Kappa.Value < o.Kappa.High && o.Kappa.Value > 0.4) || !(o.MAE.Value > 0 && o.MAE.Value < 1) {
		t.Errorf("%+v", l.Ordinal)
	}
	if len(l.Calibration.Before.Classes) != 3 || l.Doubt.Why != "" || !l.Doubt.AUCConfident.Value.Defined() {
		t.Errorf("%+v %+v", l.Calibration.Before.Classes, l.Doubt)
	}
	Add(report, Options{})
}

// Over many cohorts, sets calibrated on other folds hold the true class as often as they should, and the confident
// cases are right more often than the rest.
func TestSetsCoverAsTheyShould(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	var covered, confident, rest float64
	const cohorts = 20
	for range cohorts {
		report := simulated(r, 200, 5, 3)
		s := newSample(report)
		s.sets(0)
		s.doubt(0)
		d := report.Labels[0].Doubt
		covered += float64(d.Coverage.Value) / cohorts
		confident += float64(d.AccuracyOf.Value) / cohorts
		rest += float64(d.AccuracyRest.Value) / cohorts
	}
	if covered < 0.89 || covered > 0.93 || confident < rest+0.15 {
		t.Errorf("coverage %.3f, accuracy of the confident %.3f, of the rest %.3f", covered, confident, rest)
	}
}
