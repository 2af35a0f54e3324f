package train

import (
	"errors"
	"fmt"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// saved is a checkpoint with the state of its training.
type saved struct {
	*checkpoint.Checkpoint
	name  string
	state state
}

// readSaved reads one checkpoint of the fold and checks that it belongs to the plans.
func (f *fold) readSaved(name string) (*saved, error) {
	c, err := checkpoint.Read(f.foldDir, name)
	if err != nil {
		return nil, err
	}
	path := checkpoint.Path(f.foldDir, name)
	if err := c.Model.Check(f.o.Task, f.config.InChannels, f.config.Outputs); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &saved{Checkpoint: c, name: name}
	if err := c.Training(&s.state); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := s.state.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// lastSaved is the checkpoint that stands furthest in the training. One that cannot be read is reported and passed
// over.
func (f *fold) lastSaved() (*saved, error) {
	var last *saved
	var problems []error
	for _, name := range []string{checkpoint.Final, checkpoint.Latest, checkpoint.Best, checkpoint.Healthy} {
		s, err := f.readSaved(name)
		switch {
		case errors.Is(err, checkpoint.ErrNotFound):
		case err != nil:
			problems = append(problems, err)
		case last == nil || s.state.further(last.state):
			last = s
		}
	}
	if last == nil {
		if len(problems) > 0 {
			return nil, fmt.Errorf("no checkpoint to continue from: %w", errors.Join(problems...))
		}
		return nil, task.NotTrained(remedy.With(fmt.Errorf("%w to continue from in %s; start the training anew", checkpoint.ErrNotFound, f.foldDir), remedy.Unset{Option: remedy.ContinueTraining}))
	}
	for _, err := range problems {
		f.log.warn("passed over: %v", err)
	}
	return last, nil
}

// trained is a network to be validated.
type trained struct {
	weights    *weights.StateDict
	checkpoint string           // its name
	origin     *provenance.Fold // nil where the checkpoint does not say
	state      state            // at the end of its training
}

// trained is the network that -val validates.
func (f *fold) trained() (*trained, error) {
	name := checkpoint.Final
	if f.o.ValBest {
		name = checkpoint.Best
		if !checkpoint.Exists(f.foldDir, name) {
			f.log.warn("there is no %s; validating the last checkpoint instead", checkpoint.Best)
			last, err := f.lastSaved()
			if err != nil {
				return nil, err
			}
			return f.toValidate(last.name, last.Checkpoint, last.state)
		}
	}
	c, err := checkpoint.Read(f.foldDir, name)
	if errors.Is(err, checkpoint.ErrNotFound) {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("fold %s of %s is not trained: %w; train it first, or continue its training", f.o.Fold, f.o.Task, err),
			f.retrain(remedy.Anew), remedy.Set{Option: remedy.ContinueTraining}))
	}
	if err != nil {
		return nil, err
	}
	if err := c.Model.Check(f.o.Task, f.config.InChannels, f.config.Outputs); err != nil {
		return nil, fmt.Errorf("%s: %w", checkpoint.Path(f.foldDir, name), err)
	}
	var s state
	if c.Training(&s) != nil { // weights brought from elsewhere validate as well
		s = state{}
	}
	return f.toValidate(name, c, s)
}

// toValidate is the network of a checkpoint, if it may be validated.
func (f *fold) toValidate(name string, c *checkpoint.Checkpoint, s state) (*trained, error) {
	if err := f.mayValidate(name, c); err != nil {
		return nil, err
	}
	return &trained{c.Weights, name, c.Origin, s}, nil
}

// setAside keeps what a former training of the fold left until the new one has ended.
func (f *fold) setAside() error {
	// A former training that never got beyond its first checkpoints left nothing worth keeping.
	if s, err := f.readSaved(checkpoint.Latest); err == nil && !s.state.further(state{}) {
		for _, name := range []string{checkpoint.Latest, checkpoint.Healthy} {
			if err := checkpoint.Remove(f.foldDir, name); err != nil {
				return err
			}
		}
	}
	validations, err := evaluate.Validations(f.foldDir)
	if err != nil {
		return err
	}
	moved, err := checkpoint.SetAside(f.foldDir, validations...)
	if err != nil {
		return err
	}
	if len(moved) > 0 {
		f.log.warn("%s", remedy.Notef("%s holds a former training. It is kept as %s until the new one has ended; to go on with it instead, stop, rename it back and continue",
			f.foldDir, strings.Join(moved, ", ")).See(remedy.Set{Option: remedy.ContinueTraining}))
	}
	return nil
}
