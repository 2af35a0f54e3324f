package tensorboard

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/tensorboard/tensorboardtest"
)

// The checksum is the one of the TFRecord format: crc32c("123456789") is 0xe3069283.
func TestMaskedChecksum(t *testing.T) {
	sum := uint32(0xe3069283)
	if got, want := masked([]byte("123456789")), (sum>>15|sum<<17)+0xa282ead8; got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

// write opens the file of dir at a step and writes the steps that follow, up to another.
func write(t *testing.T, dir string, last, to int64, value float64) (path string, reached int64) {
	t.Helper()
	w, reached, err := Open(dir, last, time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	for step := last + 1; step <= to; step++ {
		if err := w.Write(step, time.Now(), []Scalar{{"loss/training", value + float64(step)}, {"gone", math.NaN()}}, Image{"progress", 2, 1, []byte("png")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Path(), reached
}

func TestContinuingLeavesNoStepTwice(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "events.out.tfevents.1.elsewhere")
	if err := os.WriteFile(other, []byte("of another program"), 0o644); err != nil {
		t.Fatal(err)
	}
	first, _ := write(t, dir, 0, 5, 100)
	second, reached := write(t, dir, 3, 6, 200) // back to the end of step 3
	if first == second || reached != 3 {
		t.Errorf("%s and %s, reached %d", first, second, reached)
	}
	c := tensorboardtest.Read(t, second)
	if want := []int64{1, 2, 3, 4, 5, 6}; !slices.Equal(c.Steps, want) {
		t.Errorf("steps %v, want %v", c.Steps, want)
	}
	if loss := c.Scalars["loss/training"]; loss[3] != 103 || loss[4] != 204 || len(c.Scalars) != 1 || c.Images["progress"][6] != 3 {
		t.Errorf("got %v", c)
	}
	files, err := Files(dir)
	if err != nil || !slices.Equal(files, []string{second}) {
		t.Errorf("files %v (%v)", files, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("the file of another program: %v", err)
	}
	if third, _ := write(t, dir, 0, 1, 300); third <= second {
		t.Errorf("%s does not come after %s", third, second)
	}
}

func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	path, _ := write(t, dir, 0, 4, 0)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 20, 70} { // within the last record
		if err := os.WriteFile(path, whole[:len(whole)-cut], 0o644); err != nil {
			t.Fatal(err)
		}
		var reached int64
		if path, reached = write(t, dir, 4, 5, 0); reached != 3 {
			t.Errorf("cut by %d: reached step %d, want 3", cut, reached)
		}
		if steps := tensorboardtest.Read(t, path).Steps; !slices.Equal(steps, []int64{1, 2, 3, 5}) {
			t.Errorf("cut by %d: steps %v", cut, steps)
		}
	}
	// Killed after the new file was there, before the former was removed.
	if err := os.WriteFile(filepath.Join(dir, "events.out.tfevents.0000000007.uc"), whole, 0o644); err != nil {
		t.Fatal(err)
	}
	path, _ = write(t, dir, 2, 3, 0)
	if steps := tensorboardtest.Read(t, path).Steps; !slices.Equal(steps, []int64{1, 2, 3}) {
		t.Errorf("steps %v", steps)
	}
	if files, _ := Files(dir); len(files) != 1 {
		t.Errorf("files %v", files)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(frame(event(time.Unix(1, 0), 3, eventSummary, summary([]Scalar{{"a", 1}}, []Image{{"b", 1, 1, []byte("c")}}))))
	f.Add(frame([]byte{0x12, 0xff}))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), filePrefix+"1"+fileSuffix)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := copyUpTo(&out, path, math.MaxInt64); err != nil {
			t.Fatal(err)
		}
		if out.Len() > len(b) {
			t.Errorf("%d bytes became %d", len(b), out.Len())
		}
	})
}
