package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/task"
)

// reading is the two things that a cell can mean, each a class or -1: the class of this name, and the class of this
// number.
type reading struct{ name, number int }

// readCell matches a cell with the classes of a label.
func readCell(cell string, l task.Label) reading {
	r := reading{-1, -1}
	v, isNumber := csvfile.Integer(cell)
	if isNumber && v >= 0 && v < len(l.Values) {
		r.number = v
	}
	trimmed := func(name string) bool { return strings.TrimSpace(name) == cell }
	if r.name = slices.IndexFunc(l.Values, trimmed); r.name < 0 && isNumber { // spreadsheets make 1.0 of the name 1
		r.name = slices.IndexFunc(l.Values, func(name string) bool {
			n, ok := csvfile.Integer(strings.TrimSpace(name))
			return ok && n == v
		})
	}
	return r
}

// cellOf is a cell of a label's column, with the case that it belongs to.
type cellOf struct{ id, text string }

// classesOf reads the column of a label: each cell by the name of a class, or else by its number. A number that is also
// the name of another class counts as the name where the column shows that it holds names, by another number that is a
// name alone; where it could be either it is an error.
func classesOf(cells []cellOf, l task.Label) ([]int, error) {
	readings := make([]reading, len(cells))
	names, numbers := false, false
	for i, c := range cells {
		r := readCell(c.text, l)
		readings[i] = r
		_, isNumber := csvfile.Integer(c.text)
		names = names || isNumber && r.name >= 0 && r.number < 0
		numbers = numbers || r.name < 0 && r.number >= 0
	}
	classes := make([]int, len(cells))
	for i, r := range readings {
		switch {
		case r.name < 0 && r.number < 0:
			return nil, fmt.Errorf("case %s: label %s: %q is not a class; expected 0 to %d or one of %s",
				cells[i].id, l.Name, cells[i].text, len(l.Values)-1, strings.Join(l.Values, ", "))
		case r.name < 0:
			classes[i] = r.number
		case r.number < 0 || r.number == r.name || names && !numbers:
			classes[i] = r.name
		default:
			return nil, fmt.Errorf("case %s: label %s: %q is the name of class %d, but also the number of class %d, which is called %q; give the names in a column %q, as predictions.csv does",
				cells[i].id, l.Name, cells[i].text, r.name, r.number, l.Values[r.number], l.Name+valueSuffix)
		}
	}
	return classes, nil
}

// namedClasses reads a column that holds nothing but names.
func namedClasses(cells []cellOf, l task.Label) ([]int, error) {
	classes := make([]int, len(cells))
	for i, c := range cells {
		if classes[i] = readCell(c.text, l).name; classes[i] < 0 {
			return nil, fmt.Errorf("case %s: column %q: %q is not a class; expected one of %s", c.id, l.Name+valueSuffix, c.text, strings.Join(l.Values, ", "))
		}
	}
	return classes, nil
}

// numberedClasses reads a column of numbers next to one of names.
func numberedClasses(cells []cellOf, l task.Label) ([]int, error) {
	classes := make([]int, len(cells))
	for i, c := range cells {
		r := readCell(c.text, l)
		if classes[i] = r.number; r.number < 0 {
			classes[i] = r.name
		}
		if classes[i] < 0 {
			return nil, fmt.Errorf("case %s: label %s: %q is not a class; expected 0 to %d or one of %s", c.id, l.Name, c.text, len(l.Values)-1, strings.Join(l.Values, ", "))
		}
	}
	return classes, nil
}
