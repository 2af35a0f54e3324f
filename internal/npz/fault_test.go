package npz

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A mapped file that shrinks gives an error; the process and other maps continue.
func TestMappedFileShrinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be cut short")
	}
	dir := t.TempDir()
	open := func(name string) *Mapped {
		path := filepath.Join(dir, name)
		data := make([]float32, 1<<18) // many pages
		for i := range data {
			data[i] = float32(i)
		}
		if err := WriteNPY(path, Array{Shape: []int{len(data)}, Data: data}); err != nil {
			t.Fatal(err)
		}
		m, err := OpenMapped(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	whole, cut := open("whole.npy"), open("cut.npy")
	dst := make([]float32, len(whole.Data))
	if err := cut.CopyTo(dst); err != nil || dst[len(dst)-1] != float32(len(dst)-1) {
		t.Fatalf("%v, last value %v", err, dst[len(dst)-1])
	}
	for _, size := range []int64{1 << 19, 5000, 0} {
		if err := os.Truncate(filepath.Join(dir, "cut.npy"), size); err != nil {
			t.Fatal(err)
		}
		if err := cut.CopyTo(dst); !errors.Is(err, ErrLost) {
			t.Errorf("cut to %d bytes: %v", size, err)
		}
		if err := whole.CopyTo(dst); err != nil || dst[1] != 1 {
			t.Errorf("the other file: %v", err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a buffer that is too short was taken")
		}
	}()
	whole.CopyTo(dst[:10])
}
