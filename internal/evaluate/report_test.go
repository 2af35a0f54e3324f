package evaluate

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

var twoLabels = []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Ordinal: true, Values: []string{"1", "2", "3"}}}

// toyFold is n cases, whose names begin with a prefix, of all classes in turn.
func toyFold(prefix string, n int) []Prediction {
	var out []Prediction
	for i := range n {
		logits := [][]float64{{0.1 * float64(i), 0.4}, {0.3, 0.1 * float64(i%4), 0.2}}
		out = append(out, Prediction{Case: fmt.Sprintf("%s_%02d", prefix, i), Targets: []int{i % 2, i % 3}, Logits: logits,
			Probabilities: [][]float64{Softmax(logits[0]), Softmax(logits[1])}})
	}
	return out
}

func writeToyFold(t *testing.T, model, fold string, predictions []Prediction) {
	t.Helper()
	if err := WriteFold(filepath.Join(model, task.FoldDir(fold), ValidationFolder), &Fold{Labels: twoLabels, Predictions: predictions}); err != nil {
		t.Fatal(err)
	}
}

func TestFoldsComeBackAsWritten(t *testing.T) {
	dir := t.TempDir()
	want := toyFold("case", 7)
	writeToyFold(t, dir, "0", want)
	for _, from := range []string{filepath.Join(dir, "fold_0"), filepath.Join(dir, "fold_0", ValidationFolder)} {
		got, err := ReadFold(from)
		if err != nil || fmt.Sprint(got.Predictions) != fmt.Sprint(want) {
			t.Errorf("%s: got %v (%v), want %v", from, got, err, want)
		}
	}
	if _, err := ReadFold(dir); !errors.Is(err, ErrNotValidated) {
		t.Errorf("no fold: %v", err)
	}
}

func TestBrokenFoldsNameTheCase(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"missing file": func(dir string) error { return os.Remove(filepath.Join(dir, "case_02.npz")) },
		"cut file":     func(dir string) error { return os.Truncate(filepath.Join(dir, "case_02.npz"), 40) },
		"other labels": func(dir string) error {
			return replaceIn(filepath.Join(dir, casesFile), `"case_02",
      "fold": "",
      "targets": [
        0,
        2`, `"case_02",
      "fold": "",
      "targets": [
        0,
        7`)
		},
	} {
		dir := filepath.Join(t.TempDir(), ValidationFolder)
		if err := WriteFold(dir, &Fold{Labels: twoLabels, Predictions: toyFold("case", 4)}); err != nil {
			t.Fatal(err)
		}
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		_, err := ReadFold(dir)
		if err == nil || errors.Is(err, ErrNotValidated) || !strings.Contains(err.Error(), "case_02") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, casesFile), []byte(`{"cases": [{"case": "../x"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFold(dir); err == nil || !strings.Contains(err.Error(), "leaves the folder") {
		t.Errorf("a path out of the folder: %v", err)
	}
}

func replaceIn(path, old, replacement string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(b, []byte(old)) {
		return fmt.Errorf("%s lacks %q", path, old)
	}
	return os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(replacement), 1), 0o644)
}

func TestCrossValidationPoolsFolds(t *testing.T) {
	dir := t.TempDir()
	a, b, c := toyFold("a", 6), toyFold("b", 8), toyFold("c", 5)
	writeToyFold(t, dir, "0", a)
	writeToyFold(t, dir, "2", b)
	writeToyFold(t, dir, "7", c)
	writeToyFold(t, dir, "all", toyFold("a", 6))
	r, err := CrossValidation(dir, nil, Today{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(r.Folds, r.MissingFolds) != "[0 2 7] [1 3 4]" || r.Cases != 19 || len(r.PerFold) != 3 {
		t.Errorf("folds %v, missing %v, %d cases, %d per fold", r.Folds, r.MissingFolds, r.Cases, len(r.PerFold))
	}
	pooled := Evaluate(twoLabels, append(append(append([]Prediction{}, a...), b...), c...))
	if asText(t, pooled.Labels) != asText(t, r.Labels) {
		t.Error("pooled results differ from those of all cases together")
	}
	if got, want := r.PerFold[1].Labels[0].Values[0].AUC.Value, Evaluate(twoLabels, b).Labels[0].Values[0].AUC.Value; got != want {
		t.Errorf("fold 2: %v, want %v", got, want)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "folds without a validation: 1, 3, 4") {
		t.Errorf("warnings %q", r.Warnings)
	}

	if r, err = CrossValidation(dir, []string{"2", "1"}, Today{}); err != nil || r.Cases != 8 || fmt.Sprint(r.MissingFolds) != "[1]" {
		t.Errorf("given folds: %+v, %v", r, err)
	}
	if r, err = CrossValidation(dir, []string{"all"}, Today{}); err != nil || !strings.Contains(strings.Join(r.Warnings, "\n"), "not out-of-fold") {
		t.Errorf("fold all: %+v, %v", r, err)
	}
	if _, err = CrossValidation(dir, []string{"1"}, Today{}); err == nil || !strings.Contains(err.Error(), "no validated fold") {
		t.Errorf("an untrained fold: %v", err)
	}
	if _, err = CrossValidation(filepath.Join(dir, "nothing"), nil, Today{}); err == nil || !strings.Contains(err.Error(), "no trained model") {
		t.Errorf("no model: %v", err)
	}
}

func TestCasesOfSeveralFoldsCountOnce(t *testing.T) {
	dir := t.TempDir()
	a, b := toyFold("a", 4), toyFold("a", 4)
	b[1].Probabilities = [][]float64{{0.5, 0.5}, {0.2, 0.2, 0.6}}
	writeToyFold(t, dir, "0", a)
	writeToyFold(t, dir, "1", b)
	r, err := CrossValidation(dir, nil, Today{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Cases != 4 || r.Predictions[1].Fold != "0+1" {
		t.Errorf("%d cases, %+v", r.Cases, r.Predictions[1])
	}
	near(t, "mean", r.Predictions[1].Probabilities[0][1], (a[1].Probabilities[0][1]+0.5)/2, nil)
	b[2].Targets = []int{1, 1}
	writeToyFold(t, dir, "1", b)
	if _, err = CrossValidation(dir, nil, Today{}); err == nil || !strings.Contains(err.Error(), "a_02") {
		t.Errorf("two truths: %v", err)
	}
}

func TestFoldsOfOtherLabelsAreRefused(t *testing.T) {
	dir := t.TempDir()
	writeToyFold(t, dir, "0", toyFold("a", 4))
	other := []task.Label{{Name: "Other", Values: []string{"no", "yes"}}}
	if err := WriteFold(filepath.Join(dir, "fold_1", ValidationFolder), &Fold{Labels: other,
		Predictions: []Prediction{{Case: "b", Targets: []int{0}, Logits: [][]float64{{0, 1}}, Probabilities: [][]float64{{0.4, 0.6}}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := CrossValidation(dir, nil, Today{}); err == nil || !strings.Contains(err.Error(), "Other (no, yes)") {
		t.Errorf("got %v", err)
	}
}

func TestEvaluateSaysWhatIsNotDefined(t *testing.T) {
	predictions := toyFold("a", 4)
	for i := range predictions {
		predictions[i].Targets = []int{0, i % 2}
	}
	predictions = append(predictions, Prediction{Case: "untold", Logits: [][]float64{{0, 1}, {0, 1, 2}}},
		Prediction{Case: "broken", Targets: []int{0, 0}, Probabilities: [][]float64{{math.NaN(), 1}, {0.2, 0.2, 0.6}}},
		Prediction{Case: "outside", Targets: []int{2, 0}, Probabilities: [][]float64{{0, 1}, {0.2, 0.2, 0.6}}})
	r := Evaluate(twoLabels, predictions)
	if r.Cases != 4 {
		t.Errorf("%d cases, want 4", r.Cases)
	}
	lesion := r.Labels[0].Values[0]
	if lesion.AUC.Value.Defined() || lesion.AUC.Why == "" || lesion.ROC != nil || lesion.Sensitivity.Value.Defined() || !lesion.Specificity.Value.Defined() {
		t.Errorf("one class: %+v", lesion)
	}
	if r.Labels[1].MacroAUC.Defined() || !r.Labels[1].Values[0].AUC.Value.Defined() {
		t.Errorf("a class without cases: %+v", r.Labels[1])
	}
	all := strings.Join(r.Warnings, "\n")
	for _, want := range []string{"case untold: 0 targets", "case broken: label Lesion: the probability of class 0 is NaN", "case outside: label Lesion: target 2",
		"Lesion = yes: area under the ROC curve not defined: none of the 4 cases is of this class", "Grade = 3"} {
		if !strings.Contains(all, want) {
			t.Errorf("warnings lack %q:\n%s", want, all)
		}
	}
	for _, r := range []*Report{r, Evaluate(twoLabels, nil), Evaluate(nil, nil)} {
		var b bytes.Buffer
		if err := r.JSON(&b); err != nil || strings.Contains(b.String(), ": NaN") {
			t.Errorf("JSON: %v", err)
		}
		if err := r.CSV(&b); err != nil {
			t.Errorf("CSV: %v", err)
		}
		if _, numbers, _ := strings.Cut(r.Table(), "\n\n"); strings.Contains(numbers, "NaN") {
			t.Errorf("table:\n%s", numbers)
		}
	}
}

// cellIn is a cell of rows that CSV wrote, by the name of its column.
func cellIn(t *testing.T, rows [][]string, row int, column string) string {
	t.Helper()
	at := slices.Index(rows[0], column)
	if at < 0 {
		t.Fatalf("no column %s in %v", column, rows[0])
	}
	return rows[row][at]
}

// The table of a program has what the terminal shows of calibration: of the label as a whole in its row, of classes in
// theirs, and nothing where it is not known.
func TestCalibrationInCSV(t *testing.T) {
	r := Evaluate(twoLabels, toyFold("a", 12))
	estimate := func(v Number) Estimate { return Estimate{Value: v, Low: v - 0.5, High: v + 0.5} }
	measures := func(from Number, classes int) CalibrationMeasures {
		m := CalibrationMeasures{LogLoss: estimate(from), BrierScore: estimate(from + 1), ECE: estimate(from + 2)}
		for k := range classes {
			m.Classes = append(m.Classes, ClassCalibration{Slope: estimate(from + 10 + Number(k)), Intercept: estimate(from + 20 + Number(k))})
		}
		return m
	}
	after := measures(200, 1)
	after.ECE.Low = undefined
	r.Labels[0].Calibration = &CalibrationReport{Before: measures(100, 1), After: &after, Temperature: &Temperature{Value: 1.25}}
	r.Labels[1].Calibration = &CalibrationReport{Before: measures(300, 3), Why: "too few cases"}
	r.PerFold = []FoldReport{{Fold: "0", Labels: Evaluate(twoLabels, toyFold("a", 12)).Labels}}
	var text bytes.Buffer
	if err := r.CSV(&text); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		row          int
		column, want string
	}{
		{1, "raw_log_loss", "100"}, {1, "raw_log_loss_low", "99.5"}, {1, "raw_log_loss_high", "100.5"}, {1, "raw_brier_score", "101"}, {1, "raw_ece", "102"},
		{1, "calibrated_log_loss", "200"}, {1, "calibrated_brier_score", "201"}, {1, "calibrated_ece", "202"}, {1, "calibrated_ece_low", ""}, {1, "calibrated_ece_high", "202.5"},
		{1, "temperature", "1.25"}, {1, "raw_slope", ""}, {1, "calibrated_intercept", ""},
		{2, "raw_slope", "110"}, {2, "raw_slope_low", "109.5"}, {2, "raw_intercept", "120"}, {2, "calibrated_slope", "210"}, {2, "calibrated_intercept", "220"},
		{2, "raw_log_loss", ""}, {2, "temperature", ""},
		{3, "label", "Grade"}, {3, "raw_log_loss", "300"}, {3, "calibrated_log_loss", ""}, {3, "temperature", ""},
		{6, "raw_slope", "312"}, {6, "raw_intercept_high", "322.5"}, {6, "calibrated_slope", ""},
		{7, "fold", "0"}, {7, "raw_log_loss", ""}, {8, "raw_slope", ""},
	} {
		if got := cellIn(t, rows, c.row, c.column); got != c.want {
			t.Errorf("row %d, %s: %q, want %q", c.row, c.column, got, c.want)
		}
	}
}

func TestOutputs(t *testing.T) {
	dir := t.TempDir()
	writeToyFold(t, dir, "0", toyFold("a", 12))
	writeToyFold(t, dir, "1", toyFold("b", 11))
	r, err := CrossValidation(dir, nil, Today{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if asText(t, &back) != asText(t, r) {
		t.Error("JSON does not read back as written")
	}
	b.Reset()
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll() // wants rows of one length
	if err != nil || len(rows) != 1+3*(1+1+1+3) {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if rows[2][1] != "Lesion" || rows[2][6] != plain(r.Labels[0].Values[0].AUC.Value) {
		t.Errorf("row %v", rows[2])
	}
	table := r.Table()
	for _, want := range []string{"23 cases, folds 0 1 (missing: 2 3 4)", "Lesion: accuracy 0.", "true \\ predicted", "fold  cases  accuracy  AUC yes"} {
		if !strings.Contains(table, want) {
			t.Errorf("table lacks %q:\n%s", want, table)
		}
	}
	for _, line := range strings.Split(table, "\n") {
		if strings.HasSuffix(line, " ") {
			t.Errorf("spaces at the end of %q", line)
		}
	}
}

func asText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
