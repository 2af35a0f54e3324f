package preprocess

import (
	"fmt"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// roiMargin is the part of its extent by which the box of the ROI is moved out on each side.
const roiMargin = 0.05

// outside marks mask voxels that are neither labelled nor inside the filled region that the case was cropped to.
const outside = -1

// cropped is a case cut to its region of interest, before anything touches its intensities. NaN voxels are kept.
type cropped struct {
	geometry    volume.Geometry // of the raw images
	nonzeroBox  volume.Box      // in the raw images
	roiBox      volume.Box      // in the crop to nonzeroBox
	size        [3]int          // of the arrays
	data        [][]float32     // per modality
	mask        []int16         // -1 outside, 0 background, 1.. labels
	rawFraction float64         // voxels after / before
}

// loadCropped reads a case and crops it: first to what is not zero in any modality, then to the region of interest.
func loadCropped(c task.Case) (*cropped, error) {
	images := make([]*volume.Image, len(c.Images))
	for m, path := range c.Images {
		im, err := imagefile.ReadImage(path)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
		if m > 0 && im.Size != images[0].Size {
			return nil, fmt.Errorf("case %s: %s: size %s, but modality 0000 (%s) has %s; modalities of a case must share one grid",
				c.ID, path, sizeText(im.Size), filepath.Base(c.Images[0]), sizeText(images[0].Size))
		}
		images[m] = im
	}
	out := &cropped{geometry: images[0].Geometry}
	size := out.geometry.Size
	nonzero := make([]uint8, out.geometry.Voxels())
	for m, im := range images {
		if i := markNonzero(nonzero, im.Data); i >= 0 {
			return nil, fmt.Errorf("case %s: %s: voxel %s is infinite; replace infinite voxels by numbers or NaN (NaN counts as 0)",
				c.ID, c.Images[m], position(i, size))
		}
	}
	var ok bool
	if out.nonzeroBox, ok = volume.BoundingBox(nonzero, size); !ok {
		return nil, fmt.Errorf("case %s: %s: every voxel is 0 (in all modalities); expected an image, check the export or remove the case", c.ID, c.Images[0])
	}
	// A hole of the whole image is a hole of the box around it: background outside the box reaches the border.
	nonzero = volume.Crop(nonzero, size, out.nonzeroBox)
	inner := out.nonzeroBox.Size()
	volume.FillHoles(nonzero, inner)

	mask, err := loadMask(c, out.geometry, out.nonzeroBox)
	if err != nil {
		return nil, err
	}
	roi := nonzero // from here on the flags say: labelled
	for i, v := range mask {
		switch v {
		case 0:
			if nonzero[i] == 0 {
				mask[i] = outside
			}
			roi[i] = 0
		case outside:
			roi[i] = 0
		default:
			roi[i] = 1
		}
	}
	if out.roiBox, ok = volume.BoundingBox(roi, inner); !ok {
		return nil, emptyROI(c)
	}
	out.roiBox = out.roiBox.Grow(roiMargin, inner)
	// Cut first: as above, holes stay holes.
	mask = volume.Crop(mask, inner, out.roiBox)
	roi = volume.Crop(roi, inner, out.roiBox)
	out.size = out.roiBox.Size()
	volume.FillHoles(roi, out.size)
	for i, v := range mask {
		switch {
		case v == 0 && roi[i] == 0:
			mask[i] = outside
		case v < outside:
			mask[i] = 0
		}
	}
	out.mask = mask
	raw := out.roiBox.Shift(out.nonzeroBox.Min)
	for m, im := range images {
		out.data = append(out.data, volume.Crop(im.Data, size, raw))
		images[m] = nil
	}
	out.rawFraction = float64(len(mask)) / float64(out.geometry.Voxels())
	return out, nil
}

// markNonzero sets flags where data is not 0. It returns the index of the first infinite voxel, or -1.
func markNonzero(flags []uint8, data []float32) int {
	flags = flags[:len(data)]
	infinite := -1
	for i, v := range data {
		if v != 0 {
			flags[i] = 1
			if v-v != 0 && v == v && infinite < 0 { // Inf-Inf is NaN
				infinite = i
			}
		}
	}
	return infinite
}

// loadMask reads the part of a case's mask that lies in box. Without a mask everything is foreground.
func loadMask(c task.Case, g volume.Geometry, box volume.Box) ([]int16, error) {
	if c.Mask == "" {
		n := box.Size()
		mask := make([]int16, n[0]*n[1]*n[2])
		for i := range mask {
			mask[i] = 1
		}
		return mask, nil
	}
	m, err := imagefile.ReadMask(c.Mask)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.ID, err)
	}
	if m.Size != g.Size {
		return nil, fmt.Errorf("case %s: %s: size %s, but the image (%s) has %s; a mask must lie on its image's grid",
			c.ID, c.Mask, sizeText(m.Size), filepath.Base(c.Images[0]), sizeText(g.Size))
	}
	for _, v := range m.Data {
		if v != 0 && v != outside {
			return volume.Crop(m.Data, m.Size, box), nil
		}
	}
	return nil, fmt.Errorf("case %s: %s: no voxel is labelled; expected a region of interest, draw one or remove the case", c.ID, c.Mask)
}

func emptyROI(c task.Case) error {
	return fmt.Errorf("case %s: %s: the region of interest lies where the image (%s) is 0; check that both belong to one scan",
		c.ID, c.Mask, filepath.Base(c.Images[0]))
}

// sizeText shows a size as people write it, x first.
func sizeText(s [3]int) string { return fmt.Sprintf("%dx%dx%d", s[2], s[1], s[0]) }

// position shows where in an array the voxel i lies, x first.
func position(i int, size [3]int) string {
	return fmt.Sprintf("(%d, %d, %d)", i%size[2], i/size[2]%size[1], i/size[2]/size[1])
}
