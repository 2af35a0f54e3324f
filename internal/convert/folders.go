package convert

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// FoldersOptions say how a folder with one folder per class is read.
type FoldersOptions struct {
	Dir        string
	Masks      string // folder of masks, by the names of the cases, in folders per class or not; "" for none
	Label      string // name of the classification label; "" for "Class"
	Classes    []string
	Modalities []Modality
	MaskSuffix string
	MaskLabels []string

	budget *memory.Budget // for DICOM volumes
}

// Parts of a folder that is split already.
var splitParts = []string{"train", "val", "test"}

// Folders reads a cohort from a folder with one folder per class, in which the images of a case are CASE.nii.gz,
// CASE_0000.nii.gz and so on, or lie in a folder CASE. Where the folders are train, val and test, or train and one of
// the others, they hold the folders of the classes: val is the validation of fold 0, test the external test set. Cases
// of one name in two folders get the folder's name in front.
func Folders(ctx context.Context, o FoldersOptions, r progress.Reporter) (*Cohort, error) {
	if o.Label == "" {
		o.Label = "Class"
	}
	abs, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cohort{Format: "folders", Source: o.Dir, Name: filepath.Base(abs), inputs: []string{fmt.Sprintf("%+v", o)}}
	o.budget = newBudget()
	s := &sheet{TableOptions: TableOptions{Modalities: o.Modalities, MaskSuffix: o.MaskSuffix, MaskLabels: o.MaskLabels}, cohort: c}
	found, p, err := o.find(ctx)
	if err != nil {
		return nil, err
	}
	found = tellApart(found, c)
	classes, err := o.classes(found, c, &p)
	if err != nil {
		return nil, err
	}
	if o.Masks != "" {
		if err := o.findMasks(ctx, found, &p); err != nil {
			return nil, err
		}
	}
	if err := p.err(o.Dir); err != nil {
		return nil, err
	}
	var rows []*row
	for _, f := range found {
		f.row.Targets = []int{slices.Index(classes, f.class)}
		rows = append(rows, f.row)
	}
	if err := s.modalities(ctx, rows, r); err != nil {
		return nil, err
	}
	if err := s.maskValues(ctx, rows, r); err != nil {
		return nil, err
	}
	for _, f := range found {
		switch f.part {
		case "test":
			c.Test = append(c.Test, f.row.Case)
			continue
		case "val":
			c.Validation = append(c.Validation, f.row.ID)
		}
		c.Training = append(c.Training, f.row.Case)
	}
	return c, problems(c.draft("").Problems()).err(o.Dir)
}

// inFolder is a case in the folder of its class.
type inFolder struct {
	part, class string
	name        string // of its files
	row         *row
}

// find lists the cases of all classes.
func (o *FoldersOptions) find(ctx context.Context) ([]*inFolder, problems, error) {
	names, err := subfolders(o.Dir)
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%s: no folders in it; expected one per class", o.Dir)
	}
	parts := []string{""}
	if slices.Contains(names, "train") && len(names) > 1 && !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(splitParts, n) }) {
		parts = names
	}
	var all []*inFolder
	var p problems
	p.outside(o.Dir)
	for _, part := range parts {
		if part != "" {
			p.outside(filepath.Join(o.Dir, part))
		}
		classes, err := subfolders(filepath.Join(o.Dir, part))
		if err != nil {
			return nil, nil, err
		}
		for _, class := range classes {
			cases, err := o.ofClass(ctx, part, class, &p)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, cases...)
		}
	}
	return all, p, nil
}

// outside names the images that lie in no folder of a class.
func (p *problems) outside(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if _, ext := imagefile.SplitExtension(e.Name()); ext != "" && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			p.add("", e.Name(), "lies in "+dir+", not in the folder of a class; move it into one, or away")
		}
	}
}

// subfolders lists the folders in dir that are not hidden, sorted.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && infile.IsDir(filepath.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// ofClass lists the cases of one class.
func (o *FoldersOptions) ofClass(ctx context.Context, part, class string, p *problems) ([]*inFolder, error) {
	dir := filepath.Join(o.Dir, part, class)
	x, err := readIndex(ctx, dir)
	if err != nil {
		return nil, err
	}
	names := maskNames{o.MaskSuffix}
	masked := o.MaskSuffix != ""
	f := &finder{index: x, modalities: o.Modalities, isMask: func(im image) bool { return masked && names.is(im.stem, "") }}
	rel := filepath.ToSlash(filepath.Join(part, class))
	for _, other := range x.other {
		p.add("", rel+"/"+other, "in a format that is not read; convert it to .nii.gz, or move it away")
	}
	f.plain = f.numbersAreCases()
	var ids []string
	for _, im := range x.images {
		if id := f.caseName(im); !f.isMask(im) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for dir := range x.dicom {
		id, _, _ := strings.Cut(dir, "/")
		if dir == "" {
			p.add("", rel, "DICOM files lie in the folder of the class; give every case a folder of its own")
		} else if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) == 0 && len(x.dicom) == 0 {
		p.add("", rel, "no images in this folder; expected those of a class")
	}
	var out []*inFolder
	for _, id := range ids {
		_, images, why := f.find(id)
		var series []File
		if why != "" && len(f.candidates(id)) == 0 && len(f.seriesOf(id)) > 0 {
			if series, why, err = f.series(ctx, id, o.budget); err != nil {
				return nil, err
			}
		}
		if why == "" && len(images) > maxByNumber && len(o.Modalities) == 0 {
			why = fmt.Sprintf("%d images by their numbers (%s); name the modalities, or, if each is a case, give it a folder of its own", len(images), words.Some(x.rels(images)))
		}
		if why != "" {
			p.add(task.QuoteID(id), rel, why)
			continue
		}
		k := &inFolder{part: part, class: class, name: id, row: &row{mask: -1}}
		k.row.ID, k.row.Images = id, series
		for _, i := range images {
			k.row.Images = append(k.row.Images, File{Path: x.path(i)})
		}
		out = append(out, k)
	}
	return out, nil
}

// caseName is the case that an image in the folder of a class belongs to: the folder it lies in, or its name without
// the end that says the modality.
func (f *finder) caseName(im image) string {
	if len(im.dirs) > 0 {
		return im.dirs[0]
	}
	for _, m := range f.modalities {
		if m.Suffix == "" {
			break
		}
		if bases := (maskNames{m.Suffix}).bases(im.stem); len(bases) > 0 {
			return bases[0]
		}
	}
	if f.plain {
		return im.stem
	}
	return im.name
}

// maxByNumber is how many modalities a case may have that are told by numbers alone: more are rather the cases
// themselves.
const maxByNumber = 4

// numbersAreCases reports whether the files of a class are scan_0001.nii.gz, scan_0002.nii.gz and so on, each a case.
func (f *finder) numbersAreCases() bool {
	names := map[string]bool{}
	n := 0
	for _, im := range f.images {
		if len(im.dirs) == 0 && !f.isMask(im) {
			names[im.name] = true
			n++
			if im.name == im.stem {
				return false
			}
		}
	}
	return len(names) == 1 && n > 1 && n != len(f.modalities)
}

// tellApart puts the folder's name in front of the names of all cases if two have one name.
func tellApart(found []*inFolder, c *Cohort) []*inFolder {
	seen := map[string]string{}
	same := ""
	for _, f := range found {
		if other, twice := seen[strings.ToLower(f.name)]; twice && same == "" {
			same = fmt.Sprintf("%s is in %s and in %s", f.name, other, filepath.ToSlash(filepath.Join(f.part, f.class)))
		}
		seen[strings.ToLower(f.name)] = filepath.ToSlash(filepath.Join(f.part, f.class))
	}
	if same == "" {
		return found
	}
	for _, f := range found {
		f.row.ID = strings.TrimPrefix(f.part+"_", "_") + f.class + "_" + f.name
	}
	c.Notes = append(c.Notes, remedy.Notef("cases get the name of their folder in front, as %s", same))
	return found
}

// classes orders the folders' names as classes.
func (o *FoldersOptions) classes(found []*inFolder, c *Cohort, p *problems) ([]string, error) {
	order, err := ClassOrder(o.Classes, []string{o.Label})
	if err != nil {
		return nil, remedy.With(fmt.Errorf("classes: %w", err), remedy.Set{Option: remedy.Classes})
	}
	col := column{name: o.Label, classes: order[o.Label]}
	for _, f := range found {
		col.ids, col.cells = append(col.ids, f.row.ID), append(col.cells, f.class)
	}
	label, targets := col.label(p)
	c.Labels = []task.Label{label}
	names := make([]string, len(label.Values))
	for i, f := range found { // a folder 01 is the class 1
		if targets[i] >= 0 {
			names[targets[i]] = f.class
		}
	}
	return names, nil
}

// findMasks finds the mask of every case.
func (o *FoldersOptions) findMasks(ctx context.Context, found []*inFolder, p *problems) error {
	inside, same, err := within(o.Masks, o.Dir)
	if err != nil {
		return fmt.Errorf("folder of masks: %w", err)
	}
	if inside && o.MaskSuffix == "" {
		return remedy.With(fmt.Errorf("%s: the masks lie in a folder of a class; name the end of their names", o.Masks), remedy.Set{Option: remedy.MaskSuffix})
	}
	if same && o.MaskSuffix == "" {
		return remedy.With(fmt.Errorf("%s: the masks lie among the images; name the end of their names", o.Masks), remedy.Set{Option: remedy.MaskSuffix})
	}
	all, err := readIndex(ctx, o.Masks)
	if err != nil {
		return fmt.Errorf("folder of masks: %w", err)
	}
	names := maskNames{o.MaskSuffix}
	whole := newMaskFinder(all, names, same || inside)
	byFolder := map[string]*maskFinder{}
	used := map[string]string{}
	for _, f := range found {
		rel := filepath.Join(f.part, f.class)
		m, seen := byFolder[rel]
		if !seen {
			m = whole
			if dir := filepath.Join(o.Masks, rel); infile.IsDir(dir) {
				x, err := readIndex(ctx, dir)
				if err != nil {
					return err
				}
				m = newMaskFinder(x, names, same || inside)
			}
			byFolder[rel] = m
		}
		i, why := m.find(f.name)
		if why != "" {
			p.add(task.QuoteID(f.row.ID), "mask", why)
			continue
		}
		path := m.path(i)
		if other, twice := used[path]; twice {
			p.add(task.QuoteID(f.row.ID), "mask", fmt.Sprintf("%s is the mask of case %s, too", path, other))
		}
		used[path] = f.row.ID
		f.row.Mask = File{Path: path}
	}
	return nil
}
