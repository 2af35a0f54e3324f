package task

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/remedy"
)

// PredictionInputs lists the cases that a command line means: a folder or a file named <case>_XXXX (see
// PredictionCases), or else the files of one case, of any name, one per modality in the order of the training. Then
// masksDir is the mask itself. skip is a folder for results, see PredictionCases.
func PredictionInputs(images []string, masksDir string, modalities int, wantMasks bool, skip string) ([]Case, error) {
	if len(images) == 1 {
		info, err := os.Stat(images[0])
		if err != nil {
			return nil, fmt.Errorf("images: %w", err)
		}
		if info.IsDir() || modalityName.MatchString(filepath.Base(images[0])) {
			return PredictionCases(images[0], masksDir, modalities, wantMasks, skip)
		}
	}
	c, err := OneCase(images, masksDir, modalities, wantMasks)
	if err != nil {
		return nil, err
	}
	return []Case{c}, nil
}

// OneCase is the case of the given files, of any name: one image per modality in the order of the training, and the
// mask if, and only if, the model was trained with masks. The first file's name, without extension and modality, is its
// id.
func OneCase(images []string, mask string, modalities int, wantMask bool) (Case, error) {
	switch {
	case len(images) != modalities:
		return Case{}, fmt.Errorf("%s: %d image files, but the model was trained with %d modalities; name one file per modality, in the order of the training",
			images[0], len(images), modalities)
	case wantMask && mask == "":
		return Case{}, remedy.With(fmt.Errorf("the model was trained with ROI masks, but none is given; add the mask of the case"), remedy.Set{Option: remedy.Masks})
	case !wantMask && mask != "":
		return Case{}, remedy.With(fmt.Errorf("the model was trained without ROI masks, but %s is given; leave it out", mask), remedy.Unset{Option: remedy.Masks})
	}
	c := Case{ID: filepath.Base(images[0]), Mask: mask}
	if m := modalityName.FindStringSubmatch(c.ID); m != nil {
		c.ID = m[1]
	} else {
		c.ID, _ = imagefile.SplitExtension(c.ID)
	}
	if err := CheckID(c.ID); err != nil {
		return Case{}, err
	}
	files := images
	if mask != "" {
		files = append(files[:len(files):len(files)], mask)
	}
	for i, path := range files {
		abs, err := filepath.Abs(path)
		if err != nil {
			return Case{}, err
		}
		if info, err := os.Stat(abs); err != nil {
			return Case{}, fmt.Errorf("case %s: %w", c.ID, err)
		} else if info.IsDir() {
			return Case{}, fmt.Errorf("case %s: %s: a folder, expected an image file", c.ID, path)
		}
		if i < len(images) {
			c.Images = append(c.Images, abs)
		} else {
			c.Mask = abs
		}
	}
	return c, nil
}
