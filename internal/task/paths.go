package task

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/imagefile"
)

// writtenExtension is that of the files that are written, and the one that messages name.
const writtenExtension = ".nii.gz"

// path reads a field that names a file in the task's folder. It returns the cleaned path, slash-separated and relative
// to the folder, and the file's name without extension; both empty if something is wrong with it.
func (v *validator) path(item *node, field, id string) (file, base string) {
	n := item.get(field)
	if n == nil {
		v.add(id, field, `line %d: missing; expected a path such as "./imagesTr/case_001.nii.gz"`, item.line)
		return "", ""
	}
	if n.kind != kindString || n.text == "" {
		v.add(id, field, "line %d: found %s, expected a path within the task folder", n.line, describe(n))
		return "", ""
	}
	clean := path.Clean(n.text)
	switch {
	case strings.ContainsRune(n.text, 0):
		v.add(id, field, "line %d: %q holds a zero byte; repair the path", n.line, n.text)
		return "", ""
	case path.IsAbs(clean), filepath.IsAbs(n.text), !filepath.IsLocal(filepath.FromSlash(clean)):
		v.add(id, field, "line %d: %q leaves the task folder; expected a path within it, such as ./imagesTr/case_001.nii.gz", n.line, n.text)
		return "", ""
	case strings.Contains(n.text, `\`):
		v.add(id, field, `line %d: %q contains a backslash; write paths with /`, n.line, n.text)
		return "", ""
	}
	base, ext := imagefile.SplitExtension(path.Base(clean))
	if ext == "" {
		v.add(id, field, "line %d: %q does not end in %s; convert the file to NIfTI", n.line, n.text, strings.Join(imagefile.Extensions, ", "))
		return "", ""
	}
	return clean, base
}

// images finds the file of every modality. file is the path as written, without modality suffix. imagesTr may be
// spelled ImagesTr on disk; a path without a folder means the folder usual.
func (v *validator) images(c *Case, file, usual string) {
	dir := path.Dir(file)
	if dir == "." {
		dir = usual
	}
	if len(v.entries(dir)) == 0 {
		for _, other := range []string{"ImagesTr", ImagesDir} {
			if strings.EqualFold(dir, other) && len(v.entries(other)) > 0 {
				dir = other
				break
			}
		}
	}
	for m := range v.out.Modalities {
		stem := fmt.Sprintf("%s_%04d", c.ID, m)
		found, err := pick(v.entries(dir), stem)
		switch {
		case err != nil:
			v.add(c.ID, "image", "%s: %v", dir, err)
		case found == "" && v.entries(dir)[path.Base(file)] && strings.HasSuffix(c.ID, stem[len(c.ID):]):
			v.add(c.ID, "image", "%q carries the modality suffix %s; leave it out in dataset.json", file, stem[len(c.ID):])
		case found == "" && v.closed[dir]: // that is a problem of its own
		case found == "":
			v.add(c.ID, "image", "%s", v.missingImage(dir, c.ID, m))
		}
		c.Images = append(c.Images, filepath.Join(v.dir, filepath.FromSlash(dir), found))
	}
}

// pick finds stem with one of the extensions among names; none gives "", two are an error.
func pick(names map[string]bool, stem string) (string, error) {
	found := ""
	for _, ext := range imagefile.Spellings {
		if !names[stem+ext] {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("%s and %s both exist; remove one", found, stem+ext)
		}
		found = stem + ext
	}
	return found, nil
}

// mask finds the mask that file names; it may lie there with the other extension. A path without a folder means the
// folder usual.
func (v *validator) mask(c *Case, id, file, usual string, line int) {
	dir, name := path.Dir(file), path.Base(file)
	if dir == "." {
		dir = usual
	}
	if !v.entries(dir)[name] {
		stem, _ := imagefile.SplitExtension(name)
		other, err := pick(v.entries(dir), stem)
		if err != nil || other == "" {
			text := "every case needs its mask"
			if found, _ := pick(v.entries(dir), stem+"_0000"); found != "" {
				text = fmt.Sprintf("%s is there: masks have no modality suffix, rename it to %s", found, stem+strings.TrimPrefix(found, stem+"_0000"))
			}
			v.lost.add(id, "label", "line %d: %s not found; %s", line, path.Join(dir, name), text)
			return
		}
		name = other
	}
	c.Mask = filepath.Join(v.dir, filepath.FromSlash(dir), name)
}

// findMask returns the name of a mask that lies in labelsTr for the case, "" if there is none.
func (v *validator) findMask(id string) string {
	for _, ext := range imagefile.Spellings {
		if v.entries(LabelsDir)[id+ext] {
			return id + ext
		}
	}
	return ""
}
