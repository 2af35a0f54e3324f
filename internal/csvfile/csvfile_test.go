package csvfile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func write(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table.csv")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func utf16Text(text string, order binary.AppendByteOrder, mark bool) []byte {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func TestEverySpelling(t *testing.T) {
	const comma = "case,größe, remark\na,1,x\n\nb, 2.0,\"y, z\"\n,,\n"
	semicolon := strings.NewReplacer("\"y, z\"", "\"y; z\"", ",", ";").Replace(comma)
	tab := strings.NewReplacer("\"y, z\"", "\"y\t z\"", ",", "\t").Replace(comma)
	for name, b := range map[string][]byte{
		"comma":                   []byte(comma),
		"semicolon":               []byte(semicolon),
		"tab":                     []byte(tab),
		"UTF-8 with its mark":     []byte("\ufeff" + semicolon),
		"UTF-16, little-endian":   utf16Text(tab, binary.LittleEndian, true),
		"UTF-16, big-endian":      utf16Text(tab, binary.BigEndian, true),
		"UTF-16 without its mark": utf16Text(comma, binary.LittleEndian, false),
		"the other without":       utf16Text(comma, binary.BigEndian, false),
		"Windows":                 []byte(strings.ReplaceAll(comma, "\n", "\r\n")),
		"old Mac":                 []byte(strings.ReplaceAll(comma, "\n", "\r")),
		"Excel's first line":      []byte("sep=;\r\n" + semicolon),
		"another separator":       []byte("SEP=|\n" + strings.ReplaceAll(strings.ReplaceAll(comma, "\"y, z\"", "\"y| z\""), ",", "|")),
		"more cells than header":  []byte("case;größe;remark\na;1;x;;\nb;2.0;\"y, z\";\n"),
	} {
		table, err := Read(write(t, b), "Case")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(table.Header, []string{"case", "größe", "remark"}) || len(table.Rows) != 2 || !slices.Equal(table.Rows[0], []string{"a", "1", "x"}) || table.Rows[1][1] != "2.0" ||
			!strings.HasPrefix(table.Rows[1][2], "y") || len(table.Rows[1]) != 3 {
			t.Errorf("%s: header %q, rows %q", name, table.Header, table.Rows)
		}
	}
}

// An empty cell of a table separated by tabs stays where it is.
func TestEmptyCellsBetweenTabs(t *testing.T) {
	table, err := Read(write(t, []byte("case\tx\ty\na\t\t2\n")), "case")
	if err != nil || !slices.Equal(table.Rows[0], []string{"a", "", "2"}) {
		t.Errorf("%v %v", table, err)
	}
}

// The separator is the one that makes a column of the key, although a label's name holds more of another.
func TestSeparatorByTheKey(t *testing.T) {
	table, err := Read(write(t, []byte("case;size, in mm, or so\na;1\n")), "case")
	if err != nil || !slices.Equal(table.Header, []string{"case", "size, in mm, or so"}) {
		t.Errorf("%v %v", table, err)
	}
}

func TestColumn(t *testing.T) {
	table := &Table{Path: "t.csv", Header: []string{"CASE", "grade", "Grade", "stage", "STAGE"}}
	for name, want := range map[string]int{"case": 0, "Grade": 2, "grade": 1, "stage": 3, "none": -1} {
		if got, err := table.Column(name); got != want || err != nil {
			t.Errorf("%s: %d (%v), want %d", name, got, err, want)
		}
	}
	if _, err := table.Column("Stage"); err == nil || !strings.Contains(err.Error(), "two columns") {
		t.Errorf("ambiguous: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		b    string
		want string
	}{
		"empty":         {"", "empty"},
		"Latin-1":       {"case,gr\xf6\xdfe\na,1\n", "CSV UTF-8"},
		"half a UTF-16": {"\xff\xfec\x00a", "half a character"},
		"ragged":        {"case,x\na,1\n\nb\n", "line 4 has 1 cells, but the header 2"},
		"open quote":    {"case,x\na,\"1\n", "not a table"},
	} {
		path := write(t, []byte(c.b))
		if _, err := Read(path, "case"); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestInteger(t *testing.T) {
	for cell, want := range map[string]int{"0": 0, "0.0": 0, "0,0": 0, "2.": 2, "1e0": 1, "-1": -1, "+3": 3} {
		if got, ok := Integer(cell); !ok || got != want {
			t.Errorf("%q: %d %v, want %d", cell, got, ok, want)
		}
	}
	for _, cell := range []string{"", "0.5", "x", "NaN", "Inf", "1,000,000", "1,5"} {
		if got, ok := Integer(cell); ok {
			t.Errorf("%q is %d", cell, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"case,x\na,1\n", "case;x\na;1", "sep=\t\ncase\tx", "\xff\xfec\x00", "\"", "a\rb"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Read(write(t, b), "case")
		if err != nil {
			return
		}
		for _, row := range table.Rows {
			if len(row) != len(table.Header) {
				t.Errorf("a row of %d cells below a header of %d", len(row), len(table.Header))
			}
		}
	})
}

// Titles above the header, as people write them into spreadsheets, are passed over.
func TestTitles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.csv")
	for _, text := range []string{
		"Table 1;;\n;;\ncase;kind;age\nA1;x;63,5\nA2;y;70\n",
		"Patients of 2024\n\ncase\tkind\tage\nA1\tx\t63,5\nA2\ty\t70\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"", "case"} {
			got, err := Read(path, key)
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			if strings.Join(got.Header, "|") != "case|kind|age" || len(got.Rows) != 2 || got.Rows[0][2] != "63,5" || got.Lines[0] != 4 {
				t.Errorf("%q, key %q: %+v", text, key, got)
			}
		}
	}
}
