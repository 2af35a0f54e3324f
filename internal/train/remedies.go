package train

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// InterruptedError is that of a training which was stopped and has kept a checkpoint to continue from.
type InterruptedError struct {
	Task, Trainer, Plans, Fold string
	At                         string // how far the training has come
	Cause                      error  // the context's error, or why cases can no longer be read
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("%v at %s; continue it from there", ErrInterrupted, e.At)
}

func (e *InterruptedError) Unwrap() []error { return []error{ErrInterrupted, e.Cause} }

// Remedies is to continue the training.
func (e *InterruptedError) Remedies() []remedy.Remedy {
	return []remedy.Remedy{remedy.Train{Trainer: e.Trainer, Plans: e.Plans, Task: e.Task, Fold: e.Fold, Mode: remedy.Continue}}
}

// NotPlannedError is that of a task without plans.
type NotPlannedError struct {
	Task string
	Err  error // names the file that is missing
}

func (e *NotPlannedError) Error() string {
	return fmt.Sprintf("%s is not planned yet: %v; plan and preprocess it first", e.Task, e.Err)
}

func (e *NotPlannedError) Unwrap() []error { return []error{e.Err, task.ErrNotPreprocessed} }

// Remedies is to plan the task.
func (e *NotPlannedError) Remedies() []remedy.Remedy {
	return []remedy.Remedy{remedy.Plan{Task: e.Task}}
}

// replan is to plan and preprocess the task again.
func (j *job) replan() remedy.Remedy { return remedy.Plan{Task: j.o.Task} }

// retrain is to train the fold from scratch, to continue its training or to validate it again.
func (j *job) retrain(mode remedy.Mode) remedy.Remedy {
	return remedy.Train{Trainer: j.o.Trainer, Plans: j.o.Plans, Task: j.o.Task, Fold: j.o.Fold, Mode: mode}
}
