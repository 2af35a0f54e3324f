package convert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
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
		return nil, fmt.Errorf("--classes: %w", err)
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

// openParts looks into the folders.
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

// columns finds the columns by the options, by their names and by what is in them.
func (s *sheet) columns() error {
	t := s.table
	var failed []error
	column := func(name, flag string) int {
		i, err := t.Column(name)
		if err == nil && i < 0 {
			err = fmt.Errorf("%s: no column %q, which %s names; the columns are %s", s.Table, name, flag, strings.Join(t.Header, ", "))
		}
		if err != nil {
			failed = append(failed, err)
		}
		return i
	}
	byName := func(given, flag string, usual []string) int {
		switch given {
		case None:
			return -1
		case "":
			for _, name := range usual {
				if i, err := t.Column(name); err == nil && i >= 0 && i != s.id && !slices.Contains(s.labels, i) && !slices.Contains(s.covar, i) {
					s.cohort.Notes = append(s.cohort.Notes, fmt.Sprintf("%s: column %s (%s %s for none)", strings.TrimPrefix(flag, "--"), t.Header[i], flag, None))
					return i
				}
			}
			return -1
		}
		return column(given, flag)
	}
	s.Labels, s.Covariates = columnsOf(t, s.Labels), columnsOf(t, s.Covariates)
	if s.ID != "" {
		s.id = column(s.ID, "--id")
	} else {
		var err error
		if s.id, err = s.guessID(); err != nil {
			return err
		}
		s.cohort.Notes = append(s.cohort.Notes, "case: column "+t.Header[s.id])
	}
	for _, name := range s.Labels {
		s.labels = append(s.labels, column(name, "--labels"))
	}
	for _, name := range s.Covariates {
		s.covar = append(s.covar, column(name, "--covariates"))
	}
	s.patient, s.site = byName(s.Patient, "--patient", patientNames), byName(s.Site, "--site", siteNames)
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
	use := map[int]string{s.id: "--id"}
	for flag, list := range map[string][]int{"--labels": s.labels, "--covariates": s.covar, "--patient": {s.patient}, "--site": {s.site}} {
		for _, i := range list {
			other, twice := use[i]
			if i >= 0 && twice && !(flag == "--patient" && other == "--id" || flag == "--id" && other == "--patient") {
				failed = append(failed, fmt.Errorf("%s: column %s is named by %s and by %s", s.Table, t.Header[i], min(other, flag), max(other, flag)))
			}
			if !twice {
				use[i] = flag
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
				have = "it holds DICOM files, but in no folder with the name of a case; uc convert dicom finds the series in them"
			}
		}
		return -1, fmt.Errorf("%s: no column (%s) names images in %s: %s; name the column of the cases with --id", s.Table, strings.Join(s.table.Header, ", "), s.parts[0].images, have)
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
	return -1, fmt.Errorf("%s: which columns are the classes? Name them with --labels: %s", s.Table, strings.Join(about, ", "))
}

// readNumbers decides what the numbers mean in cells such as scan_0001.nii.gz: the case, if any is not that of the
// first modality.
func (s *sheet) readNumbers() {
	for _, cells := range s.table.Rows {
		base, ext := imagefile.SplitExtension(cells[s.id])
		if m := modalityStem.FindStringSubmatch(base); ext != "" && m != nil && m[2] != "0000" {
			for k := range s.parts {
				s.parts[k].finder.plain = true
			}
			return
		}
	}
}

// row is one case of the table.
type row struct {
	Case
	at     int // in the table
	part   *part
	images []int
	mask   int
	out    bool // to be left out
}

// rows finds the files of every row.
func (s *sheet) rows(ctx context.Context, progress progress.Reporter) ([]*row, error) {
	var rows []*row
	progress.Stage("looking for images", len(s.table.Rows))
	lines := map[string]int{}
	for i, cells := range s.table.Rows {
		line := s.table.Lines[i]
		cell := cells[s.id]
		if missing(cell) {
			s.partial.add("", s.table.Header[s.id], fmt.Sprintf("line %d: the name of the case is missing", line))
			continue
		}
		r := &row{at: i, mask: -1}
		var why string
		for k := range s.parts {
			p := &s.parts[k]
			id, images, problem := p.finder.find(cell)
			var series []File
			if problem != "" && len(p.finder.candidates(id)) == 0 && len(p.finder.seriesOf(id)) > 0 {
				var err error
				if series, problem, err = p.finder.series(ctx, id, s.budget); err != nil {
					return nil, err
				}
			}
			if r.part == nil || len(r.images)+len(r.Images) == 0 && (problem == "" || !p.test && why == "") {
				r.ID, r.images, r.Images, r.part, why = id, images, series, p, problem
			} else if problem == "" && why == "" {
				why = fmt.Sprintf("the case is in %s and in %s", r.part.images, p.images)
			}
		}
		progress.Advance(r.ID)
		if first, twice := lines[r.ID]; twice {
			s.problems.add(task.QuoteID(r.ID), "", fmt.Sprintf("line %d: the case is named in line %d already; remove one of the rows", line, first))
			continue
		}
		lines[r.ID] = line
		rows = append(rows, r)
		if s.patient >= 0 {
			if r.Patient = cells[s.patient]; missing(r.Patient) {
				s.problems.add(task.QuoteID(r.ID), s.table.Header[s.patient], fmt.Sprintf("line %d: the patient is missing; write who it is, or an id of its own for a patient with one scan", line))
			}
		}
		if s.site >= 0 {
			if r.Site = cells[s.site]; missing(r.Site) {
				s.problems.add(task.QuoteID(r.ID), s.table.Header[s.site], fmt.Sprintf("line %d: the site is missing; write where the scan was made", line))
			}
		}
		if why != "" {
			s.partial.add(task.QuoteID(r.ID), "image", fmt.Sprintf("line %d: %s", line, why))
			r.out = true
			continue
		}
		s.takeFiles(r, line)
	}
	return rows, nil
}

// takeFiles gives a row its files.
func (s *sheet) takeFiles(r *row, line int) {
	for _, i := range r.images {
		if r.part.used[i] && !s.volumes {
			s.problems.add(task.QuoteID(r.ID), "image", fmt.Sprintf("line %d: %s is the image of another case, too", line, r.part.finder.images[i].rel))
		}
		r.part.used[i] = true
		r.Images = append(r.Images, File{Path: r.part.finder.path(i)})
	}
	if n := len(s.Modalities); s.volumes && len(r.Images) == 1 && n > 1 {
		path := r.Images[0].Path
		if have, err := volumesOf(path); err != nil {
			s.problems.add(task.QuoteID(r.ID), "image", err.Error())
		} else if have != n {
			s.problems.add(task.QuoteID(r.ID), "image", fmt.Sprintf("%s holds %s, expected %d, for the modalities %s", path, words.Count(have, "volume"), n, strings.Join(modalityNames(s.Modalities), ", ")))
		}
		r.Images = nil
		for v := range n {
			r.Images = append(r.Images, File{Path: path, Volume: v + 1})
		}
	}
	if r.part.mask == nil {
		return
	}
	i, why := r.part.mask.find(r.ID)
	if why != "" {
		s.partial.add(task.QuoteID(r.ID), "mask", fmt.Sprintf("line %d: %s", line, why))
		r.out = true
		return
	}
	if r.part.usedMasks[i] {
		s.problems.add(task.QuoteID(r.ID), "mask", fmt.Sprintf("line %d: %s is the mask of another case, too", line, r.part.mask.images[i].rel))
	}
	r.part.usedMasks[i] = true
	r.Mask = File{Path: r.part.mask.path(i)}
}

// classes makes labels of the columns.
func (s *sheet) classes(rows []*row, order map[string][]string) {
	for _, at := range s.labels {
		c := column{name: s.table.Header[at], classes: order[s.table.Header[at]]}
		for _, r := range rows {
			c.ids, c.cells = append(c.ids, task.QuoteID(r.ID)), append(c.cells, s.table.Rows[r.at][at])
		}
		var found problems
		label, targets := c.label(&found)
		for _, p := range found {
			if p.Case != "" {
				s.partial = append(s.partial, p)
			} else {
				s.problems = append(s.problems, p)
			}
		}
		for i, r := range rows {
			r.Targets = append(r.Targets, targets[i])
			r.out = r.out || targets[i] < 0
		}
		s.cohort.Labels = append(s.cohort.Labels, label)
	}
}

// covariates reads what else is known of the cases: a column is numbers if every cell is one that is not missing.
func (s *sheet) covariates(rows []*row) {
	for _, at := range s.covar {
		var text []string
		numbers := 0
		for _, r := range rows {
			cell := s.table.Rows[r.at][at]
			if _, ok := number(cell); ok {
				numbers++
			} else if !missing(cell) {
				text = append(text, fmt.Sprintf("%q of case %s", cell, task.QuoteID(r.ID)))
			}
		}
		if numbers > 0 && len(text) > 0 {
			s.cohort.Warnings = append(s.cohort.Warnings, fmt.Sprintf("covariate %s: %d cells are numbers, but not %s; the column is kept as text", s.table.Header[at], numbers, words.Some(text)))
		}
		for _, r := range rows {
			cell := s.table.Rows[r.at][at]
			switch v, ok := number(cell); {
			case missing(cell):
			case ok && len(text) == 0:
				r.Covariates = append(r.Covariates, task.Covariate{Name: s.table.Header[at], Value: v})
			default:
				r.Covariates = append(r.Covariates, task.Covariate{Name: s.table.Header[at], Value: cell})
			}
		}
	}
}

// surplus names images and masks that no row speaks of.
func (s *sheet) surplus() {
	bySuffix := len(s.Modalities) > 0 && s.Modalities[0].Suffix != ""
	ids := map[string]bool{}
	for _, cells := range s.table.Rows {
		id, _ := s.parts[0].finder.cellID(cells[s.id])
		ids[id] = true
	}
	const remedy = "no row names its case; add the row, or move the file away"
	for k := range s.parts {
		p := &s.parts[k]
		rest := 0
		for i, im := range p.finder.images {
			switch {
			case p.used[i], p.finder.isMask(im):
			case ids[im.name], ids[im.stem], slices.ContainsFunc(im.dirs, func(d string) bool { return ids[d] }): // of a case that has a problem, or files beside the modalities
			case bySuffix && slices.ContainsFunc(prefixes(im.stem), func(id string) bool { return ids[id] }):
			case p.test:
				rest++
			default:
				s.partial.add("", im.rel, remedy)
			}
		}
		for dir := range p.finder.dicom {
			if !p.test && !slices.ContainsFunc(strings.Split(dir, "/"), func(d string) bool { return ids[d] }) {
				s.partial.add("", dir, "a folder with DICOM files; "+remedy)
			}
		}
		if rest > 0 {
			s.cohort.Notes = append(s.cohort.Notes, fmt.Sprintf("%d images in %s have no row in the table and are not used", rest, p.images))
		}
		if p.mask == nil || p.test {
			continue
		}
		for i, im := range p.mask.images {
			known := ids[im.stem] || slices.ContainsFunc(im.dirs, func(d string) bool { return ids[d] }) || slices.ContainsFunc(p.mask.names.bases(im.stem), func(id string) bool { return ids[id] })
			if !p.usedMasks[i] && !known && (!p.mask.among || p.mask.names.is(im.stem, "")) {
				s.partial.add("", im.rel, "a mask; "+remedy)
			}
		}
	}
}

// prefixes are what stands before each separator of a stem.
func prefixes(stem string) []string {
	var out []string
	for i := range len(stem) {
		if strings.IndexByte(separators, stem[i]) >= 0 {
			out = append(out, stem[:i])
		}
	}
	return out
}

// leaveOut drops the rows that lack something, and says so.
func (s *sheet) leaveOut(rows []*row) []*row {
	kept := slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return r.out })
	for _, p := range s.partial {
		s.cohort.Warnings = append(s.cohort.Warnings, "left out: "+p.String())
	}
	return kept
}
