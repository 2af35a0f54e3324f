package preprocess

import (
	"errors"
	"fmt"
	"slices"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// source gives the volumes of a case, which the caller may change.
type source interface {
	image(modality int) (*volume.Image, error)
	mask() (*volume.Mask, error)
}

// files is a case whose volumes are read from its files.
type files task.Case

func (f files) image(modality int) (*volume.Image, error) {
	return imagefile.ReadImage(f.Images[modality])
}

func (f files) mask() (*volume.Mask, error) { return imagefile.ReadMask(f.Mask) }

// Volumes are the images and the mask of a case that are in memory instead of in files. They are read and never
// changed.
type Volumes struct {
	Images []*volume.Image // one per modality
	Mask   *volume.Mask    // nil if there is none
}

// Case is the case that the volumes belong to, with names for messages instead of the files'. Volumes that are
// missing, whose geometry makes no sense or whose data do not fill it, are errors.
func (v *Volumes) Case(id string) (task.Case, error) {
	c := task.Case{ID: id}
	for m, im := range v.Images {
		name := fmt.Sprintf("image %d in memory", m)
		if im == nil {
			return c, task.CaseErrorf(id, "%s: nil, expected an image", name)
		}
		if err := checkVolume(im.Geometry, len(im.Data)); err != nil {
			return c, task.CaseErrorf(id, "%s: %w", name, err)
		}
		c.Images = append(c.Images, name)
	}
	if v.Mask != nil {
		c.Mask = "mask in memory"
		if err := checkVolume(v.Mask.Geometry, len(v.Mask.Data)); err != nil {
			return c, task.CaseErrorf(id, "%s: %w", c.Mask, err)
		}
	}
	return c, nil
}

func checkVolume(g volume.Geometry, voxels int) error {
	if err := g.Check(); err != nil {
		return err
	}
	if voxels != g.Voxels() {
		return fmt.Errorf("%d voxels, expected %d for size %v", voxels, g.Voxels(), g.Size)
	}
	return nil
}

// image is a copy in which, as in an image that was read from a file, NaN and infinity are 0.
func (v *Volumes) image(modality int) (*volume.Image, error) {
	im := *v.Images[modality]
	im.Geometry = placed(im.Geometry)
	im.Data = slices.Clone(im.Data)
	for i, x := range im.Data {
		if !numeric.Finite(x) {
			im.Data[i] = 0
			im.NonFinite++
		}
	}
	return &im, nil
}

func (v *Volumes) mask() (*volume.Mask, error) {
	if v.Mask == nil {
		return nil, errors.New("there is no mask")
	}
	m := *v.Mask
	m.Geometry = placed(m.Geometry)
	m.Data = slices.Clone(m.Data)
	return &m, nil
}

// placed gives a grid without directions those that a file of it would have.
func placed(g volume.Geometry) volume.Geometry {
	if g.Direction == [9]float64{} {
		g.Direction = [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	}
	return g
}

// CropVolumes is Crop for a case in memory, as v.Case returned it.
func CropVolumes(c task.Case, v *Volumes, p *plan.Plans) (*Planned, error) { return crop(c, v, p) }
