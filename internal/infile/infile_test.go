package infile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	for _, p := range []string{path, link} {
		f, err := Open(p)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil || string(b) != "0123456789" || f.Size() != 10 {
			t.Errorf("%q, %d bytes, %v", b, f.Size(), err)
		}
		if n, err := f.ReadAt(make([]byte, 4), 8); n != 2 || err != io.EOF {
			t.Errorf("at the end: %d bytes, %v", n, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNotThere(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "none"), dangling); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), dangling, filepath.Join(dir, "none", "below")} {
		if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "open "+path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestFoldersAreRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), "a folder, expected a file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestReadFileKeepsToItsLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	want := strings.Repeat("x", 5000)
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(path, 5000); err != nil || string(b) != want {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := ReadFile(path, 4999); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), path) {
		t.Errorf("too long: %v", err)
	}
	if err := os.Truncate(path, 1<<40); err != nil { // sparse
		t.Skip(err)
	}
	if _, err := ReadFile(path, MaxText); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a terabyte: %v", err)
	}
}
