package train

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/npz"
)

// Cases that shrink under a training end it with a message and a checkpoint, from which it continues to the same bits.
func TestCasesThatShrinkEndATrainingInOrder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be cut short")
	}
	o := toyTaskIn(t, t.TempDir())
	wantState, want := runTo(t, o)
	if err := os.RemoveAll(foldOf(o)); err != nil {
		t.Fatal(err)
	}
	unpacked, err := filepath.Glob(filepath.Join(o.Folders.PreprocessedTask(toyTask), "*", "*.npy"))
	if err != nil || len(unpacked) == 0 {
		t.Fatalf("no unpacked cases: %v", err)
	}
	r := &recorder{advance: func(steps int) {
		if steps != 2 {
			return
		}
		for _, path := range unpacked {
			if err := os.Truncate(path, 1000); err != nil {
				t.Error(err)
			}
		}
	}}
	_, err = Run(t.Context(), o, r)
	if !errors.Is(err, npz.ErrLost) || !errors.Is(err, ErrInterrupted) || !strings.Contains(err.Error(), ".npy") || !canBeContinued(err) {
		t.Fatalf("error %v", err)
	}
	o.Continue = true
	gotState, got := runTo(t, o)
	if !reflect.DeepEqual(gotState, wantState) || !reflect.DeepEqual(got, want) {
		t.Error("the continued training differs from one that lost nothing")
	}
}

func TestValidationOfNoCase(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	v := &validation{fold: &fold{job: &job{o: o}}}
	if _, err := v.run(t.Context()); err == nil || !strings.Contains(err.Error(), "no validation case") {
		t.Errorf("error %v", err)
	}
}
