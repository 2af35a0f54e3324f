package baseline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/evaluate"
)

// covariatesOf gives the cases of cohortOf an age that shows Lesion, a sex that means nothing, and a site that shows
// Lesion a little.
func covariatesOf(c *Cohort) *covariate.Table {
	rng := rand.New(rand.NewPCG(31, 32))
	age := &covariate.Column{Name: "age", Kind: covariate.Number, Numbers: map[string]float64{}}
	sex := &covariate.Column{Name: "sex", Kind: covariate.Category, Texts: map[string]string{}}
	site := &covariate.Column{Name: "site", Kind: covariate.Category, Texts: map[string]string{}}
	for i := range len(c.Cases) {
		id := fmt.Sprintf("case_%03d", i)
		lesion := float64(c.Cases[id].Targets[0])
		if i%10 != 3 { // else not known
			age.Numbers[id] = 50 + 14*lesion + 8*rng.NormFloat64()
		}
		sex.Texts[id] = []string{"f", "m"}[rng.IntN(2)]
		site.Texts[id] = []string{"A", "B"}[min(1, int(0.6*lesion+rng.Float64()))]
	}
	return &covariate.Table{Columns: []*covariate.Column{site, age, sex}}
}

func TestCovariatesAndStacking(t *testing.T) {
	r, c := cohortOf(150)
	rng := rand.New(rand.NewPCG(41, 42))
	for i := range r.Predictions { // a weak network, whose errors are not those of the age
		p := &r.Predictions[i]
		p.Logits[0] = []float64{0, float64(p.Targets[0]) + 1.2*rng.NormFloat64()}
		p.Probabilities[0] = evaluate.Softmax(p.Logits[0])
	}
	r = evaluate.Evaluate(labels, r.Predictions)
	c.Covariates = covariatesOf(c)
	if err := Add(r, c); err != nil {
		t.Fatal(err)
	}
	lesion := r.Labels[0]
	site, age, both := reportOf(t, lesion, evaluate.BaselineSite), reportOf(t, lesion, evaluate.BaselineCovariates), reportOf(t, lesion, evaluate.BaselineStacked)
	if want := []string{"age", "age not known", "sex = f", "sex = m"}; !slices.Equal(age.Features, want) || !slices.Equal(both.Features, append([]string{"network's logits"}, want...)) {
		t.Errorf("features %q and %q", age.Features, both.Features)
	}
	if want := []string{"site = A", "site = B"}; !slices.Equal(site.Features, want) {
		t.Errorf("features %q", site.Features)
	}
	network := lesion.Values[0].AUC.Value
	v, w := age.Values[0], both.Values[0]
	if !(v.AUC.Value > 0.75 && site.Values[0].AUC.Value > 0.6 && site.Values[0].AUC.Value < v.AUC.Value) {
		t.Errorf("areas of age %v and site %v", v.AUC, site.Values[0].AUC)
	}
	if !(w.AUC.Value > network+0.05) || !(w.Difference.High < 0) || !(w.P < 0.05) {
		t.Errorf("network %v, with covariates %+v", network, w)
	}
	for _, of := range []evaluate.BaselineValue{v, w} { // the bootstrap agrees with DeLong
		if of.Bootstrap.Value != of.Difference.Value || !(of.Bootstrap.Low > of.Difference.Low-0.03 && of.Bootstrap.High < of.Difference.High+0.03) ||
			!(of.Bootstrap.Low < of.Difference.Low+0.03 && of.Bootstrap.High > of.Difference.High-0.03) {
			t.Errorf("bootstrap %v, DeLong %v", of.Bootstrap, of.Difference)
		}
	}
	if !both.WithNetwork || age.WithNetwork {
		t.Error("which of them know the network?")
	}
	if b, _ := lesion.BestBaseline(0); b.Name == evaluate.BaselineStacked {
		t.Error("the network is a baseline of itself")
	}
	// Size, of three classes, has nothing to gain.
	for _, v := range reportOf(t, r.Labels[1], evaluate.BaselineCovariates).Values {
		if !(v.AUC.Value > 0.3 && v.AUC.Value < 0.7) {
			t.Errorf("age and sex tell the size: %+v", v)
		}
	}
}

// The class of a held-out case has no part in its own prediction, neither alone nor stacked; that of a case of another
// fold has.
func TestStackingDoesNotLeak(t *testing.T) {
	r, c := cohortOf(60)
	c.Covariates = covariatesOf(c)
	predict := func() map[string][][][]float64 {
		results, err := c.fromCovariates(r)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][][][]float64{}
		for _, b := range results {
			out[b.name] = b.probabilities
		}
		return out
	}
	before := predict()
	const held = 7
	fold := r.Predictions[held].Fold
	for i, p := range r.Predictions { // another class for each case of the fold, as many of each as before
		if p.Fold != fold {
			continue
		}
		for j := i + 1; j < len(r.Predictions); j++ {
			if q := &r.Predictions[j]; q.Fold == fold && q.Targets[0] != p.Targets[0] {
				r.Predictions[i].Targets, q.Targets = q.Targets, r.Predictions[i].Targets
				c.Cases[p.Case] = Case{Targets: r.Predictions[i].Targets, Measures: c.Cases[p.Case].Measures}
				c.Cases[q.Case] = Case{Targets: q.Targets, Measures: c.Cases[q.Case].Measures}
				break
			}
		}
	}
	after := predict()
	for _, name := range []string{evaluate.BaselineSite, evaluate.BaselineCovariates, evaluate.BaselineStacked} {
		moved := false
		for i, p := range r.Predictions {
			same := slices.EqualFunc(before[name][i], after[name][i], func(a, b []float64) bool { return slices.Equal(a, b) })
			if p.Fold == fold && !same {
				t.Errorf("%s: %s is predicted by its own class: %v, then %v", name, p.Case, before[name][i], after[name][i])
			}
			moved = moved || !same
		}
		if !moved {
			t.Errorf("%s: nothing was learned from the classes", name)
		}
	}
}

// Covariates make baselines where volumes are not recorded; one fold alone leaves nothing to stack on.
func TestCovariatesWithoutMeasures(t *testing.T) {
	r, c := cohortOf(60)
	for id, of := range c.Cases {
		c.Cases[id] = Case{Targets: of.Targets}
	}
	c.Covariates = covariatesOf(c)
	if err := Add(r, c); !errors.Is(err, ErrNotMeasured) {
		t.Errorf("error %v", err)
	}
	var names []string
	for _, b := range r.Labels[0].Baselines {
		names = append(names, b.Name)
	}
	if got := strings.Join(names, ", "); got != "site, covariates, network plus covariates" {
		t.Error(got)
	}
	one, c := cohortOf(60)
	c.Covariates = covariatesOf(c)
	one = evaluate.Evaluate(labels, slices.DeleteFunc(one.Predictions, func(p evaluate.Prediction) bool { return p.Fold != "2" }))
	if err := Add(one, c); err != nil {
		t.Fatal(err)
	}
	for _, b := range one.Labels[0].Baselines {
		if b.WithNetwork {
			t.Error("stacked on one fold")
		}
	}
}
