package task

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/integrity"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// TestGeneratedMasksAsReference runs EnsureMasks on the reference's tasks without masks: dataset.json byte for byte,
// the mask voxel for voxel and in its geometry.
func TestGeneratedMasksAsReference(t *testing.T) {
	for variant, caseID := range map[string]string{"mri_noroi": "hippocampus_040", "twomod_noroi": "hippocampus_190"} {
		dir := testutil.Shared(t, "reference", "preprocessing", variant)
		root := t.TempDir()
		folders := Folders{Raw: root}
		raw := folders.RawTask("Task003_NoROI")
		testutil.CopyFolder(t, filepath.Join(dir, "raw"), raw)
		original, _ := os.ReadFile(filepath.Join(raw, DatasetFile))
		task, err := Load(folders, "3")
		if err != nil {
			t.Fatal(err)
		}
		if task.Dataset.HasMasks {
			t.Error("HasMasks before")
		}
		if err := task.EnsureMasks(context.Background(), progress.Discard); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, "expected_dataset.json"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(raw, DatasetFile)); strings.TrimSpace(string(got)) != strings.TrimSpace(string(want)) {
			t.Errorf("%s: dataset.json is\n%s", variant, got)
		}
		if kept, _ := os.ReadFile(filepath.Join(raw, OriginalFile)); string(kept) != string(original) {
			t.Errorf("%s: the original is not kept", variant)
		}
		expected, err := nifti.ReadMask(filepath.Join(dir, "expected_label_"+caseID+".nii.gz"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := nifti.ReadMask(filepath.Join(raw, LabelsDir, caseID+".nii.gz"))
		if err != nil {
			t.Fatal(err)
		}
		if wrong := integrity.GridMismatch(got.Geometry, "the reference's", expected.Geometry); wrong != "" {
			t.Errorf("%s: %s", variant, wrong)
		}
		for i := range expected.Data {
			if got.Data[i] != expected.Data[i] {
				t.Fatalf("%s: voxel %d is %d", variant, i, got.Data[i])
			}
		}
		again, err := Load(folders, "3")
		if err != nil {
			t.Fatal(err)
		}
		if again.Dataset.HasMasks || again.Dataset.Cases[0].Mask == "" || len(again.Dataset.ROILabels) != 2 {
			t.Errorf("%s: after a second load: %+v", variant, again.Dataset.Cases[0])
		}
	}
}

func TestRealMasksAreLeftAlone(t *testing.T) {
	f := newFixture(t, true)
	before := f.read(DatasetFile)
	if err := f.mustLoad().EnsureMasks(context.Background(), progress.Discard); err != nil {
		t.Fatal(err)
	}
	if f.read(DatasetFile) != before {
		t.Error("dataset.json was rewritten")
	}
	if _, err := os.Stat(filepath.Join(f.dir, OriginalFile)); err == nil {
		t.Error("an original was kept")
	}
}

// TestKilledMidway puts the task into each state that a killed run can leave, and runs again.
func TestKilledMidway(t *testing.T) {
	whole := newFixture(t, false)
	if err := whole.mustLoad().EnsureMasks(context.Background(), progress.Discard); err != nil {
		t.Fatal(err)
	}
	want := whole.read(DatasetFile)
	states := map[string]func(*fixture){
		"original kept": func(f *fixture) { f.write(OriginalFile, f.json(false)) },
		"some masks written": func(f *fixture) {
			f.write(OriginalFile, f.json(false))
			f.image("labelsTr/b.nii.gz", nil)
			f.write("labelsTr/.c.nii.gz.123.tmp", "half")
		},
		"all masks written": func(f *fixture) {
			f.write(OriginalFile, f.json(false))
			for _, id := range fixtureCases {
				f.image("labelsTr/"+id+".nii.gz", nil)
			}
		},
		"a mask lost afterwards": func(f *fixture) {
			if err := f.mustLoad().EnsureMasks(context.Background(), progress.Discard); err != nil {
				f.t.Fatal(err)
			}
			f.remove("labelsTr/b.nii.gz")
		},
	}
	for name, state := range states {
		f := newFixture(t, false)
		state(f)
		task, err := f.load()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if task.Dataset.HasMasks {
			t.Errorf("%s: masks count as real", name)
		}
		if err := task.EnsureMasks(context.Background(), progress.Discard); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.read(DatasetFile) != want || f.read(OriginalFile) != f.json(false) {
			t.Errorf("%s: dataset.json or its original differ from an uninterrupted run", name)
		}
		again := f.mustLoad()
		if again.Dataset.HasMasks {
			t.Errorf("%s: masks count as real afterwards", name)
		}
		if err := again.Verify(context.Background(), 1, nil, progress.Discard); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(f.dir, "labelsTr", ".c.nii.gz.123.tmp")); err == nil {
			t.Errorf("%s: half a file is left", name)
		}
	}
}

func TestRealMasksAreNeverOverwritten(t *testing.T) {
	f := newFixture(t, false)
	f.write(OriginalFile, f.json(false))
	f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Data[3] = 0 })
	before := f.read("labelsTr/b.nii.gz")
	err := f.mustLoad().EnsureMasks(context.Background(), progress.Discard)
	if err == nil || !strings.Contains(err.Error(), "case b") {
		t.Errorf("error %v", err)
	}
	if f.read("labelsTr/b.nii.gz") != before {
		t.Error("the mask was overwritten")
	}
}

func TestEnsureMasksNamesTheBadImage(t *testing.T) {
	f := newFixture(t, false)
	f.write("imagesTr/b_0000.nii.gz", "nonsense")
	err := f.mustLoad().EnsureMasks(context.Background(), progress.Discard)
	if err == nil || !strings.Contains(err.Error(), "case b") || !strings.Contains(err.Error(), "b_0000.nii.gz") {
		t.Errorf("error %v", err)
	}
	if f.read(DatasetFile) != f.json(false) {
		t.Error("dataset.json was rewritten all the same")
	}
}

func TestEnsureMasksCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f := newFixture(t, false)
	if err := f.mustLoad().EnsureMasks(ctx, progress.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
