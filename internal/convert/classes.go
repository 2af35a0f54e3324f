package convert

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// maxClasses is how many classes a label may have that were not named by the user: more look like a measurement.
const maxClasses = 20

// column is the cells of one classification label.
type column struct {
	name    string
	ids     []string // of the cases, for messages
	cells   []string
	classes []string // as the user ordered them; nil to find them
}

// label turns the cells into a label and the class of each case: numbers in numerical order, text in alphabetical
// order. Cells without a class come back as -1, each with a problem.
func (c column) label(p *problems) (task.Label, []int) {
	names := make([]string, len(c.cells))
	numeric := true
	for i, cell := range c.cells {
		if missing(cell) && !slices.Contains(c.classes, cell) {
			p.add(c.ids[i], c.name, emptyText(cell))
			continue
		}
		names[i] = cell
		if _, ok := number(cell); !ok {
			numeric = false
		}
	}
	if numeric {
		for i, name := range names {
			if v, ok := number(name); ok {
				names[i] = strconv.FormatFloat(v, 'g', -1, 64)
			}
		}
	}
	l := task.Label{Name: c.name, Values: c.classes}
	if l.Values == nil {
		l.Values = distinct(names, numeric)
		c.checkFound(l.Values, p)
	} else if numeric {
		for i, v := range l.Values { // 1.0 of a table is 1 of the command line
			if f, ok := number(v); ok {
				l.Values[i] = strconv.FormatFloat(f, 'g', -1, 64)
			}
		}
	}
	targets := make([]int, len(names))
	unknown := map[string][]string{}
	for i, name := range names {
		targets[i] = -1
		if name == "" {
			continue
		}
		targets[i] = slices.Index(l.Values, name)
		if targets[i] < 0 {
			unknown[name] = append(unknown[name], c.ids[i])
		}
	}
	for _, name := range distinct(slices.Collect(maps.Keys(unknown)), false) {
		p.add("", c.name, fmt.Sprintf("%q (%s) is none of the classes that are named: %s; add it to them, or correct the cells", name, words.Some(unknown[name]), strings.Join(l.Values, ", ")), remedy.Set{Option: remedy.Classes})
	}
	return l, targets
}

// checkFound judges classes that the cells gave.
func (c column) checkFound(values []string, p *problems) {
	switch {
	case len(values) == 0: // every cell is a problem already
	case len(values) == 1:
		p.add("", c.name, fmt.Sprintf("every case has the class %q; a classifier needs two", values[0]))
	case len(values) > maxClasses:
		p.add("", c.name, fmt.Sprintf("%d different values (%s), which looks like a measurement, not like classes; group them, choose another column, or name them all", len(values), words.Some(values)), remedy.Set{Option: remedy.LabelColumns}, remedy.Set{Option: remedy.Classes})
	}
	seen := map[string]string{}
	for _, v := range values {
		key := strings.ToLower(strings.Join(strings.Fields(v), " "))
		if other, twice := seen[key]; twice {
			p.add("", c.name, fmt.Sprintf("the classes %q (%s) and %q (%s) differ in spelling alone; write them alike", other, words.Some(c.casesOf(other)), v, words.Some(c.casesOf(v))))
		}
		seen[key] = v
	}
}

func (c column) casesOf(class string) []string {
	var ids []string
	for i, cell := range c.cells {
		if cell == class {
			ids = append(ids, c.ids[i])
		}
	}
	return ids
}

// distinct lists the different names that are not empty, in order.
func distinct(names []string, numeric bool) []string {
	out := slices.Compact(slices.Sorted(slices.Values(names)))
	out = slices.DeleteFunc(out, func(s string) bool { return s == "" })
	if numeric {
		slices.SortStableFunc(out, func(a, b string) int {
			x, _ := number(a)
			y, _ := number(b)
			return cmp.Compare(x, y)
		})
		return out
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return out
}

// number is the value of a cell that spells a finite number: 2, 2.0, -1e3 or, with a comma as the decimal sign, 2,5.
// Codes such as 007 are text.
func number(cell string) (float64, bool) {
	if cell == "" || strings.Trim(cell, "0123456789+-.,eE") != "" {
		return 0, false
	}
	if strings.Count(cell, ",") == 1 && !strings.Contains(cell, ".") {
		cell = strings.Replace(cell, ",", ".", 1)
	}
	digits := strings.TrimLeft(cell, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return 0, false
	}
	v, err := strconv.ParseFloat(cell, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// missing reports whether a cell stands for a value that is not known.
func missing(cell string) bool {
	switch strings.ToLower(cell) {
	case "", "na", "n/a", "#n/a", "nan", "null", "#value!", "#ref!", "#div/0!", "?", ".", "<na>":
		return true
	}
	return false
}

func emptyText(cell string) string {
	if cell == "" {
		return "the cell is empty; every case needs a class"
	}
	return fmt.Sprintf("%q reads as a missing value; every case needs a class (if it is the name of one, list it among the classes)", cell)
}

// ClassOrder reads the values of --classes: the classes of the only label in their order, or, for several labels,
// "LABEL=A,B,C" for each.
func ClassOrder(given, labels []string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, g := range given {
		name, rest, named := strings.Cut(g, "=")
		if named && slices.Contains(labels, name) {
			if out[name] != nil {
				return nil, fmt.Errorf("the classes of %s are named twice", name)
			}
			for _, class := range strings.Split(rest, ",") {
				out[name] = append(out[name], strings.TrimSpace(class))
			}
			continue
		}
		if len(labels) != 1 {
			return nil, fmt.Errorf("%q names no label; with the labels %s write LABEL=A,B,C", g, strings.Join(labels, ", "))
		}
		for _, class := range strings.Split(g, ",") {
			out[labels[0]] = append(out[labels[0]], strings.TrimSpace(class))
		}
	}
	for name, classes := range out {
		if len(classes) < 2 {
			return nil, fmt.Errorf("%s: one class (%s); a classifier needs two", name, classes[0])
		}
		for i, class := range classes {
			if class == "" || slices.Contains(classes[:i], class) {
				return nil, fmt.Errorf("%s: the class %q is empty or named twice", name, class)
			}
		}
	}
	return out, nil
}

// classes makes labels of the columns.
func (s *sheet) classes(rows []*row, order map[string][]string) {
	for _, at := range s.labels {
		c := column{name: s.table.Header[at], classes: order[s.table.Header[at]]}
		for _, r := range rows {
			c.ids, c.cells = append(c.ids, task.QuoteID(r.ID)), append(c.cells, s.table.Rows[r.at][at])
		}
		var found problems
		label, targets := c.label(&found)
		for _, p := range found {
			if p.Case != "" {
				s.partial = append(s.partial, p)
			} else {
				s.problems = append(s.problems, p)
			}
		}
		for i, r := range rows {
			r.Targets = append(r.Targets, targets[i])
			r.out = r.out || targets[i] < 0
		}
		s.cohort.Labels = append(s.cohort.Labels, label)
	}
}

// covariates reads what else is known of the cases: a column is numbers if every cell is one that is not missing.
func (s *sheet) covariates(rows []*row) {
	for _, at := range s.covar {
		var text []string
		numbers := 0
		for _, r := range rows {
			cell := s.table.Rows[r.at][at]
			if _, ok := number(cell); ok {
				numbers++
			} else if !missing(cell) {
				text = append(text, fmt.Sprintf("%q of case %s", cell, task.QuoteID(r.ID)))
			}
		}
		if numbers > 0 && len(text) > 0 {
			s.cohort.Warnings = append(s.cohort.Warnings, fmt.Sprintf("covariate %s: %d cells are numbers, but not %s; the column is kept as text", s.table.Header[at], numbers, words.Some(text)))
		}
		for _, r := range rows {
			cell := s.table.Rows[r.at][at]
			switch v, ok := number(cell); {
			case missing(cell):
			case ok && len(text) == 0:
				r.Covariates = append(r.Covariates, task.Covariate{Name: s.table.Header[at], Value: v})
			default:
				r.Covariates = append(r.Covariates, task.Covariate{Name: s.table.Header[at], Value: cell})
			}
		}
	}
}
