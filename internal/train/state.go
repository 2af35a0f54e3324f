package train

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// state is where a training stands; with the weights and momenta it is all that continuing needs, since every sample
// follows from the seed and its position.
type state struct {
	Recipe Recipe `json:"recipe"`
	Epoch  int    `json:"epoch"` // epochs that have ended
	History
	// Losses of the iterations of the epoch under way.
	TrainPart []float64 `json:"train_losses_of_epoch"`
	ValPart   []float64 `json:"val_losses_of_epoch"`
	measures
	Restarts []Restart `json:"restarts,omitempty"`
	Seconds  float64   `json:"seconds_trained"`
	// OptimiserSteps is how many steps AdamW has made, for its correction of the moments' bias.
	OptimiserSteps int    `json:"optimiser_steps,omitempty"`
	Precision      string `json:"precision"` // of the device that trained last; weights and momenta are float32 in any case
	// LossScale is where a device that scales the loss stands.
	LossScale *lossScale `json:"loss_scale,omitempty"`
}

// lossScale is the state of a device.LossScaler.
type lossScale struct {
	Scale float64 `json:"scale"`
	Good  int     `json:"good_steps"` // since it last changed
}

// further reports whether s stands later in the training than other.
func (s state) further(other state) bool {
	if len(s.Restarts) != len(other.Restarts) {
		return len(s.Restarts) > len(other.Restarts)
	}
	if s.Epoch != other.Epoch {
		return s.Epoch > other.Epoch
	}
	return len(s.TrainPart)+len(s.ValPart) > len(other.TrainPart)+len(other.ValPart)
}

// at says where the training stands.
func (s state) at() string {
	switch {
	case len(s.ValPart) > 0:
		return fmt.Sprintf("epoch %d, validation iteration %d of %d", s.Epoch+1, len(s.ValPart), s.Recipe.ValIterations)
	case len(s.TrainPart) > 0:
		return fmt.Sprintf("epoch %d, iteration %d of %d", s.Epoch+1, len(s.TrainPart), s.Recipe.Iterations)
	case s.Epoch == 0:
		return "the start"
	}
	return fmt.Sprintf("the end of epoch %d", s.Epoch)
}

// saved is a checkpoint with the state of its training.
type saved struct {
	*checkpoint.Checkpoint
	name  string
	state state
}

// readSaved reads one checkpoint of the fold and checks that it belongs to the plans.
func (t *trainer) readSaved(name string) (*saved, error) {
	c, err := checkpoint.Read(t.foldDir, name)
	if err != nil {
		return nil, err
	}
	path := checkpoint.Path(t.foldDir, name)
	if err := c.Model.Check(t.o.Task, t.config.InChannels, t.config.Outputs); err != nil {
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
func (t *trainer) lastSaved() (*saved, error) {
	var last *saved
	var problems []error
	for _, name := range []string{checkpoint.Final, checkpoint.Latest, checkpoint.Best, checkpoint.Healthy} {
		s, err := t.readSaved(name)
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
		return nil, task.NotTrained(remedy.With(fmt.Errorf("%w to continue from in %s; start the training anew", checkpoint.ErrNotFound, t.foldDir), remedy.Unset{Option: remedy.ContinueTraining}))
	}
	for _, err := range problems {
		t.log.warn("passed over: %v", err)
	}
	return last, nil
}

// setAside keeps what a former training of the fold left until the new one has ended.
func (t *trainer) setAside() error {
	// A former training that never got beyond its first checkpoints left nothing worth keeping.
	if s, err := t.readSaved(checkpoint.Latest); err == nil && !s.state.further(state{}) {
		for _, name := range []string{checkpoint.Latest, checkpoint.Healthy} {
			if err := checkpoint.Remove(t.foldDir, name); err != nil {
				return err
			}
		}
	}
	validations, err := evaluate.Validations(t.foldDir)
	if err != nil {
		return err
	}
	moved, err := checkpoint.SetAside(t.foldDir, validations...)
	if err != nil {
		return err
	}
	if len(moved) > 0 {
		t.log.warn("%s", remedy.Notef("%s holds a former training. It is kept as %s until the new one has ended; to go on with it instead, stop, rename it back and continue",
			t.foldDir, strings.Join(moved, ", ")).See(remedy.Set{Option: remedy.ContinueTraining}))
	}
	return nil
}

// save writes a checkpoint of the training as it stands. Weights that are not finite are refused.
func (t *trainer) save(name string) error {
	began := time.Now()
	c, err := t.snapshot()
	if err != nil {
		return err
	}
	if c.Origin, err = t.savedOrigin(); err != nil {
		return err
	}
	if bad := notFinite(c.Weights); bad != "" {
		return fmt.Errorf("%w: %s contains non-finite values", ErrDiverged, bad)
	}
	s := t.state
	s.Seconds += time.Since(t.began).Seconds()
	s.Precision = t.device.Precision()
	s.LossScale = nil
	if scale, good, ok := t.network.LossScale(); ok {
		s.LossScale = &lossScale{scale, good}
	}
	if err := checkpoint.Write(t.foldDir, name, c, s); err != nil {
		return err
	}
	t.savedAt = time.Now()
	t.pace.saved(time.Since(began), copies(c))
	t.log.quiet("saved %s at %s in %s", filepath.Base(checkpoint.Path(t.foldDir, name)), t.state.at(), span(time.Since(began)))
	return nil
}

// snapshot copies the weights and the optimiser's state from the device, and counts its steps.
func (t *trainer) snapshot() (c *checkpoint.Checkpoint, err error) {
	c = &checkpoint.Checkpoint{
		Model: checkpoint.Model{Task: t.o.Task, Trainer: t.o.Trainer, Fold: t.o.Fold, Inputs: t.config.InChannels, Outputs: t.config.Outputs, Epochs: t.state.Epoch},
	}
	if c.Weights, err = t.network.Predicting(); err != nil {
		return nil, err
	}
	if c.Momentum, err = t.network.Momentum(); err != nil {
		return nil, err
	}
	if t.network.HasAverage() {
		if c.Current, err = t.network.State(); err != nil {
			return nil, err
		}
	}
	if c.Second, t.state.OptimiserSteps, err = t.network.SecondMoment(); err != nil {
		return nil, err
	}
	return c, nil
}

// notFinite names the first tensor with an infinite or undefined value.
func notFinite(sd *weights.StateDict) string {
	for _, name := range sd.Names() {
		if !numeric.AllFinite(sd.Get(name).F32) {
			return name
		}
	}
	return ""
}
