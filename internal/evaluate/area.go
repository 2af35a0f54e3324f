package evaluate

import "math"

// Area is an area under the ROC curve as a sum over cases, for comparisons between groups of cases.
type Area struct {
	Estimate  Estimate
	Variance  float64   // DeLong's, or Obuchowski's where patients have several cases; NaN where it is 0 or does not exist, and Newcombe's interval is used
	Influence []float64 // of each case, in their order: what it adds to the deviation of the area from its expectation
}

// NewArea computes the area of scores against truth (true: positive) with the interval of ClusteredAUC.
func NewArea(truth []bool, scores []float64, patients []string) (*Area, error) {
	e, err := ClusteredAUC(truth, scores, patients)
	if err != nil {
		return nil, err
	}
	d, err := clusteredComponents(truth, scores, patients)
	if err != nil {
		return nil, err
	}
	a := &Area{Estimate: e, Variance: d.variance(), Influence: make([]float64, 0, len(truth))}
	if e.Method == MethodNewcombe {
		a.Variance = math.NaN()
	}
	var p, n int
	for _, positive := range truth {
		if positive {
			a.Influence = append(a.Influence, (d.positives[p]-d.auc)/float64(len(d.positives)))
			p++
		} else {
			a.Influence = append(a.Influence, (d.negatives[n]-d.auc)/float64(len(d.negatives)))
			n++
		}
	}
	return a, nil
}

// Independent is the difference between two estimates of different cases, the first minus the second, with the interval
// that their own intervals give (Zou and Donner, Construction of confidence limits about effect measures: a general
// approach, Statistics in Medicine 27, 2008); of two shares with Wilson's intervals it is Newcombe's method 10
// (Statistics in Medicine 17, 1998).
func Independent(a, b Estimate) Estimate { return difference(a, b, 0) }

// Correlated is Independent for estimates whose errors have a correlation.
func Correlated(a, b Estimate, correlation float64) Estimate { return difference(a, b, correlation) }

func difference(a, b Estimate, correlation float64) Estimate {
	d := float64(a.Value - b.Value)
	reach := func(x, y float64) float64 { return math.Sqrt(max(0, x*x+y*y-2*correlation*x*y)) }
	return Estimate{
		Value:  Number(d),
		Low:    Number(max(-1, d-reach(float64(a.Value-a.Low), float64(b.High-b.Value)))),
		High:   Number(min(1, d+reach(float64(a.High-a.Value), float64(b.Value-b.Low)))),
		Method: MethodMOVER,
	}
}

// MethodMOVER is the method of variance estimates recovery: the interval of a difference from those of its two sides.
const MethodMOVER = "MOVER"

// Z95 is how many standard errors a 95 % interval reaches to each side.
const Z95 = z95
