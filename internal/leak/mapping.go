package leak

import (
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// Columns of a mapping, as uc convert dicom writes it.
const (
	caseColumn    = "case"
	patientColumn = "patient_id"
)

// scannerColumns are the columns of a mapping that may give away a label. Those that are missing are not looked at.
var scannerColumns = []string{"institution", "manufacturer", "model", "series_description", "study_description"}

// Mapping is what a table says of cases: the true patient, and where and with what the scan was taken.
type Mapping struct {
	path    string
	patient map[string]string            // by case
	headers map[string]map[string]string // by column and case
}

// ReadMapping reads a table with a column "case" and one "patient_id", as uc convert dicom leaves it next to its
// source. A case with several rows, one per modality, must be of one patient.
func ReadMapping(path string) (*Mapping, error) {
	t, err := csvfile.Read(path, caseColumn)
	if err != nil {
		return nil, err
	}
	m := &Mapping{path, map[string]string{}, map[string]map[string]string{}}
	caseAt, err := t.Column(caseColumn)
	if err != nil {
		return nil, err
	}
	patientAt, err := t.Column(patientColumn)
	if err != nil {
		return nil, err
	}
	if caseAt < 0 || patientAt < 0 {
		return nil, remedy.With(fmt.Errorf("%s: no columns %q and %q among %s; expected the mapping that the conversion of DICOM series writes",
			path, caseColumn, patientColumn, strings.Join(t.Header, ", ")), remedy.ConvertDICOM)
	}
	for i, row := range t.Rows {
		id, patient := row[caseAt], row[patientAt]
		if id == "" {
			continue // a series that was not converted
		}
		if before, twice := m.patient[id]; twice && before != patient {
			return nil, fmt.Errorf("%s: line %d: case %s is of another patient than in a row before; correct the table", path, t.Lines[i], id)
		}
		m.patient[id] = patient
	}
	for _, name := range scannerColumns {
		at, err := t.Column(name)
		if err != nil {
			return nil, err
		}
		if at < 0 {
			continue
		}
		m.headers[name] = map[string]string{}
		for _, row := range t.Rows {
			m.headers[name][row[caseAt]] = row[at]
		}
	}
	return m, nil
}

// Patient is cases of one patient, by the mapping, that dataset.json takes for several patients, or the other way
// round.
type Patient struct {
	Cases    []string `json:"cases"`
	Named    []string `json:"named"` // the patients that dataset.json names for them; empty if it names none
	Mistaken bool     `json:"one_name_for_several"`
}

// String names the cases and says what to do. The patient's true name or number is not shown.
func (p Patient) String() string {
	switch {
	case p.Mistaken:
		return fmt.Sprintf("cases %s are of different patients in the mapping, but dataset.json calls all of them %q; correct \"patient\"", words.Some(p.Cases), p.Named[0])
	case len(p.Named) == 0:
		return fmt.Sprintf("cases %s are of one patient in the mapping, but dataset.json names no patients: scans of one may train and others validate; give them one \"patient\"", words.Some(p.Cases))
	}
	return fmt.Sprintf("cases %s are of one patient in the mapping, but dataset.json calls it %s; give them one \"patient\"", words.Some(p.Cases), words.Some(p.Named))
}

// Patients compares the patients of a mapping with those that dataset.json names.
func (m *Mapping) Patients(cases []task.Case) []Patient {
	found := []Patient{}
	by := func(key func(task.Case) string) (keys []string, groups map[string][]task.Case) {
		groups = map[string][]task.Case{}
		for _, c := range cases {
			if k := key(c); k != "" && m.patient[c.ID] != "" {
				if groups[k] == nil {
					keys = append(keys, k)
				}
				groups[k] = append(groups[k], c)
			}
		}
		return keys, groups
	}
	differ := func(of []task.Case, value func(task.Case) string) (values []string) {
		for _, c := range of {
			if v := value(c); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		return values
	}
	ids := func(of []task.Case) (out []string) {
		for _, c := range of {
			out = append(out, c.ID)
		}
		return out
	}
	truth := func(c task.Case) string { return m.patient[c.ID] }
	named := func(c task.Case) string { return c.Patient }
	keys, groups := by(truth)
	for _, k := range keys {
		switch values := differ(groups[k], named); {
		case len(values) > 1:
			found = append(found, Patient{Cases: ids(groups[k]), Named: values})
		case len(groups[k]) > 1 && values[0] == "":
			found = append(found, Patient{Cases: ids(groups[k]), Named: []string{}})
		}
	}
	keys, groups = by(named)
	for _, k := range keys {
		if len(differ(groups[k], truth)) > 1 {
			found = append(found, Patient{Cases: ids(groups[k]), Named: []string{k}, Mistaken: true})
		}
	}
	return found
}

// Unknown are the cases that the mapping does not have.
func (m *Mapping) Unknown(cases []task.Case) []string {
	var unknown []string
	for _, c := range cases {
		if _, known := m.patient[c.ID]; !known {
			unknown = append(unknown, c.ID)
		}
	}
	return unknown
}
