// Package conformal makes prediction sets: as many classes of a case as it takes to hold the true one at a chosen rate.
//
// The score of a class is 1 less its probability (least ambiguous sets, Sadinle, Lei and Wasserman, JASA 114, 2019),
// compared with the scores that held-out cases of that class have for it, so that every class is covered at the rate,
// rare ones too (class-conditional, Vovk 2012). Where several networks held cases out, each case is compared under the
// network that held it out (CV+, Romano, Sesia and Candès, NeurIPS 2020): coverage is at least 1 - 2 x alpha whatever
// the data, and close to 1 - alpha in practice.
package conformal

import "slices"

// Scores are those of held-out cases for their true class, per class, ascending.
type Scores [][]float64

// Of collects the scores of cases with probabilities (cases, classes) for their classes.
func Of(probabilities [][]float64, targets []int, classes int) Scores {
	s := make(Scores, classes)
	for i, p := range probabilities {
		s[targets[i]] = append(s[targets[i]], 1-p[targets[i]])
	}
	s.Sort()
	return s
}

// Sort brings the scores of each class into order.
func (s Scores) Sort() {
	for _, of := range s {
		slices.Sort(of)
	}
}

// P is, per class, the share of held-out cases of the class that fit it no better than the case does, counting the case
// itself in. parts are the scores of the cases that each network held out, probabilities (parts, classes) are what
// these networks say of the case.
func P(parts []Scores, probabilities [][]float64) []float64 {
	if len(parts) == 0 {
		return nil
	}
	p := make([]float64, len(parts[0]))
	for class := range p {
		atLeast, all := 1, 1
		for k, of := range parts {
			scores := of[class]
			// Scores that differ by rounding count as equal, which makes sets larger, never smaller.
			below, _ := slices.BinarySearch(scores, 1-probabilities[k][class]-1e-12)
			atLeast, all = atLeast+len(scores)-below, all+len(scores)
		}
		p[class] = float64(atLeast) / float64(all)
	}
	return p
}

// Set are the classes whose P exceeds alpha, or the one with the largest P where none does: an empty set helps nobody,
// and one more class can only raise the coverage. Because every class is held to its own cases, the set need not hold
// the class of the highest probability: of a rare class even a moderate probability is unusual for cases of the others.
func Set(p []float64, alpha float64) []int {
	var set []int
	best := 0
	for class, v := range p {
		if v > alpha {
			set = append(set, class)
		}
		if v > p[best] {
			best = class
		}
	}
	if set == nil && len(p) > 0 {
		set = []int{best}
	}
	return set
}
