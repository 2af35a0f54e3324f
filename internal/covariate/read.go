package covariate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// Columns that say of whom or what a row is.
const (
	caseColumn    = "case"
	patientColumn = "patient"
)

// Known are the sites and covariates of cases, and those of the table at path unless that is empty.
func Known(cases []task.Case, labels []task.Label, path string) (*Table, error) {
	t := FromCases(cases)
	if path == "" {
		return t, nil
	}
	patients := map[string]string{}
	for _, c := range cases {
		patients[c.ID] = c.Patient
	}
	more, err := Read(path, patients, labels)
	if err != nil {
		return nil, err
	}
	t.Merge(more)
	return t, nil
}

// Read reads a table of covariates (see csvfile): a column "case", or "patient" with one row per patient, and one
// column per covariate. patients holds the cases that are looked for and whom each is of, "" where that is not known.
// Columns named as one of labels hold the truth and are left out, as are those of nothing but different texts. Rows of
// other cases and cases without a row are told of; it is an error if no row fits, or if a case or a patient has two
// rows that differ.
func Read(path string, patients map[string]string, labels []task.Label) (*Table, error) {
	t, err := csvfile.Read(path, caseColumn)
	if err != nil {
		return nil, err
	}
	keyAt, err := t.Column(caseColumn)
	if err != nil {
		return nil, err
	}
	key := caseColumn
	if keyAt < 0 {
		if t, err = csvfile.Read(path, patientColumn); err != nil {
			return nil, err
		}
		if keyAt, err = t.Column(patientColumn); err != nil {
			return nil, err
		}
		key = patientColumn
	}
	if keyAt < 0 {
		return nil, fmt.Errorf("%s: no column \"case\" or \"patient\" among %s; expected one of them, and one column per covariate", path, strings.Join(t.Header, ", "))
	}
	out := &Table{}
	rows, err := out.match(path, t, keyAt, key, patients)
	if err != nil {
		return nil, err
	}
	for at, name := range t.Header {
		switch {
		case at == keyAt || strings.EqualFold(name, caseColumn) || strings.EqualFold(name, patientColumn):
			continue
		case slices.ContainsFunc(labels, func(l task.Label) bool {
			return strings.EqualFold(name, l.Name) || strings.EqualFold(name, l.Name+" value")
		}):
			out.Notes = append(out.Notes, fmt.Sprintf("%s: column %q holds the truth and is not a covariate", path, name))
			continue
		}
		if name == "" {
			if slices.ContainsFunc(t.Rows, func(row []string) bool { return row[at] != "" }) {
				out.Warnings = append(out.Warnings, fmt.Sprintf("%s: column %d has no name and is left out", path, at+1))
			}
			continue
		}
		if _, err := t.Column(name); err != nil {
			return nil, err
		}
		var cells []cell
		for _, id := range sortedCases(patients) {
			if row, has := rows[id]; has {
				cells = append(cells, cell{id, t.Rows[row][at], t.Lines[row]})
			}
		}
		out.add(name, cells, true)
	}
	if len(out.Columns) == 0 {
		return nil, fmt.Errorf("%s: no covariate in its columns %s", path, strings.Join(t.Header, ", "))
	}
	return out, nil
}

// match finds the row of every case.
func (t *Table) match(path string, table *csvfile.Table, keyAt int, key string, patients map[string]string) (map[string]int, error) {
	casesOf := map[string][]string{} // by what the rows name
	for _, id := range sortedCases(patients) {
		name := id
		if key == patientColumn {
			name = patients[id]
		}
		if name != "" {
			casesOf[name] = append(casesOf[name], id)
		}
	}
	if len(casesOf) == 0 {
		return nil, fmt.Errorf("%s: has rows of patients, but whom the cases are of is not known; give a column \"case\"", path)
	}
	rows, first := map[string]int{}, map[string]int{}
	var unknown []string
	for i, row := range table.Rows {
		name := row[keyAt]
		if name == "" {
			return nil, fmt.Errorf("%s: line %d names no %s", path, table.Lines[i], key)
		}
		if stem, ext := imagefile.SplitExtension(name); casesOf[name] == nil && ext != "" {
			name = stem
		}
		if before, twice := first[name]; twice {
			if !slices.Equal(table.Rows[before], row) {
				return nil, fmt.Errorf("%s: %s %s has two rows that differ, in lines %d and %d; keep one", path, key, name, table.Lines[before], table.Lines[i])
			}
			continue
		}
		first[name] = i
		if casesOf[name] == nil {
			unknown = append(unknown, name)
			continue
		}
		for _, id := range casesOf[name] {
			rows[id] = i
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: names none of the %d cases; it names %ss such as %s, expected such as %s", path, len(patients), key, words.Some(unknown), words.Some(sortedNames(casesOf)))
	}
	if len(unknown) > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%s: %s of other %ss, left out: %s", path, words.Count(len(unknown), "row"), key, words.Some(unknown)))
	}
	var without []string
	for _, id := range sortedCases(patients) {
		if _, has := rows[id]; !has {
			without = append(without, id)
		}
	}
	if len(without) > 0 {
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s: has no row for %d of %d cases (%s), whose covariates count as not known", path, len(without), len(patients), words.Some(without)))
	}
	return rows, nil
}

func sortedCases(patients map[string]string) []string {
	ids := make([]string, 0, len(patients))
	for id := range patients {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func sortedNames(of map[string][]string) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
