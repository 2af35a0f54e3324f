//go:build unix

package infile

import (
	"os"
	"syscall"
)

// openFile does not wait even if path has become a named pipe since it was looked at.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}
