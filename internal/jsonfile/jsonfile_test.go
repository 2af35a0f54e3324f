package jsonfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	for indent, want := range map[string]string{Indent: "{\n  \"a\": 1\n}\n", LikeNNUNet: "{\n    \"a\": 1\n}\n"} {
		if err := Write(path, map[string]int{"a": 1}, indent); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("got %q (%v), want %q", b, err, want)
		}
	}
	if err := Write(path, func() {}, Indent); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a function: %v", err)
	}
}

// A file that holds the value already keeps its time.
func TestWriteIfNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	before := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, step := range []struct {
		value   int
		written bool
	}{{1, true}, {1, false}, {2, true}} {
		if err := WriteIfNew(path, step.value, Indent); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.ModTime().Equal(before) == step.written {
			t.Errorf("%+v: %v (%v)", step, info.ModTime(), err)
		}
		if err := os.Chtimes(path, before, before); err != nil {
			t.Fatal(err)
		}
	}
}
