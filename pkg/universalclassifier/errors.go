package universalclassifier

import (
	"context"
	"errors"

	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// Errors that callers may want to tell apart, with errors.Is. The errors that are returned wrap them and say more.
var (
	// ErrInterrupted is wrapped when a call was cut short by its context, whose error is wrapped, too. A training that was
	// interrupted has kept a checkpoint to continue from; one that can no longer read its cases, as when a file server has
	// gone, ends the same way without the context's error.
	ErrInterrupted = errors.New("interrupted")

	// ErrDiverged is wrapped when the loss of a training or its gradient is not finite.
	ErrDiverged = train.ErrDiverged

	// ErrNotPreprocessed is wrapped when a task must be preprocessed first, whole or in part.
	ErrNotPreprocessed = task.ErrNotPreprocessed

	// ErrNotTrained is wrapped when there is no trained model, or not of the fold that was asked for.
	ErrNotTrained = task.ErrNotTrained

	// ErrNoGPU is wrapped when a GPU was asked for by name and cannot be used. Device "auto" takes the CPU instead.
	ErrNoGPU = open.ErrNoGPU

	// ErrClosed is wrapped by calls to a Model that has been closed.
	ErrClosed = errors.New("the model is closed")
)

// interrupted is an error that wraps ErrInterrupted without telling of it.
type interrupted struct{ err error }

func (e *interrupted) Error() string   { return e.err.Error() }
func (e *interrupted) Unwrap() []error { return []error{e.err, ErrInterrupted} }

// public makes an error wrap ErrInterrupted if it comes from a context or a training that was stopped.
func public(err error) error {
	for _, kind := range []error{train.ErrInterrupted, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return &interrupted{err}
		}
	}
	return err
}
