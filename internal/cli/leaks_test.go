package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/leak"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// copyScan puts the image of one case, changed, in the place of another's, with its mask.
func (c testCohort) copyScan(t *testing.T, from, to string, change func(float32) float32) {
	t.Helper()
	im, err := nifti.ReadImage(c.path("imagesTr", from+"_0000.nii.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range im.Data {
		im.Data[i] = change(im.Data[i])
	}
	if err := nifti.WriteImage(c.path("imagesTr", to+"_0000.nii.gz"), im); err != nil {
		t.Fatal(err)
	}
	mask, err := nifti.ReadMask(c.path("labelsTr", from+".nii.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := nifti.WriteMask(c.path("labelsTr", to+".nii.gz"), mask); err != nil {
		t.Fatal(err)
	}
}

func (c testCohort) ownSplit(t *testing.T, of split.Split) {
	t.Helper()
	b, err := json.Marshal([]split.Split{of})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.root, "preprocessed", c.name, split.SplitsFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Copies of scans are found while a task is verified, and do not validate what they trained.
func TestDuplicatesStopATraining(t *testing.T) {
	c := newCohort(t, 6)
	c.copyScan(t, "phantom_001", "phantom_005", func(v float32) float32 { return v })
	c.copyScan(t, "phantom_002", "phantom_006", func(v float32) float32 { return min(v, 400)*0.5 + 30 })
	mapping := filepath.Join(t.TempDir(), "mapping.csv")
	if err := os.WriteFile(mapping, []byte("case,patient_id\nphantom_003,1\nphantom_004,1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitUsage, []string{"--mapping needs --verify_dataset_integrity"}, c.planArgs("--mapping", mapping)...)
	ok(t, c.planArgs()...)
	c.ownSplit(t, split.Split{Train: []string{"phantom_001", "phantom_003"}, Val: []string{"phantom_004", "phantom_005"}})
	refused(t, ExitFailed, []string{"phantom_005 is phantom_001 voxel for voxel", "--allow-duplicates"}, c.trainArgs("0")...)
	c.ownSplit(t, split.Split{Train: []string{"phantom_002", "phantom_003"}, Val: []string{"phantom_004", "phantom_006"}})

	r := uc(c.planArgs("--verify_dataset_integrity", "--mapping", mapping)...)
	for _, want := range []string{"case phantom_001 and case phantom_005 hold the same voxels", "case phantom_002 and case phantom_006 are nearly the same scan",
		"cases phantom_003, phantom_004 are of one patient in the mapping", "does not have 4 of 6 cases", "leaks: 2 duplicates, 1 patients"} {
		if r.code != ExitOK || !strings.Contains(r.stderr, want) {
			t.Fatalf("exit code %d, no %q in\n%s", r.code, want, r.stderr)
		}
	}
	found, err := leak.Read(filepath.Join(c.root, "preprocessed", c.name))
	if err != nil || len(found.Duplicates) != 2 {
		t.Fatalf("%+v (%v)", found, err)
	}
	refused(t, ExitFailed, []string{"phantom_006 is phantom_002 but for window, grid or position", "--allow-duplicates"}, c.trainArgs("0")...)
	if r := uc(c.trainArgs("0", "--allow-duplicates")...); r.code != ExitOK || !strings.Contains(r.stderr, "tell nothing about new cases") {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	checkFilesPage(t, c)
}
