package task

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIDBytes leaves room for what is put before and behind a case's name in files' names, which end at 255 bytes.
const maxIDBytes = 200

// formulaStarts are characters, and their full-width forms, that make a spreadsheet run a cell as a formula.
const formulaStarts = "=+-@＝＋－＠"

// badText says why text cannot be a name that is shown on a terminal and written to a table; "" if it can.
func badText(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case strings.TrimSpace(text) == "":
		return "is empty"
	case strings.ContainsFunc(text, IsControl):
		return "holds a control character"
	case strings.ContainsAny(firstRune(strings.TrimSpace(text)), formulaStarts):
		return fmt.Sprintf("begins with %s, which a spreadsheet takes for a formula", firstRune(strings.TrimSpace(text)))
	}
	return ""
}

// badID says why id cannot be a case's name: it becomes part of files' names. "" if it can.
func badID(id string) string {
	if len(id) > maxIDBytes {
		return fmt.Sprintf("has %d bytes, expected at most %d", len(id), maxIDBytes)
	}
	if bad := badText(id); bad != "" {
		return bad
	}
	if id[0] == '.' {
		return "begins with a dot, which hides its files"
	}
	return ""
}

// CheckID refuses a name that no case may have, in training or prediction.
func CheckID(id string) error {
	if bad := badID(id); bad != "" {
		return fmt.Errorf("case %s: the name %s; rename its files", QuoteID(id), bad)
	}
	return nil
}

// IsControl reports whether a character steers what shows it: line breaks, escapes, changes of the direction of
// writing.
func IsControl(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029': // line and paragraph separator
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200e', r == '\u200f': // direction of writing
		return true
	}
	return false
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

// maxShown is how many bytes of a name that is too long a message shows.
const maxShown = 60

// QuoteID is a case's name for a message: as it is, or quoted if it would not show as it is, and not longer than one
// can read.
func QuoteID(id string) string {
	if len(id) > maxIDBytes {
		id = strings.ToValidUTF8(id[:maxShown], "") + "..."
	}
	if !utf8.ValidString(id) || strings.ContainsFunc(id, IsControl) {
		return fmt.Sprintf("%+q", id)
	}
	return id
}

// caseColumn is the column of tables of results that names the case.
const caseColumn = "case"

// badLabel says why a classification label cannot have a name; "" if it can.
func badLabel(name string, earlier []Label) string {
	if bad := badText(name); bad != "" {
		return bad
	}
	if strings.EqualFold(strings.TrimSpace(name), caseColumn) {
		return "is the name of a column in tables of results"
	}
	for _, l := range earlier {
		for _, pair := range [2][2]string{{name, l.Name}, {l.Name, name}} {
			rest, longer := strings.CutPrefix(pair[0], pair[1]+" ")
			if longer && pair[1] != "" && (rest == "value" || strings.HasPrefix(rest, "P(") && strings.HasSuffix(rest, ")")) {
				return fmt.Sprintf("makes a column of the same name as the label %q in tables of results", l.Name)
			}
		}
	}
	return ""
}

// badClasses says what is wrong with the names of a label's classes, in their order; "" for those that are fine.
func badClasses(names []string) []string {
	out := make([]string, len(names))
	seen := map[string]int{}
	for i, name := range names {
		if out[i] = badText(name); out[i] != "" {
			continue
		}
		key := strings.TrimSpace(name)
		if first, twice := seen[key]; twice {
			out[i] = fmt.Sprintf("is the name of class %d already", first)
			continue
		}
		seen[key] = i
	}
	return out
}
