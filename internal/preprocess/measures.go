package preprocess

import (
	"math"

	"github.com/universal-classifier/uc/internal/volume"
)

// Measures are plain numbers of a raw case, before anything is resampled or normalised: what a classifier without a
// network could judge by. The region of interest is every voxel with a label of the mask.
type Measures struct {
	ROIVolume   float64   `json:"roi_volume_mm3"`
	ImageVolume float64   `json:"image_volume_mm3"` // of the whole grid
	ROIMean     []float64 `json:"roi_mean"`         // per modality
	ROISD       []float64 `json:"roi_sd"`
	ImageMean   []float64 `json:"image_mean"` // over the whole grid
	ImageSD     []float64 `json:"image_sd"`
}

// measureImages takes the measures of whole images.
func measureImages(images []*volume.Image) *Measures {
	m := &Measures{ImageVolume: float64(images[0].Voxels()) * voxelVolume(images[0].Geometry)}
	for _, im := range images {
		mean, sd, _ := moments64(im.Data, nil)
		m.ImageMean, m.ImageSD = append(m.ImageMean, mean), append(m.ImageSD, sd)
	}
	return m
}

// measureROI adds those of the region of interest.
func (m *Measures) measureROI(g volume.Geometry, data [][]float32, mask []int16) {
	for _, d := range data {
		mean, sd, n := moments64(d, mask)
		m.ROIMean, m.ROISD = append(m.ROIMean, mean), append(m.ROISD, sd)
		m.ROIVolume = float64(n) * voxelVolume(g)
	}
}

func voxelVolume(g volume.Geometry) float64 { return g.Spacing[0] * g.Spacing[1] * g.Spacing[2] }

// moments64 are the mean, the standard deviation (population) and the number of the values whose mask is a label, of
// all if it is nil. Without values all are 0.
func moments64(values []float32, mask []int16) (mean, sd float64, n int) {
	// Seen from a value among them, the squares are exact enough whatever offset an image has.
	origin := float64(values[0])
	var first, second [2]float64 // two sums of each, so that additions need not wait for one another
	for i, v := range values {
		if mask != nil && mask[i] <= 0 {
			continue
		}
		x := float64(v) - origin
		first[i&1] += x
		second[i&1] += float64(x * x) // not fused: the same bits on every processor
		n++
	}
	if n == 0 {
		return 0, 0, 0
	}
	mean = (first[0] + first[1]) / float64(n)
	return origin + mean, math.Sqrt(max(0, (second[0]+second[1])/float64(n)-float64(mean*mean))), n
}
