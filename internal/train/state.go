package train

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/numeric"
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

// maxBatch is far more cases than any batch has.
const maxBatch = 1 << 16

// check refuses a state that no training leaves, before anything is computed or allocated by its numbers.
func (s state) check() error {
	p := s.Recipe
	switch {
	case p.Epochs < 1 || p.Iterations < 1 || p.ValIterations < 0 || p.BatchSize < 1 || p.BatchSize > maxBatch:
		return fmt.Errorf("its recipe has %d epochs of %d and %d iterations with a batch of %d; the file is damaged", p.Epochs, p.Iterations, p.ValIterations, p.BatchSize)
	case s.Epoch < 0 || len(s.TrainLosses) != s.Epoch || len(s.ValLosses) != s.Epoch:
		return fmt.Errorf("it has %d epochs, but losses of %d and %d; the file is damaged", s.Epoch, len(s.TrainLosses), len(s.ValLosses))
	case len(s.TrainPart) > p.Iterations || len(s.ValPart) > p.ValIterations:
		return fmt.Errorf("it stands at iterations %d and %d of %d and %d; the file is damaged", len(s.TrainPart), len(s.ValPart), p.Iterations, p.ValIterations)
	}
	return nil
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

// save writes a checkpoint of the training as it stands. Weights that are not finite are refused.
func (t *training) save(name string) error {
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
	s.Seconds += time.Since(t.clock.began).Seconds()
	s.Precision = t.device.Precision()
	s.LossScale = nil
	if scale, good, ok := t.network.LossScale(); ok {
		s.LossScale = &lossScale{scale, good}
	}
	if err := checkpoint.Write(t.foldDir, name, c, s); err != nil {
		return err
	}
	t.clock.savedAt = time.Now()
	t.pace.saved(time.Since(began), copies(c))
	t.log.quiet("saved %s at %s in %s", filepath.Base(checkpoint.Path(t.foldDir, name)), t.state.at(), span(time.Since(began)))
	return nil
}

// snapshot copies the weights and the optimiser's state from the device, and counts its steps.
func (t *training) snapshot() (c *checkpoint.Checkpoint, err error) {
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
