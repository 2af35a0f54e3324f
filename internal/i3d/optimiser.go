package i3d

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/weights"
)

// update changes the parameters by the gradients and returns the norm of these.
func (t *Training) update(o StepOptions) (float64, error) {
	if o.Beta2 == 0 {
		return t.dev.Step(device.SGD{LR: o.LR, Momentum: o.Momentum, WeightDecay: o.WeightDecay, ClipNorm: o.ClipNorm, First: !t.started},
			t.params.flat, t.grads.flat, t.momentum.flat), nil
	}
	if err := t.addSecond(); err != nil {
		return 0, err
	}
	if !t.started {
		t.steps = 0
	}
	norm := t.dev.StepAdamW(device.AdamW{LR: o.LR, Beta1: o.Momentum, Beta2: o.Beta2, Eps: adamEps, WeightDecay: o.WeightDecay, ClipNorm: o.ClipNorm,
		Step: t.steps + 1}, t.params.flat, t.grads.flat, t.momentum.flat, t.second.flat)
	if norm >= 0 && numeric.Finite(norm) {
		t.steps++
	}
	return norm, nil
}

// addSecond allocates the second moments.
func (t *Training) addSecond() (err error) {
	if t.second == nil {
		t.second, err = t.params.layout.allocate(t.dev)
	}
	return err
}

// SecondMoment returns AdamW's second moment of every parameter and the number of its steps; empty before the first
// step, and with SGD.
func (t *Training) SecondMoment() (sd *weights.StateDict, steps int, err error) {
	defer device.Recover(&err)
	if !t.started || t.second == nil {
		return weights.NewStateDict(), 0, nil
	}
	sd = t.parametersOf()
	t.second.store(t.dev, sd)
	return sd, t.steps, nil
}

// LoadSecondMoment sets what SecondMoment returned; call it after LoadMomentum.
func (t *Training) LoadSecondMoment(sd *weights.StateDict, steps int) (err error) {
	defer device.Recover(&err)
	if sd.Len() == 0 {
		return nil
	}
	if err := t.checkParameters("second moment", sd); err != nil {
		return err
	}
	if err := t.addSecond(); err != nil {
		return err
	}
	t.second.load(t.dev, sd)
	t.steps = steps
	return nil
}

// checkParameters reports whether sd has every parameter in its shape.
func (t *Training) checkParameters(what string, sd *weights.StateDict) error {
	want := t.parametersOf()
	for _, n := range want.Names() {
		if _, err := sd.Want(n, want.Get(n).Shape...); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// average is the running average of the weights (Polyak & Juditsky 1992) and of the batch norms' statistics.
type average struct{ params, stats *memory }

// free gives the memory back; a may be nil.
func (a *average) free() {
	if a != nil {
		a.params.free()
		a.stats.free()
	}
}

// UpdateAverage moves the running average of weights and running statistics towards the current ones: average =
// keep*average + (1-keep)*now. The first call copies them. From then on EvalLoss uses the average.
func (t *Training) UpdateAverage(keep float64) (err error) {
	defer device.Recover(&err)
	if t.average == nil {
		keep = 0
		if err := t.addAverage(); err != nil {
			return err
		}
	}
	t.dev.Average(t.average.params.flat, t.params.flat, keep)
	t.dev.Average(t.average.stats.flat, t.stats.flat, keep)
	t.stale = true
	return nil
}

func (t *Training) addAverage() error {
	params, err := t.params.layout.allocate(t.dev)
	if err != nil {
		return err
	}
	stats, err := t.stats.layout.allocate(t.dev)
	if err != nil {
		params.free()
		return err
	}
	t.average = &average{params, stats}
	return nil
}

// Predicting returns the state that predicts best: the running average where there is one, else State.
func (t *Training) Predicting() (sd *weights.StateDict, err error) {
	defer device.Recover(&err)
	return t.predicting(), nil
}

func (t *Training) predicting() *weights.StateDict {
	sd := t.state()
	if t.average != nil {
		t.average.params.store(t.dev, sd)
		t.average.stats.store(t.dev, sd)
	}
	return sd
}

// HasAverage reports whether there is a running average of the weights.
func (t *Training) HasAverage() bool { return t.average != nil }

// LoadAverage sets the running average to what Predicting returned; call it after Load.
func (t *Training) LoadAverage(sd *weights.StateDict) (err error) {
	defer device.Recover(&err)
	if err := CheckStateDict(t.cfg, sd); err != nil {
		return err
	}
	if t.average == nil {
		if err := t.addAverage(); err != nil {
			return err
		}
	}
	t.average.params.load(t.dev, sd)
	t.average.stats.load(t.dev, sd)
	t.stale = true
	return nil
}

// LossScale is where a device that scales the loss stands, see device.LossScaler. ok is false on other devices.
func (t *Training) LossScale() (scale float64, good int, ok bool) {
	d, ok := t.dev.(device.LossScaler)
	if ok {
		scale, good = d.LossScale()
	}
	return scale, good, ok
}

// SetLossScale resumes from what LossScale returned; other devices ignore it.
func (t *Training) SetLossScale(scale float64, good int) (err error) {
	defer device.Recover(&err)
	if d, ok := t.dev.(device.LossScaler); ok {
		d.SetLossScale(scale, good)
	}
	return nil
}
