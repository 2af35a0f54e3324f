package train

import (
	"errors"
	"fmt"
	"slices"

	"github.com/universal-classifier/uc/internal/checkpoint"
)

const (
	restartFactor = 0.25 // of the learning rate, at each restart
	healthyParts  = 10   // of a training, at whose ends a network that is healthy is kept to return to
)

// Restart is a return to an earlier point of a training that had collapsed, with a lower learning rate.
type Restart struct {
	After        int     `json:"after_epochs"` // that had ended when the collapse was found
	To           int     `json:"to_epoch"`     // epochs that had ended at the point it returned to
	Why          string  `json:"why"`
	LearningRate float64 `json:"initial_lr"` // from then on
}

// slowed is the recipe with the learning rate that the restarts so far have left of it. The recipe itself stays as it
// was given, so that the command that began the training also continues it.
func (s *state) slowed() Recipe {
	p := s.Recipe
	for range s.Restarts {
		p.LearningRate *= restartFactor
	}
	return p
}

// collapse is the error of an epoch after which it is useless to continue at the current learning rate.
type collapse struct {
	why   string
	cause error // nil if the training could continue
}

func (c *collapse) Error() string { return c.why }
func (c *collapse) Unwrap() error { return c.cause }

// mayRestart reports whether the recipe has a restart left and there is a point to return to.
func (t *training) mayRestart() bool {
	return len(t.state.Restarts) < t.state.Recipe.Restarts && checkpoint.Exists(t.foldDir, checkpoint.Healthy)
}

// recover returns to the last healthy point after an epoch that ended with a collapse or because loss or gradient were
// not finite. It returns the epoch's error if that is something else, comes from the cases themselves, or if no restart
// is left.
func (t *training) recover(err error) error {
	var c *collapse
	switch {
	case errors.As(err, &c):
	case !errors.Is(err, ErrDiverged) || errors.Is(err, errBrokenCase):
		return err
	case !t.mayRestart():
		if n := len(t.state.Restarts); n > 0 {
			err = fmt.Errorf("%w; it had been restarted %d times, the last time with an initial learning rate of %g", err, n, t.state.Restarts[n-1].LearningRate)
		}
		return err
	default:
		t.log.warn("%v", err)
		c = &collapse{why: "not finite", cause: err}
	}
	return t.restart(c)
}

// restart puts the training back to its last healthy point, with a lower learning rate. All that decides when, to where
// and how it continues is in the checkpoints, so a training that was killed meanwhile comes to the same restart again.
func (t *training) restart(c *collapse) error {
	back, err := t.readSaved(checkpoint.Healthy)
	if err != nil {
		return errors.Join(c.cause, fmt.Errorf("cannot return to the last healthy point: %w", err))
	}
	now := t.state
	t.state = back.state
	t.state.Recipe, t.state.Seconds = now.Recipe, now.Seconds
	t.state.BestValCriterionMA = now.BestValCriterionMA // model_best stays the best of all
	before := now.slowed().LearningRate
	t.state.Restarts = append(slices.Clone(now.Restarts), Restart{After: now.Epoch, To: back.state.Epoch, Why: c.why, LearningRate: before * restartFactor})
	t.log.warn("restart %d of %d: the training goes back to %s and on with an initial learning rate of %g instead of %g",
		len(t.state.Restarts), now.Recipe.Restarts, back.state.at(), before*restartFactor, before)

	t.loader.Close()
	if err := t.load(back); err != nil {
		return err
	}
	if err := t.setLossScale(); err != nil {
		return err
	}
	back = nil // before copies of its weights are made
	if err := t.save(checkpoint.Latest); err != nil {
		return err
	}
	t.watch()
	t.openEvents()
	t.startLoader()
	return nil
}

// setLossScale puts a device that scales the loss where the state says.
func (t *training) setLossScale() error {
	if t.state.LossScale == nil {
		return nil
	}
	return t.network.SetLossScale(t.state.LossScale.Scale, t.state.LossScale.Good)
}

// keepHealthy keeps the network as a point to return to, if it is one and one is due.
func (t *training) keepHealthy() error {
	p := t.state.Recipe
	if p.Restarts == 0 || t.state.Epoch%ceilDiv(p.Epochs, healthyParts) != 0 || !t.monitor.Healthy() {
		return nil
	}
	return t.save(checkpoint.Healthy)
}

// examine shows the epoch that has ended to the monitor and warns of what it finds. It returns a collapse if the
// training is to be restarted.
func (t *training) examine() error {
	var why string
	for _, f := range t.monitor.Observe(t.state.measured(t.state.Epoch - 1)) {
		t.log.warn("epoch %d: %s", t.state.Epoch, f)
		if f.Collapse && why == "" {
			why = string(f.Sign)
		}
	}
	switch {
	case why == "":
		return t.keepHealthy()
	case t.mayRestart():
		return &collapse{why: why}
	case len(t.state.Restarts) > 0:
		t.log.warn("the training has been restarted %d times and is not restarted again; see docs/how-to/when-it-does-not-learn.md", len(t.state.Restarts))
	}
	return nil
}
