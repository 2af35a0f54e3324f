// Package covariate reads what is known of cases besides their images, such as age, sex and site.
package covariate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/task"
)

// Kinds of a column.
const (
	Number   = "number"
	Category = "category"
)

// Site is the name of the column of sites.
const Site = "site"

// Column is one covariate. A case that is in neither map has no known value.
type Column struct {
	Name    string
	Kind    string
	Numbers map[string]float64 // per case, for Number
	Texts   map[string]string  // per case, for Category
}

// Known reports whether a case has a value.
func (c *Column) Known(id string) bool {
	_, number := c.Numbers[id]
	_, text := c.Texts[id]
	return number || text
}

// Table is the covariates of cases.
type Table struct {
	Columns  []*Column
	Notes    []string // how columns were understood, and what was left out
	Warnings []string // what may be a mistake
}

// Column is the column with a name, in small or capital letters; nil if there is none.
func (t *Table) Column(name string) *Column {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, c := range t.Columns {
			if same(c.Name, name) {
				return c
			}
		}
	}
	return nil
}

// Missing is the error of a column that is not there.
func (t *Table) Missing(name string) error {
	var names []string
	for _, c := range t.Columns {
		names = append(names, strconv.Quote(c.Name))
	}
	if len(names) == 0 {
		return fmt.Errorf("no covariate %q: none is known of these cases", name)
	}
	return fmt.Errorf("no covariate %q among %s", name, strings.Join(names, ", "))
}

// Merge takes in the columns of other, in place of those of the same name.
func (t *Table) Merge(other *Table) {
	for _, c := range other.Columns {
		if at := slices.IndexFunc(t.Columns, func(o *Column) bool { return strings.EqualFold(o.Name, c.Name) }); at >= 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("covariate %s: the table replaces the values of %s", c.Name, task.DatasetFile))
			t.Columns[at] = c
		} else {
			t.Columns = append(t.Columns, c)
		}
	}
	t.Notes, t.Warnings = append(t.Notes, other.Notes...), append(t.Warnings, other.Warnings...)
}

// FromCases takes the sites and covariates that dataset.json gives, sites first.
func FromCases(cases []task.Case) *Table {
	t := &Table{}
	values := map[string][]cell{}
	for _, c := range cases {
		if c.Site != "" {
			values[Site] = append(values[Site], cell{c.ID, c.Site, 0})
		}
		for name, v := range c.Covariates {
			if strings.EqualFold(name, Site) && c.Site != "" {
				continue
			}
			values[name] = append(values[name], cell{c.ID, text(v), 0})
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		if (a == Site) != (b == Site) {
			if a == Site {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	}) {
		t.add(name, values[name], false)
	}
	return t
}

// text is a value of dataset.json as a table would hold it.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// WithoutSite are the columns but that of sites.
func (t *Table) WithoutSite() []*Column {
	return slices.DeleteFunc(slices.Clone(t.Columns), func(c *Column) bool { return strings.EqualFold(c.Name, Site) })
}
