package baseline

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
)

var labels = []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Size", Values: []string{"small", "medium", "large"}}}

// cohortOf is n cases in five folds. Lesion shows in the mean intensity of the region, Size is the region's volume in
// three classes; the image's volume is the same everywhere. The network knows Lesion and guesses Size.
func cohortOf(n int) (*evaluate.Report, *Cohort) {
	rng := rand.New(rand.NewPCG(21, 22))
	c := &Cohort{Cases: map[string]Case{}, Training: map[string][]string{}, ROI: true}
	var predictions []evaluate.Prediction
	for i := range n {
		id, lesion, size := fmt.Sprintf("case_%03d", i), rng.IntN(2), rng.IntN(3)
		c.Cases[id] = Case{Targets: []int{lesion, size}, Measures: &preprocess.Measures{
			ROIVolume: math.Exp(5 + 2*float64(size) + 0.3*rng.NormFloat64()), ImageVolume: 1000,
			ROIMean: []float64{100 + 10*float64(lesion) + 8*rng.NormFloat64()}, ROISD: []float64{1 + rng.Float64()},
			ImageMean: []float64{50 + rng.NormFloat64()}, ImageSD: []float64{9 + rng.NormFloat64()},
		}}
		fold := fmt.Sprint(i % 5)
		predictions = append(predictions, evaluate.Prediction{Case: id, Fold: fold, Targets: []int{lesion, size},
			Logits: [][]float64{{0, 4*float64(lesion) - 2 + rng.NormFloat64()}, {rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}}})
		for f := range 5 {
			if fmt.Sprint(f) != fold {
				c.Training[fmt.Sprint(f)] = append(c.Training[fmt.Sprint(f)], id)
			}
		}
	}
	return evaluate.Evaluate(labels, predictions), c
}

func reportOf(t *testing.T, l evaluate.LabelReport, name string) evaluate.BaselineReport {
	t.Helper()
	for _, b := range l.Baselines {
		if b.Name == name {
			return b
		}
	}
	t.Fatalf("no baseline %s for %s", name, l.Name)
	return evaluate.BaselineReport{}
}

func TestBaselinesFindWhatTheNumbersSay(t *testing.T) {
	r, c := cohortOf(100)
	if err := Add(r, c); err != nil {
		t.Fatal(err)
	}
	lesion, size := r.Labels[0], r.Labels[1]
	var names []string
	for _, b := range lesion.Baselines {
		names = append(names, b.Name)
	}
	if want := []string{evaluate.BaselineFrequency, evaluate.BaselineROIVolume, evaluate.BaselineROIMean, evaluate.BaselineImageMean, evaluate.BaselineAll}; !slices.Equal(names, want) {
		t.Errorf("baselines %v, want %v: the images' volume is the same in all cases", names, want)
	}
	for _, l := range r.Labels {
		for _, v := range reportOf(t, l, evaluate.BaselineFrequency).Values {
			if v.AUC.Value != 0.5 {
				t.Errorf("%s = %s: class frequency has an area of %v", l.Name, v.Name, v.AUC)
			}
		}
	}
	most := 0
	for _, row := range lesion.Confusion {
		n := 0
		for _, v := range row {
			n += v
		}
		most = max(most, n)
	}
	if got := reportOf(t, lesion, evaluate.BaselineFrequency).Accuracy.Value; float64(got) != float64(most)/100 {
		t.Errorf("class frequency is right in %v, want %d of 100", got, most)
	}
	for _, v := range reportOf(t, size, evaluate.BaselineROIVolume).Values { // the middle class, too
		if !(v.AUC.Value > 0.99) || !(v.Difference.High < 0) {
			t.Errorf("volume for %s: %+v", v.Name, v)
		}
	}
	if v := reportOf(t, lesion, evaluate.BaselineROIMean).Values[0]; !(v.AUC.Value > 0.7 && v.AUC.Value < 0.9) || !(v.Difference.Low > 0) {
		t.Errorf("mean intensity for Lesion: %+v", v)
	}
	if v := reportOf(t, lesion, evaluate.BaselineROIVolume).Values[0]; !(math.Abs(float64(v.AUC.Value)-0.5) < 0.15) {
		t.Errorf("volume for Lesion: %+v", v)
	}
	if all := reportOf(t, lesion, evaluate.BaselineAll); !slices.Equal(all.Features, []string{"log(roi_volume_mm3)", "log(image_volume_mm3)", "roi_mean[0]", "image_mean[0]", "roi_sd[0]", "image_sd[0]"}) {
		t.Errorf("features %v", all.Features)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "Size: the network is no better") || !strings.Contains(r.Warnings[0], "ROI volume alone") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// A held-out case must not shape its own prediction: with targets that no number explains, areas stay at chance, and
// the held-out targets may change without changing the scores' order within a fold.
func TestHeldOutCasesAreNotFittedOn(t *testing.T) {
	r, c := cohortOf(60)
	before, _, err := c.predict(r, kinds[3])
	if err != nil {
		t.Fatal(err)
	}
	held := r.Predictions[7]
	for fold, ids := range c.Training { // no other fold may learn from it either
		c.Training[fold] = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == held.Case })
	}
	with, _, err := c.predict(r, kinds[3])
	if err != nil {
		t.Fatal(err)
	}
	changed := c.Cases[held.Case]
	changed.Targets = []int{1 - changed.Targets[0], changed.Targets[1]}
	c.Cases[held.Case] = changed
	after, _, err := c.predict(r, kinds[3])
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range with {
		for class := range with[i][0] {
			if with[i][0][class] != after[i][0][class] {
				t.Fatalf("case %d: %v, then %v", i, with[i], after[i])
			}
		}
		if before[i][0][0] == with[i][0][0] {
			same++
		}
	}
	if same == len(with) {
		t.Error("training cases have no influence")
	}
}

func TestWithoutDrawnMasksAndWithSeveralFoldsForACase(t *testing.T) {
	r, c := cohortOf(60)
	c.ROI = false
	for i := range r.Predictions {
		r.Predictions[i].Fold = "0+3"
	}
	c.Training["0"] = c.Training["0"][:40]
	r.Folds = []string{"0", "3"}
	if err := Add(r, c); err != nil {
		t.Fatal(err)
	}
	for _, b := range r.Labels[0].Baselines {
		if strings.Contains(b.Name, "ROI") || slices.ContainsFunc(b.Features, func(f string) bool { return strings.Contains(f, "roi") }) {
			t.Errorf("%s with %v, though no mask was drawn", b.Name, b.Features)
		}
	}
}

// A class that a fold's training cases lack is impossible there, and nothing breaks.
func TestClassWithoutTrainingCases(t *testing.T) {
	r, c := cohortOf(60)
	c.Training["2"] = slices.DeleteFunc(c.Training["2"], func(id string) bool { return c.Cases[id].Targets[1] != 0 })
	if err := Add(r, c); err != nil {
		t.Fatal(err)
	}
	if got := reweighted([]float64{0, math.Inf(-1)}, []float64{1, 0}, []float64{0, 1}); got[0] != 1 || got[1] != 0 {
		t.Errorf("no class in common: %v", got)
	}
	if got := reweighted([]float64{math.Log(0.5), math.Log(0.5)}, []float64{0.5, 0.5}, []float64{0.2, 0.8}); math.Abs(got[1]-0.8) > 1e-12 {
		t.Errorf("other shares: %v", got)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *Cohort)
		want   string
		is     error
	}{
		"unmeasured": {func(c *Cohort) { c.Cases["case_004"] = Case{Targets: []int{0, 0}} }, "1 of 20 cases (case_004)", ErrNotMeasured},
		"unknown":    {func(c *Cohort) { delete(c.Cases, "case_003"); delete(c.Cases, "case_005") }, "2 of 20 cases (case_003, ...) are not among", nil},
		"labels":     {func(c *Cohort) { x := c.Cases["case_003"]; x.Targets = x.Targets[:1]; c.Cases["case_003"] = x }, "other labels", nil},
		"modalities": {func(c *Cohort) {
			c.Cases["case_006"].Measures.ImageMean = append(c.Cases["case_006"].Measures.ImageMean, 1)
		}, "case_006", ErrNotMeasured},
		"volume": {func(c *Cohort) { c.Cases["case_007"].Measures.ROIVolume = 0 }, "case_007", ErrNotMeasured},
		"fold":   {func(c *Cohort) { delete(c.Training, "2") }, "fold 2", nil},
	} {
		r, cohort := cohortOf(20)
		c.change(cohort)
		err := Add(r, cohort)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
		if len(r.Labels[0].Baselines) > 0 {
			t.Errorf("%s: baselines were added all the same", name)
		}
	}
}
