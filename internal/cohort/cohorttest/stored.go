package cohorttest

import (
	"testing"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/progress"
)

// Open opens preprocessed cases for reading, unpacked unless compressed.
func Open(t testing.TB, stage string, compressed bool, cases ...string) (*dataset.Dataset, error) {
	t.Helper()
	d, err := dataset.Open(stage, cases)
	if err == nil && !compressed {
		err = d.Map(t.Context(), progress.Discard)
	}
	return d, err
}

// ReadData reads the array of a preprocessed case.
func ReadData(t testing.TB, path string) npz.Array {
	t.Helper()
	arrays, err := npz.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return arrays["data"]
}
