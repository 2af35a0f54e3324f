// Package atomicfile makes files appear whole: written next to their target, synced, then renamed.
//
// Own code, since google/renameio does not cover Windows and natefinch/atomic does not sync the folder.
package atomicfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/infile"
)

// Write calls write with a buffered writer to a temporary file next to path and renames it to path once all of it is
// on disk. On any error the temporary file is removed and what stood at path before is untouched.
func Write(path string, write func(w io.Writer) error) (err error) {
	if err := fault.At(fault.Create, path); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), leftoverPrefix+filepath.Base(path)+".*"+leftoverSuffix)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("cannot write %s: %w", path, err)
		}
	}()
	w := bufio.NewWriterSize(faulty{f, path}, 1<<20)
	if err = write(w); err != nil {
		return err
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil && runtime.GOOS != "windows" {
		return err
	}
	if err = fault.At(fault.Sync, path); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// faulty is a file whose writes a test may fail.
type faulty struct {
	file *os.File
	path string
}

func (f faulty) Write(p []byte) (int, error) {
	if err := fault.At(fault.Write, f.path); err != nil {
		n, _ := f.file.Write(p[:len(p)/2]) // a full disk takes a part
		return n, err
	}
	return f.file.Write(p)
}

// How a temporary file is named.
const (
	leftoverPrefix = "."
	leftoverSuffix = ".tmp"
)

// RemoveLeftovers deletes the temporary files in dir that processes left which were killed while they wrote. Those of a
// process that is still writing look the same, so only who has the folder to itself may do this. A folder that is not
// there has none.
func RemoveLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && isLeftover(name) {
			if err := Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// isLeftover reports whether a name is one that Write gives, ".NAME.DIGITS.tmp", and not a hidden file of somebody
// else.
func isLeftover(name string) bool {
	name, temporary := strings.CutSuffix(name, leftoverSuffix)
	at := strings.LastIndexByte(name, '.')
	return temporary && strings.HasPrefix(name, leftoverPrefix) && at > 1 && at < len(name)-1 && strings.Trim(name[at+1:], "0123456789") == ""
}

// WriteBytes writes b to path as Write does.
func WriteBytes(path string, b []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// WriteIfNew is WriteBytes unless the file holds b already.
func WriteIfNew(path string, b []byte) error {
	if old, err := infile.ReadFile(path, infile.MaxText); err == nil && bytes.Equal(old, b) {
		return nil
	}
	return WriteBytes(path, b)
}

// syncDir makes the rename itself durable. Folders cannot be synced on Windows, where the rename is already journaled.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	if err := fault.At(fault.Sync, dir); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
