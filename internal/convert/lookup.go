package convert

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/words"
)

// Modality is one image of a case: its name in dataset.json and, if the files are not numbered, the end of their names.
type Modality struct {
	Name   string
	Suffix string // such as "_t2"; "" for files that end in _0000, _0001, ... or for the only image of a case
}

// ParseModalities reads NAME or NAME=SUFFIX, one per modality.
func ParseModalities(given []string) ([]Modality, error) {
	var out []Modality
	for _, g := range given {
		name, suffix, _ := strings.Cut(g, "=")
		m := Modality{strings.TrimSpace(name), strings.TrimSpace(suffix)}
		if m.Name == "" {
			return nil, fmt.Errorf("%q has no name; write NAME or NAME=SUFFIX", g)
		}
		for _, other := range out {
			if (m.Suffix == "") != (other.Suffix == "") {
				return nil, fmt.Errorf("%q: give every modality a suffix, or none", g)
			}
			if m.Suffix != "" && m.Suffix == other.Suffix {
				return nil, fmt.Errorf("%q: two modalities have this suffix", g)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// separators may stand between a case's name and a suffix.
const separators = "_-. "

// hasSuffix reports whether a stem is the name of a case followed by a suffix, or, with the name unknown (""), ends in
// the suffix.
func hasSuffix(stem, id, suffix string) bool {
	bare := strings.TrimLeft(suffix, separators)
	if id != "" {
		rest, ok := strings.CutPrefix(stem, id)
		return ok && (rest == suffix || rest != "" && strings.ContainsRune(separators, rune(rest[0])) && rest[1:] == bare)
	}
	if stem == bare {
		return true
	}
	head, ok := strings.CutSuffix(stem, bare)
	return ok && (head == "" || strings.HasSuffix(stem, suffix) && suffix != bare || strings.ContainsRune(separators, rune(head[len(head)-1])))
}

// maskWords are the ends of names by which masks are known where they lie among images.
var maskWords = []string{"_mask", "_seg", "_segmentation", "_label", "_labels", "_roi"}

// maskNames knows masks by the end of their names.
type maskNames struct{ suffix string }

// is reports whether a stem is that of a mask, of a case or, with id "", of any.
func (m maskNames) is(stem, id string) bool {
	if m.suffix != "" {
		return hasSuffix(stem, id, m.suffix)
	}
	for _, word := range maskWords {
		if hasSuffix(strings.ToLower(stem), strings.ToLower(id), word) {
			return true
		}
	}
	return false
}

// cellID reads how a table names a case: by its id, or by the path or name of an image file.
func (f *finder) cellID(cell string) (id, file string) {
	name := strings.ReplaceAll(cell, `\`, "/")
	base, ext := imagefile.SplitExtension(filepath.Base(filepath.FromSlash(name)))
	if ext == "" {
		return cell, ""
	}
	if !f.plain {
		base = caseOf(base)
	}
	return base, strings.TrimPrefix(filepath.ToSlash(filepath.Clean(filepath.FromSlash(name))), "./")
}

// finder looks for the images of cases.
type finder struct {
	*index
	modalities []Modality // nil if they are not named
	volumes    bool       // a file may hold all modalities, along a fourth axis
	isMask     func(im image) bool
	plain      bool // a number at the end of a file's name, _0001, is part of the case's, not that of a modality
}

// find returns the images of a case, one per modality; or why they are not found, with the files that prevent it.
func (f *finder) find(cell string) (id string, images []int, problem string) {
	id, file := f.cellID(cell)
	if file != "" {
		return f.findFile(id, file)
	}
	found := f.candidates(id)
	if len(found) == 0 {
		return id, nil, f.notFound(id)
	}
	images, problem = f.order(id, found)
	return id, images, problem
}

// known reports whether a cell names a case that has an image.
func (f *finder) known(cell string) bool {
	id, file := f.cellID(cell)
	if file != "" {
		_, _, problem := f.findFile(id, file)
		return problem == ""
	}
	return len(f.candidates(id)) > 0 || len(f.seriesOf(id)) > 0
}

// findFile returns the image that a table names by its path, and, if it is numbered, the other modalities next to it.
func (f *finder) findFile(id, file string) (string, []int, string) {
	stem, _ := imagefile.SplitExtension(path.Base(file))
	var found, ending []int
	for _, i := range f.byStem[stem] {
		switch rel := f.images[i].rel; {
		case rel == file, !strings.Contains(file, "/") && path.Base(rel) == file:
			found = append(found, i)
		case strings.HasSuffix(file, "/"+rel): // a path from elsewhere, or from the root of the disk
			ending = append(ending, i)
		}
	}
	if len(found) == 0 {
		found = ending
	}
	switch len(found) {
	case 0:
		return id, nil, fmt.Sprintf("%s is not in %s", file, f.root)
	case 1:
	default:
		return id, nil, fmt.Sprintf("%d files fit the name: %s; write the path within %s", len(found), words.Some(f.rels(found)), f.root)
	}
	im := f.images[found[0]]
	if im.stem == id {
		if n := len(f.modalities); n > 1 {
			return id, nil, fmt.Sprintf("%s is one file, expected %d, for the modalities %s; name the case instead of the file", file, n, f.modalityNames())
		}
		return id, found, ""
	}
	var beside []int
	for m := range maxModalities {
		for _, i := range f.byStem[fmt.Sprintf("%s_%04d", id, m)] {
			if path.Dir(f.images[i].rel) == path.Dir(im.rel) {
				beside = append(beside, i)
			}
		}
	}
	images, problem := f.order(id, beside)
	return id, images, problem
}

// candidates are the images that carry the name of a case, or lie in a folder of that name.
func (f *finder) candidates(id string) []int {
	var found []int
	add := func(i int) {
		if !f.isMask(f.images[i]) && !slices.Contains(found, i) {
			found = append(found, i)
		}
	}
	for _, i := range f.byStem[id] {
		add(i)
	}
	for m := 0; len(f.modalities) == 0 || f.modalities[0].Suffix == ""; m++ {
		numbered := f.byStem[fmt.Sprintf("%s_%04d", id, m)]
		if len(numbered) == 0 && m >= max(len(f.modalities), maxModalities) {
			break
		}
		for _, i := range numbered {
			add(i)
		}
	}
	for _, m := range f.modalities {
		if m.Suffix == "" {
			break
		}
		bare := strings.TrimLeft(m.Suffix, separators)
		stems := []string{id + m.Suffix}
		for _, sep := range separators {
			stems = append(stems, id+string(sep)+bare)
		}
		for _, stem := range stems {
			for _, i := range f.byStem[stem] {
				add(i)
			}
		}
	}
	for _, i := range f.below[id] {
		add(i)
	}
	return found
}

// maxModalities is how many numbers are looked for where the modalities are not named.
const maxModalities = 16

// order brings the images of a case into the order of the modalities.
func (f *finder) order(id string, found []int) (images []int, problem string) {
	if len(f.modalities) > 0 && f.modalities[0].Suffix != "" {
		return f.bySuffix(id, found)
	}
	if len(found) == 1 && (f.images[found[0]].stem == id || !modalityStem.MatchString(f.images[found[0]].stem)) {
		if n := len(f.modalities); n > 1 && !f.volumes {
			return nil, fmt.Sprintf("one image (%s), expected %d, for the modalities %s", f.images[found[0]].rel, n, f.modalityNames())
		}
		return found, ""
	}
	numbered := map[string]int{}
	prefix := ""
	for k, i := range found {
		m := modalityStem.FindStringSubmatch(f.images[i].stem)
		if m == nil || k > 0 && m[1] != prefix {
			return nil, fmt.Sprintf("%d images (%s), and no way to tell which is meant; remove those that are not, or name the modalities by the ends of their files' names", len(found), words.Some(f.rels(found)))
		}
		if other, twice := numbered[m[2]]; twice {
			return nil, fmt.Sprintf("%s and %s are one modality; remove one of them", f.images[other].rel, f.images[i].rel)
		}
		prefix, numbered[m[2]] = m[1], i
	}
	for m := range len(found) {
		i, ok := numbered[fmt.Sprintf("%04d", m)]
		if !ok {
			return nil, fmt.Sprintf("the images %s are not numbered from _0000 without gaps", words.Some(f.rels(found)))
		}
		images = append(images, i)
	}
	if n := len(f.modalities); n > 0 && n != len(images) {
		return nil, fmt.Sprintf("%d images (%s), expected %d, for the modalities %s", len(images), words.Some(f.rels(found)), n, f.modalityNames())
	}
	return images, ""
}

func (f *finder) modalityNames() string { return strings.Join(modalityNames(f.modalities), ", ") }

func modalityNames(modalities []Modality) []string {
	var names []string
	for _, m := range modalities {
		names = append(names, m.Name)
	}
	return names
}

// bySuffix picks one image per modality by the ends of the names.
func (f *finder) bySuffix(id string, found []int) (images []int, problem string) {
	for _, m := range f.modalities {
		var fit []int
		for _, i := range found {
			im := f.images[i]
			if hasSuffix(im.stem, id, m.Suffix) || slices.Contains(im.dirs, id) && hasSuffix(im.stem, "", m.Suffix) {
				fit = append(fit, i)
			}
		}
		switch len(fit) {
		case 1:
			images = append(images, fit[0])
		case 0:
			return nil, fmt.Sprintf("modality %s: no image ends in %q; found %s", m.Name, m.Suffix, words.Some(f.rels(found)))
		default:
			return nil, fmt.Sprintf("modality %s: %d images end in %q: %s; remove all but one", m.Name, len(fit), m.Suffix, words.Some(f.rels(fit)))
		}
	}
	return images, ""
}

// notFound says that a case has no image, and what comes near.
func (f *finder) notFound(id string) string {
	text := fmt.Sprintf("no image; expected %s.nii.gz, %s_0000.nii.gz or a folder %s in %s", id, id, id, f.root)
	for _, rel := range f.other {
		base := path.Base(rel)
		if strings.TrimSuffix(base, path.Ext(base)) == id {
			return fmt.Sprintf("%s is in a format that is not read; convert it to .nii.gz", rel)
		}
	}
	near := ""
	for _, im := range f.images {
		rest, longer := strings.CutPrefix(im.stem, id)
		switch {
		case f.isMask(im):
		case strings.EqualFold(im.name, id):
			return text + fmt.Sprintf("; %s differs in capital letters", im.rel)
		case strings.TrimLeft(im.name, "0") == strings.TrimLeft(strings.TrimSuffix(id, ".0"), "0"):
			return text + fmt.Sprintf("; is it %s? Spreadsheets drop zeros in front: format the column as text", im.rel)
		case near == "" && longer && strings.ContainsRune(separators, rune(rest[0])):
			near = fmt.Sprintf("; for %s name a modality whose files end in %s", im.rel, rest)
		}
	}
	return text + near
}

// maskFinder looks for the masks of cases.
type maskFinder struct {
	*index
	names  maskNames
	among  bool             // the masks lie among images, and are known by their names alone
	byCase map[string][]int // masks by the name of the case, where their names end in a suffix
}

func newMaskFinder(x *index, names maskNames, among bool) *maskFinder {
	f := &maskFinder{index: x, names: names, among: among, byCase: map[string][]int{}}
	for i, im := range x.images {
		bases := names.bases(im.stem)
		if !among && names.suffix == "" {
			bases = append(bases, im.stem)
		}
		for _, base := range bases {
			f.byCase[base] = append(f.byCase[base], i)
		}
	}
	return f
}

// bases are what the names of masks leave of a stem.
func (m maskNames) bases(stem string) []string {
	suffixes := maskWords
	if m.suffix != "" {
		suffixes = []string{m.suffix}
	}
	var out []string
	for _, suffix := range suffixes {
		at := len(stem) - len(suffix)
		if at > 0 && (stem[at:] == suffix || m.suffix == "" && strings.EqualFold(stem[at+1:], suffix[1:]) && strings.ContainsRune(separators, rune(stem[at]))) {
			out = append(out, stem[:at])
			continue
		}
		bare := strings.TrimLeft(suffix, separators)
		if head, ok := strings.CutSuffix(stem, bare); ok && len(head) > 1 && strings.ContainsRune(separators, rune(head[len(head)-1])) {
			out = append(out, head[:len(head)-1])
		}
	}
	return out
}

// find returns the mask of a case; or why there is none.
func (f *maskFinder) find(id string) (int, string) {
	found := slices.Clone(f.byCase[id])
	for _, i := range f.below[id] {
		if !slices.Contains(found, i) && (f.names.is(f.images[i].stem, "") || !f.among && f.names.suffix == "") {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 1:
		return found[0], ""
	case 0:
		return -1, fmt.Sprintf("no mask; expected %s.nii.gz, or %s%s.nii.gz, in %s", id, id, orWord(f.names.suffix), f.root)
	}
	return -1, fmt.Sprintf("%d masks (%s); remove all but one, or name the end of their names", len(found), words.Some(f.rels(found)))
}

func orWord(suffix string) string {
	if suffix == "" {
		return maskWords[0]
	}
	return suffix
}
