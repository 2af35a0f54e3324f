// Package fingerprint describes a cohort before it is planned: sizes, spacings, and intensities within the region of
// interest.
package fingerprint

import (
	"fmt"
	"slices"

	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/remedy"
)

// File is the name of the fingerprint in the folder of a preprocessed task.
const File = "dataset_fingerprint.json"

// Fingerprint describes a cohort after cropping; the reference calls it dataset_properties. Cases are in the order of
// their sorted ids; sizes and spacings are z, y, x.
type Fingerprint struct {
	CaseIDs                 []string                 `json:"case_ids"`
	AllSizes                [][3]int                 `json:"all_sizes"`
	AllSpacings             [][3]float64             `json:"all_spacings"` // mm
	AllClasses              []int                    `json:"all_classes"`  // ROI labels without the background
	AllClassificationLabels [][]int                  `json:"all_classification_labels"`
	Modalities              indexed.List[string]     `json:"modalities"`
	IntensityProperties     indexed.List[*Intensity] `json:"intensityproperties"` // null unless a modality needs them
	SizeReductions          map[string]float64       `json:"size_reductions"`     // voxels after cropping / before, per case
	MaxDimensions           [3]float64               `json:"max_dimensions"`      // mm
	AllOrientations         []string                 `json:"all_orientations"`    // directions in which x, y and z run, such as RAS
}

// Intensity holds the statistics of one modality over the cohort and per case.
type Intensity struct {
	LocalProps map[string]Statistics `json:"local_props"`
	Statistics
}

// Statistics of intensities within the region of interest.
type Statistics struct {
	Median       float64 `json:"median"`
	Mean         float64 `json:"mean"`
	SD           float64 `json:"sd"` // of the population, as NumPy's std
	Min          float64 `json:"mn"`
	Max          float64 `json:"mx"`
	Percentile99 float64 `json:"percentile_99_5"`
	Percentile00 float64 `json:"percentile_00_5"`
}

// needsIntensities are the modality names for which the reference collects intensity statistics.
var needsIntensities = []string{"CT", "ct", "ADC MRI", "ADC", "adc mri", "adc"}

// NeedsIntensities reports whether the fingerprint of these modalities holds intensity statistics: if one is CT or ADC,
// then of all of them.
func NeedsIntensities(modalities []string) bool {
	return slices.ContainsFunc(modalities, func(m string) bool { return slices.Contains(needsIntensities, m) })
}

// voxelLimit is the number of voxels above which the statistics take fewer than one voxel in minStride.
const (
	voxelLimit = 1e9
	minStride  = 10
)

// Stride is the k of "every k-th voxel of the region of interest" for a cohort of the given cropped sizes.
func Stride(sizes [][3]int) int {
	voxels := 0
	for _, s := range sizes {
		voxels += s[0] * s[1] * s[2]
	}
	return max(minStride, (voxels+voxelLimit-1)/voxelLimit)
}

// SetMaxDimensions fills MaxDimensions from sizes and spacings.
func (f *Fingerprint) SetMaxDimensions() {
	f.MaxDimensions = [3]float64{}
	for i, size := range f.AllSizes {
		for d := range 3 {
			f.MaxDimensions[d] = max(f.MaxDimensions[d], float64(size[d])*f.AllSpacings[i][d])
		}
	}
}

// Load reads a fingerprint and checks it.
func Load(path string) (*Fingerprint, error) {
	f := new(Fingerprint)
	if err := jsonfile.Read(path, f); jsonfile.Damaged(err) {
		return nil, remedy.With(fmt.Errorf("%w; plan the task again", err), remedy.Plan{})
	} else if err != nil {
		return nil, err
	}
	if err := f.Check(); err != nil {
		return nil, remedy.With(fmt.Errorf("%s: %w; plan the task again", path, err), remedy.Plan{})
	}
	return f, nil
}
