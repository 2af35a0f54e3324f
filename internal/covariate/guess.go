package covariate

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cell is a value of a column as it is written.
type cell struct {
	id, text string
	line     int // in its file; 0 if it has none
}

// missing are the ways to write that a value is not known, in small letters.
var missing = []string{"", "na", "n/a", "n.a.", "#n/a", "nan", "null", "none known", "-", "--", ".", "?", "missing", "unknown", "not known", "not available"}

func isMissing(s string) bool { return slices.Contains(missing, strings.ToLower(strings.TrimSpace(s))) }

// fewNumbers is up to how many different whole numbers count as categories: they are codes or grades more often than
// measurements.
const fewNumbers = 5

// mostly is the share of cells from which a column is one of numbers although others are not.
const mostly = 0.9

// add guesses what a column holds and appends it. Cells that are not known are left out. said tells how the column was
// understood.
func (t *Table) add(name string, cells []cell, said bool) {
	cells = slices.DeleteFunc(slices.Clone(cells), func(c cell) bool { return isMissing(c.text) })
	if len(cells) == 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("covariate %s: no case has a value; left out", name))
		return
	}
	style := styleOf(cells)
	numbers := map[string]float64{}
	var others []cell
	different := map[float64]bool{}
	whole := true
	for _, c := range cells {
		v, ok := style.number(c.text)
		if !ok {
			others = append(others, c)
			continue
		}
		numbers[c.id] = v
		different[v] = true
		whole = whole && v == math.Trunc(v)
	}
	isNumber := float64(len(numbers)) >= mostly*float64(len(cells)) && (!whole || len(different) > fewNumbers) && !strings.EqualFold(name, Site)
	if isNumber {
		t.Columns = append(t.Columns, &Column{Name: name, Kind: Number, Numbers: numbers})
		note := fmt.Sprintf("covariate %s: a number, known for %d cases", name, len(numbers))
		if style.example != "" {
			note += fmt.Sprintf("; %q is read as %g", style.example, style.means)
		}
		if said || style.example != "" {
			t.Notes = append(t.Notes, note)
		}
		if len(others) > 0 {
			t.Warnings = append(t.Warnings, fmt.Sprintf("covariate %s: %d of %d values are not numbers and count as not known: %s", name, len(others), len(cells), someCells(others)))
		}
		return
	}
	if n := differentTexts(cells); n > 10 && 2*n > len(cells) {
		t.Warnings = append(t.Warnings, fmt.Sprintf("covariate %s: %d different texts for %d cases are names rather than categories; left out", name, n, len(cells)))
		return
	}
	c := &Column{Name: name, Kind: Category, Texts: map[string]string{}}
	spelled := map[string]string{} // first spelling by small letters
	var alike []string
	for _, of := range cells {
		value := strings.TrimSpace(of.text)
		if v, ok := style.number(value); ok && len(others) == 0 {
			value = strconv.FormatFloat(v, 'g', -1, 64) // 1 and 1.0 are one category
		}
		key := strings.ToLower(value)
		if first, known := spelled[key]; !known {
			spelled[key] = value
		} else if first != value {
			if pair := fmt.Sprintf("%q and %q", first, value); !slices.Contains(alike, pair) {
				alike = append(alike, pair)
			}
			value = first
		}
		c.Texts[of.id] = value
	}
	t.Columns = append(t.Columns, c)
	if said {
		t.Notes = append(t.Notes, fmt.Sprintf("covariate %s: a category of %d values, known for %d cases", name, len(spelled), len(c.Texts)))
	}
	if len(alike) > 0 {
		t.Warnings = append(t.Warnings, fmt.Sprintf("covariate %s: %s differ in capital letters alone and count as one category", name, strings.Join(alike, ", ")))
	}
	if n := len(numbers); n > 0 && len(others) > 0 && float64(n) >= 0.5*float64(len(cells)) {
		t.Warnings = append(t.Warnings, fmt.Sprintf("covariate %s: %d of %d values are not numbers (%s), so it counts as a category; correct them if it is a number", name, len(others), len(cells), someCells(others)))
	}
}

func differentTexts(cells []cell) int {
	different := map[string]bool{}
	for _, c := range cells {
		different[strings.ToLower(strings.TrimSpace(c.text))] = true
	}
	return len(different)
}

func someCells(cells []cell) string {
	var out []string
	for _, c := range cells[:min(3, len(cells))] {
		s := fmt.Sprintf("case %s: %q", c.id, c.text)
		if c.line > 0 {
			s = fmt.Sprintf("line %d: %q", c.line, c.text)
		}
		out = append(out, s)
	}
	if len(cells) > 3 {
		out = append(out, "...")
	}
	return strings.Join(out, ", ")
}

// style is how a column writes numbers.
type style struct {
	comma   bool // the decimal sign is a comma
	example string
	means   float64 // what example is read as; of a column that could mean something else
}

var (
	grouped = regexp.MustCompile(`^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$`) // 1,234.5
	dotted  = regexp.MustCompile(`^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$`) // 1.234,5
	decimal = regexp.MustCompile(`^[+-]?\d*,\d+([eE][+-]?\d+)?$`)   // 63,5
	years   = regexp.MustCompile(`^(\d{1,3})[Yy]$`)                 // DICOM's age
	percent = regexp.MustCompile(`^([+-]?\d+([.,]\d+)?)\s*%$`)      // 12 %
)

// styleOf finds the decimal sign of a column: a comma where a cell such as 63,5 shows that it does not separate
// thousands, or where every comma could be either.
func styleOf(cells []cell) style {
	var s style
	thousands, decimals := false, false
	for _, c := range cells {
		v := strings.TrimSpace(c.text)
		switch {
		case !strings.Contains(v, ","):
		case dotted.MatchString(v) && strings.Contains(v, "."):
			decimals = true
		case decimal.MatchString(v) && !grouped.MatchString(v):
			decimals = true
		case grouped.MatchString(v) && (strings.Contains(v, ".") || strings.Count(v, ",") > 1):
			thousands = true
		}
	}
	s.comma = decimals || !thousands
	for _, c := range cells {
		if v, ok := s.number(c.text); ok && strings.Contains(c.text, ",") {
			s.example, s.means = strings.TrimSpace(c.text), v
			break
		}
	}
	return s
}

// number reads a cell.
func (s style) number(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if m := years.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	if m := percent.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	text = strings.NewReplacer("\u00a0", "", "\u2009", "", "\u202f", "", "\u2212", "-").Replace(text)
	if strings.Contains(text, ",") {
		switch {
		case s.comma && dotted.MatchString(text) && strings.Contains(text, "."):
			text = strings.Replace(strings.ReplaceAll(text, ".", ""), ",", ".", 1)
		case s.comma && decimal.MatchString(text):
			text = strings.Replace(text, ",", ".", 1)
		case !s.comma && grouped.MatchString(text):
			text = strings.ReplaceAll(text, ",", "")
		default:
			return 0, false
		}
	}
	if strings.ContainsAny(text, "xXpP_iInN") { // hexadecimal, infinity
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
}
