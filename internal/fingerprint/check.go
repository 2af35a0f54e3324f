package fingerprint

import (
	"errors"
	"fmt"
	"math"
)

// Bounds of what a cohort may hold; far beyond what any holds, near enough to refuse nonsense.
const (
	MaxModalities = 256
	MaxSide       = 1 << 15 // voxels along an axis
	MaxVoxels     = 1 << 33
	minSpacing    = 1e-9
	maxSpacing    = 1e9 // mm
)

// CheckSpacing refuses spacings (mm) that no image has; name says whose they are.
func CheckSpacing(name string, s [3]float64) error {
	for _, v := range s {
		if !(v >= minSpacing && v <= maxSpacing) {
			return fmt.Errorf("%s is %v, expected three lengths in mm", name, s)
		}
	}
	return nil
}

// CheckSize refuses sizes (voxels) that no image has; name says whose they are.
func CheckSize(name string, s [3]int) error {
	for _, n := range s {
		if n < 1 || n > MaxSide {
			return fmt.Errorf("%s is %v, expected sides from 1 to %d voxels", name, s, MaxSide)
		}
	}
	if s[0]*s[1]*s[2] > MaxVoxels {
		return fmt.Errorf("%s is %v, more than %d voxels", name, s, MaxVoxels)
	}
	return nil
}

// Check reports the first entry that planning could not rely on.
func (f *Fingerprint) Check() error {
	if len(f.AllSizes) != len(f.AllSpacings) || len(f.AllSizes) == 0 {
		return fmt.Errorf("all_sizes has %d entries and all_spacings %d, expected one of each per case", len(f.AllSizes), len(f.AllSpacings))
	}
	for i := range f.AllSizes {
		if err := errors.Join(CheckSize("a size in all_sizes", f.AllSizes[i]), CheckSpacing("a spacing in all_spacings", f.AllSpacings[i])); err != nil {
			return err
		}
	}
	if n := len(f.Modalities); n < 1 || n > MaxModalities {
		return fmt.Errorf("%d modalities, expected 1 to %d", n, MaxModalities)
	}
	if n := len(f.IntensityProperties); n != 0 && n != len(f.Modalities) {
		return fmt.Errorf("intensityproperties has %d entries for %d modalities", n, len(f.Modalities))
	}
	for i, p := range f.IntensityProperties {
		if p == nil {
			return fmt.Errorf("intensityproperties of modality %d is null", i)
		}
		s := p.Statistics
		for _, v := range []float64{s.Median, s.Mean, s.SD, s.Min, s.Max, s.Percentile00, s.Percentile99} {
			if math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
				return fmt.Errorf("intensityproperties of modality %d hold %g, expected finite numbers", i, v)
			}
		}
		if s.SD < 0 || s.Percentile00 > s.Percentile99 {
			return fmt.Errorf("intensityproperties of modality %d: sd %g, percentiles %g and %g are out of order", i, s.SD, s.Percentile00, s.Percentile99)
		}
	}
	return nil
}
