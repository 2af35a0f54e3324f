package reliability

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/calibrate"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/numeric"
)

// calibrate fits the temperatures of a label and applies those of the other parts to the cases of each.
func (s *sample) calibrate(at int) {
	l := &s.r.Labels[at]
	c := &evaluate.CalibrationReport{Parts: s.kind}
	l.Calibration = c
	if c.Why = s.why; c.Why != "" {
		return
	}
	logits := make([][]float64, len(s.r.Predictions))
	for i, p := range s.r.Predictions {
		logits[i] = p.Logits[at]
		for _, v := range logits[i] {
			if !numeric.Finite(v) {
				c.Why = "the logits of case " + p.Case + " are not finite"
				return
			}
		}
	}
	targets := s.targets(at)
	whole, bound, err := fitTemperature(logits, targets)
	if err != nil {
		c.Why = err.Error()
		return
	}
	c.Temperature = &evaluate.Temperature{Cases: len(targets), Value: evaluate.Number(whole), Bound: bound}
	for _, part := range s.parts() {
		others := s.others(part)
		t := evaluate.Temperature{Part: part, Cases: len(others)}
		value, bound, err := fitTemperature(pick(logits, others), pick(targets, others))
		if t.Value, t.Bound = evaluate.Number(value), bound; err != nil {
			t.Value, t.Bound = 1, "not fitted: "+err.Error()
		}
		c.Nested = append(c.Nested, t)
		for _, i := range s.of(part) {
			p := &s.r.Predictions[i]
			if p.Calibrated == nil {
				p.Calibrated = make([][]float64, len(s.r.Labels))
			}
			p.Calibrated[at] = calibrate.Apply(logits[i], float64(t.Value))
		}
	}
}

// minFitted is the least number of cases that a temperature is fitted to: fewer are told apart without an error, or not
// at all, too easily.
const minFitted = 20

func fitTemperature(logits [][]float64, targets []int) (temperature float64, bound string, err error) {
	if len(targets) < minFitted {
		return 0, "", fmt.Errorf("%d cases to learn from, expected at least %d", len(targets), minFitted)
	}
	return calibrate.Temperature(logits, targets)
}

// measureCalibration measures the raw and the calibrated probabilities of a label.
func (s *sample) measureCalibration(at int) {
	l := &s.r.Labels[at]
	if l.Calibration == nil {
		l.Calibration = &evaluate.CalibrationReport{}
	}
	c := l.Calibration
	c.Method = s.method()
	c.Before = s.measures(at, s.probabilities(at))
	if calibrated := s.calibrated(at); calibrated != nil {
		after := s.measures(at, calibrated)
		c.After = &after
	} else if c.Why == "" {
		c.Why = "the predictions have no calibrated probabilities"
	}
}

// Places of the measures among those that are drawn again; slopes and intercepts follow.
const (
	atLogLoss = iota
	atBrier
	atReliability
	atResolution
	atUncertainty
	atECE
	atDebiased
	measuresOfAll
)

func (s *sample) measures(at int, probabilities [][]float64) evaluate.CalibrationMeasures {
	l := &s.r.Labels[at]
	of := calibrate.NewSample(probabilities, s.targets(at), len(l.ClassNames))
	classes := len(of.Classes())
	b := bootstrap.Run(len(probabilities), s.cluster, measuresOfAll+2*classes, func(weights, out []float64) {
		m := of.Measure(weights)
		copy(out, []float64{m.LogLoss, m.Brier, m.Reliability, m.Resolution, m.Uncertainty, m.ECE, m.DebiasedRMS})
		for k := range classes {
			out[measuresOfAll+2*k], out[measuresOfAll+2*k+1] = of.Slope(k, weights), of.Intercept(k, weights)
		}
	})
	all := evaluate.CalibrationMeasures{
		LogLoss: percentile(b, atLogLoss), BrierScore: percentile(b, atBrier), Reliability: basic(b, atReliability),
		Resolution: percentile(b, atResolution), Uncertainty: percentile(b, atUncertainty), ECE: basic(b, atECE), DebiasedRMS: basic(b, atDebiased),
		WithinBins: evaluate.Number(b.Values[atBrier] - (b.Values[atReliability] - b.Values[atResolution] + b.Values[atUncertainty])),
	}
	targets, patients := s.targets(at), s.patients()
	for k, class := range of.Classes() {
		c := evaluate.ClassCalibration{Value: class, Name: l.ClassNames[class], Slope: percentile(b, measuresOfAll+2*k), Intercept: percentile(b, measuresOfAll+2*k+1)}
		if math.IsNaN(b.Values[measuresOfAll+2*k]) {
			c.Slope.Why = "the logistic regression has no maximum: one class alone, equal probabilities, or classes told apart without an error"
		}
		for _, bin := range of.Bins(k) {
			hits := make([]bool, len(bin.Cases))
			for j, i := range bin.Cases {
				hits[j] = targets[i] == class
			}
			c.Bins = append(c.Bins, evaluate.CalibrationBin{Low: bin.Low, High: bin.High, Cases: len(bin.Cases), Probability: evaluate.Number(bin.Probability),
				Share: evaluate.Share(hits, pick(patients, bin.Cases))})
		}
		all.Classes = append(all.Classes, c)
	}
	return all
}
