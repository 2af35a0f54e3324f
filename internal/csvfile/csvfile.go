// Package csvfile reads tables as spreadsheets write them: separated by commas, semicolons or tabs, in UTF-8 or UTF-16.
package csvfile

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/universal-classifier/uc/internal/infile"
)

// Table is a table with a header, which titles may stand above. Cells are trimmed; rows have the header's length, and
// those without any text are left out.
type Table struct {
	Path   string
	Header []string
	Rows   [][]string
	Lines  []int // of each row in the file, from 1
}

// separators in the order in which they are preferred among equals.
var separators = []rune{',', ';', '\t'}

// Read reads the table at path. The separator is the one by which the header has a column named key, in small or
// capital letters, or, among several such, for no such column or for an empty key, the most columns. A first line
// "sep=;", which Excel writes, settles it.
func Read(path, key string) (*Table, error) {
	b, err := infile.ReadFile(path, infile.MaxText)
	if err != nil {
		return nil, err
	}
	text, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n") // as old Macs ended lines
	}
	first, rest, _ := strings.Cut(text, "\n")
	if sep, found := cutPrefixFold(strings.TrimSpace(first), "sep="); found && utf8.RuneCountInString(sep) == 1 {
		c, _ := utf8.DecodeRuneInString(sep)
		return parse(path, rest, c, 1)
	}
	var best *Table
	var failed error
	for _, sep := range separators {
		t, err := parse(path, text, sep, 0)
		if err != nil {
			if failed == nil {
				failed = err
			}
			continue
		}
		if best == nil || t.fits(key) && !best.fits(key) || t.fits(key) == best.fits(key) && len(t.Header) > len(best.Header) {
			best = t
		}
	}
	if best == nil || !best.fits(key) && failed != nil {
		return nil, failed
	}
	return best, nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func (t *Table) fits(key string) bool {
	return key == "" || slices.ContainsFunc(t.Header, func(name string) bool { return strings.EqualFold(name, key) })
}

// decode turns a file into text: UTF-8 with or without its mark, UTF-16 of either byte order with its mark, or without
// one where every second byte is 0, as it is in text of Western languages.
func decode(b []byte) (string, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order, b = binary.LittleEndian, b[2:]
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order, b = binary.BigEndian, b[2:]
	case len(b) >= 4 && b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0:
		order = binary.LittleEndian
	case len(b) >= 4 && b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0:
		order = binary.BigEndian
	default:
		b = bytes.TrimPrefix(b, []byte("\ufeff"))
		if !utf8.Valid(b) {
			return "", errors.New("not UTF-8 or UTF-16; save the table as \"CSV UTF-8\"")
		}
		return string(b), nil
	}
	if len(b)%2 == 1 {
		return "", errors.New("UTF-16 with half a character at its end; save the table again")
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units)), nil
}

// parse reads text with one separator; before is the number of lines before it.
func parse(path, text string, sep rune, before int) (*Table, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = sep
	r.TrimLeadingSpace = sep != '\t' // an empty cell of a table separated by tabs is not a space
	r.FieldsPerRecord = -1
	t := &Table{Path: path}
	var records [][]string
	var lines []int
	header := -1 // the first row with two cells that are filled: those above it are titles
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: not a table of comma-separated values: %w", path, err)
		}
		line, _ := r.FieldPos(0)
		filled := 0
		for i := range row {
			if row[i] = strings.TrimSpace(row[i]); row[i] != "" {
				filled++
			}
		}
		if header < 0 && filled > 1 {
			header = len(records)
		}
		records, lines = append(records, row), append(lines, line+before)
	}
	for i := max(header, 0); i < len(records); i++ {
		row, line := records[i], lines[i]
		if t.Header == nil {
			t.Header = row
			continue
		}
		if !slices.ContainsFunc(row, func(cell string) bool { return cell != "" }) {
			continue
		}
		for len(row) > len(t.Header) && row[len(row)-1] == "" {
			row = row[:len(row)-1]
		}
		if len(row) != len(t.Header) {
			return nil, fmt.Errorf("%s: line %d has %d cells, but the header %d; put cells that hold a separator in double quotes", path, line, len(row), len(t.Header))
		}
		t.Rows, t.Lines = append(t.Rows, row), append(t.Lines, line)
	}
	if t.Header == nil {
		return nil, fmt.Errorf("%s: not a table of comma-separated values: it is empty", path)
	}
	return t, nil
}

// Column is the place of the column with a name: spelled exactly so, or else, if it is the only one, in other small and
// capital letters. It is -1 if there is none.
func (t *Table) Column(name string) (int, error) {
	for _, same := range []func(string) bool{
		func(s string) bool { return s == name },
		func(s string) bool { return strings.EqualFold(s, name) },
	} {
		first := slices.IndexFunc(t.Header, same)
		if first < 0 {
			continue
		}
		if slices.ContainsFunc(t.Header[first+1:], same) {
			return -1, fmt.Errorf("%s: two columns are named %q; remove or rename one", t.Path, name)
		}
		return first, nil
	}
	return -1, nil
}

// Integer is the whole number that a cell holds: 2, 2.0 or, where the comma is the decimal sign, 2,0.
func Integer(cell string) (int, bool) {
	v, ok := Float(cell)
	if !ok || v != math.Trunc(v) || math.Abs(v) > 1<<52 {
		return 0, false
	}
	return int(v), true
}

// Float is the finite number that a cell holds: 2.5 or, where the comma is the decimal sign, 2,5.
func Float(cell string) (float64, bool) {
	if strings.Count(cell, ",") == 1 && !strings.Contains(cell, ".") {
		cell = strings.Replace(cell, ",", ".", 1)
	}
	v, err := strconv.ParseFloat(cell, 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}
