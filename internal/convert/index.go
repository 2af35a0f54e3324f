package convert

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/dicom"
	"github.com/universal-classifier/uc/internal/imagefile"
)

// maxEntries bounds the walk through a source, in files and folders.
const maxEntries = 2_000_000

// image is one image file of a source.
type image struct {
	rel  string // path within the root, with slashes
	dirs []string
	stem string // name without extension
	name string // of the case, that the stem spells
}

// index is the images in a folder and in those below it. Hidden files are left out, among them the "._" files that
// macOS puts into archives.
type index struct {
	root   string
	images []image
	byStem map[string][]int
	below  map[string][]int // the images in folders of a name, and deeper
	dicom  map[string]bool  // folders with DICOM files, by path within the root
	other  []string         // images in formats that are not read
}

// readIndex walks through root, which may hold links, except the folders in skip.
func readIndex(ctx context.Context, root string, skip ...string) (*index, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(real); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s: a file, expected a folder", root)
	}
	x := &index{root: real, byStem: map[string][]int{}, below: map[string][]int{}, dicom: map[string]bool{}}
	w := walker{index: x, seen: map[string]bool{}}
	for _, s := range skip {
		if s, err := filepath.EvalSymlinks(s); err == nil {
			w.seen[s] = true
		}
	}
	if err := w.walk(ctx, real, ""); err != nil {
		return nil, err
	}
	for i, im := range x.images {
		x.byStem[im.stem] = append(x.byStem[im.stem], i)
		for _, d := range slices.Compact(slices.Sorted(slices.Values(im.dirs))) {
			x.below[d] = append(x.below[d], i)
		}
	}
	return x, nil
}

type walker struct {
	*index
	seen    map[string]bool // folders that were walked through, so that links do not go in circles
	entries int
}

func (w *walker) walk(ctx context.Context, dir, rel string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		if w.seen[real] {
			return nil
		}
		w.seen[real] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if w.entries += len(entries); w.entries > maxEntries {
		return fmt.Errorf("%s: more than %d files; name a folder that holds the images alone", w.root, maxEntries)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path, inner := filepath.Join(dir, name), join(rel, name)
		isDir := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 {
			info, err := os.Stat(path)
			if err != nil {
				continue // a link to nothing
			}
			isDir = info.IsDir()
		}
		if isDir {
			if err := w.walk(ctx, path, inner); err != nil {
				return err
			}
			continue
		}
		stem, ext := imagefile.SplitExtension(name)
		switch {
		case ext != "":
			im := image{rel: inner, stem: stem, name: caseOf(stem)}
			if rel != "" {
				im.dirs = strings.Split(rel, "/")
			}
			w.images = append(w.images, im)
		case unread[strings.ToLower(filepath.Ext(name))]:
			w.other = append(w.other, inner)
		case !w.dicom[rel] && dicom.Is(path):
			w.dicom[rel] = true
		}
	}
	return nil
}

// unread are extensions of image formats that are not read.
var unread = map[string]bool{".hdr": true, ".nrrd": true, ".nhdr": true, ".mgz": true, ".mgh": true, ".tif": true, ".tiff": true, ".png": true, ".jpg": true, ".jpeg": true}

func join(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}

// path is where an image lies.
func (x *index) path(i int) string {
	return filepath.Join(x.root, filepath.FromSlash(x.images[i].rel))
}

// rels are the paths of images within the root.
func (x *index) rels(list []int) []string {
	out := make([]string, len(list))
	for k, i := range list {
		out[k] = x.images[i].rel
	}
	slices.Sort(out)
	return out
}

// modalityStem splits CASE_0000.
var modalityStem = regexp.MustCompile(`(?s)^(.+)_(\d{4})$`)

// caseOf is the name of the case that a stem spells, without the suffix of a modality.
func caseOf(stem string) string {
	if m := modalityStem.FindStringSubmatch(stem); m != nil {
		return m[1]
	}
	return stem
}

// seriesOf lists the folders of a name that hold DICOM files, the uppermost of each branch.
func (x *index) seriesOf(name string) []string {
	var found []string
	for dir := range x.dicom {
		parts := strings.Split(dir, "/")
		if i := slices.Index(parts, name); i >= 0 {
			if rel := strings.Join(parts[:i+1], "/"); !slices.Contains(found, rel) {
				found = append(found, rel)
			}
		}
	}
	slices.Sort(found)
	return found
}
