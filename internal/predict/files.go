package predict

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/mirror"
	"github.com/universal-classifier/uc/internal/npz"
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

// maxFolds is more folds than any cross-validation has.
const maxFolds = 1 << 10

// maxFeatures is more features than the last layer sees.
const maxFeatures = 1 << 12

// resultNumbers is how many numbers the result of a case holds at most: logits, probabilities, class and target, the
// logits of every member, and features of every fold.
func (m *Model) resultNumbers() int {
	n := maxFolds * maxFeatures
	for _, classes := range m.config.Outputs {
		n += 2*classes + 2 + maxFolds*len(mirror.All())*classes
	}
	return n
}

func writeFile(path string, b []byte) error { return atomicfile.WriteBytes(path, b) }

// resultOf takes a result from the arrays of <case>.npz and checks that they are for the labels of this model.
func (m *Model) resultOf(id, path string, arrays map[string]npz.Array) (*Result, error) {
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
	r.ReadMembers(arrays)
	return r, r.conclude()
}

// writeTables writes predictions.csv and predictions.json over the results that are valid for this run.
func (m *Model) writeTables(out string, s *Summary) error {
	t := evaluate.Table{Settings: m.settings(), MadeFrom: m.folderSources(), Labels: evaluate.ListLabels(m.plans.Labels), Cases: []evaluate.PredictedCase{}, Failed: s.Failed, Unused: s.Unused}
	warnings := s.warnings
	if before, err := evaluate.ReadTable(out); err == nil { // of the results that are kept
		for _, c := range before.Cases {
			if _, predicted := warnings[c.Case]; !predicted {
				warnings[c.Case] = c.Warnings
			}
		}
	}
	for id := range s.valid {
		r, err := m.readStored(out, id)
		if err != nil {
			return err
		}
		row := m.row(r.result)
		row.Files, row.Result = r.madeFrom[fromFiles], r.digest
		if _, known := warnings[id]; !known {
			warnings[id] = r.result.Warnings
		}
		row.Warnings = append(row.Warnings, warnings[id]...)
		t.Cases = append(t.Cases, row)
	}
	slices.SortFunc(t.Cases, func(a, b evaluate.PredictedCase) int { return strings.Compare(a.Case, b.Case) })
	if err := jsonfile.Write(s.JSON, t, jsonfile.Indent); err != nil {
		return err
	}
	return atomicfile.Write(s.CSV, func(w io.Writer) error { return m.writeCSV(w, t.Cases) })
}

func (m *Model) row(r *Result) evaluate.PredictedCase {
	row := evaluate.PredictedCase{Case: r.Case, Warnings: []string{}}
	for k, label := range m.plans.Labels {
		class := r.Categorical[k]
		l := evaluate.PredictedLabel{Name: label.Name, Class: class, Value: label.Values[class], Probabilities: r.Probabilities[k], Logits: r.Logits[k]}
		if r.Calibrated != nil {
			l.Calibrated = r.Calibrated[k]
		}
		if r.Doubt != nil {
			l.Doubt = &r.Doubt.Labels[k]
		}
		row.Labels = append(row.Labels, l)
	}
	if r.Doubt != nil {
		row.Outlier = r.Doubt.Outlier
	}
	return row
}

// writeCSV writes a line per case: per label the predicted class, its name, and the probability of every class; then
// what is known of their reliability.
func (m *Model) writeCSV(w io.Writer, rows []evaluate.PredictedCase) error {
	c := csv.NewWriter(w)
	header := []string{"case"}
	for _, label := range m.plans.Labels {
		header = append(header, label.Name, label.Name+" value")
		for _, value := range label.Values {
			header = append(header, fmt.Sprintf("%s P(%s)", label.Name, value))
		}
	}
	header = append(header, doubtColumns(m.plans.Labels)...)
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
		line = append(line, doubtCells(row, m.plans.Labels)...)
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}
