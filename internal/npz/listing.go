package npz

import (
	"fmt"
	"strings"

	"github.com/klauspost/compress/zip"

	"github.com/universal-classifier/uc/internal/infile"
)

// Description is what the header of an array says.
type Description struct {
	Shape []int
	Type  string // NumPy's name without the byte order: u1, i8, f4, b1, ...
}

// Describe reads the headers of the arrays in a .npz, keyed by their names, and nothing of their data.
func Describe(path string) (map[string]Description, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	archive, err := zip.NewReader(f, f.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
	}
	out := make(map[string]Description, len(archive.File))
	for _, entry := range archive.File {
		name, ok := strings.CutSuffix(entry.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("%s: %w: holds %q, which is not a .npy", path, ErrFormat, entry.Name)
		}
		r, err := entry.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: array %q: %w: %w", path, name, ErrFormat, err)
		}
		h, _, err := readHeader(r)
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: array %q: %w", path, name, err)
		}
		out[name] = Description{Shape: h.shape, Type: fmt.Sprintf("%c%d", h.kind, h.size)}
	}
	return out, nil
}
