package subgroup

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
)

var lesion = []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}}

// draw makes n cases, per of each patient; skill is how far the scores of the two classes lie apart for a case.
func draw(rng *rand.Rand, n, per int, skill func(i int) float64) (classes []int, scores []float64, patients []string) {
	shared := 0.0
	for i := range n {
		if i%per == 0 {
			shared = rng.NormFloat64()
		}
		class, patient := rng.IntN(2), ""
		score := skill(i)*(float64(class)-0.5) + rng.NormFloat64()
		if per > 1 {
			score += shared
			patient = fmt.Sprint("p", i/per)
		}
		classes, scores, patients = append(classes, class), append(scores, score), append(patients, patient)
	}
	return classes, scores, patients
}

func cohort(rng *rand.Rand, n int, skill func(i int) float64) *evaluate.Report {
	classes, scores, patients := draw(rng, n, 1, skill)
	predictions := make([]evaluate.Prediction, n)
	for i := range predictions {
		predictions[i] = evaluate.Prediction{Case: fmt.Sprintf("c%04d", i), Targets: []int{classes[i]}, Logits: [][]float64{{0, scores[i]}}, Patient: patients[i]}
	}
	return evaluate.Evaluate(lesion, predictions)
}

func category(name string, n int, of func(i int) string) *covariate.Column {
	c := &covariate.Column{Name: name, Kind: covariate.Category, Texts: map[string]string{}}
	for i := range n {
		if v := of(i); v != "" {
			c.Texts[fmt.Sprintf("c%04d", i)] = v
		}
	}
	return c
}

// A group on which the classifier guesses is found and named; a covariate without meaning is not.
func TestPlantedFailureIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 400
	fails := func(i int) bool { return i%4 == 0 }
	r := cohort(rng, n, func(i int) float64 {
		if fails(i) {
			return 0
		}
		return 2.5
	})
	scanner := category("scanner", n, func(i int) string {
		switch {
		case i%97 == 1:
			return "" // not known
		case i%131 == 2:
			return "rare"
		case fails(i):
			return "old"
		}
		return "new"
	})
	coin := category("coin", n, func(int) string { return []string{"heads", "tails"}[rng.IntN(2)] })
	if err := Add(r, &covariate.Table{Columns: []*covariate.Column{scanner, coin}}, nil); err != nil {
		t.Fatal(err)
	}
	g := r.Labels[0].Subgroups[0]
	var names []string
	for _, s := range g.Groups {
		names = append(names, s.Name)
	}
	if want := []string{"new", "old", "rare", "not known"}; !slices.Equal(names, want) {
		t.Fatalf("groups %q, want %q", names, want)
	}
	for _, s := range g.Groups[2:] {
		if s.TooFew == "" || s.Values != nil || s.Cases == 0 {
			t.Errorf("a group of few cases: %+v", s)
		}
	}
	if old := g.Groups[1].Values[0].AUC; !(old.Low < 0.5 && old.High < 0.75) {
		t.Errorf("area of the group that fails: %v", old)
	}
	area := g.Tests[0]
	if area.Measure != evaluate.MeasureAUC || !(area.PHolm < 0.001) || !(area.P < area.PHolm) || !(area.Difference.Low > 0.1) || area.Lowest != "old" ||
		!slices.Equal(area.Groups, []string{"new", "old"}) {
		t.Errorf("%+v", area)
	}
	tests := 0
	for _, g := range r.Labels[0].Subgroups {
		tests += len(g.Tests)
	}
	if tests != 8 {
		t.Errorf("%d tests", tests)
	}
	for _, test := range r.Labels[0].Subgroups[1].Tests {
		if test.PHolm < 0.05 {
			t.Errorf("a coin matters: %+v", test)
		}
	}
	warned := strings.Join(r.Warnings, "\n")
	if !strings.Contains(warned, "Lesion: AUC of yes differs by scanner") || !strings.Contains(warned, "for old") || strings.Contains(warned, "coin") {
		t.Errorf("warnings %q", r.Warnings)
	}
	for _, p := range r.Predictions {
		if p.Groups["scanner"] == "" || p.Groups["coin"] == "" {
			t.Fatalf("case %s is in groups %v", p.Case, p.Groups)
		}
	}
	if text := r.Table(); !strings.Contains(text, "Lesion by scanner (one group for each category)") || !strings.Contains(text, "not measured: 4 cases, fewer than 10") {
		t.Errorf("table\n%s", text)
	}
}

// Sides with few cases are not measured though the group is.
func TestFewPositives(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	r := cohort(rng, 80, func(int) float64 { return 1 })
	i := 0
	one := category("site", 80, func(int) string { return "" })
	for _, p := range r.Predictions { // site A has at most two positive cases
		if p.Targets[0] == 0 || i < 2 {
			one.Texts[p.Case] = "A"
			i += p.Targets[0]
		} else {
			one.Texts[p.Case] = "B"
		}
	}
	if err := Add(r, &covariate.Table{Columns: []*covariate.Column{one}}, nil); err != nil {
		t.Fatal(err)
	}
	g := r.Labels[0].Subgroups[0]
	v := g.Groups[0].Values[0]
	if v.AUC.Value.Defined() || v.AUC.Why != "2 positive cases, fewer than 5" || !v.Specificity.Value.Defined() || v.Sensitivity.Value.Defined() || v.AveragePrecision.Value.Defined() {
		t.Errorf("%+v", v)
	}
	if len(g.Tests) != 1 || g.Tests[0].Measure != evaluate.MeasureAccuracy {
		t.Errorf("tests %+v", g.Tests)
	}
}

func TestRuleForNoColumn(t *testing.T) {
	r := cohort(rand.New(rand.NewPCG(5, 6)), 20, func(int) float64 { return 1 })
	err := Add(r, &covariate.Table{Columns: []*covariate.Column{category("sex", 20, func(int) string { return "f" })}}, map[string]covariate.Rule{"age": {}})
	if err == nil || !strings.Contains(err.Error(), `no covariate "age" among "sex"`) {
		t.Error(err)
	}
}

// Where groups do not differ the test of areas raises an alarm in about 5 % of cohorts: with cases of their own, with
// several cases of a patient in one group, with patients in both groups, and where areas are near 1.
func TestLevelOfAreas(t *testing.T) {
	const cohorts = 400
	for _, c := range []struct {
		name      string
		per       int
		skill     float64
		groups    int
		group     func(i int) int
		low, high float64
	}{
		{"own cases", 1, 1, 2, func(i int) int { return i % 2 }, 0.025, 0.075},
		{"three groups", 1, 1, 3, func(i int) int { return i % 3 }, 0.025, 0.08},
		{"patients in one group", 3, 1, 2, func(i int) int { return i / 3 % 2 }, 0.025, 0.08},
		{"patients in both groups", 2, 1, 2, func(i int) int { return i % 2 }, 0.025, 0.08},
		{"near 1", 1, 3, 2, func(i int) int { return i % 2 }, 0.01, 0.09},
	} {
		rng := rand.New(rand.NewPCG(11, 12))
		alarms, defined := 0, 0
		for range cohorts {
			const n = 180
			classes, scores, patients := draw(rng, n, c.per, func(int) float64 { return c.skill })
			groups := make([]*group, c.groups)
			for g := range groups {
				groups[g] = &group{name: fmt.Sprint(g)}
			}
			for i, class := range classes {
				g := groups[c.group(i)]
				g.targets, g.predicted = append(g.targets, class), append(g.predicted, 0)
				g.scores, g.patients = append(g.scores, []float64{-scores[i], scores[i]}), append(g.patients, patients[i])
			}
			test := areas(1, "yes", groups)
			if !math.IsNaN(float64(test.P)) {
				defined++
			}
			if test.P < 0.05 {
				alarms++
			}
		}
		rate := float64(alarms) / float64(defined)
		t.Logf("%s: false alarms in %.3f of %d cohorts", c.name, rate, defined)
		if rate < c.low || rate > c.high || defined < cohorts*9/10 {
			t.Errorf("%s: false alarms in %.3f of %d cohorts", c.name, rate, defined)
		}
	}
}
