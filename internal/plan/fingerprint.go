// Package plan turns the fingerprint of a cohort into the plans that preprocessing, training and prediction follow.
package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
)

// FingerprintFile is the name of the fingerprint in the folder of a preprocessed task.
const FingerprintFile = "dataset_fingerprint.json"

// Fingerprint describes a cohort after cropping; the reference calls it dataset_properties. Cases are in the order of
// their sorted ids; sizes and spacings are z, y, x.
type Fingerprint struct {
	CaseIDs                 []string            `json:"case_ids"`
	AllSizes                [][3]int            `json:"all_sizes"`
	AllSpacings             [][3]float64        `json:"all_spacings"` // mm
	AllClasses              []int               `json:"all_classes"`  // ROI labels without the background
	AllClassificationLabels [][]int             `json:"all_classification_labels"`
	Modalities              Indexed[string]     `json:"modalities"`
	IntensityProperties     Indexed[*Intensity] `json:"intensityproperties"` // null unless a modality needs them
	SizeReductions          map[string]float64  `json:"size_reductions"`     // voxels after cropping / before, per case
	MaxDimensions           [3]float64          `json:"max_dimensions"`      // mm
	AllOrientations         []string            `json:"all_orientations"`    // directions in which x, y and z run, such as RAS
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

// Indexed is a list that JSON shows as the reference's dictionaries keyed 0, 1, 2, ...
type Indexed[T any] []T

// MarshalJSON writes {"0": ..., "1": ...}, or null for an empty list.
func (l Indexed[T]) MarshalJSON() ([]byte, error) {
	if len(l) == 0 {
		return []byte("null"), nil
	}
	var b bytes.Buffer
	for i, v := range l {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		b.WriteByte(sep)
		fmt.Fprintf(&b, `"%d":`, i)
		item, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		b.Write(item)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON writes; keys must be 0, 1, ... without a gap.
func (l *Indexed[T]) UnmarshalJSON(b []byte) error {
	var m map[string]T
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*l = nil
	for i := range len(m) {
		v, ok := m[strconv.Itoa(i)]
		if !ok {
			return fmt.Errorf("keys of a dictionary of %d entries must be 0 to %d: %q is missing", len(m), len(m)-1, strconv.Itoa(i))
		}
		*l = append(*l, v)
	}
	return nil
}

// needsIntensities are the modality names for which the reference collects intensity statistics.
var needsIntensities = []string{"CT", "ct", "ADC MRI", "ADC", "adc mri", "adc"}

// NeedsIntensities tells whether the fingerprint of these modalities holds intensity statistics: if one is CT or ADC,
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

// Save writes the fingerprint as JSON.
func (f *Fingerprint) Save(path string) error { return saveJSON(path, f) }

// LoadFingerprint reads a fingerprint and checks it.
func LoadFingerprint(path string) (*Fingerprint, error) {
	f := new(Fingerprint)
	if err := loadJSON(path, f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("%s: %w; run plan-and-preprocess again", path, err)
	}
	return f, nil
}

func saveJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, append(b, '\n'))
}

func loadJSON(path string, v any) error {
	b, err := infile.ReadFile(path, infile.MaxText)
	if errors.Is(err, infile.ErrTooLarge) {
		return fmt.Errorf("%w; this is no plans file", err)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w; plans are JSON (a pickle of the Python package is not read: its settings must be written as JSON first)", path, err)
	}
	return nil
}
