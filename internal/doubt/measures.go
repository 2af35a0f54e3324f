package doubt

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/outlier"
	"github.com/universal-classifier/uc/internal/preprocess"
)

// Differences that mean nothing, as logarithms.
const (
	leastSpacing   = 0.02
	leastSize      = 0.05
	leastIntensity = 0.02
)

var axes = []string{"z", "y", "x"}

// Values are the plain numbers of a case that are compared with those of the training cases: spacing, extent of the
// image, extent of what is left after cropping, volume of the region of interest, and mean and standard deviation of
// the intensities of each modality, in the image and in the region. They are nil where one of them is not known.
func Values(p *preprocess.Properties) []float64 {
	m := p.Measures
	if m == nil || len(m.ImageSD) != len(m.ImageMean) || len(m.ROIMean) != len(m.ImageMean) || len(m.ROISD) != len(m.ImageMean) {
		return nil
	}
	var lengths, intensities []float64
	lengths = append(lengths, p.OriginalSpacing[:]...)
	for d := range axes {
		lengths = append(lengths, float64(p.OriginalSize[d])*p.OriginalSpacing[d])
	}
	for d := range axes {
		lengths = append(lengths, float64(p.SizeAfterCropping[d])*p.OriginalSpacing[d])
	}
	lengths = append(lengths, m.ROIVolume)
	for k := range m.ImageMean {
		intensities = append(intensities, m.ImageMean[k], m.ImageSD[k], m.ROIMean[k], m.ROISD[k])
	}
	for _, v := range lengths {
		if !(v > 0) || math.IsInf(v, 1) {
			return nil
		}
	}
	for _, v := range intensities {
		if !numeric.Finite(v) {
			return nil
		}
	}
	return append(lengths, intensities...)
}

// measuresOf names the Values of cases and says what their differences mean.
func measuresOf(values [][]float64) []outlier.Measure {
	var all []outlier.Measure
	for _, of := range []struct {
		name  string
		least float64
	}{{"spacing %s [mm]", leastSpacing}, {"extent %s [mm]", leastSize}, {"extent after cropping %s [mm]", leastSize}} {
		for _, axis := range axes {
			all = append(all, outlier.Measure{Name: fmt.Sprintf(of.name, axis), Log: true, Least: of.least})
		}
	}
	all = append(all, outlier.Measure{Name: "volume of the region of interest [mm3]", Log: true, Least: leastSize})
	lengths := len(all)
	for k := lengths; k < len(values[0]); k++ {
		at := k - lengths
		modality := at / len(intensityNames)
		spreads := make([]float64, len(values))
		for i, v := range values {
			spreads[i] = v[lengths+modality*len(intensityNames)+1]
		}
		// Scans differ by factors in intensity; around 0, within their own contrast, they do not.
		unit := numeric.Median(spreads)
		if !(unit > 0) {
			unit = 1
		}
		all = append(all, outlier.Measure{Name: fmt.Sprintf("%s, modality %d", intensityNames[at%len(intensityNames)], modality), Unit: unit, Least: leastIntensity})
	}
	return all
}

var intensityNames = []string{"mean intensity of the image", "SD of the intensities of the image", "mean intensity of the region of interest", "SD of the intensities of the region of interest"}
