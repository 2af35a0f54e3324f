package evaluate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

var truthLabels = []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Size", Ordinal: true, Values: []string{"small", "medium", "large"}}}

// writeTable writes predictions.json: cases a to e, of which Lesion is called with these probabilities, and Size always as medium.
func writeTable(t *testing.T, lesion map[string]float64) string {
	t.Helper()
	table := Table{Settings: Settings{Task: "Task904_Toy", Model: "some/model"}, Labels: ListLabels(truthLabels)}
	for id, p := range lesion {
		table.Cases = append(table.Cases, PredictedCase{Case: id, Labels: []PredictedLabel{
			{Name: "Lesion", Probabilities: []float64{1 - p, p}, Logits: []float64{0, p}},
			{Name: "Size", Probabilities: []float64{0.2, 0.5, 0.3}, Logits: []float64{0, 2, 1}},
		}})
	}
	b, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, TableFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeTruth(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "truth.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAgainstTruth(t *testing.T) {
	dir := writeTable(t, map[string]float64{"a": 0.9, "b": 0.4, "c": 0.6, "d": 0.1, "new": 0.5, "half": 0.5})
	// Columns in any order, classes by number or name, a mark of the encoding as spreadsheets write it.
	path := writeTruth(t, "\ufeffSize,remark,case,Lesion\nmedium,,a,yes\n1,x,b,1\n2,,c,0\nsmall,,d,no\n0,,half,\n1,,gone,1\n")
	r, err := AgainstTruth(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Task != "Task904_Toy" || r.Cases != 4 || len(r.Labels) != 2 {
		t.Fatalf("%+v", r)
	}
	lesion, size := r.Labels[0], r.Labels[1]
	if want := [][]int{{1, 1}, {1, 1}}; !reflect.DeepEqual(lesion.Confusion, want) {
		t.Errorf("confusion %v, want %v", lesion.Confusion, want)
	}
	if got := lesion.Values[0].AUC.Value; got != 0.75 { // of the four pairs of yes and no only b, c is the wrong way round
		t.Errorf("AUC %v, want 0.75", got)
	}
	if want := [][]int{{0, 1, 0}, {0, 2, 0}, {0, 1, 0}}; !reflect.DeepEqual(size.Confusion, want) {
		t.Errorf("confusion %v, want %v", size.Confusion, want)
	}
	warnings := strings.Join(r.Warnings, "\n")
	for _, want := range []string{"1 predicted cases are not in " + path + " and left out: new", "lack a class in " + path + " and left out: half", "are not predicted and left out: gone"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no warning %q in\n%s", want, warnings)
		}
	}
}

func TestTruthThatDoesNotFit(t *testing.T) {
	dir := writeTable(t, map[string]float64{"a": 0.9})
	for name, c := range map[string]struct{ text, want string }{
		"no case column": {"id,Lesion,Size\na,0,0\n", `no column "case"`},
		"a label lacks":  {"case,Lesion\na,0\n", `no column "Size" among case, Lesion`},
		"no such number": {"case,Lesion,Size\na,2,0\n", `case a: label Lesion: "2" is no class; expected 0 to 1 or one of no, yes`},
		"no such name":   {"case,Lesion,Size\na,no,huge\n", `"huge"`},
		"twice":          {"case,Lesion,Size\na,0,0\na,0,0\n", "case a is there twice"},
		"ragged":         {"case,Lesion,Size\na,0\n", "wrong number of fields"},
		"other cases":    {"case,Lesion,Size\nb,0,0\n", "none of the 1 cases"},
		"nothing":        {"", "not a table"},
	} {
		path := writeTruth(t, c.text)
		if _, err := AgainstTruth(dir, path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	path := writeTruth(t, "case,Lesion,Size\na,0,0\n")
	if _, err := AgainstTruth(t.TempDir(), path); err == nil || !strings.Contains(err.Error(), "uc predict -o") {
		t.Errorf("no predictions: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, TableFile), []byte(`{"cases": []}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := AgainstTruth(dir, path); err == nil || !strings.Contains(err.Error(), "names no classification labels") {
		t.Errorf("a table without labels: %v", err)
	}
}
