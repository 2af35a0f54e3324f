package evaluate

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/task"
)

// AgainstTruth measures the predictions in dir, as uc predict left them, against the true classes in the CSV file at path: a column
// "case" and one per classification label, under its name, that holds the number of the class or what it is called. Other columns do not
// matter. Cases that only one side knows, or without a class for every label, are left out with a warning.
func AgainstTruth(dir, path string) (*Report, error) {
	table, err := ReadTable(dir)
	if err != nil {
		return nil, err
	}
	labels := labelsOf(table.Labels)
	truth, incomplete, err := readTruth(path, labels)
	if err != nil {
		return nil, err
	}
	var predictions []Prediction
	var unknown []string
	for _, c := range table.Cases {
		targets, known := truth[c.Case]
		delete(truth, c.Case)
		switch {
		case !known:
			unknown = append(unknown, c.Case)
			continue
		case targets == nil:
			continue // incomplete
		}
		p := Prediction{Case: c.Case, Targets: targets}
		for _, l := range c.Labels {
			p.Logits, p.Probabilities = append(p.Logits, l.Logits), append(p.Probabilities, l.Probabilities)
		}
		predictions = append(predictions, p)
	}
	if len(predictions) == 0 {
		return nil, fmt.Errorf("%s has the classes of none of the %d cases predicted in %s (%s)", path, len(table.Cases), dir, shortened(unknown))
	}
	var missing []string
	for id := range truth {
		missing = append(missing, id)
	}
	slices.SortFunc(missing, compareNames)
	r := Evaluate(labels, predictions)
	r.Task, r.Model = table.Task, table.Model
	var notes []string
	for _, n := range []struct {
		cases []string
		what  string
	}{
		{unknown, "predicted cases are not in " + path},
		{incomplete, "cases lack a class in " + path},
		{missing, "cases of " + path + " are not predicted"},
	} {
		if len(n.cases) > 0 {
			notes = append(notes, fmt.Sprintf("%d %s and left out: %s", len(n.cases), n.what, shortened(n.cases)))
		}
	}
	r.Warnings = append(notes, r.Warnings...)
	return r, nil
}

// readTruth reads the classes of every case; those of incomplete cases are nil.
func readTruth(path string, labels []task.Label) (truth map[string][]int, incomplete []string, err error) {
	b, err := infile.ReadFile(path, infile.MaxText)
	if err != nil {
		return nil, nil, err
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff")))) // as spreadsheets write it
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: not a table of comma-separated values: %w", path, err)
	}
	column := func(name string) (int, error) {
		at := slices.Index(header, name)
		if at < 0 {
			return 0, fmt.Errorf("%s: no column %q among %s; expected \"case\" and one per classification label", path, name, strings.Join(header, ", "))
		}
		return at, nil
	}
	caseAt, err := column("case")
	if err != nil {
		return nil, nil, err
	}
	at := make([]int, len(labels))
	for i, l := range labels {
		if at[i], err = column(l.Name); err != nil {
			return nil, nil, err
		}
	}
	rows, err := r.ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	truth = map[string][]int{}
	for _, row := range rows {
		id := row[caseAt]
		if _, twice := truth[id]; twice {
			return nil, nil, fmt.Errorf("%s: case %s is there twice", path, id)
		}
		targets := make([]int, 0, len(labels))
		for i, l := range labels {
			cell := strings.TrimSpace(row[at[i]])
			if cell == "" {
				continue
			}
			class, err := classOf(cell, l)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: case %s: %w", path, id, err)
			}
			targets = append(targets, class)
		}
		if len(targets) < len(labels) {
			incomplete, targets = append(incomplete, id), nil
		}
		truth[id] = targets
	}
	return truth, incomplete, nil
}

// classOf reads the number of a class, or what it is called.
func classOf(cell string, l task.Label) (int, error) {
	if class, err := strconv.Atoi(cell); err == nil && class >= 0 && class < len(l.Values) {
		return class, nil
	}
	if class := slices.Index(l.Values, cell); class >= 0 {
		return class, nil
	}
	return 0, fmt.Errorf("label %s: %q is no class; expected 0 to %d or one of %s", l.Name, cell, len(l.Values)-1, strings.Join(l.Values, ", "))
}
