package evaluate

import "math"

// Methods of an interval where cases are clustered: several scans of a patient tell less than as many patients.
const (
	MethodObuchowski = "Obuchowski"
	MethodRaoScott   = "Rao-Scott"
)

// Clusters are the numbers of the patients of cases, from 0; nil if no patient has two of them, for then nothing is
// clustered. A case without a patient is one of its own.
func Clusters(patients []string) []int {
	numbers := map[string]int{}
	of := make([]int, len(patients))
	next, repeated := 0, false
	for i, p := range patients {
		n, known := numbers[p]
		if !known || p == "" {
			n = next
			next++
			numbers[p] = n
		} else {
			repeated = true
		}
		of[i] = n
	}
	if !repeated {
		return nil
	}
	return of
}

// Clustered reports whether a patient has several of the cases.
func Clustered(patients []string) bool { return Clusters(patients) != nil }

// CountPatients is how many patients cases are of.
func CountPatients(patients []string) int {
	known := map[string]bool{}
	n := 0
	for _, p := range patients {
		if p == "" || !known[p] {
			n++
		}
		known[p] = true
	}
	return n
}

// clusterSums adds values up per cluster, and counts them.
func clusterSums(values []float64, of []int) (sums map[int]float64, counts map[int]int) {
	sums, counts = map[int]float64{}, map[int]int{}
	for i, v := range values {
		sums[of[i]] += v
		counts[of[i]]++
	}
	return sums, counts
}

// areaVariance is the variance of the mean of structural components, one per positive and one per negative case: that
// of an area under the ROC curve, or, if they are differences, of the difference between two. Without clusters it is
// DeLong's (Biometrics 44, 1988), with clusters Obuchowski's (Nonparametric analysis of clustered ROC curve data,
// Biometrics 53, 1997), which takes the cases of a cluster as one observation, positives and negatives together. NaN
// with fewer than two cases, or clusters, on a side.
func areaVariance(positives, negatives []float64, positiveOf, negativeOf []int) float64 {
	if positiveOf == nil {
		return sampleVariance(positives)/float64(len(positives)) + sampleVariance(negatives)/float64(len(negatives))
	}
	m, n := float64(len(positives)), float64(len(negatives))
	var mean float64
	for _, v := range positives {
		mean += v / m
	}
	p, pCount := clusterSums(positives, positiveOf)
	q, qCount := clusterSums(negatives, negativeOf)
	if len(p) < 2 || len(q) < 2 {
		return math.NaN()
	}
	deviation := func(sums map[int]float64, counts map[int]int, c int) float64 {
		return sums[c] - float64(counts[c])*mean
	}
	spread := func(sums map[int]float64, counts map[int]int, of []int) (s float64) {
		for _, c := range distinct(of) {
			d := deviation(sums, counts, c)
			s += d * d
		}
		return s * float64(len(sums)) / float64(len(sums)-1)
	}
	var both float64
	all := distinct(append(append([]int{}, positiveOf...), negativeOf...))
	for _, c := range all {
		both += deviation(p, pCount, c) * deviation(q, qCount, c)
	}
	both *= float64(len(all)) / float64(len(all)-1)
	return spread(p, pCount, positiveOf)/(m*m) + spread(q, qCount, negativeOf)/(n*n) + 2*both/(m*n)
}

// distinct are the different values, in the order of their first appearance, so that sums over them always round in the
// same way.
func distinct(of []int) []int {
	seen := map[int]bool{}
	var out []int
	for _, c := range of {
		if !seen[c] {
			out = append(out, c)
		}
		seen[c] = true
	}
	return out
}

// ClusteredAUC is AUCInterval where patients are the patients of the cases. If one of them has several cases the
// variance is Obuchowski's, and where that is 0 or does not exist Newcombe's interval counts patients in place of
// cases.
func ClusteredAUC(truth []bool, scores []float64, patients []string) (Estimate, error) {
	d, err := clusteredComponents(truth, scores, patients)
	if err != nil {
		return Estimate{Value: undefined, Low: undefined, High: undefined}, err
	}
	variance := d.variance()
	if !(variance > noVariance) {
		low, high := d.newcombe()
		return Estimate{Value: Number(d.auc), Low: Number(low), High: Number(high), Method: MethodNewcombe}, nil
	}
	half := z95 * math.Sqrt(variance)
	return Estimate{Value: Number(d.auc), Low: Number(math.Max(0, d.auc-half)), High: Number(math.Min(1, d.auc+half)), Method: d.method()}, nil
}

// noVariance is what rounding may leave of a variance of 0.
const noVariance = 1e-15

// clusteredComponents are the structural components with the clusters that their cases are of.
func clusteredComponents(truth []bool, scores []float64, patients []string) (aucComponents, error) {
	d, err := components(truth, scores)
	if err != nil {
		return d, err
	}
	if of := Clusters(patients); of != nil {
		for i, positive := range truth {
			if positive {
				d.positiveOf = append(d.positiveOf, of[i])
			} else {
				d.negativeOf = append(d.negativeOf, of[i])
			}
		}
	}
	return d, nil
}

// method is that of the variance.
func (d aucComponents) method() string {
	if d.positiveOf != nil {
		return MethodObuchowski
	}
	return MethodDeLong
}

// newcombe is Newcombe's interval, of as many cases as there are clusters on each side.
func (d aucComponents) newcombe() (low, high float64) {
	if d.positiveOf != nil {
		return newcombe(d.auc, len(distinct(d.positiveOf)), len(distinct(d.negativeOf)))
	}
	return newcombe(d.auc, len(d.positives), len(d.negatives))
}

// Share is how many of the cases are hits, with a 95 % interval. Where a patient has several cases, it is Wilson's
// interval on the effective number of cases (Rao and Scott, A simple method for the analysis of clustered binary data,
// Biometrics 48, 1992): the number divided by the design effect, which is the variance of the ratio estimator over
// clusters relative to that of independent cases, and at least 1. Without any hit, or without any miss, the patients
// count as cases. Otherwise it is Proportion.
func Share(hits []bool, patients []string) Estimate {
	count := 0
	for _, h := range hits {
		count += index(h)
	}
	of := Clusters(patients)
	if of == nil {
		return Proportion(count, len(hits))
	}
	n, p := float64(len(hits)), float64(count)/float64(len(hits))
	values := make([]float64, len(hits))
	for i, h := range hits {
		values[i] = float64(index(h))
	}
	sums, counts := clusterSums(values, of)
	patientCount := float64(len(sums))
	effective := patientCount
	if len(sums) > 1 && count > 0 && count < len(hits) {
		var spread float64
		for _, c := range distinct(of) {
			d := sums[c] - float64(counts[c])*p
			spread += d * d
		}
		variance := patientCount / (patientCount - 1) * spread / (n * n)
		effective = n / math.Max(1, variance/(p*(1-p)/n))
	}
	e := wilson(p, effective)
	e.Method = MethodRaoScott
	return e
}
