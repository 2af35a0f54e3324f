package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"
)

// ROCBand is the pointwise 95 % interval of the sensitivity at fixed values of 1 - specificity.
type ROCBand struct {
	FPR, Low, High []float64
}

// bandPoints and bandDraws are how finely and how often ROC resamples.
const (
	bandPoints = 101
	bandDraws  = 2000
)

// BandOfROC computes the band of a ROC curve by the bootstrap with percentiles, as ci.se of pROC does (Robin et al.
// 2011): positive and negative cases are drawn apart from each other, or, where a patient has several cases, patients
// with all that are theirs. truth says who is positive, patients whose each case is ("" where that is not known); the
// same cases give the same band. It is ErrOneClass where there is no curve.
func BandOfROC(truth []bool, scores []float64, patients []string) (ROCBand, error) {
	order, err := descending(truth, scores)
	if err != nil {
		return ROCBand{}, err
	}
	if !slices.Contains(truth, true) || !slices.Contains(truth, false) {
		return ROCBand{}, ErrOneClass
	}
	strata := bandStrata(truth, patients)
	rng := rand.New(rand.NewPCG(12345, uint64(len(truth))))
	times := make([]int, len(truth)) // how often a case is drawn
	curves := make([][]float64, bandPoints)
	for range bandDraws {
		clear(times)
		for _, units := range strata {
			for range units {
				for _, i := range units[rng.IntN(len(units))] {
					times[i]++
				}
			}
		}
		sensitivityAt(order, truth, scores, times, func(point int, tpr float64) { curves[point] = append(curves[point], tpr) })
	}
	b := ROCBand{}
	for point, values := range curves {
		if len(values) == 0 {
			return ROCBand{}, ErrOneClass
		}
		slices.Sort(values)
		b.FPR = append(b.FPR, float64(point)/(bandPoints-1))
		b.Low = append(b.Low, bandQuantile(values, 0.025))
		b.High = append(b.High, bandQuantile(values, 0.975))
	}
	return b, nil
}

// bandStrata are the units that are drawn together, in the strata that they are drawn from.
func bandStrata(truth []bool, patients []string) [][][]int {
	if !Clustered(patients) {
		strata := make([][][]int, 2)
		for i, positive := range truth {
			strata[index(positive)] = append(strata[index(positive)], []int{i})
		}
		return strata
	}
	var units [][]int
	at := map[string]int{}
	for i, p := range patients {
		n, known := at[p]
		if p == "" || !known {
			n = len(units)
			units = append(units, nil)
			if p != "" {
				at[p] = n
			}
		}
		units[n] = append(units[n], i)
	}
	return [][][]int{units}
}

// sensitivityAt tells the sensitivity at every point of the band, between the points of the curve by interpolation, at
// jumps the upper value. A sample of one class is passed over.
func sensitivityAt(order []int, truth []bool, scores []float64, times []int, tell func(point int, tpr float64)) {
	positives, negatives := 0, 0
	for i, n := range times {
		if truth[i] {
			positives += n
		} else {
			negatives += n
		}
	}
	if positives == 0 || negatives == 0 {
		return
	}
	fp, tp, point := 0, 0, 0
	for i := 0; i < len(order); {
		fpBefore, tpBefore := fp, tp
		for score := scores[order[i]]; i < len(order) && scores[order[i]] == score; i++ {
			if at := order[i]; truth[at] {
				tp += times[at]
			} else {
				fp += times[at]
			}
		}
		if fp == fpBefore {
			continue
		}
		for ; point < bandPoints; point++ {
			want := float64(point) / (bandPoints - 1) * float64(negatives)
			if want >= float64(fp) {
				break
			}
			share := (want - float64(fpBefore)) / float64(fp-fpBefore)
			tell(point, (float64(tpBefore)+share*float64(tp-tpBefore))/float64(positives))
		}
	}
	for ; point < bandPoints; point++ {
		tell(point, 1)
	}
}

// bandQuantile is that of sorted values, between neighbours by interpolation (type 7 of Hyndman and Fan 1996).
func bandQuantile(sorted []float64, share float64) float64 {
	at := share * float64(len(sorted)-1)
	low := math.Floor(at)
	v := sorted[int(low)]
	if next := int(low) + 1; next < len(sorted) {
		v += (at - low) * (sorted[next] - v)
	}
	return v
}
