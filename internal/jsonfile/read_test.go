package jsonfile

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/infile"
)

// own decodes itself, so that offsets of errors within it count from its start.
type own struct{ Number int }

func (o *own) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &o.Number) }

type document struct {
	Name   string  `json:"name"`
	Size   int     `json:"size"`
	Weight float64 `json:"weight"`
	On     bool    `json:"on"`
	Lists  [][]int `json:"lists"`
	Sub    struct {
		Deep int `json:"deep"`
	} `json:"sub"`
	Own []own `json:"own"`
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	path := written(t, "\xef\xbb\xbf {\"name\": \"a\", \"other\": 1, \"sub\": {\"deep\": 3}, \"own\": [7]}\n")
	var d document
	if err := Read(path, &d); err != nil || d.Name != "a" || d.Sub.Deep != 3 || d.Own[0].Number != 7 {
		t.Errorf("%+v, %v", d, err)
	}
}

// An error names the file and, in characters, where the value begins that is wrong.
func TestErrorsNameThePlace(t *testing.T) {
	for _, c := range []struct {
		text         string
		line, column int
		want         string
	}{
		{"", 1, 1, "the file ends too early"},
		{"{\"name\": \"a\",\n", 2, 1, "the file ends too early"},
		{"{\"name\": \"ä\", x}", 1, 15, "invalid character 'x'"},
		{"{\"name\": \"a\"}\n\nx", 3, 1, "invalid character 'x' after top-level value"},
		{"{\n  \"name\" \"x\"\n}", 2, 10, "invalid character '\"'"},
		{"{\n \"size\": \"ö\\\"]\", \"on\": true}", 2, 10, `"size": found a string, expected a whole number`},
		{"{\"size\":\t2.5}", 1, 10, `"size": found 2.5, expected a whole number`},
		{"{\"size\":99999999999999999999}", 1, 9, `"size": found 99999999999999999999, expected one within`},
		{"{\"weight\": 1e999}", 1, 12, `"weight": found 1e999, expected one within 64 bits`},
		{"{\"name\": false}", 1, 10, `"name": found true or false, expected a string`},
		{"{\"on\": {}}", 1, 8, `"on": found an object, expected true or false`},
		{"{\"lists\": [[1, 2],\n   [3, [4]]]}", 2, 8, `"lists": found a list, expected a whole number`},
		{"{\"lists\": [[1, 2],\n   3]}", 2, 4, `"lists": found a number, expected a list`},
		{"{\"sub\": {\"deep\":\n\n\"x\"}}", 3, 1, `"sub.deep": found a string, expected a whole number`},
		{"[1]", 1, 1, "found a list, expected an object"},
		{"{\"name\": \"abcdefghi\", \"own\": [1, \"x\"]}", 0, 0, "found a string, expected a whole number"},
	} {
		path := written(t, c.text)
		err := Read(path, new(document))
		var e *Error
		if !errors.As(err, &e) || e.Line != c.line || e.Column != c.column || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) || strings.Contains(e.Err.Error(), "json: ") {
			t.Errorf("%q: %v, want line %d, column %d: %s", c.text, err, c.line, c.column, c.want)
		}
	}
}

func TestReadStrict(t *testing.T) {
	for text, want := range map[string]string{
		"{\"name\": \"a\", \"size\": 3}":    "",
		"{\"nane\": \"a\"}":                 `unknown field "nane"`,
		"{\"name\": \"a\"} {}":              "line 1, column 15: invalid character '{' after top-level value",
		"{\"name\": \"a\",\n \"size\": []}": `line 2, column 10: "size": found a list`,
	} {
		err := ReadStrict(written(t, text), new(document))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What cannot be read is no Error: nobody may take such a file for a damaged one, or for none.
func TestUnreadable(t *testing.T) {
	folder := t.TempDir()
	long := filepath.Join(folder, "long.json")
	f, err := os.Create(long)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(infile.MaxText+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{filepath.Join(folder, "none.json"): fs.ErrNotExist, folder: infile.ErrNotRegular, long: infile.ErrTooLarge} {
		var e *Error
		if err := Read(path, new(document)); !errors.Is(err, want) || errors.As(err, &e) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

// Whatever a file holds, reading it ends without a panic, and a place is within the file.
func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"name\": 1,\n \"own\": [\"x\"]}"))
	f.Add([]byte("\xef\xbb\xbf[\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "a.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, read := range []func(string, any) error{Read, ReadStrict} {
			var e *Error
			if errors.As(read(path, new(document)), &e) && (e.Line < 0 || e.Line > 1+strings.Count(string(b), "\n") || e.Column > len(b)+1) {
				t.Errorf("%q: %v", b, e)
			}
		}
	})
}
