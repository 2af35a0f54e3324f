// Package infile opens input files: regular files only, so that no reader ever waits for a pipe or reads a device
// without end.
package infile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/universal-classifier/uc/internal/fault"
)

// ErrNotRegular is wrapped by errors about folders, pipes, sockets and devices, and about links to them.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge is wrapped when a file is longer than its reader accepts.
var ErrTooLarge = errors.New("too large")

// MaxText is a limit for files of JSON and of comma-separated values: far more than the tables of 100,000 cases need.
const MaxText = 256 << 20

// File is a regular file that is open for reading.
type File struct {
	file *os.File
	size int64
}

// Open opens the file at path. Anything but a regular file is refused before it is opened, as opening alone may wait (a
// named pipe) or have effects (a device); the error wraps ErrNotRegular and says what was found.
func Open(path string) (*File, error) {
	if err := fault.At(fault.Open, path); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	info, err := os.Stat(path) // follows links
	if err != nil {
		return nil, openError(err)
	}
	if err := regular(path, info.Mode()); err != nil {
		return nil, err
	}
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	// The name may have been given to something else in between.
	if info, err = f.Stat(); err == nil {
		err = regular(path, info.Mode())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{f, info.Size()}, nil
}

// IsDir reports whether path is a folder, or a link to one.
func IsDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ReadFile reads a whole file of at most limit bytes. A longer one is an error that wraps ErrTooLarge; nothing of it is
// read.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.size > limit {
		return nil, fmt.Errorf("%s: %w: %d bytes, expected at most %d", path, ErrTooLarge, f.size, limit)
	}
	b := make([]byte, 0, f.size+1)
	for {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, err
		case int64(len(b)) > limit: // it has grown
			return nil, fmt.Errorf("%s: %w: expected at most %d bytes", path, ErrTooLarge, limit)
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

// Size is the length of the file when it was opened.
func (f *File) Size() int64 { return f.size }

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) {
	if err := fault.At(fault.Read, f.file.Name()); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.file.Name(), Err: err}
	}
	return f.file.Read(p)
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, at int64) (int, error) {
	if err := fault.At(fault.Read, f.file.Name()); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.file.Name(), Err: err}
	}
	return f.file.ReadAt(p, at)
}

// Close implements io.Closer.
func (f *File) Close() error { return f.file.Close() }

// OS is the open file itself, for mapping it into memory.
func (f *File) OS() *os.File { return f.file }

// openError words an error of Stat as one of Open, which is what was asked for.
func openError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return &fs.PathError{Op: "open", Path: p.Path, Err: p.Err}
	}
	return err
}

// regular refuses modes other than a regular file's.
func regular(path string, mode fs.FileMode) error {
	if mode.IsRegular() {
		return nil
	}
	found, remedy := "something unknown", ""
	switch {
	case mode&fs.ModeDir != 0:
		found = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		found, remedy = "a pipe", "; write its data to a file first"
	case mode&fs.ModeSocket != 0:
		found = "a socket"
	case mode&fs.ModeDevice != 0:
		found = "a device"
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if to, err := os.Readlink(path); err == nil {
			found = fmt.Sprintf("a link to %s (%s)", found, to)
		}
	}
	return fmt.Errorf("%s: %s, expected a file (%w)%s", path, found, ErrNotRegular, remedy)
}
