// Package drift says in which numbers one cohort differs from another.
package drift

import (
	"fmt"
	"math"
	"slices"
)

// Difference is how a number is distributed among training and test cases. Mean and SD are of each cohort.
type Difference struct {
	Name         string   `json:"name"`
	TrainingMean float64  `json:"training_mean"`
	TrainingSD   float64  `json:"training_sd"`
	TestMean     float64  `json:"test_mean"`
	TestSD       float64  `json:"test_sd"`
	Standardised *float64 `json:"standardised_difference"` // of the means, in pooled standard deviations; null if nothing varies within the cohorts
	KS           float64  `json:"ks"`                      // largest distance of the distribution functions
	P            float64  `json:"p"`                       // of the Kolmogorov-Smirnov test
	Differs      bool     `json:"differs"`
}

// From which numbers on two cohorts differ: beyond chance, and enough to matter.
const (
	significant = 0.01
	notable     = 0.25 // standardised difference; Cohen's small effect is 0.2
	distant     = 0.3  // Kolmogorov-Smirnov distance
)

// Compare compares a number of training cases with that of test cases. Neither may be empty.
func Compare(name string, training, test []float64) Difference {
	d := Difference{Name: name}
	d.TrainingMean, d.TrainingSD = moments(training)
	d.TestMean, d.TestSD = moments(test)
	d.KS = distance(training, test)
	d.P = pValue(d.KS, len(training), len(test))
	pooled := math.Sqrt((d.TrainingSD*d.TrainingSD + d.TestSD*d.TestSD) / 2)
	scale := max(math.Abs(d.TrainingMean), math.Abs(d.TestMean))
	if pooled > 1e-6*scale { // less is rounding of a header
		s := (d.TestMean - d.TrainingMean) / pooled
		d.Standardised = &s
		d.Differs = d.P < significant && (math.Abs(s) >= notable || d.KS >= distant)
	} else {
		d.Differs = math.Abs(d.TestMean-d.TrainingMean) > 1e-3*scale
	}
	return d
}

// String says what differs, and by how much.
func (d Difference) String() string {
	by := "every case of either differs"
	if d.Standardised != nil {
		by = fmt.Sprintf("%+.2f standard deviations, Kolmogorov-Smirnov distance %.2f, p %.2g", *d.Standardised, d.KS, d.P)
	}
	return fmt.Sprintf("%s: %.4g +- %.3g, training %.4g +- %.3g (%s)", d.Name, d.TestMean, d.TestSD, d.TrainingMean, d.TrainingSD, by)
}

// moments are mean and standard deviation (of a sample; 0 for one value).
func moments(values []float64) (mean, sd float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	if len(values) < 2 {
		return mean, 0
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / float64(len(values)-1))
}

// distance is the two-sample Kolmogorov-Smirnov statistic.
func distance(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	i, j, largest := 0, 0, 0.0
	for i < len(a) && j < len(b) {
		v := min(a[i], b[j])
		for i < len(a) && a[i] == v {
			i++
		}
		for j < len(b) && b[j] == v {
			j++
		}
		largest = max(largest, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return largest
}

// pValue is that of the statistic d, by the asymptotic distribution with Stephens' correction (Use of the
// Kolmogorov-Smirnov, Cramer-von Mises and related statistics without extensive tables, JRSS B 32, 1970).
func pValue(d float64, n, m int) float64 {
	effective := math.Sqrt(float64(n) * float64(m) / float64(n+m))
	lambda := (effective + 0.12 + 0.11/effective) * d
	if lambda < 0.2 {
		return 1
	}
	sum := 0.0
	for k := 1; k <= 100; k++ {
		sum += 2 * math.Pow(-1, float64(k-1)) * math.Exp(-2*float64(k*k)*lambda*lambda)
	}
	return min(1, max(0, sum))
}
