package dicom

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/remedy"
)

// mappingColumns are the header of the table that links cases to patients.
var mappingColumns = []string{
	"case", "image", "patient", "source", "series_uid", "part", "patient_id", "patient_sex", "patient_age", "accession_number", "study_uid", "study_date",
	"study_description", "series_number", "series_description", "modality", "institution", "manufacturer", "model", "slices", "made_from",
}

// The columns that are read again.
const (
	caseColumn     = "case"
	patientColumn  = "patient"
	idColumn       = "patient_id"
	studyColumn    = "study_uid"
	imageColumn    = "image"
	seriesColumn   = "series_uid"
	partColumn     = "part"
	madeFromColumn = "made_from"
)

// pseudonymNumber is the number in a patient's pseudonym, P0001 and so on; 0 for other names.
func pseudonymNumber(patient string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(patient, "P"))
	if err != nil {
		return 0
	}
	return n
}

// mapping is the table that links cases to patients. Rows of earlier conversions stay.
type mapping struct {
	path string
	rows []mappingRow
}

type mappingRow struct {
	cells                             []string // as mappingColumns
	caseName, image, series, part, by string   // by is what the image was made from
	patient                           string   // pseudonym
	number                            int      // of the pseudonym
	person                            string   // what tells patients apart: the id, or the study where there is none
}

// MappingPath is where the table for a source lies: next to it, so that it does not leave with the images.
func MappingPath(source string) (string, error) {
	abs, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	if filepath.Dir(abs) == abs {
		return "", remedy.With(fmt.Errorf("there is no place for the mapping CSV beside %s; name a file for it", source), remedy.Set{Option: remedy.Mapping})
	}
	return filepath.Join(filepath.Dir(abs), filepath.Base(abs)+"_mapping.csv"), nil
}

// within reports whether a path lies in a folder.
func within(path, dir string) bool {
	p, err1 := filepath.Abs(path)
	d, err2 := filepath.Abs(dir)
	if err1 != nil || err2 != nil {
		return false
	}
	rel, err := filepath.Rel(d, p)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// readMapping reads the table of an earlier conversion; there may be none.
func readMapping(path string) (*mapping, error) {
	m := &mapping{path: path}
	t, err := csvfile.Read(path, seriesColumn)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	at := make([]int, len(mappingColumns))
	for i, name := range mappingColumns {
		if at[i], err = t.Column(name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{caseColumn, imageColumn, seriesColumn, partColumn, madeFromColumn} {
		if c, err := t.Column(name); err != nil || c < 0 {
			return nil, remedy.With(fmt.Errorf("%s: not a mapping of an earlier conversion, as it has no column %q; move it away, or name another file", path, name), remedy.Set{Option: remedy.Mapping})
		}
	}
	for _, row := range t.Rows {
		cells := make([]string, len(mappingColumns))
		for i, c := range at {
			if c >= 0 {
				cells[i] = row[c]
			}
		}
		m.rows = append(m.rows, rowOf(cells))
	}
	return m, nil
}

func rowOf(cells []string) mappingRow {
	r := mappingRow{cells: cells}
	for i, name := range mappingColumns {
		switch name {
		case caseColumn:
			r.caseName = cells[i]
		case imageColumn:
			r.image = cells[i]
		case seriesColumn:
			r.series = cells[i]
		case partColumn:
			r.part = cells[i]
		case madeFromColumn:
			r.by = cells[i]
		case patientColumn:
			r.patient, r.number = cells[i], pseudonymNumber(cells[i])
		case idColumn, studyColumn: // in this order
			r.person = cmp.Or(r.person, cells[i])
		}
	}
	return r
}

// newRow is the row of a series that becomes an image.
func newRow(s *Series, name, image, madeFrom string) mappingRow {
	source := s.Folder
	if abs, err := filepath.Abs(source); err == nil {
		source = abs
	}
	cells := []string{
		name, image, "", source, s.SeriesUID, s.Part, s.PatientID, s.PatientSex, s.PatientAge, s.AccessionNumber, s.StudyUID, s.StudyDate, s.StudyName,
		s.SeriesNumber, s.Description, s.Modality, s.Institution, s.Manufacturer, s.Model, strconv.Itoa(s.Slices), madeFrom,
	}
	for i, c := range cells {
		cells[i] = harmless(c)
	}
	return rowOf(cells)
}

// harmless keeps a spreadsheet from running a cell as a formula, and a line from ending within a cell.
func harmless(cell string) string {
	cell = strings.Join(strings.Fields(strings.ToValidUTF8(cell, "?")), " ")
	if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
		cell = "'" + cell
	}
	return cell
}

// of is the row of an image, nil if there is none.
func (m *mapping) of(image string) *mappingRow {
	for i := range m.rows {
		if m.rows[i].image == image {
			return &m.rows[i]
		}
	}
	return nil
}

// put adds a row or replaces that of the same image. It names the patient by a number, the same in all rows of a
// patient.
func (m *mapping) put(r mappingRow) {
	last := 0
	for _, other := range m.rows {
		last = max(last, other.number)
		if other.person == r.person && other.patient != "" {
			r.patient = other.patient
		}
	}
	if r.patient == "" {
		r.patient = fmt.Sprintf("P%04d", last+1)
	}
	r.number = pseudonymNumber(r.patient)
	r.cells[slices.Index(mappingColumns, patientColumn)] = r.patient
	if old := m.of(r.image); old != nil {
		*old = r
		return
	}
	m.rows = append(m.rows, r)
}

// drop takes the row of an image out.
func (m *mapping) drop(image string) {
	for i := range m.rows {
		if m.rows[i].image == image {
			m.rows = append(m.rows[:i], m.rows[i+1:]...)
			return
		}
	}
}

// tryWriting finds out before long work whether the table can be written.
func (m *mapping) tryWriting() error {
	f, err := os.CreateTemp(filepath.Dir(m.path), ".mapping")
	if err != nil {
		return unwritable(err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func unwritable(err error) error {
	return remedy.With(fmt.Errorf("the mapping CSV, which links cases to patients: %w; name a file that can be written", err), remedy.Set{Option: remedy.Mapping})
}

// write writes the table, for its owner alone to read.
func (m *mapping) write() error {
	err := atomicfile.Write(m.path, func(w io.Writer) error {
		c := csv.NewWriter(w)
		if err := c.Write(mappingColumns); err != nil {
			return err
		}
		for _, r := range m.rows {
			if err := c.Write(r.cells); err != nil {
				return err
			}
		}
		c.Flush()
		return c.Error()
	})
	if err != nil {
		return unwritable(err)
	}
	return os.Chmod(m.path, 0o600)
}
