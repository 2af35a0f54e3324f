package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// LockFile is the file in the folder of a fold that the process which trains or validates it locks.
const LockFile = "training.lock"

// job is one fold of a task that this process has to itself: its folder, the lock on that and its log. It opens and
// closes.
type job struct {
	o       Options
	foldDir string
	lock    *lockfile.Lock // nil where the file system has none
	log     *trainingLog
	began   time.Time

	saveEvery time.Duration // model_latest at least this often
}

// openJob takes hold of a fold of a task that is planned.
func openJob(o Options, r progress.Reporter) (*job, error) {
	j := &job{o: o, foldDir: o.Folders.Fold(o.Task, o.Trainer, o.Plans, o.Fold), began: time.Now(), saveEvery: saveEvery}
	if _, err := j.readPlans(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(j.foldDir); errors.Is(err, fs.ErrNotExist) && (o.Continue || o.ValidationOnly) {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("fold %s of %s is not trained: %w in %s; train it first", o.Fold, o.Task, checkpoint.ErrNotFound, j.foldDir),
			j.retrain(remedy.Anew)))
	}
	if err := atomicfile.MkdirAll(j.foldDir); err != nil {
		return nil, err
	}
	if err := j.acquire(); err != nil {
		return nil, err
	}
	if j.lock != nil {
		if err := j.clearLeftovers(); err != nil {
			j.unlock()
			return nil, err
		}
	}
	var err error
	if j.log, err = openLog(j.foldDir, j.began, r); err != nil {
		j.unlock()
		return nil, err
	}
	if j.lock == nil {
		j.log.warn("the file system of %s has no locks: do not train this fold twice at the same time", j.foldDir)
	}
	return j, nil
}

// acquire locks the fold, where the file system has locks.
func (j *job) acquire() (err error) {
	j.lock, err = lockfile.Acquire(filepath.Join(j.foldDir, LockFile))
	switch {
	case errors.Is(err, lockfile.ErrHeld):
		return fmt.Errorf("%s is %w; wait for it or stop it, two trainings of one fold would overwrite each other's files", j.foldDir, err)
	case errors.Is(err, errors.ErrUnsupported):
		j.lock = nil
		return nil
	}
	return err
}

// close lets the next training have the fold.
func (j *job) close() {
	j.log.close()
	j.unlock()
}

func (j *job) unlock() {
	if j.lock != nil {
		_ = j.lock.Release() // the file is empty or has the name of a process that has ended
	}
}

// clearLeftovers removes what a killed process had begun to write into the fold's folders, which is locked by now.
func (j *job) clearLeftovers() error {
	return errors.Join(atomicfile.RemoveLeftovers(j.foldDir), atomicfile.RemoveLeftovers(filepath.Join(j.foldDir, j.o.ValFolder)))
}

// openDevice opens the device that the options name.
func (j *job) openDevice() (device.Device, error) {
	return open.Device(open.Options{Device: j.o.Device, GPU: j.o.GPU, Threads: j.o.Threads, Mixed: !j.o.FP32, Deterministic: j.o.Deterministic,
		Choice: func(text string) { j.log.note("%s", text) }})
}

// onDevice opens the device that the options name and runs the job on it.
func (j *job) onDevice(ctx context.Context) (*Result, error) {
	dev, err := j.openDevice()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	return j.run(ctx, dev)
}

// run does what the options ask, on an open device: train and validate, or validate alone.
func (j *job) run(ctx context.Context, dev device.Device) (*Result, error) {
	f, err := j.openFold(ctx)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var network *trained
	if j.o.ValidationOnly {
		network, err = f.trained()
	} else {
		network, err = f.train(ctx, dev)
	}
	if err != nil {
		return nil, err
	}
	s := &network.state
	result := &Result{FoldDir: j.foldDir, Epochs: s.Epoch, TrainLosses: s.TrainLosses, ValLosses: s.ValLosses,
		ValAUCs: numbers(s.series(aucOf)), ValBalancedAccuracies: numbers(s.series(balancedAccuracyOf))}
	v := &validation{fold: f, device: dev, of: network}
	result.Validation, err = v.run(ctx)
	return result, err
}

// readPlans reads the plans of the task.
func (j *job) readPlans() (*plan.Plans, error) {
	dir := j.o.Folders.PreprocessedTask(j.o.Task)
	p, err := loadPlans(j.o)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = &NotPlannedError{j.o.Task, err}
		}
		return nil, err
	}
	if p.TaskName != j.o.Task {
		return nil, remedy.With(fmt.Errorf("%s: the plans are those of %s, not of %s; plan the task", dir, p.TaskName, j.o.Task), j.replan())
	}
	return p, nil
}

// lockCases keeps plan-and-preprocess from writing the task while its cases are opened. Where that is impossible, as in
// a folder that is not ours, what does not fit together is found by the records in the files.
func (j *job) lockCases(ctx context.Context) (*lockfile.Lock, error) {
	lock, err := lockfile.Enter(ctx, j.o.Folders.PreprocessedTask(j.o.Task), j.o.NoWait, j.log)
	if err == nil || errors.Is(err, lockfile.ErrHeld) || ctx.Err() != nil {
		return lock, err
	}
	j.log.quiet("reading without a lock: %v", err)
	return &lockfile.Lock{}, nil
}
