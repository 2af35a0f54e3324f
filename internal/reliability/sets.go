package reliability

import (
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/conformal"
	"github.com/universal-classifier/uc/internal/evaluate"
)

// Alpha is the share of cases whose prediction set may miss the true class.
const Alpha = 0.1

// FalseAlarms is the share of usual cases that each test of a case's likeness to the others flags.
const FalseAlarms = 0.05

// doubtOf is where the doubt about a label of a case is noted.
func (s *sample) doubtOf(i, at int) *evaluate.LabelDoubt {
	p := &s.r.Predictions[i]
	if p.Doubt == nil {
		p.Doubt = &evaluate.Doubt{}
	}
	for len(p.Doubt.Labels) < len(s.r.Labels) {
		p.Doubt.Labels = append(p.Doubt.Labels, evaluate.LabelDoubt{StandardError: evaluate.Number(math.NaN()), Agreement: evaluate.Number(math.NaN())})
	}
	return &p.Doubt.Labels[at]
}

// sets gives every case the prediction set that the cases of other parts make.
func (s *sample) sets(at int) {
	if s.why != "" {
		return
	}
	targets, probabilities, classes := s.targets(at), s.probabilities(at), len(s.r.Labels[at].ClassNames)
	for _, part := range s.parts() {
		others := s.others(part)
		if len(others) == 0 {
			continue
		}
		scores := []conformal.Scores{conformal.Of(pick(probabilities, others), pick(targets, others), classes)}
		for _, i := range s.of(part) {
			s.doubtOf(i, at).Set = conformal.Set(conformal.P(scores, probabilities[i:i+1]), Alpha)
		}
	}
}

// members notes how far the networks and mirror images of a case agree.
func (s *sample) members(i int) {
	p := &s.r.Predictions[i]
	if p.Members == nil {
		return
	}
	for at := range s.r.Labels {
		d := s.doubtOf(i, at)
		d.Members, d.StandardError, d.Agreement = p.Members.Spread(at, evaluate.Argmax(p.Probabilities[at]))
	}
}

// doubt measures what doubt about a label is worth.
func (s *sample) doubt(at int) {
	l := &s.r.Labels[at]
	targets, patients := s.targets(at), s.patients()
	d := &evaluate.DoubtReport{Target: 1 - Alpha, Coverage: undefined(), MeanSize: undefined(), Single: undefined(), AUCConfident: undefined(),
		Accuracy: l.Accuracy, AccuracyOf: undefined(), AccuracyRest: undefined(), AUC: undefined(), Agreement: undefined(), Unusual: undefined()}
	l.Doubt = d
	var covered, single, right, unusual []bool
	var whose []string // of those for which it is known whether they are unusual
	var sizes, agreements []float64
	for i, p := range s.r.Predictions {
		if p.Doubt == nil {
			continue
		}
		if p.Doubt.Outlier != nil {
			unusual, whose = append(unusual, p.Doubt.Outlier.Flag), append(whose, p.Patient)
		}
		if len(p.Doubt.Labels) <= at {
			continue
		}
		of := p.Doubt.Labels[at]
		if of.Agreement.Defined() {
			agreements = append(agreements, float64(of.Agreement))
		}
		if of.Set != nil {
			covered, single = append(covered, slices.Contains(of.Set, targets[i])), append(single, len(of.Set) == 1)
			sizes = append(sizes, float64(len(of.Set)))
		}
		right = append(right, evaluate.Argmax(p.Probabilities[at]) == targets[i])
	}
	n := len(s.r.Predictions)
	if len(agreements) == n {
		d.Agreement = s.mean(agreements)
	}
	if len(unusual) > 0 {
		d.Unusual = evaluate.Share(unusual, whose)
	}
	if len(covered) != n {
		if d.Why = s.why; d.Why == "" {
			d.Why = "there are no prediction sets of these cases"
		}
		return
	}
	d.Coverage, d.Single, d.MeanSize = evaluate.Share(covered, patients), evaluate.Share(single, patients), s.mean(sizes)
	for class, name := range l.ClassNames {
		var hits []bool
		var of []string
		for i, t := range targets {
			if t == class {
				hits, of = append(hits, covered[i]), append(of, patients[i])
			}
		}
		d.PerClass = append(d.PerClass, evaluate.Class{Name: name, Cases: len(hits), Coverage: evaluate.Share(hits, of)})
	}
	confident, rest := []int{}, []int{}
	for i, p := range s.r.Predictions {
		// A set of one class that is not the predicted one is a doubt, too.
		if single[i] && p.Doubt.Labels[at].Set[0] == evaluate.Argmax(p.Probabilities[at]) && (p.Doubt.Outlier == nil || !p.Doubt.Outlier.Flag) {
			confident = append(confident, i)
		} else {
			rest = append(rest, i)
		}
	}
	d.Confident = len(confident)
	d.AccuracyOf, d.AccuracyRest = evaluate.Share(pick(right, confident), pick(patients, confident)), evaluate.Share(pick(right, rest), pick(patients, rest))
	d.AUC, d.AUCConfident = s.auc(at, nil), s.auc(at, confident)
}

// mean is that of numbers of all cases.
func (s *sample) mean(values []float64) evaluate.Estimate {
	b := bootstrap.Run(len(values), s.cluster, 1, func(weights, out []float64) {
		var n, sum float64
		for i, w := range weights {
			n, sum = n+w, sum+w*values[i]
		}
		out[0] = sum / n
	})
	return percentile(b, 0)
}

// auc is the area of class 1, or the mean over the classes, of some cases; of all for nil.
func (s *sample) auc(at int, cases []int) evaluate.Estimate {
	targets, probabilities, patients := s.targets(at), s.probabilities(at), s.patients()
	if cases != nil {
		targets, probabilities, patients = pick(targets, cases), pick(probabilities, cases), pick(patients, cases)
	}
	classes := len(s.r.Labels[at].ClassNames)
	if classes == 2 {
		truth, scores := make([]bool, len(targets)), make([]float64, len(targets))
		for i, t := range targets {
			truth[i], scores[i] = t == 1, probabilities[i][1]
		}
		e, err := evaluate.ClusteredAUC(truth, scores, patients)
		if err != nil {
			e = undefined()
			e.Why = fmt.Sprintf("%d cases: %v", len(targets), err)
		}
		return e
	}
	e := undefined()
	v, err := evaluate.MacroAUC(targets, probabilities, classes)
	if err != nil {
		e.Why = fmt.Sprintf("%d cases: %v", len(targets), err)
		return e
	}
	e.Value = evaluate.Number(v)
	return e
}
