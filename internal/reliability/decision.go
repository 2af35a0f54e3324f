package reliability

import (
	"math"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/evaluate"
)

// percents are the thresholds of a decision curve: 0.01 to 0.99.
const percents = 99

// decisionCurves adds the net benefit of acting on the probability of every class.
func (s *sample) decisionCurves(at int, o Options) {
	l := &s.r.Labels[at]
	targets, raw, calibrated := s.targets(at), s.probabilities(at), s.calibrated(at)
	for k := range l.Values {
		v := &l.Values[k]
		if v.Positives == 0 || v.Negatives == 0 {
			continue
		}
		share := float64(v.Positives) / float64(len(targets))
		prevalence, stated := o.prevalence(l, v)
		if !stated {
			prevalence = share
		}
		c := &evaluate.DecisionCurve{Prevalence: evaluate.Number(prevalence), Calibrated: calibrated != nil}
		used := raw
		if c.Calibrated {
			used = calibrated
		}
		curve := func(probabilities [][]float64) *bootstrap.Resamples {
			// A probability learned at one prevalence is moved to the other: Bayes, as for the predictive values.
			shift := 1.0
			if stated {
				shift = prevalence / (1 - prevalence) / (share / (1 - share))
			}
			last := make([]int, len(targets)) // thresholds that a case reaches
			for i, p := range probabilities {
				odds := p[v.Value] / math.Max(1-p[v.Value], 0) * shift
				moved := odds / (1 + odds)
				if math.IsInf(odds, 1) {
					moved = 1
				}
				last[i] = max(0, min(int(moved*(percents+1)+1e-9), percents))
			}
			return bootstrap.Run(len(targets), s.cluster, percents, func(weights, out []float64) {
				var reached [percents + 1][2]float64
				var all [2]float64
				for i, w := range weights {
					side := 0
					if targets[i] == v.Value {
						side = 1
					}
					reached[last[i]][side] += w
					all[side] += w
				}
				at := all[1] / (all[0] + all[1])
				if stated {
					at = prevalence
				}
				var beyond [2]float64
				for t := percents; t >= 1; t-- {
					beyond[0] += reached[t][0]
					beyond[1] += reached[t][1]
					out[t-1] = netBenefit(beyond[1]/all[1], beyond[0]/all[0], at, float64(t)/(percents+1))
				}
			})
		}
		b := curve(used)
		for t := range percents {
			threshold := float64(t+1) / (percents + 1)
			low, high := b.Percentile(t)
			c.Thresholds = append(c.Thresholds, evaluate.Number(threshold))
			c.Model, c.Low, c.High = append(c.Model, evaluate.Number(b.Values[t])), append(c.Low, evaluate.Number(low)), append(c.High, evaluate.Number(high))
			c.TreatAll = append(c.TreatAll, evaluate.Number(netBenefit(1, 1, prevalence, threshold)))
		}
		if c.Calibrated {
			for _, n := range curve(raw).Values {
				c.Raw = append(c.Raw, evaluate.Number(n))
			}
		}
		v.DecisionCurve = c
	}
}

// netBenefit is true positives less false ones, which count as much as a threshold says that a benefit is worth harm,
// per case.
func netBenefit(truePositiveRate, falsePositiveRate, prevalence, threshold float64) float64 {
	return truePositiveRate*prevalence - falsePositiveRate*(1-prevalence)*threshold/(1-threshold)
}
