package convert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
)

// None as the name of a column stands for no column, also where one would be found by its name.
const None = "-"

// TableOptions say which columns of a table mean what, and where the files of its cases lie.
type TableOptions struct {
	Table      string // CSV, one row per case
	Images     string // folder
	Masks      string // folder; "" for none
	ID         string // column; "" for the one whose cells name images
	Labels     []string
	Patient    string   // column; "" for one named so, None for none
	Site       string   // likewise
	Covariates []string // columns
	Classes    []string // as ClassOrder takes them
	Modalities []Modality
	MaskSuffix string
	MaskLabels []string // names of the mask values 1, 2, ...
	Partial    bool     // leave out rows and files that do not go together
}

// Names of columns that are taken for the patient and for the site.
var (
	idNames      = []string{"case", "case_id", "caseid", "id", "scan", "scan_id", "image", "image_id", "filename", "file", "subject", "subject_id", "patient", "patient_id"}
	patientNames = []string{"patient", "patient_id", "patientid", "subject", "subject_id", "participant_id"}
	siteNames    = []string{"site", "site_id", "center", "centre", "hospital", "institution"}
)

// Table reads a cohort from a table with one row per case and from folders of images and masks, whose files carry the
// names of the cases: CASE.nii.gz, CASE_0000.nii.gz and so on for several modalities, or any name in a folder CASE;
// also .nii, .mha and .mhd, or the files of a DICOM series in a folder CASE. All that is missing, surplus or unclear
// comes back in one *task.ValidationError.
func Table(ctx context.Context, o TableOptions, r progress.Reporter) (*Cohort, error) {
	name := filepath.Base(o.Table)
	s := &sheet{TableOptions: o, parts: []part{{images: o.Images, masks: o.Masks}}, cohort: &Cohort{
		Format: "table", Source: o.Table, Name: strings.TrimSuffix(name, filepath.Ext(name)),
	}}
	return s.read(ctx, r)
}

// part is one set of cases of a source.
type part struct {
	images, masks string // folders; masks is "" for none
	test          bool   // an external test set: cases without a row are not used, and not missed
	finder        *finder
	mask          *maskFinder
	used          map[int]bool // images that belong to a case
	usedMasks     map[int]bool
}

// sheet reads a table into a cohort.
type sheet struct {
	TableOptions
	cohort    *Cohort
	parts     []part
	roiLabels []string // names of the mask values from 0; nil to find them
	volumes   bool     // several modalities lie in one file with four axes

	budget   *memory.Budget // for DICOM volumes
	table    *csvfile.Table
	id       int // columns
	labels   []int
	patient  int
	site     int
	covar    []int
	problems problems // which end the conversion
	partial  problems // which end it unless rows and files may be left out
}

func (s *sheet) read(ctx context.Context, r progress.Reporter) (*Cohort, error) {
	s.budget = newBudget()
	b, err := infile.ReadFile(s.Table, infile.MaxText)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	s.cohort.inputs = append(s.cohort.inputs, hex.EncodeToString(sum[:]), fmt.Sprintf("%+v", s.TableOptions))
	if s.table, err = csvfile.Read(s.Table, s.ID); err != nil {
		return nil, err
	}
	if len(s.table.Rows) == 0 {
		return nil, fmt.Errorf("%s: a header, but no rows", s.Table)
	}
	if err := s.openParts(ctx); err != nil {
		return nil, err
	}
	if err := s.columns(); err != nil {
		return nil, err
	}
	order, err := ClassOrder(s.Classes, s.names(s.labels))
	if err != nil {
		return nil, remedy.With(fmt.Errorf("classes: %w", err), remedy.Set{Option: remedy.Classes})
	}
	s.readNumbers()
	rows, err := s.rows(ctx, r)
	if err != nil {
		return nil, err
	}
	s.classes(rows, order)
	s.covariates(rows)
	s.surplus()
	if s.Partial {
		rows = s.leaveOut(rows)
	} else {
		s.problems = append(s.problems, s.partial...)
	}
	if err := s.problems.err(s.Table); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: no row is left", s.Table)
	}
	if err := s.modalities(ctx, rows, r); err != nil {
		return nil, err
	}
	if err := s.maskValues(ctx, rows, r); err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.part.test {
			s.cohort.Test = append(s.cohort.Test, row.Case)
		} else {
			s.cohort.Training = append(s.cohort.Training, row.Case)
		}
	}
	if len(s.cohort.Training) == 0 {
		return nil, fmt.Errorf("%s: no row names a case for training", s.Table)
	}
	return s.cohort, problems(s.cohort.draft("").Problems()).err(s.Table)
}

// openParts indexes the folders.
func (s *sheet) openParts(ctx context.Context) error {
	names := maskNames{s.MaskSuffix}
	for i := range s.parts {
		p := &s.parts[i]
		p.used, p.usedMasks = map[int]bool{}, map[int]bool{}
		var skip []string
		among := false
		if p.masks != "" {
			switch inside, same, err := within(p.masks, p.images); {
			case err != nil:
				return err
			case same:
				among = true
			case inside:
				skip = append(skip, p.masks)
			}
			if inside, _, err := within(p.images, p.masks); err != nil {
				return err
			} else if inside {
				among = true
			}
		}
		x, err := readIndex(ctx, p.images, skip...)
		if err != nil {
			return fmt.Errorf("folder of images: %w", err)
		}
		p.finder = &finder{index: x, modalities: s.Modalities, volumes: s.volumes, isMask: func(im image) bool { return among && names.is(im.stem, "") }}
		if p.masks == "" {
			continue
		}
		if x, err = readIndex(ctx, p.masks); err != nil {
			return fmt.Errorf("folder of masks: %w", err)
		}
		p.mask = newMaskFinder(x, names, among)
	}
	return nil
}

// within reports whether a folder lies in another one, or is the same.
func within(dir, other string) (inside, same bool, err error) {
	a, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, false, err
	}
	b, err := filepath.EvalSymlinks(other)
	if err != nil {
		return false, false, err
	}
	if a, err = filepath.Abs(a); err != nil {
		return false, false, err
	}
	if b, err = filepath.Abs(b); err != nil {
		return false, false, err
	}
	rel, err := filepath.Rel(b, a)
	if err != nil {
		return false, false, nil // two drives
	}
	return rel != "." && filepath.IsLocal(rel), rel == ".", nil
}
