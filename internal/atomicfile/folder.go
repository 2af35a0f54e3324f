package atomicfile

import (
	"errors"
	"io/fs"
	"os"

	"github.com/universal-classifier/uc/internal/fault"
)

// What else the workflow changes in folders of results goes through these, so that tests can fail it.

// MkdirAll makes the folder dir and those above it, as os.MkdirAll does with permissions 0755.
func MkdirAll(dir string) error {
	if err := fault.At(fault.Mkdir, dir); err != nil {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	return os.MkdirAll(dir, 0o755)
}

// Remove deletes the file at path. A missing file is not an error.
func Remove(path string) error {
	if err := fault.At(fault.Remove, path); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveAll deletes path and all that is in it. A missing path is not an error.
func RemoveAll(path string) error {
	if err := fault.At(fault.Remove, path); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return os.RemoveAll(path)
}

// Rename moves a file or folder, as os.Rename does.
func Rename(from, to string) error {
	if err := fault.At(fault.Rename, from); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return os.Rename(from, to)
}
