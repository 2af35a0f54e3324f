package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/words"
)

// roles are what columns are named for, with their options.
var roles = map[string]remedy.Option{
	"case": remedy.CaseColumn, "labels": remedy.LabelColumns, "covariates": remedy.CovariateColumns,
	"patient": remedy.PatientColumn, "site": remedy.SiteColumn,
}

// columns finds the columns by the options, by their names and by what is in them.
func (s *sheet) columns() error {
	t := s.table
	var failed []error
	column := func(name, role string) int {
		i, err := t.Column(name)
		if err == nil && i < 0 {
			err = remedy.With(fmt.Errorf("%s: no column %q, which is named for %s; the columns are %s", s.Table, name, role, strings.Join(t.Header, ", ")), remedy.Set{Option: roles[role]})
		}
		if err != nil {
			failed = append(failed, err)
		}
		return i
	}
	byName := func(given, role string, usual []string) int {
		switch given {
		case None:
			return -1
		case "":
			for _, name := range usual {
				if i, err := t.Column(name); err == nil && i >= 0 && i != s.id && !slices.Contains(s.labels, i) && !slices.Contains(s.covar, i) {
					s.cohort.Notes = append(s.cohort.Notes, remedy.Notef("%s: column %s; %s for none", role, t.Header[i], None).See(remedy.Set{Option: roles[role]}))
					return i
				}
			}
			return -1
		}
		return column(given, role)
	}
	s.Labels, s.Covariates = columnsOf(t, s.Labels), columnsOf(t, s.Covariates)
	if s.ID != "" {
		s.id = column(s.ID, "case")
	} else {
		var err error
		if s.id, err = s.guessID(); err != nil {
			return err
		}
		s.cohort.Notes = append(s.cohort.Notes, remedy.Notef("case: column %s", t.Header[s.id]))
	}
	for _, name := range s.Labels {
		s.labels = append(s.labels, column(name, "labels"))
	}
	for _, name := range s.Covariates {
		s.covar = append(s.covar, column(name, "covariates"))
	}
	s.patient, s.site = byName(s.Patient, "patient", patientNames), byName(s.Site, "site", siteNames)
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	if len(s.labels) == 0 {
		i, err := s.guessLabel()
		if err != nil {
			return err
		}
		s.labels = []int{i}
	}
	use := map[int]string{s.id: "case"}
	for role, list := range map[string][]int{"labels": s.labels, "covariates": s.covar, "patient": {s.patient}, "site": {s.site}} {
		for _, i := range list {
			other, twice := use[i]
			if i >= 0 && twice && !(role == "patient" && other == "case" || role == "case" && other == "patient") {
				failed = append(failed, fmt.Errorf("%s: column %s is named for %s and for %s", s.Table, t.Header[i], min(other, role), max(other, role)))
			}
			if !twice {
				use[i] = role
			}
		}
	}
	return errors.Join(failed...)
}

// columnsOf divides "A,B" into two columns, unless one is named so.
func columnsOf(t *csvfile.Table, given []string) []string {
	var out []string
	for _, name := range given {
		if i, err := t.Column(name); err != nil || i >= 0 {
			out = append(out, name)
			continue
		}
		for _, part := range strings.Split(name, ",") {
			out = append(out, strings.TrimSpace(part))
		}
	}
	return out
}

func (s *sheet) names(columns []int) []string {
	out := make([]string, len(columns))
	for k, i := range columns {
		out[k] = s.table.Header[i]
	}
	return out
}

// guessID is the column most of whose cells name images; among equals one with a usual name, or the first.
func (s *sheet) guessID() (int, error) {
	best, most := -1, 0
	rank := func(i int) int {
		if at := slices.Index(idNames, strings.ToLower(s.table.Header[i])); at >= 0 {
			return at
		}
		return len(idNames) + i
	}
	for i := range s.table.Header {
		n := 0
		for _, row := range s.table.Rows {
			if row[i] != "" && slices.ContainsFunc(s.parts, func(p part) bool { return p.finder.known(row[i]) }) {
				n++
			}
		}
		if n > most || n > 0 && n == most && rank(i) < rank(best) {
			best, most = i, n
		}
	}
	if best < 0 {
		var files []string
		for _, p := range s.parts {
			for _, im := range p.finder.images {
				files = append(files, im.rel)
			}
		}
		have := "there are no images in it"
		if len(files) > 0 {
			have = "it holds " + words.Some(files)
		}
		for _, p := range s.parts {
			if len(files) == 0 && len(p.finder.dicom) > 0 {
				have = "it holds DICOM files, but in no folder with the name of a case; converting them to images first finds the series in them"
			}
		}
		return -1, remedy.With(fmt.Errorf("%s: no column (%s) names images in %s: %s; name the column of the cases", s.Table, strings.Join(s.table.Header, ", "), s.parts[0].images, have),
			remedy.Set{Option: remedy.CaseColumn})
	}
	if head := s.table.Header[best]; !slices.Contains(idNames, strings.ToLower(head)) && s.parts[0].finder.known(head) {
		return -1, fmt.Errorf("%s: the first row is a case (%s), expected the names of the columns; write them above it", s.Table, s.table.Header[best])
	}
	return best, nil
}

// guessLabel is the only column that means nothing else.
func (s *sheet) guessLabel() (int, error) {
	var left []int
	for i, name := range s.table.Header {
		if name != "" && i != s.id && i != s.patient && i != s.site && !slices.Contains(s.covar, i) {
			left = append(left, i)
		}
	}
	if len(left) == 1 {
		return left[0], nil
	}
	if len(left) == 0 {
		return -1, fmt.Errorf("%s: no column of classes (columns: %s)", s.Table, strings.Join(s.table.Header, ", "))
	}
	var about []string
	for _, i := range left {
		var cells []string
		for _, row := range s.table.Rows {
			cells = append(cells, row[i])
		}
		about = append(about, fmt.Sprintf("%s (%d values)", s.table.Header[i], len(distinct(cells, false))))
	}
	return -1, remedy.With(fmt.Errorf("%s: which columns are the classes? Name them: %s", s.Table, strings.Join(about, ", ")), remedy.Set{Option: remedy.LabelColumns})
}
