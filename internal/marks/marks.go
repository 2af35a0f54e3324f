// Package marks keeps in a table which cases a reader wants relabelled or left out.
package marks

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/csvfile"
)

// File is the usual name of the table.
const File = "marks.csv"

// What a reader may want done with a case.
const (
	Relabel = "relabel" // its class is wrong
	Exclude = "exclude" // it is not to be trained on
)

// Columns of the table. Others are left out when it is written.
const (
	caseColumn    = "case"
	markColumn    = "mark"
	commentColumn = "comment"
	timeColumn    = "marked_at"
)

// Mark is what a reader said of a case.
type Mark struct {
	Case    string
	Action  string // Relabel or Exclude
	Comment string
	At      string // time, RFC 3339; empty if not known
}

// Table holds at most one mark of each case.
type Table struct {
	Path  string
	Marks []Mark // in the order of the file
}

// Open reads the table at path, which need not exist.
func Open(path string) (*Table, error) {
	t, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Table{Path: path}, nil
	}
	return t, err
}

// Read reads the table at path: a column "case", a column "mark" that holds relabel, exclude or nothing, and, if they
// are there, "comment" and "marked_at".
func Read(path string) (*Table, error) {
	table, err := csvfile.Read(path, caseColumn)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for _, name := range []string{caseColumn, markColumn, commentColumn, timeColumn} {
		if at[name], err = table.Column(name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{caseColumn, markColumn} {
		if at[name] < 0 {
			return nil, fmt.Errorf("%s: no column %q among %s; expected %q and %q", path, name, strings.Join(table.Header, ", "), caseColumn, markColumn)
		}
	}
	cell := func(row []string, name string) string {
		if at[name] < 0 {
			return ""
		}
		return row[at[name]]
	}
	t := &Table{Path: path}
	for i, row := range table.Rows {
		m := Mark{Case: cell(row, caseColumn), Action: strings.ToLower(cell(row, markColumn)), Comment: cell(row, commentColumn), At: cell(row, timeColumn)}
		switch {
		case m.Case == "":
			return nil, fmt.Errorf("%s: line %d names no case", path, table.Lines[i])
		case m.Action == "":
			continue
		case m.Action != Relabel && m.Action != Exclude:
			return nil, fmt.Errorf("%s: line %d: case %s: mark %q, expected %s, %s or nothing", path, table.Lines[i], m.Case, m.Action, Relabel, Exclude)
		case t.Of(m.Case) != nil:
			return nil, fmt.Errorf("%s: line %d: case %s is marked twice; remove one of the lines", path, table.Lines[i], m.Case)
		}
		t.Marks = append(t.Marks, m)
	}
	return t, nil
}

// Of is the mark of a case; nil if it has none.
func (t *Table) Of(id string) *Mark {
	if i := t.find(id); i >= 0 {
		return &t.Marks[i]
	}
	return nil
}

func (t *Table) find(id string) int {
	return slices.IndexFunc(t.Marks, func(m Mark) bool { return m.Case == id })
}

// Set marks a case, or with an empty action removes its mark, and writes the table, whole or not at all. If it cannot
// be written the table stays as it was.
func (t *Table) Set(id, action, comment string) error {
	if action != "" && action != Relabel && action != Exclude {
		return fmt.Errorf("mark %q, expected %s, %s or nothing", action, Relabel, Exclude)
	}
	marks := slices.Clone(t.Marks)
	i := t.find(id)
	m := Mark{id, action, oneLine(comment), time.Now().UTC().Format(time.RFC3339)}
	switch {
	case action == "" && i < 0:
		return nil
	case action == "":
		marks = slices.Delete(marks, i, i+1)
	case i < 0:
		marks = append(marks, m)
	default:
		marks[i] = m
	}
	now := &Table{t.Path, marks}
	if err := atomicfile.Write(t.Path, now.write); err != nil {
		return err
	}
	t.Marks = marks
	return nil
}

// oneLine joins the words of a comment, which tables are read by line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (t *Table) write(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{caseColumn, markColumn, commentColumn, timeColumn}); err != nil {
		return err
	}
	for _, m := range t.Marks {
		if err := out.Write([]string{m.Case, m.Action, m.Comment, m.At}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Cases are those with a mark, in the order of the file.
func (t *Table) Cases(action string) []string {
	var ids []string
	for _, m := range t.Marks {
		if m.Action == action {
			ids = append(ids, m.Case)
		}
	}
	return ids
}
