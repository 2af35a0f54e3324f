package convert

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

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

// surplus names images and masks that no row mentions.
func (s *sheet) surplus() {
	bySuffix := len(s.Modalities) > 0 && s.Modalities[0].Suffix != ""
	ids := map[string]bool{}
	for _, cells := range s.table.Rows {
		id, _ := s.parts[0].finder.cellID(cells[s.id])
		ids[id] = true
	}
	const advice = "no row names its case; add the row, or move the file away"
	for k := range s.parts {
		p := &s.parts[k]
		rest := 0
		for i, im := range p.finder.images {
			switch {
			case p.used[i], p.finder.isMask(im):
			case ids[im.name], ids[im.stem], slices.ContainsFunc(im.dirs, func(d string) bool { return ids[d] }): // of a case that has a problem, or files next to the modalities
			case bySuffix && slices.ContainsFunc(prefixes(im.stem), func(id string) bool { return ids[id] }):
			case p.test:
				rest++
			default:
				s.partial.add("", im.rel, advice)
			}
		}
		for dir := range p.finder.dicom {
			if !p.test && !slices.ContainsFunc(strings.Split(dir, "/"), func(d string) bool { return ids[d] }) {
				s.partial.add("", dir, "a folder with DICOM files; "+advice)
			}
		}
		if rest > 0 {
			s.cohort.Notes = append(s.cohort.Notes, remedy.Notef("%d images in %s have no row in the table and are not used", rest, p.images))
		}
		if p.mask == nil || p.test {
			continue
		}
		for i, im := range p.mask.images {
			known := ids[im.stem] || slices.ContainsFunc(im.dirs, func(d string) bool { return ids[d] }) || slices.ContainsFunc(p.mask.names.bases(im.stem), func(id string) bool { return ids[id] })
			if !p.usedMasks[i] && !known && (!p.mask.among || p.mask.names.is(im.stem, "")) {
				s.partial.add("", im.rel, "a mask; "+advice)
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
