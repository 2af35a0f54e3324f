package dicom

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/remedy"
)

// Counter names cases by a number, which says nothing of a patient.
const Counter = "counter"

type naming struct {
	name string
	of   func(*Series) string
}

// namings are the attributes that may name a case. A patient's name is not among them.
var namings = []naming{
	{"PatientID", func(s *Series) string { return s.PatientID }},
	{"AccessionNumber", func(s *Series) string { return s.AccessionNumber }},
	{"StudyID", func(s *Series) string { return s.StudyID }},
	{"StudyInstanceUID", func(s *Series) string { return s.StudyUID }},
	{"SeriesNumber", func(s *Series) string { return s.SeriesNumber }},
	{"SeriesInstanceUID", func(s *Series) string { return s.SeriesUID }},
}

// NamingNames are what cases may be named by.
func NamingNames() []string {
	names := []string{Counter}
	for _, n := range namings {
		names = append(names, n.name)
	}
	return names
}

// maxName is how many bytes of a value a case's name takes.
const maxName = 100

// sanitised makes a value fit for a file's name: letters, digits, dots and dashes of ASCII stay, all else becomes a
// dash.
func sanitised(value string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, value)
	if len(name) > maxName {
		name = name[:maxName]
	}
	return strings.Trim(name, ".-")
}

// namer gives cases their names.
type namer struct {
	by    string
	taken map[string]bool // in lower case, as some file systems do not tell capitals apart
	next  int
}

// name is a case's name that is not taken. note says what is odd about it.
func (n *namer) name(s *Series) (name, note string, err error) {
	if n.by == Counter {
		for {
			n.next++
			if name = fmt.Sprintf("case%04d", n.next); n.take(name) {
				return name, "", nil
			}
		}
	}
	i := slices.IndexFunc(namings, func(x naming) bool { return x.name == n.by })
	base := sanitised(namings[i].of(s))
	if base == "" {
		return "", "", remedy.With(fmt.Errorf("the series has no %s to name the case by; choose another attribute", n.by), remedy.Set{Option: remedy.NameBy})
	}
	if n.take(base) {
		return base, "", nil
	}
	for k := 2; ; k++ {
		if name = fmt.Sprintf("%s-%d", base, k); n.take(name) {
			return name, fmt.Sprintf("another series has the same %s", n.by), nil
		}
	}
}

func (n *namer) take(name string) bool {
	key := strings.ToLower(name)
	if n.taken[key] {
		return false
	}
	n.taken[key] = true
	return true
}
