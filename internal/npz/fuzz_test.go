package npz

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzMapped maps any file: every value that it is said to hold can be read.
func FuzzMapped(f *testing.F) {
	var b bytes.Buffer
	if err := writeArray(&b, Array{Shape: []int{2, 3}, Data: make([]float32, 6)}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(formatHeader("<f4", []int{0, 5}))
	path := filepath.Join(f.TempDir(), "a.npy")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Skip(err)
		}
		m, err := OpenMapped(path)
		if err != nil {
			return
		}
		defer m.Close()
		n := 1
		for _, s := range m.Shape {
			n *= s
		}
		if n != len(m.Data) || 4*n > len(content) {
			t.Fatalf("shape %v, %d values of %d bytes", m.Shape, len(m.Data), len(content))
		}
		if err := m.CopyTo(make([]float32, n)); err != nil {
			t.Error(err)
		}
	})
}
