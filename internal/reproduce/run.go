package reproduce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/crossvalidation"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/train"
)

// Options say where and with what a lock is run again.
type Options struct {
	Source
	Out        string // folder that takes the place of the folder of results
	Device     string // default: the kind of device that each fold was trained on
	GPU        open.GPU
	Threads    int    // of the network on the CPU, default all; no bit depends on it
	Workers    int    // that prepare samples, default as train's; nor on this
	Pretrained string // file of the weights that the folds started from, if they did
	NoWait     bool
}

// Outcome is what came of running a lock again.
type Outcome struct {
	// Bits says that equal bits are promised: the same build and kernels on the same kind of device, which on a GPU
	// must have been told to be deterministic.
	Bits   bool           `json:"bits_promised"`
	Why    string         `json:"why_not,omitempty"` // they are not
	Folds  []FoldOutcome  `json:"folds"`
	Values []ValueOutcome `json:"values"`
	// Reproduced is set if every fold has the same bits, or, where those are not promised, if every area and every
	// accuracy lies within the locked 95 % interval.
	Reproduced bool `json:"reproduced"`

	Model  string           `json:"model"` // folder of the new model
	Report *evaluate.Report `json:"-"`
}

// FoldOutcome compares a fold.
type FoldOutcome struct {
	Fold        string `json:"fold"`
	Weights     bool   `json:"same_weights"`
	Predictions bool   `json:"same_predictions"`
	Device      string `json:"device"`
}

// ValueOutcome compares a measure.
type ValueOutcome struct {
	Label   string            `json:"label"`
	Measure string            `json:"measure"`
	Locked  evaluate.Estimate `json:"locked"`
	Now     evaluate.Estimate `json:"now"`
	Agrees  bool              `json:"agrees"` // within the locked interval, or neither is defined
}

// ErrOtherLock is wrapped by the error about a folder that holds what was made from another lock.
var ErrOtherLock = errors.New("the folder holds a reproduction of another lock")

// ErrPretrained is wrapped by the error about pretrained weights that are not given, or are others.
var ErrPretrained = errors.New("its training needs the file of the weights that it started from,")

// Run trains and validates the folds of a lock into o.Out and compares what comes of it. A run that was stopped is
// continued. findings are those of Check, in which data must not differ.
func Run(ctx context.Context, l *Lock, findings []Finding, o Options, r progress.Reporter) (*Outcome, error) {
	if err := l.claim(o.Out); err != nil {
		return nil, err
	}
	o.Folders.Results = o.Out
	if err := o.checkPretrained(l); err != nil {
		return nil, err
	}
	for _, f := range l.Folds {
		options, err := o.training(f)
		if err != nil {
			return nil, fmt.Errorf("fold %s: %w", f.Fold, err)
		}
		if _, err := train.Run(ctx, options, r); err != nil {
			return nil, fmt.Errorf("fold %s: %w", f.Fold, err)
		}
		if f.Checkpoint == checkpoint.Best { // Run validates the last weights
			options.ValidationOnly, options.ValBest, options.Continue = true, true, false
			if _, err := train.Run(ctx, options, r); err != nil {
				return nil, fmt.Errorf("fold %s: %w", f.Fold, err)
			}
		}
	}
	return l.outcome(findings, o)
}

// claim makes the folder and notes which lock it is for.
func (l *Lock) claim(dir string) error {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, File)
	there, err := Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l.Write(path)
	case err != nil:
		return err
	}
	before, err := provenance.DigestJSON(there)
	if err != nil {
		return err
	}
	if now, err := provenance.DigestJSON(l); err != nil || before != now {
		return errors.Join(err, fmt.Errorf("%s: %w; choose another folder", dir, ErrOtherLock))
	}
	return nil
}

// checkPretrained wants the file with the weights that the folds started from.
func (o *Options) checkPretrained(l *Lock) error {
	for _, f := range l.Folds {
		switch {
		case f.Pretrained == "":
			continue
		case o.Pretrained == "":
			return fmt.Errorf("fold %s: %w with digest %s", f.Fold, ErrPretrained, f.Pretrained)
		}
		digest, err := provenance.DigestFile(o.Pretrained)
		if err != nil {
			return err
		}
		if digest != f.Pretrained {
			return fmt.Errorf("%s has digest %s, but fold %s: %w with digest %s", o.Pretrained, digest, f.Fold, ErrPretrained, f.Pretrained)
		}
	}
	return nil
}

// training are the options of a fold's training.
func (o *Options) training(f Fold) (train.Options, error) {
	recipe := new(train.Recipe)
	if err := json.Unmarshal(f.Recipe, recipe); err != nil {
		return train.Options{}, err
	}
	t := train.Options{
		Folders: o.Folders, Task: o.Task, Trainer: o.Trainer, Plans: o.Plans, Fold: f.Fold,
		Adjust:              func(r *train.Recipe) { *r = *recipe },
		AllowPatientOverlap: true, AllowDuplicates: true, // as it was then
		Device: o.Device, GPU: o.GPU, Threads: o.Threads, Workers: o.Workers, FP32: f.FP32, Deterministic: f.Deterministic, NoWait: o.NoWait,
	}
	t.Continue = checkpoint.Any(o.Folders.Fold(o.Task, o.Trainer, o.Plans, f.Fold))
	t.KeepValidation = t.Continue
	if t.Device == "" {
		t.Device = kind(f.Device)
	}
	if f.Pretrained != "" {
		t.PretrainedWeights = o.Pretrained
	}
	return t, nil
}

// kind is the kind of a device by its name: "cpu", or else the best there is.
func kind(device string) string {
	if strings.HasPrefix(device, "cpu") {
		return "cpu"
	}
	return "auto"
}

// outcome compares the folds that are trained and validated in o.Out with the lock.
func (l *Lock) outcome(findings []Finding, o Options) (*Outcome, error) {
	var names []string
	for _, f := range l.Folds {
		names = append(names, f.Fold)
	}
	measured, err := crossvalidation.Measure(crossvalidation.Options{Folders: o.Folders, Task: o.Task, Trainer: o.Trainer, Plans: o.Plans, Folds: names, Warn: func(error) {}})
	if err != nil {
		return nil, err
	}
	out := &Outcome{Bits: bitsPromised(findings), Model: measured.Model, Report: measured.Report}
	if !out.Bits {
		out.Why = "the program or the processor is another one"
	}
	sameBits := true
	for _, locked := range l.Folds {
		now, err := o.fold(locked.Fold)
		if err != nil {
			return nil, fmt.Errorf("fold %s: %w", locked.Fold, err)
		}
		if !sameCases(locked.Training, now.Training) || !sameCases(locked.Validation, now.Validation) || !same(locked.Recipe, now.Recipe) {
			return nil, fmt.Errorf("fold %s: it was not trained by the recipe and on the cases of the lock", locked.Fold)
		}
		if why := otherDevice(locked, *now); why != "" && out.Bits {
			out.Bits, out.Why = false, why
		}
		f := FoldOutcome{Fold: locked.Fold, Weights: locked.Weights == now.Weights, Predictions: locked.Results == now.Results, Device: now.Device}
		sameBits = sameBits && f.Weights && f.Predictions
		out.Folds = append(out.Folds, f)
	}
	out.Values = compareResults(l.Results, results(measured.Report))
	out.Reproduced = sameBits
	if !out.Bits && !sameBits {
		out.Reproduced = true
		for _, v := range out.Values {
			out.Reproduced = out.Reproduced && v.Agrees
		}
	}
	return out, nil
}

// otherDevice says why two trainings need not have the same bits.
func otherDevice(a, b Fold) string {
	without := func(device string) string { // the number of threads, on which no bit depends
		name, _, _ := strings.Cut(device, ",")
		return name
	}
	switch {
	case without(a.Device) != without(b.Device):
		return fmt.Sprintf("fold %s was trained on %s, now on %s", a.Fold, a.Device, b.Device)
	case a.Precision != b.Precision:
		return fmt.Sprintf("fold %s was trained in %s, now in %s", a.Fold, a.Precision, b.Precision)
	case kind(a.Device) != "cpu" && !a.Deterministic:
		return fmt.Sprintf("fold %s was trained on a GPU that was not told to be deterministic", a.Fold)
	}
	return ""
}

// compareResults sets the measures next to each other.
func compareResults(locked, now []Label) []ValueOutcome {
	var out []ValueOutcome
	add := func(label, measure string, a, b evaluate.Estimate) {
		agrees := !a.Value.Defined() && !b.Value.Defined() || a.Low <= b.Value && b.Value <= a.High
		out = append(out, ValueOutcome{label, measure, a, b, agrees})
	}
	for i, l := range locked {
		if i >= len(now) || now[i].Name != l.Name || len(now[i].Values) != len(l.Values) {
			none := evaluate.Estimate{}
			out = append(out, ValueOutcome{l.Name, "accuracy", l.Accuracy, none, false})
			continue
		}
		add(l.Name, "accuracy", l.Accuracy, now[i].Accuracy)
		for k, v := range l.Values {
			add(l.Name, "AUC "+v.Name, v.AUC, now[i].Values[k].AUC)
		}
	}
	return out
}
