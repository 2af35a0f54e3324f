package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/task"
)

// AgainstTruth measures the predictions in dir, as uc predict left them, against the true classes in the table at path
// (see csvfile): a column "case" and one per classification label, under its name, that holds what the class is called
// or its number, or under its name and " value", that holds what it is called. A column "patient" clusters the
// intervals. Other columns do not matter. Cases that only one side knows, or without a class for every label, are left
// out with a warning.
func AgainstTruth(dir, path string) (*Report, error) {
	table, err := ReadTable(dir)
	if err != nil {
		return nil, err
	}
	if err := table.check(dir); err != nil {
		return nil, err
	}
	labels := labelsOf(table.Labels)
	truth, patients, incomplete, err := readTruth(path, labels)
	if err != nil {
		return nil, err
	}
	return table.measure(dir, path, labels, truth, patients, incomplete)
}

// AgainstCases measures the predictions in dir against the classes of cases, such as those of an external test set.
func AgainstCases(dir string, cases []task.Case, labels []task.Label, source string) (*Report, error) {
	table, err := ReadTable(dir)
	if err != nil {
		return nil, err
	}
	if err := table.check(dir); err != nil {
		return nil, err
	}
	if predicted := labelsOf(table.Labels); !slices.EqualFunc(predicted, labels, sameLabel) {
		return nil, fmt.Errorf("%s predicts the labels %s, but %s has %s; predict with a model of this task", dir, labelNames(predicted), source, labelNames(labels))
	}
	truth, patients := map[string][]int{}, map[string]string{}
	for _, c := range cases {
		truth[c.ID], patients[c.ID] = c.Targets, c.Patient
	}
	return table.measure(dir, source, labels, truth, patients, nil)
}

// measure evaluates the table in dir against the truth that source holds.
func (t *Table) measure(dir, source string, labels []task.Label, truth map[string][]int, patients map[string]string, incomplete []string) (*Report, error) {
	var predictions []Prediction
	var unknown []string
	for _, c := range t.Cases {
		targets, known := truth[c.Case]
		delete(truth, c.Case)
		switch {
		case !known:
			unknown = append(unknown, c.Case)
			continue
		case targets == nil:
			continue // incomplete
		}
		p := Prediction{Case: c.Case, Targets: targets, Patient: patients[c.Case]}
		for _, l := range c.Labels {
			p.Logits, p.Probabilities = append(p.Logits, l.Logits), append(p.Probabilities, l.Probabilities)
		}
		c.addDoubt(&p)
		predictions = append(predictions, p)
	}
	if len(predictions) == 0 {
		return nil, fmt.Errorf("%s has the classes of none of the %d cases predicted in %s (%s)", source, len(t.Cases), dir, shortened(unknown))
	}
	var missing []string
	for id := range truth {
		missing = append(missing, id)
	}
	slices.SortFunc(missing, compareNames)
	r := Evaluate(labels, predictions)
	r.Task, r.Model = t.Task, t.Model
	var notes []string
	for _, n := range []struct {
		cases []string
		what  string
	}{
		{unknown, "predicted cases are not in " + source},
		{incomplete, "cases lack a class in " + source},
		{missing, "cases of " + source + " are not predicted"},
	} {
		if len(n.cases) > 0 {
			notes = append(notes, fmt.Sprintf("%d %s and left out: %s", len(n.cases), n.what, shortened(n.cases)))
		}
	}
	r.Warnings = append(notes, r.Warnings...)
	return r, nil
}

// caseColumn names the cases in tables, patientColumn whom they are of; valueSuffix follows a label's name in the
// column that holds its classes' names.
const (
	caseColumn    = "case"
	patientColumn = "patient"
	valueSuffix   = " value"
)

// readTruth reads the classes of every case; those of incomplete cases are nil. patients is empty without such a
// column.
func readTruth(path string, labels []task.Label) (truth map[string][]int, patients map[string]string, incomplete []string, err error) {
	t, err := csvfile.Read(path, caseColumn)
	if err != nil {
		return nil, nil, nil, err
	}
	missing := func(name string) error {
		return fmt.Errorf("%s: no column %q among %s; expected \"case\" and one per classification label", path, name, strings.Join(t.Header, ", "))
	}
	caseAt, err := t.Column(caseColumn)
	if err != nil {
		return nil, nil, nil, err
	}
	if caseAt < 0 {
		return nil, nil, nil, missing(caseColumn)
	}
	patientAt := -1
	if !slices.ContainsFunc(labels, func(l task.Label) bool { return strings.EqualFold(l.Name, patientColumn) }) {
		if patientAt, err = t.Column(patientColumn); err != nil {
			return nil, nil, nil, err
		}
	}
	truth, patients = map[string][]int{}, map[string]string{}
	for i, row := range t.Rows {
		id := row[caseAt]
		if id == "" {
			return nil, nil, nil, fmt.Errorf("%s: line %d names no case", path, t.Lines[i])
		}
		if _, twice := truth[id]; twice {
			return nil, nil, nil, fmt.Errorf("%s: case %s is there twice", path, id)
		}
		truth[id] = make([]int, len(labels))
		if patientAt >= 0 {
			patients[id] = row[patientAt]
		}
	}
	for k, l := range labels {
		classes, err := labelColumn(t, caseAt, l)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if classes == nil {
			return nil, nil, nil, missing(l.Name)
		}
		for i, row := range t.Rows {
			id := row[caseAt]
			class, has := classes[i]
			switch {
			case truth[id] == nil: // incomplete already
			case !has:
				incomplete, truth[id] = append(incomplete, id), nil
			default:
				truth[id][k] = class
			}
		}
	}
	return truth, patients, incomplete, nil
}

// labelColumn reads a label's classes by row, from the column of its name, or from that of its classes' names, or both
// if they agree, as in predictions.csv. It is nil if there is neither.
func labelColumn(t *csvfile.Table, caseAt int, l task.Label) (map[int]int, error) {
	at, err := t.Column(l.Name)
	if err != nil {
		return nil, err
	}
	valueAt, err := t.Column(l.Name + valueSuffix)
	if err != nil {
		return nil, err
	}
	read := classesOf
	var named map[int]int
	if valueAt >= 0 {
		if named, err = readColumn(t, caseAt, valueAt, l, namedClasses); err != nil || at < 0 {
			return named, err
		}
		read = numberedClasses
	}
	if at < 0 {
		return nil, nil
	}
	classes, err := readColumn(t, caseAt, at, l, read)
	if err != nil {
		return nil, err
	}
	for i, name := range named {
		if class, has := classes[i]; has && class != name {
			return nil, fmt.Errorf("case %s: column %q says class %d (%s), but column %q says %s; correct one of them, or remove the column",
				t.Rows[i][caseAt], l.Name, class, l.Values[class], l.Name+valueSuffix, l.Values[name])
		}
		classes[i] = name
	}
	return classes, nil
}

// readColumn reads the cells of a column that are not empty, by row.
func readColumn(t *csvfile.Table, caseAt, at int, l task.Label, read func([]cellOf, task.Label) ([]int, error)) (map[int]int, error) {
	var cells []cellOf
	var rows []int
	for i, row := range t.Rows {
		if row[at] != "" {
			cells, rows = append(cells, cellOf{row[caseAt], row[at]}), append(rows, i)
		}
	}
	classes, err := read(cells, l)
	if err != nil {
		return nil, err
	}
	out := map[int]int{}
	for k, i := range rows {
		out[i] = classes[k]
	}
	return out, nil
}
