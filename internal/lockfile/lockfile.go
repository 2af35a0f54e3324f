// Package lockfile keeps two processes from working in one folder. The lock belongs to the open file, so the system
// lets go of it when the process ends, however it ends; a file that is left behind locks nothing.
//
// Own code, since gofrs/flock does not say who holds a lock, nor tells a file system without locks from a lock that is
// held.
package lockfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/universal-classifier/uc/internal/fault"
)

// ErrHeld is wrapped when another open file has the lock.
var ErrHeld = errors.New("in use")

// Lock is a lock that is held; the zero value locks nothing.
type Lock struct {
	file   *os.File
	shared bool
}

// Acquire locks the file at path, made if need be, and writes into it who holds it. It does not wait: if the lock is
// held the error wraps ErrHeld and names the holder, if the file system or the platform has no locks it wraps
// errors.ErrUnsupported.
func Acquire(path string) (*Lock, error) { return acquire(path, false) }

// acquire takes the lock alone, or together with others who share it.
func acquire(path string, shared bool) (*Lock, error) {
	if err := fault.At(fault.Lock, path); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lock(f, shared); err != nil {
		defer f.Close()
		if errors.Is(err, ErrHeld) {
			return nil, fmt.Errorf("%w by %s", ErrHeld, holder(f))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	l := &Lock{f, shared}
	if err := l.sign(); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return l, nil
}

// sign writes process and machine into the file.
func (l *Lock) sign() error {
	text := fmt.Sprintf("process %d", os.Getpid())
	if host, err := os.Hostname(); err == nil {
		text += " on " + host
	}
	if err := fault.At(fault.Write, l.file.Name()); err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(text+"\n"), 0)
	return err
}

// holder is what the one who has the lock wrote.
func holder(f *os.File) string {
	const most = 300 // characters of a signature
	text, err := io.ReadAll(io.LimitReader(f, most))
	if who := strings.TrimSpace(string(text)); err == nil && who != "" {
		return who
	}
	return "another process" // which has not signed yet
}

// Release lets go of the lock; the file stays, empty unless others may still share the lock. A second call does
// nothing.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	if l.shared {
		return f.Close()
	}
	if err := fault.At(fault.Write, f.Name()); err != nil { // what is signed stays, and locks nothing
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Truncate(0), f.Close())
}
