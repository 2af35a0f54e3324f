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

// writeTable writes predictions.json: cases a to e, of which Lesion is called with these probabilities, and Size always
// as medium.
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
		"no such number": {"case,Lesion,Size\na,2,0\n", `case a: label Lesion: "2" is not a class; expected 0 to 1 or one of no, yes`},
		"no such name":   {"case,Lesion,Size\na,no,huge\n", `"huge"`},
		"twice":          {"case,Lesion,Size\na,0,0\na,0,0\n", "case a is there twice"},
		"ragged":         {"case,Lesion,Size\na,0\n", "line 2 has 2 cells, but the header 3"},
		"other cases":    {"case,Lesion,Size\nb,0,0\n", "none of the 1 cases"},
		"nothing":        {"", "not a table"},
	} {
		path := writeTruth(t, c.text)
		if _, err := AgainstTruth(dir, path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	path := writeTruth(t, "case,Lesion,Size\na,0,0\n")
	if _, err := AgainstTruth(t.TempDir(), path); err == nil || !strings.Contains(err.Error(), "that predictions were written to") {
		t.Errorf("no predictions: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, TableFile), []byte(`{"cases": []}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := AgainstTruth(dir, path); err == nil || !strings.Contains(err.Error(), "names no classification labels") {
		t.Errorf("a table without labels: %v", err)
	}
}

// What a table says, in every form that spreadsheets write, and where it says two things.
func TestClassesByNameAndNumber(t *testing.T) {
	grades := []string{"1", "2", "3"}
	swapped := []string{"1", "0"}
	plain := []string{"no", "yes"}
	for _, test := range []struct {
		name   string
		values []string
		header string
		cells  []string // of cases a, b, ...
		want   []int
		in     string // of the error
	}{
		{name: "names", values: plain, cells: []string{"yes", "no", "yes"}, want: []int{1, 0, 1}},
		{name: "numbers", values: plain, cells: []string{"1", "0.0", "1.0"}, want: []int{1, 0, 1}},
		{name: "both", values: plain, cells: []string{"yes", "0", "no"}, want: []int{1, 0, 0}},
		{name: "header in capitals", values: plain, header: "LABEL", cells: []string{"yes", "no"}, want: []int{1, 0}},
		{name: "names that are their numbers", values: []string{"0", "1"}, cells: []string{"1", "0", "1.0"}, want: []int{1, 0, 1}},
		{name: "names that are numbers, and one that no class has", values: grades, cells: []string{"1", "2", "3"}, want: []int{0, 1, 2}},
		{name: "the same made decimal", values: grades, cells: []string{"1.0", "2.0", "3.0"}, want: []int{0, 1, 2}},
		{name: "could be names or numbers", values: grades, cells: []string{"1", "2"}, in: `"1" is the name of class 0, but also the number of class 1`},
		{name: "names and numbers", values: grades, cells: []string{"0", "1", "3"}, in: "is the name of class 0, but also the number of class 1"},
		{name: "a number that no class has as its name", values: grades, cells: []string{"0", "0"}, want: []int{0, 0}},
		{name: "swapped", values: swapped, cells: []string{"0", "1"}, in: "also the number"},
		{name: "in the column of names", values: swapped, header: "label value", cells: []string{"0", "1", "1"}, want: []int{1, 0, 0}},
		{name: "the column of names takes no numbers", values: plain, header: "label value", cells: []string{"yes", "0"}, in: `"0" is not a class; expected one of no, yes`},
		{name: "out of range", values: plain, cells: []string{"2"}, in: `"2" is not a class`},
		{name: "a fraction", values: plain, cells: []string{"0.5"}, in: `"0.5" is not a class`},
	} {
		l := task.Label{Name: "label", Values: test.values}
		header := test.header
		if header == "" {
			header = "label"
		}
		text := "Case;" + header + "\n"
		for i, c := range test.cells {
			text += string(rune('a'+i)) + ";" + c + "\n"
		}
		truth, _, incomplete, err := readTruth(writeTruth(t, text), []task.Label{l})
		if test.in != "" {
			if err == nil || !strings.Contains(err.Error(), test.in) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.in)
			}
			continue
		}
		if err != nil || len(incomplete) > 0 {
			t.Errorf("%s: %v, incomplete %v", test.name, err, incomplete)
			continue
		}
		for i, want := range test.want {
			if got := truth[string(rune('a'+i))]; len(got) != 1 || got[0] != want {
				t.Errorf("%s: case %c is %v, want %d", test.name, 'a'+i, got, want)
			}
		}
	}
}

// A table in the form of predictions.csv: the class, and its name.
func TestNumbersBesideNames(t *testing.T) {
	l := []task.Label{{Name: "label", Values: []string{"1", "0"}}}
	truth, _, _, err := readTruth(writeTruth(t, "case,label,label value\na,0,1\nb,1,0\nc,,1\n"), l)
	if err != nil || truth["a"][0] != 0 || truth["b"][0] != 1 || truth["c"][0] != 0 {
		t.Errorf("%v %v", truth, err)
	}
	_, _, _, err = readTruth(writeTruth(t, "case,label,label value\na,0,0\n"), l)
	if err == nil || !strings.Contains(err.Error(), `column "label" says class 0 (1), but column "label value" says 0`) {
		t.Errorf("a table that contradicts itself: %v", err)
	}
}
