package preprocess

import (
	"fmt"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// ROIMargin is the part of its extent by which the box of the ROI is moved out on each side.
const ROIMargin = 0.05

// outside marks mask voxels that are neither labelled nor inside the filled region that the case was cropped to.
const outside = -1

// Cropped is a case cut to its region of interest, before anything touches its intensities, which are all finite.
type Cropped struct {
	Geometry    volume.Geometry // of the raw images
	NonzeroBox  volume.Box      // in the raw images
	ROIBox      volume.Box      // in the crop to NonzeroBox
	Size        [3]int          // of the arrays
	Data        [][]float32     // per modality
	Mask        []int16         // -1 outside, 0 background, 1.. labels
	RawFraction float64         // voxels after / before
	NonFinite   int             // voxels of the files that are NaN or infinite and were read as 0
	doubts      []string        // what in the headers speaks against the spacing, per file
	measures    *Measures
	Notes       []string // what is odd about the files but loses nothing
}

// note keeps what was odd about the file at path.
func (c *Cropped) note(path string, notes []string) {
	for _, n := range notes {
		c.Notes = append(c.Notes, fmt.Sprintf("%s: %s", path, n))
	}
}

// Load reads a case and crops it: first to what is not zero in any modality, then to the region of interest. Modalities
// and mask must lie on one grid, and the mask must hold 0 to roiLabels-1.
func Load(c task.Case, roiLabels int) (*Cropped, error) { return load(c, files(c), roiLabels) }

func load(c task.Case, from source, roiLabels int) (*Cropped, error) {
	out := new(Cropped)
	images := make([]*volume.Image, len(c.Images))
	for m, path := range c.Images {
		im, err := from.image(m)
		if err != nil {
			return nil, task.InCase(c.ID, err)
		}
		if m > 0 {
			if wrong := integrity.GridMismatch(im.Geometry, filepath.Base(c.Images[0]), images[0].Geometry); wrong != "" {
				return nil, task.CaseErrorf(c.ID, "%s: %s", path, wrong)
			}
		}
		images[m] = im
		out.NonFinite += im.NonFinite
		if im.SpacingDoubt != "" {
			out.doubts = append(out.doubts, fmt.Sprintf("%s: %s", filepath.Base(path), im.SpacingDoubt))
		}
		out.note(path, im.Notes)
	}
	out.Geometry = images[0].Geometry
	size := out.Geometry.Size
	nonzero := make([]uint8, out.Geometry.Voxels())
	for _, im := range images {
		markNonzero(nonzero, im.Data)
	}
	var ok bool
	if out.NonzeroBox, ok = volume.BoundingBox(nonzero, size); !ok {
		what := "0"
		if out.NonFinite > 0 {
			what = "0, NaN or infinite"
		}
		return nil, task.CaseErrorf(c.ID, "%s: every voxel is %s (in all modalities); expected an image, check the export or remove the case", c.Images[0], what)
	}
	// A hole of the whole image is a hole of the box around it: background outside the box reaches the border.
	nonzero = volume.Crop(nonzero, size, out.NonzeroBox)
	inner := out.NonzeroBox.Size()
	volume.FillHoles(nonzero, inner)

	mask, err := out.loadMask(c, from, roiLabels)
	if err != nil {
		return nil, err
	}
	roi := nonzero // from here on the flags say: labelled
	for i, v := range mask {
		if v != 0 {
			roi[i] = 1
			continue
		}
		if nonzero[i] == 0 {
			mask[i] = outside
		}
		roi[i] = 0
	}
	if out.ROIBox, ok = volume.BoundingBox(roi, inner); !ok {
		return nil, emptyROI(c)
	}
	out.ROIBox = out.ROIBox.Grow(ROIMargin, inner)
	// Cut first: as above, holes stay holes.
	mask = volume.Crop(mask, inner, out.ROIBox)
	roi = volume.Crop(roi, inner, out.ROIBox)
	out.Size = out.ROIBox.Size()
	volume.FillHoles(roi, out.Size)
	for i, v := range mask {
		if v == 0 && roi[i] == 0 {
			mask[i] = outside
		}
	}
	out.Mask = mask
	out.measures = measureImages(images)
	raw := out.ROIBox.Shift(out.NonzeroBox.Min)
	for m, im := range images {
		data := volume.Crop(im.Data, size, raw)
		if i := integrity.FirstHuge(data); i >= 0 {
			return nil, hugeVoxel(c, m, data[i], i, raw)
		}
		out.Data = append(out.Data, data)
		images[m] = nil
	}
	out.measures.measureROI(out.Geometry, out.Data, mask)
	out.RawFraction = float64(len(mask)) / float64(out.Geometry.Voxels())
	return out, nil
}

// markNonzero sets flags where data is not 0.
func markNonzero(flags []uint8, data []float32) {
	flags = flags[:len(data)]
	for i, v := range data {
		if v != 0 {
			flags[i] = 1
		}
	}
}

// hugeVoxel says that voxel i of the crop to the box is too large, by its place in the file.
func hugeVoxel(c task.Case, modality int, v float32, i int, box volume.Box) error {
	size := box.Size()
	at := [3]int{box.Min[0] + i/size[2]/size[1], box.Min[1] + i/size[2]%size[1], box.Min[2] + i%size[2]}
	found := fmt.Sprintf("is %.6g", v)
	if v-v != 0 {
		found = "exceeds the range of float32"
	}
	return task.CaseErrorf(c.ID, "%s: voxel (%d, %d, %d) %s, too large to be resampled and normalised; if it marks missing data, replace it by 0 or NaN (NaN counts as 0)", c.Images[modality], at[2], at[1], at[0], found)
}

// loadMask reads the part of a case's mask that lies in the box of what is not zero. Without a mask everything is
// foreground.
func (c *Cropped) loadMask(of task.Case, from source, roiLabels int) ([]int16, error) {
	g, box := c.Geometry, c.NonzeroBox
	if of.Mask == "" {
		n := box.Size()
		mask := make([]int16, n[0]*n[1]*n[2])
		for i := range mask {
			mask[i] = 1
		}
		return mask, nil
	}
	m, err := from.mask()
	if err != nil {
		return nil, task.InCase(of.ID, err)
	}
	wrong, elsewhere := integrity.MaskMismatch(m.Geometry, filepath.Base(of.Images[0]), g)
	if wrong != "" {
		return nil, task.CaseErrorf(of.ID, "%s: %s", of.Mask, wrong)
	}
	if elsewhere != "" {
		c.note(of.Mask, []string{elsewhere})
	}
	if wrong := integrity.UndeclaredLabels(m.Data, roiLabels); wrong != "" {
		return nil, task.CaseErrorf(of.ID, "%s: %s", of.Mask, wrong)
	}
	c.note(of.Mask, m.Notes)
	for _, v := range m.Data {
		if v != 0 {
			return volume.Crop(m.Data, m.Size, box), nil
		}
	}
	return nil, task.CaseErrorf(of.ID, "%s: no voxel is labelled; expected a region of interest, draw one or remove the case", of.Mask)
}

func emptyROI(c task.Case) error {
	return task.CaseErrorf(c.ID, "%s: the region of interest lies where the image (%s) is 0; check that both belong to one scan", c.Mask, filepath.Base(c.Images[0]))
}
