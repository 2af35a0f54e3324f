package preprocess

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

func TestBadCasesAreNamed(t *testing.T) {
	zero := func(int, int, int) float32 { return 0 }
	none := func(int, int, int) int16 { return 0 }
	for name, c := range map[string]struct {
		spoil func(d *drawn)
		other bool // write the mask on another grid
		want  []string
	}{
		"all zero":   {spoil: func(d *drawn) { d.voxel = zero }, want: []string{"case c_1", "c_1_0000.nii.gz", "every voxel is 0"}},
		"empty mask": {spoil: func(d *drawn) { d.label = none }, want: []string{"case c_1", "labelsTr", "no voxel is labelled"}},
		"infinite": {spoil: func(d *drawn) {
			d.voxel = func(z, y, x int) float32 { return float32(math.Inf(z - 5)) }
		}, want: []string{"case c_1", "infinite"}},
		"elsewhere": {spoil: func(d *drawn) {
			d.voxel = func(z, y, x int) float32 { return float32(1 - min(z, 1)) }
			d.label = func(z, y, x int) int16 { return int16(z / (d.size[0] - 1)) }
		}, want: []string{"case c_1", "region of interest lies where the image"}},
		"other size": {other: true, want: []string{"case c_1", "labelsTr", "3x3x3", "grid"}},
	} {
		cases := cohortOf(3)
		if c.spoil != nil {
			c.spoil(&cases[1])
		}
		f := makeTask(t, "CT", cases)
		if c.other {
			_, mask := caseFiles(f, 1)
			drawn{[3]int{3, 3, 3}, [3]float64{1, 1, 1}, zero, func(int, int, int) int16 { return 1 }}.write(t, filepath.Join(t.TempDir(), "x.nii"), mask)
		}
		_, err := run(t, f, Options{})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", name, err, w)
			}
		}
		if strings.Contains(err.Error(), "c_0") || strings.Contains(err.Error(), "c_2") {
			t.Errorf("%s: error %q names a case that is fine", name, err)
		}
	}
}

func TestMemory(t *testing.T) {
	cases := cohortOf(3)
	cases[2] = drawn{[3]int{60, 60, 60}, [3]float64{1, 1, 1}, func(z, y, x int) float32 { return float32(z + 1) }, ball([3]int{60, 60, 60})}
	f := makeTask(t, "MRI", cases)
	_, err := run(t, f, Options{Memory: 1 << 20, Threads: 8})
	var large *memory.TooLargeError
	if !errors.As(err, &large) || !strings.Contains(err.Error(), "case c_2") || strings.Contains(err.Error(), "case c_0") {
		t.Errorf("a case larger than the budget: %v", err)
	}
	if large == nil {
		t.FailNow()
	}
	// What the error says is enough is enough.
	var need int64
	for need = large.Need; ; need += 1 << 20 {
		if _, err = run(t, f, Options{Memory: need, Threads: 8, NoPreprocess: true}); err == nil || need > 1<<30 {
			break
		}
	}
	if err != nil || need != large.Need {
		t.Errorf("the error asked for %d bytes; it took %d (%v)", large.Need, need, err)
	}
}

func TestCancel(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(3))
	loaded, err := task.Load(f, madeUp)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, loaded, Options{}, progress.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
}

func TestUnwritableOutput(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(2))
	if err := os.MkdirAll(f.Preprocessed, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.PreprocessedTask(madeUp), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, f, Options{}); err == nil || !strings.Contains(err.Error(), f.PreprocessedTask(madeUp)) {
		t.Errorf("a file where the output folder should be: %v", err)
	}
}
