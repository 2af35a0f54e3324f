package figure

import (
	"io"

	"github.com/universal-classifier/uc/internal/atomicfile"
)

// Write writes the figure to stem.svg and stem.pdf and returns their paths.
func (f *Figure) Write(stem string) ([]string, error) {
	var paths []string
	for _, format := range []struct {
		suffix string
		write  func(io.Writer) error
	}{{".svg", f.SVG}, {".pdf", f.PDF}} {
		if err := atomicfile.Write(stem+format.suffix, format.write); err != nil {
			return paths, err
		}
		paths = append(paths, stem+format.suffix)
	}
	return paths, nil
}
