package phantom

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

func generate(t *testing.T, dir string, opt Options) *task.Task {
	t.Helper()
	if err := Generate(context.Background(), dir, opt, progress.Discard); err != nil {
		t.Fatal(err)
	}
	folders, err := task.ResolveFolders(dir)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := task.Load(folders, opt.TaskName())
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestCohortIsAValidTask(t *testing.T) {
	dir := t.TempDir()
	loaded := generate(t, dir, Options{Cases: 12, TestCases: 3, Seed: 1})
	if err := loaded.Verify(context.Background(), 0, nil, progress.Discard); err != nil {
		t.Error(err)
	}
	d := loaded.Dataset
	if len(d.Cases) != 12 || !d.HasMasks || len(d.ROILabels) != 3 || len(d.Labels) != 2 || len(d.Labels[1].Values) != 3 || len(d.Warnings) > 0 {
		t.Errorf("dataset %+v", d)
	}
	counts := map[[2]int]int{}
	spacings := map[[3]float64]bool{}
	for _, c := range d.Cases {
		counts[[2]int{c.Targets[0], c.Targets[1]}]++
		h, err := nifti.ReadHeader(c.Images[0])
		if err != nil {
			t.Fatal(err)
		}
		spacings[h.Spacing] = true
		for _, n := range h.Size {
			if n < 36 || n > 48 {
				t.Errorf("case %s: size %v", c.ID, h.Size)
			}
		}
	}
	for lesion := range 2 {
		for size := range 3 {
			if n := counts[[2]int{lesion, size}]; n != 2 {
				t.Errorf("lesion %d, size %d: %d cases, want 2", lesion, size, n)
			}
		}
	}
	if len(spacings) < 6 {
		t.Errorf("only %d different spacings", len(spacings))
	}
	cases, err := task.PredictionCases(filepath.Join(loaded.Dir, "imagesTs"), filepath.Join(loaded.Dir, "labelsTs"), 1, true, "")
	if err != nil || len(cases) != 3 {
		t.Errorf("%d test cases, %v", len(cases), err)
	}
	truth, err := os.ReadFile(filepath.Join(loaded.Dir, TruthFile))
	if err != nil || strings.Count(string(truth), "\n") != 4 {
		t.Errorf("truth %q, %v", truth, err)
	}
}

// TestLesionsAreInTheImage measures what the labels claim, inside the mask alone: lesions make a bright tail, and
// the mask's volume tells the size class.
func TestLesionsAreInTheImage(t *testing.T) {
	loaded := generate(t, t.TempDir(), Options{Cases: 18, TestCases: -1, Seed: 3})
	most, least := [3]float64{}, [3]float64{1e9, 1e9, 1e9}
	for _, c := range loaded.Dataset.Cases {
		image, err := nifti.ReadImage(c.Images[0])
		if err != nil {
			t.Fatal(err)
		}
		mask, err := nifti.ReadMask(c.Mask)
		if err != nil {
			t.Fatal(err)
		}
		sum, n := 0.0, 0.0
		for i, l := range mask.Data {
			if l > 0 {
				sum += float64(image.Data[i])
				n++
			}
		}
		bright := 0.0
		for i, l := range mask.Data {
			if l > 0 && float64(image.Data[i]) > 1.5*sum/n {
				bright++
			}
		}
		if share := bright / n; (share > 0.01) != (c.Targets[0] == 1) {
			t.Errorf("case %s: lesion %d, but %.2f %% of the organ is bright", c.ID, c.Targets[0], 100*share)
		}
		ml := n * image.Spacing[0] * image.Spacing[1] * image.Spacing[2] / 1000
		size := c.Targets[1]
		most[size], least[size] = max(most[size], ml), min(least[size], ml)
	}
	if most[0] >= least[1] || most[1] >= least[2] {
		t.Errorf("organ volumes overlap: least %v, most %v ml", least, most)
	}
}

func TestSameSeedSameFiles(t *testing.T) {
	a, b, c := t.TempDir(), t.TempDir(), t.TempDir()
	first := generate(t, a, Options{Cases: 2, TestCases: -1, Seed: 7})
	generate(t, b, Options{Cases: 2, TestCases: -1, Seed: 7})
	generate(t, c, Options{Cases: 2, TestCases: -1, Seed: 8})
	for _, path := range append(first.Dataset.Cases[0].Images, first.Dataset.Cases[1].Mask) {
		rel, _ := filepath.Rel(a, path)
		one, _ := os.ReadFile(path)
		same, _ := os.ReadFile(filepath.Join(b, rel))
		other, _ := os.ReadFile(filepath.Join(c, rel))
		if !bytes.Equal(one, same) {
			t.Errorf("%s differs between two runs with one seed", rel)
		}
		if bytes.Equal(one, other) {
			t.Errorf("%s is the same for another seed", rel)
		}
	}
}

func TestReplacesItsOwnCohortOnly(t *testing.T) {
	dir := t.TempDir()
	generate(t, dir, Options{Cases: 3, TestCases: 2})
	again := generate(t, dir, Options{Cases: 2, TestCases: -1})
	if err := again.Verify(context.Background(), 0, nil, progress.Discard); err != nil {
		t.Error("files of the earlier cohort are left:", err)
	}
	own := filepath.Join(again.Dir, task.DatasetFile)
	if err := os.WriteFile(own, []byte(`{"name": "mine"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Generate(context.Background(), dir, Options{Cases: 2}, progress.Discard); err == nil {
		t.Error("a foreign task was overwritten")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Generate(ctx, t.TempDir(), Options{}, progress.Discard); err == nil {
		t.Error("no error")
	}
}
