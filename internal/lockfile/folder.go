package lockfile

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
)

// Name is the file in a folder that is locked by the process that writes there.
const Name = ".uc.lock"

const (
	pause = 100 * time.Millisecond // between two looks at a lock that is held
	grace = 2 * time.Second        // for a holder that needs the folder for a moment only
)

// Enter locks a folder for writing until the lock is released, and clears away the half-written files of processes that
// were killed, which only the holder may do. While another process has the folder it waits, and tells r who that is;
// with noWait the error wraps ErrHeld instead. Where the file system has no locks r is warned, nothing is cleared away,
// and the lock does nothing.
func Enter(ctx context.Context, dir string, noWait bool, r progress.Reporter) (*Lock, error) {
	return enter(ctx, dir, false, noWait, r)
}

// Share is Enter for processes that may write to a folder at the same time, since none touches what another writes.
// They keep those who Enter out, and clear nothing away.
func Share(ctx context.Context, dir string, noWait bool, r progress.Reporter) (*Lock, error) {
	return enter(ctx, dir, true, noWait, r)
}

func enter(ctx context.Context, dir string, shared, noWait bool, r progress.Reporter) (*Lock, error) {
	began, told := time.Now(), ""
	for {
		l, err := acquire(filepath.Join(dir, Name), shared)
		switch {
		case err == nil && shared:
			return l, nil
		case err == nil:
			return l, atomicfile.RemoveLeftovers(dir)
		case errors.Is(err, errors.ErrUnsupported):
			r.Warn("the file system of %s has no locks: let no other process write there at the same time", dir)
			return &Lock{}, nil
		case !errors.Is(err, ErrHeld):
			return nil, err
		case noWait && time.Since(began) > grace:
			return nil, remedy.With(fmt.Errorf("%s is %w; try again when that has ended, or wait for it", dir, err), remedy.Unset{Option: remedy.NoWait})
		case !noWait && time.Since(began) > grace && told != err.Error():
			told = err.Error()
			r.Note("waiting: %s is %s", dir, told)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is %w: %w", dir, err, ctx.Err())
		case <-time.After(pause):
		}
	}
}
