package compare

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
)

var lesion = []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}}

// runOf gives n cases with classes by seed probabilities of a skill.
func runOf(name string, n, classes int, skill float64, patients func(i int) string) *Run {
	truth, noise := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(uint64(len(name)), uint64(name[0])))
	label := task.Label{Name: "Lesion"}
	for k := range classes {
		label.Values = append(label.Values, fmt.Sprint("k", k))
	}
	r := &Run{Name: name, Kind: Predictions, Labels: []task.Label{label}, Cases: map[string]Case{}, Share: []bool{true}}
	for i := range n {
		target := truth.IntN(classes)
		logits := make([]float64, classes)
		for k := range logits {
			logits[k] = noise.NormFloat64()
		}
		logits[target] += skill
		p := evaluate.Softmax(logits)
		r.Cases[fmt.Sprintf("c%03d", i)] = Case{Targets: []int{target}, Predicted: []int{evaluate.Argmax(p)}, Scores: [][]float64{p}, Patient: patients(i)}
	}
	return r
}

func alone(int) string { return "" }

func measureOf(t *testing.T, l Label, name, class string) Measure {
	t.Helper()
	for _, m := range l.Measures {
		if m.Name == name && m.Class == class {
			return m
		}
	}
	t.Fatalf("no %s of %q", name, class)
	return Measure{}
}

func TestTheBetterRunIsNamed(t *testing.T) {
	good, bad := runOf("good", 200, 2, 2.5, alone), runOf("bad", 200, 2, 0.5, alone)
	for _, swapped := range []bool{false, true} {
		a, b, sign, better := good, bad, 1.0, "first"
		if swapped {
			a, b, sign, better = bad, good, -1, "second"
		}
		r, err := Runs(a, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{evaluate.MeasureAUC, AveragePrecision, Brier} {
			m := measureOf(t, r.Labels[0], name, "k1")
			if m.Better != better || !(m.PHolm < 0.01) || !strings.Contains(m.Finding, "good is better") {
				t.Errorf("swapped %v: %+v", swapped, m)
			}
			if name != Brier && !(sign*float64(m.Difference.Value) > 0.1) || name == Brier && !(sign*float64(m.Difference.Value) < -0.05) {
				t.Errorf("swapped %v: %s: difference %v", swapped, name, m.Difference)
			}
			if m.Difference.Value != m.First.Value-m.Second.Value || m.Difference.Low > m.Difference.Value || m.Difference.High < m.Difference.Value {
				t.Errorf("%s: %v - %v is not %v", name, m.First, m.Second, m.Difference)
			}
		}
		m := measureOf(t, r.Labels[0], evaluate.MeasureAUC, "k1")
		if !strings.HasPrefix(m.Finding, "AUC of k1: good is ") || !strings.Contains(m.Finding, "higher than bad [0.") {
			t.Error(m.Finding)
		}
		if acc := measureOf(t, r.Labels[0], evaluate.MeasureAccuracy, ""); acc.Better != better || acc.Test != "McNemar's exact test" {
			t.Errorf("%+v", acc)
		}
	}
}

func TestARunIsEqualToItself(t *testing.T) {
	a := runOf("twin", 120, 3, 1, func(i int) string { return fmt.Sprint("p", i/2) })
	r, err := Runs(a, a)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clustered || r.Patients != 60 {
		t.Errorf("%d patients, clustered %v", r.Patients, r.Clustered)
	}
	for _, m := range r.Labels[0].Measures {
		if m.Difference.Value != 0 || m.Better != "neither" || m.P < 1 || !strings.Contains(m.Finding, "both have") {
			t.Errorf("%+v", m)
		}
	}
}

// Families of three classes are corrected apart for each measure.
func TestHolmOverClasses(t *testing.T) {
	r, err := Runs(runOf("one", 200, 3, 1.4, alone), runOf("other", 200, 3, 1, alone))
	if err != nil {
		t.Fatal(err)
	}
	smallest, corrected := math.Inf(1), math.Inf(1)
	for _, class := range []string{"k0", "k1", "k2"} {
		m := measureOf(t, r.Labels[0], evaluate.MeasureAUC, class)
		smallest, corrected = min(smallest, float64(m.P)), min(corrected, float64(m.PHolm))
	}
	if math.Abs(corrected-min(1, 3*smallest)) > 1e-12 {
		t.Errorf("smallest p %v, corrected %v", smallest, corrected)
	}
	if m := measureOf(t, r.Labels[0], evaluate.MeasureAccuracy, ""); m.P != m.PHolm {
		t.Errorf("one accuracy, yet corrected: %v, %v", m.P, m.PHolm)
	}
	measureOf(t, r.Labels[0], MacroAUC, "")
}

func TestPairing(t *testing.T) {
	a, b := runOf("aa", 60, 2, 1, alone), runOf("b", 60, 2, 1, alone)
	delete(a.Cases, "c001")
	delete(b.Cases, "c002")
	delete(b.Cases, "c003")
	r, err := Runs(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if r.Cases != 57 || !slices.Equal(r.First.Only, []string{"c002", "c003"}) || !slices.Equal(r.Second.Only, []string{"c001"}) {
		t.Errorf("%d cases, only %q and %q", r.Cases, r.First.Only, r.Second.Only)
	}
	if text := r.Table(); !strings.Contains(text, "2 cases are in the first only and left out: c002, c003") {
		t.Error(text)
	}

	c := b.Cases["c010"]
	c.Targets = []int{1 - c.Targets[0]}
	b.Cases["c010"] = c
	if _, err := Runs(a, b); !errors.Is(err, ErrDifferent) || !strings.Contains(err.Error(), "1 of 57 cases differ between aa and b: c010") {
		t.Error(err)
	}
	three := runOf("three", 60, 3, 1, alone)
	if _, err := Runs(a, three); !errors.Is(err, ErrDifferent) || !strings.Contains(err.Error(), `aa has the labels "Lesion" (k0, k1), but three has`) {
		t.Error(err)
	}
	for id, c := range a.Cases {
		c.Targets = nil
		a.Cases[id] = c
	}
	delete(b.Cases, "c010")
	if _, err := Runs(a, b); err != nil { // the other side knows them
		t.Error(err)
	}
	if _, err := Runs(a, a); !errors.Is(err, ErrNoTruth) {
		t.Error(err)
	}
	if _, err := Runs(a, &Run{Name: "empty", Labels: a.Labels, Cases: map[string]Case{}}); err == nil || !strings.Contains(err.Error(), "no case is in both") {
		t.Error(err)
	}
	if err := b.Know("truth.csv", map[string][]int{"c000": {1 - b.Cases["c000"].Targets[0]}}, nil); !errors.Is(err, ErrDifferent) || !strings.Contains(err.Error(), "truth.csv: c000") {
		t.Error(err)
	}
}

func readerTable(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reader.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A reader who gives classes alone has no area; one who gives ratings alone no accuracy; both are measured on what
// there is.
func TestReaders(t *testing.T) {
	model := runOf("model", 80, 2, 1, alone)
	model.Labels = lesion
	var classes, ratings, both strings.Builder
	classes.WriteString("case;Lesion\n")
	ratings.WriteString("case;Lesion score\n")
	both.WriteString("case,Lesion value,Lesion P(no),Lesion P(yes)\n")
	for i := range 80 {
		id := fmt.Sprintf("c%03d", i)
		target := model.Cases[id].Targets[0]
		if i%7 == 0 {
			target = 1 - target
		}
		fmt.Fprintf(&classes, "%s;%d\n", id, target)
		if i != 5 {
			fmt.Fprintf(&ratings, "%s;%d,5\n", id, 2*target+i%3)
		}
		fmt.Fprintf(&both, "%s,%s,%.1f,%.1f\n", id, lesion[0].Values[target], 0.8-0.6*float64(target), 0.2+0.6*float64(target))
	}
	for _, c := range []struct {
		name, table    string
		has, hasNot    string
		left           string
		cases          int
		withoutWarning bool
	}{
		{"classes", classes.String(), evaluate.MeasureAccuracy, evaluate.MeasureAUC, "gives classes, no scores", 80, false},
		{"ratings", ratings.String(), evaluate.MeasureAUC, evaluate.MeasureAccuracy, "gives scores, no classes", 79, false},
		{"both", both.String(), evaluate.MeasureAUC, "", "", 80, true},
	} {
		path := readerTable(t, c.table)
		reader, err := FromReading(c.name, path, lesion)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Runs(model, reader)
		if err != nil {
			t.Fatal(err)
		}
		l := r.Labels[0]
		var names []string
		for _, m := range l.Measures {
			names = append(names, m.Name)
		}
		if !slices.Contains(names, c.has) || slices.Contains(names, c.hasNot) || l.Cases != c.cases {
			t.Errorf("%s: measures %q of %d cases", c.name, names, l.Cases)
		}
		if c.left != "" && !strings.Contains(strings.Join(l.Left, "\n"), c.left) || c.withoutWarning && len(l.Left) > 0 {
			t.Errorf("%s: %q", c.name, l.Left)
		}
		if slices.Contains(names, Brier) != (c.name == "both") {
			t.Errorf("%s: calibration: %q", c.name, names)
		}
	}
	for text, want := range map[string]string{
		"case,x\nc000,1\n":                             `no column "Lesion" (classes) or "Lesion score" (scores) among case, x`,
		"name,Lesion\nc000,1\n":                        `no column "case"`,
		"case,Lesion\nc000,2\n":                        "is not a class",
		"case,Lesion\nc000,1\nc000,1\n":                "case c000 is there twice",
		"case,Lesion score\nc000,high\n":               `"high" is not a number`,
		"case,Lesion P(no)\nc000,0.5\n":                "1 columns of probabilities, but 2 classes",
		"case,Lesion P(no),Lesion P(yes)\nc000,-1,2\n": "is not a probability",
	} {
		if _, err := FromReading("r", readerTable(t, text), lesion); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestOutput(t *testing.T) {
	r, err := Runs(runOf("one", 100, 2, 1, alone), runOf("two", 100, 2, 1, alone))
	if err != nil {
		t.Fatal(err)
	}
	var raw, table bytes.Buffer
	if err := errors.Join(r.JSON(&raw), r.CSV(&table)); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(raw.Bytes(), &back); err != nil || len(back.Labels[0].Measures) != len(r.Labels[0].Measures) || back.First.Name != "one" {
		t.Errorf("%v\n%s", err, raw.String())
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 1+len(r.Labels[0].Measures) {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
