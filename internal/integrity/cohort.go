package integrity

import (
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/volume"
)

// outlierFactor is how many times larger or smaller than the cohort's median a spacing or an extent is when a mistake
// in the header is more likely than an unusual scan.
const outlierFactor = 10

// Median is the median of positive values, and the geometric mean of the middle two if their number is even.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return math.Sqrt(sorted[(n-1)/2] * sorted[n/2])
}

// MedianSpacing is the median of a cohort's spacings along each axis.
func MedianSpacing(spacings [][3]float64) [3]float64 {
	var out [3]float64
	for d := range 3 {
		column := make([]float64, len(spacings))
		for i, s := range spacings {
			column[i] = s[d]
		}
		out[d] = Median(column)
	}
	return out
}

// FarSpacing says that a spacing (z, y, x) is far from the median of the cohort along an axis; "" if it is not.
func FarSpacing(spacing, median [3]float64) string {
	for d := range 3 {
		if far(spacing[d], median[d]) {
			return fmt.Sprintf("spacing %s, but the median of the cohort is %s; correct the header", volume.SpacingText(spacing), volume.SpacingText(median))
		}
	}
	return ""
}

// FarExtent says that an extent in mm (z, y, x) exceeds the median of the cohort by far along an axis; "" if it does
// not.
func FarExtent(extent, median [3]float64) string {
	for d := range 3 {
		if extent[d] > median[d] && far(extent[d], median[d]) {
			return fmt.Sprintf("extent %s, but the median of the cohort is %s; every case would be padded to it: correct the header or crop the scan",
				volume.SpacingText(extent), volume.SpacingText(median))
		}
	}
	return ""
}

func far(v, median float64) bool {
	const rounding = 1e-6
	ratio := max(v/median, median/v)
	return ratio >= outlierFactor*(1-rounding)
}

// strangeFactor is how far beyond the range of the training cases a spacing may lie before a prediction carries a
// warning.
const strangeFactor = 1.5

// StrangeSpacing says that a spacing (z, y, x) lies outside of what the training cases had along an axis; "" if it does
// not.
func StrangeSpacing(spacing [3]float64, training [][3]float64) string {
	if len(training) == 0 {
		return ""
	}
	low, high := training[0], training[0]
	for _, s := range training {
		for d := range 3 {
			low[d], high[d] = min(low[d], s[d]), max(high[d], s[d])
		}
	}
	for d := range 3 {
		if spacing[d] > strangeFactor*high[d] || spacing[d] < low[d]/strangeFactor {
			return fmt.Sprintf("spacing %s, but the training cases had %s to %s; the network has seen nothing like it, look at the header",
				volume.SpacingText(spacing), volume.SpacingText(low), volume.SpacingText(high))
		}
	}
	return ""
}

// StrangeOrientation says that no training case was stored in the given orientation; "" if one was, or if nothing is
// known of the training cases.
func StrangeOrientation(orientation string, training []string) string {
	counts := map[string]int{}
	for _, o := range training {
		if o != "" {
			counts[o]++
		}
	}
	if len(counts) == 0 || counts[orientation] > 0 {
		return ""
	}
	return fmt.Sprintf("stored in the orientation %s, but the training cases in %s; axes are not turned when reading, so reorient the image and its mask",
		orientation, mostFirst(counts))
}

// mostFirst lists the keys by how often they occur.
func mostFirst(counts map[string]int) string {
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	text := keys[0]
	for _, k := range keys[1:] {
		text += ", " + k
	}
	return text
}
