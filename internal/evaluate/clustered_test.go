package evaluate

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

type interval struct{ Value, Low, High float64 }

func (i interval) check(t *testing.T, what string, got Estimate, method string) {
	t.Helper()
	near(t, what, float64(got.Value), i.Value, nil)
	near(t, what+" low", float64(got.Low), i.Low, nil)
	near(t, what+" high", float64(got.High), i.High, nil)
	if got.Method != method {
		t.Errorf("%s: method %q, want %q", what, got.Method, method)
	}
}

// Areas, differences of areas and shares of clustered cases are those that scripts/gen_clustered_vectors.py computes on
// its own.
func TestClusteredIntervalsEqualThoseOfPython(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "clustered.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cohorts []struct {
		Patients                                    []string
		Truth                                       []int
		First, Second                               []float64
		AUC, Difference, Accuracy, Sensitivity, All interval
		AllHits                                     interval `json:"all_hits"`
		P                                           float64
	}
	if err := json.Unmarshal(raw, &cohorts); err != nil || len(cohorts) != 12 {
		t.Fatalf("%d cohorts (%v)", len(cohorts), err)
	}
	for i, c := range cohorts {
		at := fmt.Sprintf("cohort %d: ", i)
		truth := isClass(c.Truth, 1)
		var hits, found, all []bool
		var whose []string
		for k, positive := range truth {
			hit := (c.First[k] > 0.5) == positive
			hits, all = append(hits, hit), append(all, true)
			if positive {
				found, whose = append(found, hit), append(whose, c.Patients[k])
			}
		}
		auc, err := ClusteredAUC(truth, c.First, c.Patients)
		if err != nil {
			t.Fatal(err)
		}
		c.AUC.check(t, at+"AUC", auc, MethodObuchowski)
		difference, p, err := ClusteredCompareAUC(truth, c.First, c.Second, c.Patients)
		if err != nil {
			t.Fatal(err)
		}
		c.Difference.check(t, at+"difference", difference, MethodObuchowski)
		near(t, at+"p", float64(p), c.P, nil)
		c.Accuracy.check(t, at+"accuracy", Share(hits, c.Patients), MethodRaoScott)
		c.Sensitivity.check(t, at+"sensitivity", Share(found, whose), MethodRaoScott)
		c.AllHits.check(t, at+"all hits", Share(all, c.Patients), MethodRaoScott)
	}
}

// With a case a patient, named or not, nothing is clustered and nothing changes.
func TestOneCaseAPatient(t *testing.T) {
	truth, scores := []bool{true, false, true, false, true}, []float64{0.9, 0.2, 0.4, 0.5, 0.7}
	plain, _ := AUCInterval(truth, scores)
	for _, patients := range [][]string{nil, {"", "", "", "", ""}, {"a", "b", "c", "d", "e"}} {
		if got, err := ClusteredAUC(truth, scores, patients); err != nil || got != plain {
			t.Errorf("patients %q: %+v (%v), want %+v", patients, got, err, plain)
		}
		if patients != nil && Share(truth, patients) != Proportion(3, 5) {
			t.Errorf("patients %q: share %+v", patients, Share(truth, patients))
		}
	}
}

// Every case copied under its patient brings no knowledge: the intervals stay about as wide as without the copies.
func TestCopiesBringNoKnowledge(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var truth, twice []bool
	var scores, doubled []float64
	var patients []string
	for i := range 60 {
		positive, s := i%2 == 0, rng.NormFloat64()+float64(index(i%2 == 0))
		truth, scores = append(truth, positive), append(scores, s)
		for range 4 {
			twice, doubled, patients = append(twice, positive), append(doubled, s), append(patients, fmt.Sprint(i))
		}
	}
	alone, _ := AUCInterval(truth, scores)
	naive, _ := AUCInterval(twice, doubled)
	clustered, _ := ClusteredAUC(twice, doubled, patients)
	width := func(e Estimate) float64 { return float64(e.High - e.Low) }
	if r := width(clustered) / width(alone); math.Abs(r-1) > 1e-9 {
		t.Errorf("clustered / alone = %v", r)
	}
	if r := width(naive) / width(alone); math.Abs(r-0.5) > 0.02 {
		t.Errorf("naive / alone = %v", r)
	}
	share := Share(twice, patients)
	if r := width(share) / width(Proportion(30, 60)); math.Abs(r-1) > 0.01 {
		t.Errorf("share: clustered / alone = %v", r)
	}
}

// Where every pair is ranked correctly the interval stays open, by the number of patients.
func TestPerfectRankingOfClusters(t *testing.T) {
	truth := []bool{true, true, true, true, false, false, false, false}
	scores := []float64{8, 7, 6, 5, 4, 3, 2, 1}
	got, err := ClusteredAUC(truth, scores, []string{"a", "a", "b", "b", "c", "c", "d", "d"})
	low, high := newcombe(1, 2, 2)
	if err != nil || got.Method != MethodNewcombe || float64(got.Low) != low || float64(got.High) != high {
		t.Errorf("%+v (%v), want %v to %v", got, err, low, high)
	}
	one, err := ClusteredAUC(truth, scores, []string{"a", "a", "a", "a", "a", "a", "a", "a"})
	if err != nil || one.Method != MethodNewcombe {
		t.Errorf("one patient: %+v (%v)", one, err)
	}
	if s := Share([]bool{true, false, true}, []string{"a", "a", "a"}); !(s.High-s.Low > 0.7) {
		t.Errorf("one patient: %+v", s)
	}
}

// The report says that its intervals are clustered, and clusters those of baselines, too.
func TestReportOfClusteredCases(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	labels := []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}}
	var predictions []Prediction
	var baseline [][][]float64
	for i := range 60 {
		target := i / 3 % 2
		p := 0.3 + 0.3*float64(target) + 0.2*rng.Float64()
		if rng.IntN(4) == 0 {
			p = 1 - p
		}
		predictions = append(predictions, Prediction{Case: fmt.Sprintf("c%02d", i), Patient: fmt.Sprintf("P%d", i/3), Targets: []int{target}, Probabilities: [][]float64{{1 - p, p}}})
		b := rng.Float64()
		baseline = append(baseline, [][]float64{{1 - b, b}})
	}
	r := Evaluate(labels, predictions)
	if err := r.AddBaseline(BaselineROIVolume, nil, baseline); err != nil {
		t.Fatal(err)
	}
	v := r.Labels[0].Values[0]
	if r.Patients != 20 || !r.Clustered || v.AUC.Method != MethodObuchowski || v.Accuracy.Method != MethodRaoScott || r.Labels[0].Accuracy.Method != MethodRaoScott {
		t.Errorf("%+v", r)
	}
	if b := r.Labels[0].Baselines[0]; b.Values[0].AUC.Method != MethodObuchowski || b.Values[0].Difference.Method != MethodObuchowski || b.Accuracy.Method != MethodRaoScott {
		t.Errorf("baseline %+v", b)
	}
	for _, want := range []string{"60 cases of 20 patients", "clustered by patient (AUC: Obuchowski 1997"} {
		if !strings.Contains(r.Table(), want) {
			t.Errorf("%q is not in\n%s", want, r.Table())
		}
	}
	for i := range predictions {
		predictions[i].Patient = predictions[i].Case
	}
	if r := Evaluate(labels, predictions); r.Clustered || strings.Contains(r.Table(), "clustered") || r.Patients != 60 {
		t.Errorf("one case a patient: %+v", r)
	}
}

// A column of patients in the table of the truth clusters the intervals.
func TestTruthWithPatients(t *testing.T) {
	_, patients, _, err := readTruth(writeTruth(t, "case,patient,label\na,P1,0\nb,P1,1\n"), []task.Label{{Name: "label", Values: []string{"no", "yes"}}})
	if err != nil || patients["a"] != "P1" || patients["b"] != "P1" {
		t.Errorf("patients %v (%v)", patients, err)
	}
}

// Where every positive case of clustered patients is above every negative one, rounding must not pass for a variance.
func TestClusteredPerfectAreaIsNotCertain(t *testing.T) {
	for n := 30; n < 60; n++ {
		truth, scores, patients := make([]bool, n), make([]float64, n), make([]string, n)
		for i := range n {
			truth[i], scores[i], patients[i] = i%3 == 0, float64(i%3)*-0.1, string(rune('A'+i/2))
		}
		e, err := ClusteredAUC(truth, scores, patients)
		if err != nil || e.Value != 1 || e.Method != MethodNewcombe || !(e.Low < 0.99) {
			t.Errorf("%d cases: %+v, %v", n, e, err)
		}
	}
}
