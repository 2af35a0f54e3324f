package train

import (
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
)

// Outlook is what a training will take, before it begins.
type Outlook struct {
	Steps  int
	FLOP   float64 // floating point operations of all steps and the validations between, counted as direct convolution
	Memory int64   // bytes of the machine, for a training on the CPU
}

// Look estimates a training by plans on so many cases of which a fifth validates.
func Look(o Options, p *plan.Plans, cases int) (out Outlook, err error) {
	if o.Fold == "" {
		o.Fold = "0"
	}
	if err := o.normalise(); err != nil {
		return out, err
	}
	const folds = 5
	val := max(1, cases/folds)
	t := &training{fold: &fold{job: &job{o: o}, plans: p, config: i3d.Config{InChannels: p.InputChannels(), Outputs: p.Outputs()}}}
	if t.state.Recipe, err = newRecipe(o, max(1, cases-val), val, p.Stage().BatchSize); err != nil {
		return out, err
	}
	if t.device, err = open.Device(open.Options{Device: "cpu", Threads: 1, Mixed: !o.FP32}); err != nil {
		return out, err
	}
	defer t.device.Close()
	if err := t.estimateMemory(); err != nil {
		return out, err
	}
	r := t.state.Recipe
	inference, step := i3d.FLOPs(t.config, r.BatchSize, p.Stage().ImageSize)
	out.Steps, out.Memory = r.iterations(), t.need.machine
	out.FLOP = float64(step)*float64(out.Steps) + float64(inference)*float64(r.Epochs*r.ValIterations)
	return out, nil
}
