package dataset_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/cohort/cohorttest"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// mustRun preprocesses a made-up task.
func mustRun(t *testing.T, f task.Folders) *plan.Plans {
	t.Helper()
	loaded, err := task.Load(f, cohorttest.Task)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cohort.Preprocess(t.Context(), loaded, cohort.Options{}, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestDataset(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	p := mustRun(t, f)
	stage := f.Stage(cohorttest.Task, p.DataIdentifier)
	for _, compressed := range []bool{true, false, false} {
		d, err := cohorttest.Open(t, stage, compressed, "c_2", "c_0")
		if err != nil {
			t.Fatal(err)
		}
		if exists(dataset.UnpackedFile(stage, "c_2")) == compressed {
			t.Errorf("compressed %v: unpacked file there: %v", compressed, !compressed)
		}
		want := cohorttest.ReadData(t, dataset.ArraysFile(stage, "c_2")).Floats()
		got := make([]float32, len(want))
		if err := d.Read(0, got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) || d.ID(0) != "c_2" || d.Len() != 2 {
			t.Errorf("compressed %v: case 0 is %s and differs from its file", compressed, d.ID(0))
		}
		if err := d.Read(0, got[1:]); err == nil {
			t.Error("read into a buffer that is too small")
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// An unpacked file that is damaged is made again.
	if err := os.WriteFile(dataset.UnpackedFile(stage, "c_0"), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := cohorttest.Open(t, stage, false, "c_0")
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := cohorttest.Open(t, stage, false, "c_9"); err == nil || !strings.Contains(err.Error(), "preprocess the task") {
		t.Errorf("a case that is not there: %v", err)
	}
	if err := npz.Write(dataset.ArraysFile(stage, "c_0"), []npz.Array{{Name: "data", Shape: []int{1}, Data: []float32{1}}}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := cohorttest.Open(t, stage, false, "c_0"); err == nil {
		t.Error("a file of another shape was taken")
	}
}

// What a training reads is the content of the .npz, whatever .npy lies next to it and however old that claims to be.
func TestUnpackedCaseIsThatOfThePackedOne(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	p := mustRun(t, f)
	stage := f.Stage(cohorttest.Task, p.DataIdentifier)
	want := cohorttest.ReadData(t, dataset.ArraysFile(stage, "c_0")).Floats()
	for _, c := range []struct {
		name   string
		change func(unpacked []byte) []byte
	}{
		{"of another case", func([]byte) []byte {
			other := cohorttest.ReadData(t, dataset.ArraysFile(stage, "c_1"))
			path := filepath.Join(t.TempDir(), "other.npy")
			if err := npz.WriteNPY(path, other); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}},
		{"with a voxel changed", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
		{"cut short", func(b []byte) []byte { return b[:len(b)-4] }},
		{"longer", func(b []byte) []byte { return append(b, 0, 0, 0, 0) }},
		{"empty", func([]byte) []byte { return nil }},
	} {
		d, err := cohorttest.Open(t, stage, false, "c_0")
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
		path := dataset.UnpackedFile(stage, "c_0")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, c.change(b), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, when := range []time.Time{info.ModTime(), time.Now().Add(time.Hour)} {
			if err := os.Chtimes(path, when, when); err != nil {
				t.Fatal(err)
			}
			d, err := cohorttest.Open(t, stage, false, "c_0")
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, len(want))
			if err := d.Read(0, got); err != nil || !slices.Equal(got, want) {
				t.Errorf("an unpacked case %s was used (%v)", c.name, err)
			}
			d.Close()
		}
	}
}

// Arrays that were exchanged next to their properties, or that change under a training, are an error.
func TestArraysThatAreNotThoseOfTheirProperties(t *testing.T) {
	f := cohorttest.MakeTask(t, "MRI", cohorttest.Cases(3))
	p := mustRun(t, f)
	stage := f.Stage(cohorttest.Task, p.DataIdentifier)
	was, err := os.ReadFile(dataset.ArraysFile(stage, "c_0"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(dataset.ArraysFile(stage, "c_1"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(dataset.ArraysFile(stage, "c_0"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	unpacking, err := dataset.Open(stage, []string{"c_0"})
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := dataset.Open(stage, []string{"c_0"})
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := cohorttest.Open(t, stage, false, "c_0")
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	before := make([]float32, len(cohorttest.ReadData(t, dataset.ArraysFile(stage, "c_0")).Floats()))
	if err := mapped.Read(0, before); err != nil {
		t.Fatal(err)
	}

	put(other)
	if err := os.Remove(dataset.UnpackedFile(stage, "c_0")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	if _, err := dataset.Open(stage, []string{"c_0"}); err == nil || !strings.Contains(err.Error(), "preprocess the task again") {
		t.Errorf("opened: %v", err)
	}
	dst := make([]float32, len(before))
	if err := compressed.Read(0, dst); err == nil || !strings.Contains(err.Error(), "was replaced") {
		t.Errorf("read compressed: %v", err)
	}
	if err := unpacking.Map(t.Context(), progress.Discard); err == nil || !strings.Contains(err.Error(), "was replaced") {
		t.Errorf("unpacked: %v", err)
	}
	if err := mapped.Read(0, dst); err != nil || !slices.Equal(dst, before) {
		t.Errorf("a mapped case changed under its reader (%v)", err)
	}
	mustRun(t, f)
	if now, err := os.ReadFile(dataset.ArraysFile(stage, "c_0")); err != nil || !bytes.Equal(now, was) {
		t.Error("the case was not made again")
	}
}
