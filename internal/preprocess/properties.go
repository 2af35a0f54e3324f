package preprocess

import (
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/volume"
)

// Properties says how one case was preprocessed. Sizes, spacings and boxes are z, y, x; those after resampling are in
// the order of the plans' transpose_forward; itk_* are x, y, z.
type Properties struct {
	Case                   string             `json:"case"`
	Targets                []int              `json:"targets"` // class per classification label; null at prediction
	OriginalSize           [3]int             `json:"original_size_of_raw_data"`
	OriginalSpacing        [3]float64         `json:"original_spacing"`
	DataFiles              []string           `json:"list_of_data_files"`
	SegFile                string             `json:"seg_file"`
	ITKOrigin              [3]float64         `json:"itk_origin"`
	ITKSpacing             [3]float64         `json:"itk_spacing"`
	ITKDirection           [9]float64         `json:"itk_direction"`
	NonzeroBox             Bounds             `json:"nonzero_bbox"` // in the raw image
	CropBox                Bounds             `json:"crop_bbox"`    // in the crop to NonzeroBox
	SizeAfterCropping      [3]int             `json:"size_after_cropping"`
	UseMaskForNorm         indexed.List[bool] `json:"use_nonzero_mask_for_norm"`
	SizeAfterResampling    [3]int             `json:"size_after_resampling"`
	SpacingAfterResampling [3]float64         `json:"spacing_after_resampling"`
	SizeAfterPad           [3]int             `json:"size after central pad"`
	Measures               *Measures          `json:"measures,omitempty"` // of the raw case; nil if preprocessed before they were recorded
	Key                    string             `json:"key,omitempty"`      // identifies input files, plans and version
	MadeFrom               provenance.Sources `json:"made_from,omitempty"`
}

// Bounds is a box as the reference writes it: [min, max) per axis.
type Bounds [3][2]int

// BoundsOf writes a box so.
func BoundsOf(b volume.Box) Bounds {
	var out Bounds
	for d := range 3 {
		out[d] = [2]int{b.Min[d], b.Max[d]}
	}
	return out
}

// Box is the box that b writes.
func (b Bounds) Box() volume.Box {
	var out volume.Box
	for d := range 3 {
		out.Min[d], out.Max[d] = b[d][0], b[d][1]
	}
	return out
}

// reversed turns z, y, x into x, y, z and back.
func reversed(v [3]float64) [3]float64 { return [3]float64{v[2], v[1], v[0]} }
