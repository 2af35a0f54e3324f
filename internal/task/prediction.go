package task

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/remedy"
)

// modalityName splits case_0000.nii.gz (or .nii, .mha, .mhd); the case id may hold underscores itself.
var modalityName = regexp.MustCompile(`(?s)^(.+)_(\d{4})\.(?i:nii|nii\.gz|mha|mhd)$`)

// PredictionCases lists the cases in a flat folder of images named <case>_<XXXX>.nii.gz (or .nii), sorted by id, with
// the masks <case>.nii.gz from masksDir. imagesDir may also be one file: then that case alone is taken from its folder,
// and masksDir may be its mask.
//
// wantMasks reports whether the model was trained with ROI masks: a missing or superfluous masksDir is refused, and so
// are a mask without a case and a case without a mask. Every image in the folders is used or named: images in folders
// below, in formats that are not read, or whose names fit no case are problems; those in skip, a folder for results,
// are not looked at. All that is wrong comes back in one *ValidationError; the cases that are whole are returned along
// with it.
func PredictionCases(imagesDir, masksDir string, modalities int, wantMasks bool, skip string) ([]Case, error) {
	switch {
	case wantMasks && masksDir == "":
		return nil, remedy.With(fmt.Errorf("the model was trained with ROI masks, but none are given; add a folder with one mask per case"), remedy.Set{Option: remedy.Masks})
	case !wantMasks && masksDir != "":
		return nil, remedy.With(fmt.Errorf("the model was trained without ROI masks, but %s is given; leave it out", masksDir), remedy.Unset{Option: remedy.Masks})
	}
	dir, only, err := imageSource(imagesDir)
	if err != nil {
		return nil, err
	}
	if skip != "" {
		if skip, err = filepath.Abs(skip); err != nil {
			return nil, err
		}
	}
	p := &predictionFolder{dir: dir, only: only, skip: skip, images: map[string][]string{}}
	if masksDir != "" {
		if p.masksDir, err = filepath.Abs(masksDir); err != nil {
			return nil, err
		}
	}
	if err := p.list(modalities); err != nil {
		return nil, err
	}
	if wantMasks {
		if err := p.listMasks(masksDir); err != nil {
			return nil, err
		}
	}
	return p.cases(imagesDir, modalities, wantMasks)
}

// imageSource resolves imagesDir into a folder and, if it is a file, the one case meant.
func imageSource(imagesDir string) (dir, only string, err error) {
	abs, err := filepath.Abs(imagesDir)
	if err != nil {
		return "", "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", "", fmt.Errorf("folder of images: %w", err)
	}
	if info.IsDir() {
		return abs, "", nil
	}
	m := modalityName.FindStringSubmatch(filepath.Base(abs))
	if m == nil {
		return "", "", fmt.Errorf("%s: expected a folder, or a file named <case>_0000.nii.gz", imagesDir)
	}
	return filepath.Dir(abs), m[1], nil
}

// predictionFolder gathers what lies in the folders of images and masks.
type predictionFolder struct {
	problems
	dir      string
	masksDir string              // "" for none
	only     string              // the one case meant, "" for all
	skip     string              // folder for results, which may lie within dir
	images   map[string][]string // case -> path per modality, "" where missing
	masks    map[string]string   // case -> path
}

// unread names the images in a folder that are not read: in other formats, and in folders below. used are the names of
// those that are.
func (p *predictionFolder) unread(dir string, names []string, used map[string]bool) {
	for _, name := range names {
		if _, ext := imagefile.SplitExtension(name); ext != "" || isPreview(name, used) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && isImage(path) {
			p.add("", QuoteID(name), "an image in a format that is not read; convert it to .nii.gz, or move it out of the folder")
		}
	}
	for _, rel := range foldersBelow(dir, p.dir, p.masksDir, p.skip) {
		p.add("", QuoteID(rel), "an image in a folder below, which is not looked into; move it up, or out of the folder")
	}
}

func (p *predictionFolder) list(modalities int) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	var names []string
	used := map[string]bool{}
	for _, e := range entries {
		name := e.Name()
		names = append(names, name)
		_, ext := imagefile.SplitExtension(name)
		if e.IsDir() && ext != "" && p.only == "" && filepath.Join(p.dir, name) != p.skip && filepath.Join(p.dir, name) != p.masksDir {
			p.add("", QuoteID(name), "a folder with the name of an image; move the image out of it, or it out of the way")
		}
		if ext == "" || !isImage(filepath.Join(p.dir, name)) || e.IsDir() {
			continue // not an image that is read
		}
		used[name] = true
		m := modalityName.FindStringSubmatch(name)
		if m == nil {
			if p.only == "" {
				p.add("", QuoteID(name), "expected <case>_XXXX.nii.gz with the four-digit modality; rename the file, or move it out of the folder")
			}
			continue
		}
		if p.only != "" && m[1] != p.only {
			continue
		}
		if bad := badID(m[1]); bad != "" {
			p.add("", QuoteID(name), "the case's name %s; rename the file", bad)
			continue
		}
		index := 0
		fmt.Sscanf(m[2], "%d", &index)
		if p.images[m[1]] == nil {
			p.images[m[1]] = make([]string, modalities)
		}
		switch slots := p.images[m[1]]; {
		case index >= modalities:
			p.add(m[1], name, "modality %d, but the model was trained with %d (0000 to %04d); move the file out of the folder", index, modalities, modalities-1)
		case slots[index] != "":
			p.add(m[1], name, "%s is the same modality; remove one of them", filepath.Base(slots[index]))
		default:
			slots[index] = filepath.Join(p.dir, name)
		}
	}
	if p.only == "" {
		p.unread(p.dir, names, used)
	}
	return nil
}

func (p *predictionFolder) listMasks(masksDir string) error {
	abs := p.masksDir
	info, err := os.Stat(abs)
	if err != nil {
		return fmt.Errorf("folder of ROI masks: %w", err)
	}
	p.masks = map[string]string{}
	if !info.IsDir() {
		if p.only == "" {
			return fmt.Errorf("%s: a file, expected a folder with one mask per case, as the images are one", masksDir)
		}
		p.masks[p.only] = abs
		return nil
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return err
	}
	var names []string
	used := map[string]bool{}
	for _, e := range entries {
		names = append(names, e.Name())
		id, ext := imagefile.SplitExtension(e.Name())
		if ext == "" || !isImage(filepath.Join(abs, e.Name())) || e.IsDir() || p.only != "" && id != p.only {
			continue
		}
		used[e.Name()] = true
		mask := filepath.Join(abs, e.Name())
		switch {
		case p.images[id] == nil:
			remedy := "move it away, or add the images"
			if m := modalityName.FindStringSubmatch(e.Name()); m != nil && p.images[m[1]] != nil {
				remedy = "masks carry no modality suffix: rename it to " + m[1] + ext
			}
			p.add("", QuoteID(e.Name()), "a mask without a case of that name in %s; %s", p.dir, remedy)
		case p.masks[id] != "":
			p.add(id, e.Name(), "%s is a mask of the same case; remove one of them", filepath.Base(p.masks[id]))
		default:
			p.masks[id] = mask
		}
	}
	if p.only == "" && abs != p.dir {
		p.unread(abs, names, used)
	}
	return nil
}

// cases returns the whole cases, and what is wrong.
func (p *predictionFolder) cases(imagesDir string, modalities int, wantMasks bool) ([]Case, error) {
	if len(p.images) == 0 {
		p.add("", "", "no image named <case>_0000.nii.gz here; expected a flat folder of NIfTI files")
		return nil, p.err(imagesDir)
	}
	var out []Case
	for id, images := range p.images {
		whole := true
		for m, path := range images {
			if path == "" {
				whole = false
				p.add(id, fmt.Sprintf("%s_%04d%s", id, m, writtenExtension), "modality %d of %d is missing; add the file", m, modalities)
			}
		}
		if wantMasks && p.masks[id] == "" {
			whole = false
			p.add(id, id+writtenExtension, "the ROI mask of the case is missing; add it to the folder of masks")
		}
		if whole {
			out = append(out, Case{ID: id, Images: images, Mask: p.masks[id]})
		}
	}
	slices.SortFunc(out, func(a, b Case) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(p.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Case, b.Case), cmp.Compare(a.Field, b.Field))
	})
	return out, p.err(imagesDir)
}
