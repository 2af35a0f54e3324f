package predict

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/calibrate"
	"github.com/universal-classifier/uc/internal/doubt"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/reliability"
)

// learnDoubt writes beside the toy model what an evaluation of 60 made-up cases would have taught it.
func learnDoubt(t *testing.T, dir string) {
	t.Helper()
	opened, err := model.Open(dir, model.Options{}, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	sources := provenance.Sources{}
	for _, f := range opened.Folds {
		sources["fold "+f.Name] = f.Digest
	}
	var all []evaluate.Prediction
	values := map[string][]float64{}
	for i := range 60 {
		p := evaluate.Prediction{Case: fmt.Sprintf("train_%02d", i), Fold: fmt.Sprint(i % 2), Targets: []int{r.IntN(2), r.IntN(3)}, Features: [][]float32{make([]float32, 1024)}}
		for at, classes := range []int{2, 3} {
			logits := make([]float64, classes)
			for k := range logits {
				logits[k] = r.NormFloat64()
			}
			logits[p.Targets[at]]++
			p.Logits = append(p.Logits, logits)
		}
		for k := range p.Features[0] {
			p.Features[0][k] = r.Float32()
		}
		all = append(all, p)
		values[p.Case] = doubt.Values(&preprocess.Properties{OriginalSpacing: [3]float64{1, 1, 1}, OriginalSize: [3]int{14, 15, 16}, SizeAfterCropping: [3]int{9, 15, 16},
			Measures: &preprocess.Measures{ROIVolume: 9 * 15 * 16, ImageMean: []float64{100 + r.NormFloat64()}, ImageSD: []float64{20 + r.NormFloat64()}, ROIMean: []float64{100 + r.NormFloat64()}, ROISD: []float64{20 + r.NormFloat64()}}})
	}
	report := evaluate.Evaluate(opened.Plans.Labels, all)
	report.MadeFrom = sources
	m := doubt.Learn(report, values, reliability.Options{})
	if m == nil || len(m.Missing) > 0 {
		t.Fatalf("%+v", m)
	}
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsKnownOfTheModelIsApplied(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{"", "#1"}, 1.6)
	cases := writeCases(t, 2)
	out := filepath.Join(t.TempDir(), "out")
	predicted := func(want int) (evaluate.Table, *warnings) {
		t.Helper()
		w := &warnings{Reporter: progress.Discard}
		m, err := Open(dir, Options{DisableTTA: true, Device: "cpu"}, w)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s, err := m.Folder(t.Context(), cases, nil, out, false, w)
		if err != nil || s.Predicted != want {
			t.Fatalf("%+v: %v", s, err)
		}
		return tableOf(t, s), w
	}
	before, _ := predicted(2)
	if l := before.Cases[0].Labels[0]; l.Calibrated != nil || l.Doubt == nil || l.Doubt.Members != 2 || l.Doubt.Set != nil || before.Cases[0].Outlier != nil {
		t.Errorf("nothing is known, but %+v", l)
	}
	raw, err := os.ReadFile(filepath.Join(out, "case_0.npz"))
	if err != nil {
		t.Fatal(err)
	}

	// An evaluation later, the results that are there get what is known now, and stay as they are.
	learnDoubt(t, dir)
	after, w := predicted(0)
	if len(w.lines) > 0 {
		t.Errorf("warnings %q", w.lines)
	}
	if now, err := os.ReadFile(filepath.Join(out, "case_0.npz")); err != nil || !bytes.Equal(now, raw) {
		t.Errorf("the result has changed (%v)", err)
	}
	for i, c := range after.Cases {
		for at, l := range c.Labels {
			if !reflect.DeepEqual(l.Probabilities, before.Cases[i].Labels[at].Probabilities) {
				t.Errorf("%s: raw probabilities %v, were %v", c.Case, l.Probabilities, before.Cases[i].Labels[at].Probabilities)
			}
			if len(l.Calibrated) != len(l.Logits) || reflect.DeepEqual(l.Calibrated, calibrate.Apply(l.Logits, 1)) || len(l.Doubt.Set) == 0 {
				t.Errorf("%s, %s: calibrated %v, set %v", c.Case, l.Name, l.Calibrated, l.Doubt.Set)
			}
		}
		// Their features are not those of the made-up cases; their numbers are.
		if o := c.Outlier; o == nil || !o.Flag || *o.Features > 0.05 || *o.Measures <= 0.05 || len(o.Reasons) != 1 {
			t.Errorf("%s: %+v", c.Case, o)
		}
	}
	table, err := os.ReadFile(filepath.Join(out, csvFile))
	if err != nil || !strings.Contains(string(table), ",yes,its features are farther") {
		t.Errorf("predictions.csv (%v):\n%s", err, table)
	}

	// Of a network that was trained again nothing is known.
	retrain(t, dir, "1", toyPlans(), `{"epochs": 3}`)
	again, w := predicted(2)
	if text := strings.Join(w.lines, "\n"); !strings.Contains(text, "made from other networks than those of folds 1") {
		t.Errorf("warnings %q", text)
	}
	if l := again.Cases[0].Labels[0]; l.Calibrated != nil || l.Doubt.Set != nil || again.Cases[0].Outlier != nil {
		t.Errorf("stale calibration was applied: %+v", l)
	}
}
