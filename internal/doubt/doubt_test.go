package doubt

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/reliability"
	"github.com/universal-classifier/uc/internal/task"
)

var labels = []task.Label{{Name: "Mass", Values: []string{"no", "yes"}}}

// cohort is a simulated task: what networks say of its cases, the features they see, and the cases' plain numbers.
type cohort struct{ r *rand.Rand }

// numbers are those of a case; of a scanner with thick slices, and of another modality.
func (c cohort) numbers(spacing, scale float64) []float64 {
	jitter := func(v, by float64) float64 { return v * math.Exp(by*c.r.NormFloat64()) }
	return Values(&preprocess.Properties{
		OriginalSpacing: [3]float64{jitter(spacing, 0.05), 1, 1}, OriginalSize: [3]int{40, 60, 60}, SizeAfterCropping: [3]int{30 + c.r.IntN(10), 50, 50},
		Measures: &preprocess.Measures{ROIVolume: jitter(5000, 0.3), ImageMean: []float64{jitter(100*scale, 0.1)}, ImageSD: []float64{jitter(40*scale, 0.1)},
			ROIMean: []float64{jitter(200*scale, 0.1)}, ROISD: []float64{jitter(20*scale, 0.1)}},
	})
}

func (c cohort) features(fold int, shift float64) []float32 {
	out := make([]float32, 64)
	common := c.r.NormFloat64()
	for k := range out {
		out[k] = float32(1 + 0.2*common + 0.1*float64(1+(k+fold)%4)*c.r.NormFloat64() + shift*float64(1-k%2*2))
	}
	return out
}

// prediction is that of some folds, of networks three times too sure, with eight mirror images.
func (c cohort) prediction(id string, folds []int, shift float64) evaluate.Prediction {
	logit := 1.5 * c.r.NormFloat64()
	target := 0
	if c.r.Float64() < 1/(1+math.Exp(-logit)) {
		target = 1
	}
	p := evaluate.NewPrediction(id, []int{2}, len(folds), 8)
	for _, fold := range folds {
		of := 3 * (logit + 0.3*c.r.NormFloat64())
		for range 8 {
			p.Add([][]float32{{0, float32(of + 0.2*c.r.NormFloat64())}}, 1/float64(8*len(folds)))
		}
		p.Features = append(p.Features, c.features(fold, shift))
	}
	p.Targets = []int{target}
	return p
}

var networks = map[string]string{"0": "sha256:a", "1": "sha256:b", "2": "sha256:c"}

func (c cohort) learn(n int) (*Model, *evaluate.Report) {
	var all []evaluate.Prediction
	values := map[string][]float64{}
	for i := range n {
		p := c.prediction(fmt.Sprintf("case_%03d", i), []int{i % 3}, 0)
		p.Fold = fmt.Sprint(i % 3)
		all, values[p.Case] = append(all, p), c.numbers(2, 1)
	}
	r := evaluate.Evaluate(labels, all)
	r.MadeFrom = provenance.Sources{}
	for fold, digest := range networks {
		r.MadeFrom[foldKey(fold)] = digest
	}
	return Learn(r, values, reliability.Options{}), r
}

var folds = []string{"0", "1", "2"}

func TestWhatIsLearnedIsKeptAndApplied(t *testing.T) {
	c := cohort{rand.New(rand.NewPCG(1, 2))}
	m, r := c.learn(120)
	if len(m.Missing) > 0 {
		t.Error(m.Missing)
	}
	for _, p := range r.Predictions {
		if p.Calibrated == nil || p.Doubt.Labels[0].Set == nil || p.Doubt.Outlier.Features == nil || p.Doubt.Outlier.Measures == nil || p.Doubt.Labels[0].Members != 8 {
			t.Fatalf("%+v", p.Doubt)
		}
	}
	dir := t.TempDir()
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	kept, err := Open(dir, labels, networks)
	if err != nil || len(kept.Missing) > 0 {
		t.Fatal(err, kept)
	}
	var flagged, covered, calm float64
	const n = 300
	for i := range n {
		p := c.prediction(fmt.Sprint("new", i), []int{0, 1, 2}, 0)
		of, values := p, c.numbers(2, 1)
		m.Judge(&of, folds, values)
		kept.Judge(&p, folds, values)
		if !slices.Equal(of.Calibrated[0], p.Calibrated[0]) || *of.Doubt.Outlier.Features != *p.Doubt.Outlier.Features || !slices.Equal(of.Doubt.Labels[0].Set, p.Doubt.Labels[0].Set) {
			t.Fatal("what was read judges otherwise than what was written")
		}
		d := p.Doubt.Labels[0]
		if d.Members != 24 || !d.StandardError.Defined() || !(d.Agreement > 0) || p.Calibrated[0][d.Set[0]] == 0 {
			t.Fatalf("%+v", d)
		}
		if math.Abs(p.Calibrated[0][1]-0.5) < math.Abs(p.Probabilities[0][1]-0.5) {
			calm += 1.0 / n
		}
		if p.Doubt.Outlier.Flag {
			flagged += 1.0 / n
		}
		if slices.Contains(d.Set, p.Targets[0]) {
			covered += 1.0 / n
		}
	}
	if covered < 0.85 || covered > 0.97 {
		t.Errorf("sets hold %.3f of the true classes", covered)
	}
	if flagged > 0.16 { // two tests of 5 %
		t.Errorf("%.3f of usual cases are flagged", flagged)
	}
	if calm < 0.9 {
		t.Errorf("%.3f of the calibrated probabilities are more moderate than the raw ones", calm)
	}
}

// Planted outliers are flagged, and the flag says why.
func TestPlantedOutliers(t *testing.T) {
	c := cohort{rand.New(rand.NewPCG(3, 4))}
	m, _ := c.learn(120)
	for name, of := range map[string]struct {
		spacing, scale, shift float64
		reason                string
	}{
		"thick slices":   {5, 1, 0, "spacing z"},
		"other modality": {2, -3, 0, "intensity"},
		"other organ":    {2, 1, 0.5, "features"},
	} {
		found := 0
		for range 20 {
			p := c.prediction("x", []int{0, 1, 2}, of.shift)
			m.Judge(&p, folds, c.numbers(of.spacing, of.scale))
			if o := p.Doubt.Outlier; o.Flag && strings.Contains(strings.Join(o.Reasons, "; "), of.reason) {
				found++
			}
		}
		if found < 18 {
			t.Errorf("%s: found %d of 20", name, found)
		}
	}
}

func TestStaleIsRefused(t *testing.T) {
	c := cohort{rand.New(rand.NewPCG(5, 6))}
	m, _ := c.learn(60)
	dir := t.TempDir()
	if _, err := Open(dir, labels, networks); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]map[string]string{
		"trained again": {"0": "sha256:a", "1": "sha256:x"}, "another fold": {"3": "sha256:d"}, "all": {"all": "sha256:a"},
	} {
		if _, err := Open(dir, labels, of); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, err := Open(dir, labels, map[string]string{"1": "sha256:b"}); err != nil {
		t.Errorf("one of its folds: %v", err)
	} else {
		p := c.prediction("x", []int{1}, 0)
		m.Judge(&p, []string{"1"}, nil)
		if p.Calibrated == nil || p.Doubt.Labels[0].Set == nil || p.Doubt.Outlier.Features == nil || p.Doubt.Outlier.Measures != nil {
			t.Errorf("one fold without numbers: %+v", p.Doubt)
		}
	}
	if _, err := Open(dir, []task.Label{{Name: "Mass", Values: []string{"yes", "no"}}}, networks); err == nil {
		t.Error("other classes were accepted")
	}
	if err := os.Remove(filepath.Join(dir, FeaturesFile)); err != nil {
		t.Fatal(err)
	}
	if m, err := Open(dir, labels, networks); err != nil || m.Features != nil || len(m.Missing) != 1 {
		t.Errorf("without its features: %v, %+v", err, m)
	}
	for _, text := range []string{"{", "[]", `{"version": 2}`, `{"version": 1, "labels": []}`,
		`{"version": 1, "labels": [{"name": "Mass", "values": ["no", "yes"], "temperature": -1}]}`,
		`{"version": 1, "labels": [{"name": "Mass", "values": ["no", "yes"], "parts": [{"folds": ["0"], "scores": [[0.5]]}]}]}`} {
		if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, labels, networks); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A model that knows nothing leaves predictions as they are, but for what their members say.
func TestNothingIsKnown(t *testing.T) {
	c := cohort{rand.New(rand.NewPCG(7, 8))}
	var m *Model
	p := c.prediction("x", []int{0, 1}, 0)
	m.Judge(&p, []string{"0", "1"}, nil)
	if p.Calibrated != nil || p.Doubt == nil || p.Doubt.Labels[0].Set != nil || p.Doubt.Outlier != nil || !p.Doubt.Labels[0].StandardError.Defined() {
		t.Errorf("%+v", p.Doubt)
	}
	p.Members = nil
	if m.Judge(&p, []string{"0", "1"}, nil); p.Doubt != nil {
		t.Errorf("%+v", p.Doubt)
	}
}

// Tiny cohorts and validations of earlier versions say what they lack.
func TestWhatIsMissingIsSaid(t *testing.T) {
	c := cohort{rand.New(rand.NewPCG(9, 10))}
	m, r := c.learn(9)
	if text := strings.Join(m.Missing, "\n"); !strings.Contains(text, "fewer than 8 cases") || !strings.Contains(text, "recorded of 9 training cases") || m.Features != nil || m.Measures != nil {
		t.Errorf("%q", text)
	}
	for i := range r.Predictions {
		r.Predictions[i].Features = nil
	}
	if m := Learn(r, nil, reliability.Options{}); !strings.Contains(strings.Join(m.Missing, "\n"), "earlier version") {
		t.Errorf("%q", m.Missing)
	}
	delete(r.MadeFrom, "fold 1")
	if m := Learn(r, nil, reliability.Options{}); m != nil {
		t.Error("something was learned for a network that nobody knows")
	}
}
