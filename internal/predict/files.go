package predict

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/progress"
)

// Files in the folder of predictions.
const (
	resultSuffix = ".npz"
	csvFile      = "predictions.csv"
)

func (m *Model) settings() evaluate.Settings {
	return evaluate.Settings{
		Task: m.plans.TaskName, Model: m.dir, Folds: m.folds, Checkpoint: m.options.Checkpoint, TTA: !m.options.DisableTTA, Precision: m.device.Precision(),
	}
}

// resultNumbers is how many numbers the result of a case holds at most: logits, probabilities, class and target.
func (m *Model) resultNumbers() int {
	n := 0
	for _, classes := range m.config.Outputs {
		n += 2*classes + 2
	}
	return n
}

// readResult reads <case>.npz and checks that it holds the labels of this model.
func (m *Model) readResult(dir, id string) (*Result, error) {
	path := filepath.Join(dir, id+resultSuffix)
	arrays, err := npz.ReadAtMost(path, m.resultNumbers())
	if err != nil {
		return nil, err
	}
	r := &Result{Prediction: evaluate.Prediction{Case: id}}
	for k, classes := range m.config.Outputs {
		logits, probabilities := arrays[fmt.Sprintf("logits_%d", k)], arrays[fmt.Sprintf("probabilities_%d", k)]
		if !slices.Equal(logits.Shape, []int{classes}) || !slices.Equal(probabilities.Shape, []int{classes}) {
			return nil, fmt.Errorf("%s: not a result for the labels of this model", path)
		}
		r.Logits = append(r.Logits, logits.Float64s())
		r.Probabilities = append(r.Probabilities, probabilities.Float64s())
	}
	if _, more := arrays[fmt.Sprintf("logits_%d", len(m.config.Outputs))]; more {
		return nil, fmt.Errorf("%s: a result with more labels than this model has", path)
	}
	return r, r.conclude()
}

// writeTables writes predictions.csv and predictions.json over all results in the folder.
func (m *Model) writeTables(out string, s *Summary) error {
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	t := evaluate.Table{Settings: m.settings(), Labels: evaluate.ListLabels(m.plans.Labels), Cases: []evaluate.PredictedCase{}, Failed: []evaluate.FailedCase{}, Unused: []evaluate.UnusedFile{}}
	failed := map[string]bool{} // an older result of a case that failed now does not count
	for _, f := range s.Failed {
		failed[f.Case] = true
		t.Failed = append(t.Failed, evaluate.FailedCase{Case: f.Case, Error: f.Err.Error()})
	}
	for _, u := range s.Unused {
		t.Unused = append(t.Unused, evaluate.UnusedFile(u))
	}
	warnings := s.warnings
	if before, err := evaluate.ReadTable(out); err == nil { // of the results that are kept
		for _, c := range before.Cases {
			if _, predicted := warnings[c.Case]; !predicted {
				warnings[c.Case] = c.Warnings
			}
		}
	}
	for _, e := range entries {
		id, isResult := strings.CutSuffix(e.Name(), resultSuffix)
		if !isResult || failed[id] {
			continue
		}
		r, err := m.readResult(out, id)
		if err != nil {
			continue // another program's file
		}
		row := m.row(r)
		row.Warnings = append(row.Warnings, warnings[id]...)
		t.Cases = append(t.Cases, row)
	}
	slices.SortFunc(t.Cases, func(a, b evaluate.PredictedCase) int { return strings.Compare(a.Case, b.Case) })
	raw, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(s.JSON, append(raw, '\n')); err != nil {
		return err
	}
	return atomicfile.Write(s.CSV, func(w io.Writer) error { return m.writeCSV(w, t.Cases) })
}

func (m *Model) row(r *Result) evaluate.PredictedCase {
	row := evaluate.PredictedCase{Case: r.Case, Warnings: []string{}}
	for k, label := range m.plans.Labels {
		class := r.Categorical[k]
		row.Labels = append(row.Labels, evaluate.PredictedLabel{
			Name: label.Name, Class: class, Value: label.Values[class], Probabilities: r.Probabilities[k], Logits: r.Logits[k],
		})
	}
	return row
}

// writeCSV writes a line per case: per label the predicted class, its name, and the probability of every class.
func (m *Model) writeCSV(w io.Writer, rows []evaluate.PredictedCase) error {
	c := csv.NewWriter(w)
	header := []string{"case"}
	for _, label := range m.plans.Labels {
		header = append(header, label.Name, label.Name+" value")
		for _, value := range label.Values {
			header = append(header, fmt.Sprintf("%s P(%s)", label.Name, value))
		}
	}
	if err := c.Write(header); err != nil {
		return err
	}
	for _, row := range rows {
		line := []string{row.Case}
		for _, l := range row.Labels {
			line = append(line, strconv.Itoa(l.Class), l.Value)
			for _, p := range l.Probabilities {
				line = append(line, strconv.FormatFloat(p, 'f', 6, 64))
			}
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// warnOfOtherSettings says so if the results that are kept come from other networks than those to come, or were computed in another precision.
func (m *Model) warnOfOtherSettings(out string, r progress.Reporter) {
	before, err := evaluate.ReadTable(out)
	if err != nil {
		return
	}
	now := m.settings()
	if before.Task != now.Task || !slices.Equal(before.Folds, now.Folds) || before.Checkpoint != now.Checkpoint || before.TTA != now.TTA {
		r.Warn("the results that are kept come from %s, now it is %s", settingsText(before.Settings), settingsText(now))
	}
	if before.Precision != "" && before.Precision != now.Precision {
		r.Note("the results that are kept were computed in %s, now it is %s; both are results of this model", before.Precision, now.Precision)
	}
}

func settingsText(s evaluate.Settings) string {
	t := fmt.Sprintf("%s, folds %s, %s", s.Task, strings.Join(s.Folds, " "), s.Checkpoint)
	if s.TTA {
		return t + ", with mirroring"
	}
	return t + ", without mirroring"
}
