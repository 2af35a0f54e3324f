package preprocess

import (
	"math"

	"github.com/universal-classifier/uc/internal/plan"
)

// tinySD keeps the z-score of a constant image finite.
const tinySD = 1e-8

// normaliser brings the intensities of one modality to a common scale.
type normaliser struct {
	plans    *plan.Plans
	modality int
}

// apply normalises data in place. mask is -1 outside of the case's region.
func (n normaliser) apply(data []float32, mask []int16) {
	masked := n.plans.UseMaskForNorm[n.modality]
	switch n.plans.NormalizationSchemes[n.modality] {
	case plan.NormNone:
	case plan.NormCT:
		s := n.plans.DatasetProperties.IntensityProperties[n.modality].Statistics
		low, high := float32(s.Percentile00), float32(s.Percentile99)
		mean, sd := float32(s.Mean), max(float32(s.SD), tinySD)
		for i, v := range data {
			data[i] = (min(max(v, low), high) - mean) / sd
		}
		if masked {
			clearOutside(data, mask)
		}
	default:
		if !masked {
			mask = nil
		}
		mean, sd := moments(data, mask)
		for i, v := range data {
			data[i] = (v - mean) / sd
		}
		if masked {
			clearOutside(data, mask)
		}
	}
}

func clearOutside(data []float32, mask []int16) {
	for i, v := range mask {
		if v < 0 {
			data[i] = 0
		}
	}
}

// moments is the mean of the voxels inside mask (all if it is nil), and their standard deviation + 1e-8, both rounded
// to float32 as the reference has them.
func moments(data []float32, mask []int16) (mean, sd float32) {
	var sum float64
	n := 0
	if mask == nil {
		n = len(data)
		sum = sumOf(data)
	} else {
		for i, v := range data {
			if mask[i] >= 0 {
				sum += float64(v)
				n++
			}
		}
	}
	if n == 0 {
		return 0, 1
	}
	centre := sum / float64(n)
	var squares float64
	if mask == nil {
		squares = squaresOf(data, centre)
	} else {
		for i, v := range data {
			if mask[i] >= 0 {
				d := float64(v) - centre
				squares += float64(d * d) // not fused: the same bits on every processor
			}
		}
	}
	return float32(centre), float32(math.Sqrt(squares/float64(n))) + tinySD
}

// sumOf adds up data in four interleaved sums.
func sumOf(data []float32) float64 {
	var a, b, c, d float64
	i := 0
	for ; i+4 <= len(data); i += 4 {
		a += float64(data[i])
		b += float64(data[i+1])
		c += float64(data[i+2])
		d += float64(data[i+3])
	}
	for ; i < len(data); i++ {
		a += float64(data[i])
	}
	return a + b + c + d
}

// squaresOf adds up (v - centre)^2 in four interleaved sums.
func squaresOf(data []float32, centre float64) float64 {
	var sum [4]float64
	i := 0
	for ; i+4 <= len(data); i += 4 {
		for j := range sum {
			d := float64(data[i+j]) - centre
			sum[j] += float64(d * d)
		}
	}
	for ; i < len(data); i++ {
		d := float64(data[i]) - centre
		sum[0] += float64(d * d)
	}
	return sum[0] + sum[1] + sum[2] + sum[3]
}
