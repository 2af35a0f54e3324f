package reliability

import (
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// wanted is the specificity, or sensitivity, that rules keep.
const wanted = 0.9

// rule chooses a threshold by what its sensitivity and specificity are worth; negative infinity rules it out.
type rule struct {
	name  string
	worth func(sensitivity, specificity float64) float64
}

var rules = []rule{
	{"Youden", func(sensitivity, specificity float64) float64 { return sensitivity + specificity - 1 }},
	{fmt.Sprintf("sensitivity at specificity %.2f", wanted), func(sensitivity, specificity float64) float64 { return atLeast(specificity, sensitivity) }},
	{fmt.Sprintf("specificity at sensitivity %.2f", wanted), func(sensitivity, specificity float64) float64 { return atLeast(sensitivity, specificity) }},
}

// atLeast is other where one is as high as wanted. Of equal ones the higher one decides.
func atLeast(one, other float64) float64 {
	if one < wanted-1e-12 {
		return math.Inf(-1)
	}
	return other + 1e-6*one
}

// choose is the threshold of the rule: a case is positive from it on. It lies halfway between two scores. ok is false
// if one class is missing.
func (r rule) choose(truth []bool, scores []float64) (threshold float64, ok bool) {
	order := make([]int, len(scores))
	var positives, negatives float64
	for i := range order {
		order[i] = i
		if truth[i] {
			positives++
		} else {
			negatives++
		}
	}
	if positives == 0 || negatives == 0 {
		return math.NaN(), false
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	threshold = math.Nextafter(scores[order[0]], math.Inf(1)) // nobody is positive
	best := r.worth(0, 1)
	var tp, fp float64
	for k, i := range order {
		if truth[i] {
			tp++
		} else {
			fp++
		}
		last := k+1 == len(order)
		if !last && scores[order[k+1]] == scores[i] {
			continue
		}
		if w := r.worth(tp/positives, 1-fp/negatives); w > best {
			best, threshold = w, scores[i]
			if !last {
				threshold = between(scores[order[k+1]], scores[i])
			}
		}
	}
	return threshold, true
}

// between is halfway between two scores, and above the lower one however close they are.
func between(low, high float64) float64 {
	if m := low + (high-low)/2; m > low {
		return m
	}
	return high
}

// thresholds chooses thresholds on the raw probabilities of every class of a label. Those of new cases are chosen
// elsewhere: there is nothing to choose on.
func (s *sample) thresholds(at int, o Options, crossValidated bool) {
	l := &s.r.Labels[at]
	if !crossValidated || s.why != "" {
		return
	}
	targets, probabilities, patients := s.targets(at), s.probabilities(at), s.patients()
	for k := range l.Values {
		v := &l.Values[k]
		truth, scores := make([]bool, len(targets)), make([]float64, len(targets))
		positives := 0
		for i, t := range targets {
			truth[i], scores[i] = t == v.Value, probabilities[i][v.Value]
			if truth[i] {
				positives++
			}
		}
		prevalence, stated := o.prevalence(l, v)
		if !stated {
			prevalence = float64(positives) / float64(len(targets))
		}
		for _, rule := range rules {
			t := evaluate.ThresholdReport{Rule: rule.name, Prevalence: evaluate.Number(prevalence), Sensitivity: undefined(), Specificity: undefined(), PPV: undefined(), NPV: undefined()}
			whole, ok := rule.choose(truth, scores)
			if t.Threshold = evaluate.Number(whole); !ok {
				t.Why = "all cases are of one side"
				v.Thresholds = append(v.Thresholds, t)
				continue
			}
			var hits [2][]bool
			var whose [2][]string
			for _, part := range s.parts() {
				others := s.others(part)
				threshold, ok := rule.choose(pick(truth, others), pick(scores, others))
				t.Nested = append(t.Nested, evaluate.PartThreshold{Part: part, Threshold: evaluate.Number(threshold)})
				if !ok {
					t.Why = "without the cases of part " + part + " all cases are of one side"
					continue
				}
				for _, i := range s.of(part) {
					side := 0
					if truth[i] {
						side = 1
					}
					hits[side] = append(hits[side], (scores[i] >= threshold) == truth[i])
					whose[side] = append(whose[side], patients[i])
				}
			}
			if t.Why == "" {
				t.Sensitivity, t.Specificity = evaluate.Share(hits[1], whose[1]), evaluate.Share(hits[0], whose[0])
				t.PPV, t.NPV = predictiveValues(t.Sensitivity, t.Specificity, prevalence)
			}
			v.Thresholds = append(v.Thresholds, t)
		}
	}
}

// methodMOVER is the interval of a ratio from those of its parts (Zou and Donner, Statistics in Medicine 27, 2008).
const methodMOVER = "MOVER"

// predictiveValues are those of a test at a prevalence, by Bayes: their odds are likelihood ratios times the odds of
// the prevalence.
func predictiveValues(sensitivity, specificity evaluate.Estimate, prevalence float64) (ppv, npv evaluate.Estimate) {
	odds := prevalence / (1 - prevalence)
	return fromOdds(ratio(sensitivity, complement(specificity)), odds), fromOdds(ratio(specificity, complement(sensitivity)), 1/odds)
}

func complement(e evaluate.Estimate) evaluate.Estimate {
	return evaluate.Estimate{Value: 1 - e.Value, Low: 1 - e.High, High: 1 - e.Low}
}

// ratio is a / b of independent shares with its interval; where one is 0 the interval is made of the ends of both.
func ratio(a, b evaluate.Estimate) evaluate.Estimate {
	p, q := float64(a.Value), float64(b.Value)
	if math.IsNaN(p) || math.IsNaN(q) || p == 0 && q == 0 {
		return undefined()
	}
	low, high := float64(a.Low)/float64(b.High), float64(a.High)/float64(b.Low)
	if p > 0 && q > 0 {
		log := func(n evaluate.Number) float64 { return math.Log(float64(n)) }
		centre := math.Log(p / q)
		low = math.Exp(centre - math.Hypot(math.Log(p)-log(a.Low), log(b.High)-math.Log(q)))
		high = math.Exp(centre + math.Hypot(log(a.High)-math.Log(p), math.Log(q)-log(b.Low)))
	}
	return number(p/q, low, high)
}

// fromOdds turns likelihood ratios into probabilities.
func fromOdds(r evaluate.Estimate, odds float64) evaluate.Estimate {
	share := func(n evaluate.Number) float64 {
		if math.IsInf(float64(n), 1) {
			return 1
		}
		o := float64(n) * odds
		if math.IsInf(o, 1) {
			return 1
		}
		return o / (1 + o)
	}
	e := number(share(r.Value), share(r.Low), share(r.High))
	e.Method = methodMOVER
	return e
}
