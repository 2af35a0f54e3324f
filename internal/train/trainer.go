package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/tensorboard"
	"github.com/universal-classifier/uc/internal/train/health"
)

// LockFile is the file in the folder of a fold that the process which trains or validates it locks.
const LockFile = "training.lock"

// trainer is one run over one fold.
type trainer struct {
	o        Options
	foldDir  string
	lock     *lockfile.Lock // nil where the file system has none
	log      *trainingLog
	plans    *plan.Plans
	config   i3d.Config
	data     *dataset.Dataset
	split    *split.ChosenSplit
	patients map[string]string // by case, where they are declared
	members  [2][]int          // indices into data of the training and the validation cases
	origin   *provenance.Fold  // what a fold trained now is made from, but for the recipe

	validated validated

	device  device.Device
	network *i3d.Training
	loader  *feed.Loader
	state   state
	monitor *health.Monitor
	memory  int64 // bytes, estimated, of the machine
	card    int64 // bytes, estimated, of the device's own memory; 0 if it has none

	events   *tensorboard.Writer // nil where it cannot be written
	pictured int                 // epoch of the last picture in it
	pace     pace

	saveEvery time.Duration

	began, firstDone, savedAt, drawnAt time.Time
	iterations                         int // of this run
	toldTime                           bool
}

// validated is the network that is validated.
type validated struct {
	checkpoint string           // name
	origin     *provenance.Fold // nil where its checkpoint does not say
}

// loadPlans reads the plans of the task.
func (t *trainer) loadPlans() (err error) {
	dir := t.o.Folders.PreprocessedTask(t.o.Task)
	if t.plans, err = loadPlans(t.o); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = &NotPlannedError{t.o.Task, err}
		}
		return err
	}
	if t.plans.TaskName != t.o.Task {
		return remedy.With(fmt.Errorf("%s: the plans are those of %s, not of %s; plan the task", dir, t.plans.TaskName, t.o.Task), t.replan())
	}
	t.config = i3d.Config{InChannels: t.plans.InputChannels(), Outputs: t.plans.Outputs()}
	return nil
}

// newTrainer opens everything a fold needs but the network: plans, cases, splits, log.
func newTrainer(o Options, r progress.Reporter) (t *trainer, err error) {
	t = &trainer{o: o, foldDir: o.Folders.Fold(o.Task, o.Trainer, o.Plans, o.Fold), began: time.Now(), saveEvery: saveEvery}
	if err := t.loadPlans(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(t.foldDir); errors.Is(err, fs.ErrNotExist) && (o.Continue || o.ValidationOnly) {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("fold %s of %s is not trained: %w in %s; train it first", o.Fold, o.Task, checkpoint.ErrNotFound, t.foldDir),
			t.retrain(remedy.Anew)))
	}
	if err := atomicfile.MkdirAll(t.foldDir); err != nil {
		return nil, err
	}
	t.lock, err = lockfile.Acquire(filepath.Join(t.foldDir, LockFile))
	unlocked := errors.Is(err, errors.ErrUnsupported)
	switch {
	case errors.Is(err, lockfile.ErrHeld):
		return nil, fmt.Errorf("%s is %w; wait for it or stop it, two trainings of one fold would overwrite each other's files", t.foldDir, err)
	case err != nil && !unlocked:
		return nil, err
	}
	if !unlocked {
		if err := t.clearLeftovers(); err != nil {
			t.unlock()
			return nil, err
		}
	}
	if t.log, err = openLog(t.foldDir, t.began, r); err != nil {
		t.unlock()
		return nil, err
	}
	defer func() {
		if err != nil {
			t.log.quiet("stopped: %v", err)
			t.close()
		}
	}()
	if unlocked {
		t.log.warn("the file system of %s has no locks: do not train this fold twice at the same time", t.foldDir)
	}
	t.device, err = open.Device(open.Options{Device: o.Device, GPU: o.GPU, Threads: o.Threads, Mixed: !o.FP32, Deterministic: o.Deterministic,
		Choice: func(text string) { t.log.note("%s", text) }})
	return t, err
}

func (t *trainer) close() {
	if t.loader != nil {
		t.loader.Close()
	}
	t.network.Free()
	if t.data != nil {
		t.data.Close()
	}
	if t.device != nil {
		t.device.Close()
	}
	t.closeEvents()
	t.log.close()
	t.unlock()
}

// unlock lets the next training have the fold.
func (t *trainer) unlock() {
	if t.lock != nil {
		_ = t.lock.Release() // the file is empty or has the name of a process that has ended
	}
}
