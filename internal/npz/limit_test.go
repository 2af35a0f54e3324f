package npz

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
)

func TestReadAtMost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	arrays := []Array{
		{Name: "a", Shape: []int{3}, Data: []float64{1, 2, 3}},
		{Name: "b", Shape: []int{2, 2}, Data: []int64{1, 2, 3, 4}},
	}
	if err := Write(path, arrays, true); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadAtMost(path, 7); err != nil || len(got) != 2 {
		t.Errorf("all that may be there: %d arrays, %v", len(got), err)
	}
	for _, most := range []int{0, 2, 6} {
		if _, err := ReadAtMost(path, most); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "expected at most") {
			t.Errorf("at most %d: %v", most, err)
		}
	}
}

// A small file that unpacks to very much is refused by its header: it costs neither the memory nor the time.
func TestBombIsRefusedByItsHeader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	const elements = 4 << 20
	if err := Write(path, []Array{{Name: "logits_0", Shape: []int{elements}, Data: make([]float64, elements)}}, true); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > elements/8 {
		t.Fatalf("no bomb: %d bytes, %v", info.Size(), err)
	}
	var err error
	n := testutil.Allocated(func() { _, err = ReadAtMost(path, 100) })
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "logits_0") {
		t.Errorf("error %v", err)
	}
	if n > 4<<20 {
		t.Errorf("%d bytes were allocated to refuse it", n)
	}
	if got, err := ReadAtMost(path, math.MaxInt); err != nil || len(got["logits_0"].Data.([]float64)) != elements {
		t.Errorf("without a limit: %v", err)
	}
}
