//go:build unix

package infile

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Nothing of this may ever wait.
func TestSpecialFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	socket := filepath.Join(dir, "s")
	if l, err := net.Listen("unix", socket); err == nil {
		defer l.Close()
	}
	toPipe, toDevice, twice := filepath.Join(dir, "to_pipe"), filepath.Join(dir, "to_device"), filepath.Join(dir, "twice")
	for link, to := range map[string]string{toPipe: pipe, toDevice: "/dev/zero", twice: toDevice} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for path, want := range map[string]string{
			pipe: "a pipe", "/dev/zero": "a device", "/dev/null": "a device",
			toPipe: "a link to a pipe (" + pipe + ")", toDevice: "a link to a device (/dev/zero)", twice: "a link to a device",
			socket: "a socket",
		} {
			if _, err := os.Stat(path); err != nil {
				continue // no sockets here
			}
			if _, err := Open(path); !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), path+": "+want) {
				t.Errorf("%s: %v, want %q", path, err, want)
			}
			if _, err := ReadFile(path, 10); !errors.Is(err, ErrNotRegular) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("waits for a pipe")
	}
}

// openFile comes after the look at the file; it must not wait either if the name changed hands in between.
func TestOpeningAPipeDoesNotWait(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan error, 1)
	go func() {
		f, err := openFile(pipe)
		if err == nil {
			f.Close()
		}
		done <- err
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("waits for a writer")
	}
}
