package train

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
)

// referenceTask copies a preprocessed folder of the reference under a data root of its own.
func referenceTask(t *testing.T, name string) task.Folders {
	t.Helper()
	from := testutil.Shared(t, "reference", "interop", "training", "preprocessed", name)
	folders, err := task.ResolveFolders(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	to := folders.PreprocessedTask(name)
	testutil.CopyFolder(t, from, to)
	return folders
}

func TestTrainingOnAFolderThatTheReferencePreprocessed(t *testing.T) {
	for name, realMasks := range map[string]bool{"Task100_MriRoi": true, "Task106_TwomodNoroi": false} {
		folders := referenceTask(t, name)
		o := Options{Folders: folders, Task: name, Fold: "0", Plans: task.DefaultPlans, Device: "cpu", Epochs: 1, Iterations: 1, ValIterations: 1, BatchSize: 1, Seed: 7, CompressedData: true}
		if !realMasks { // the smaller one
			r, err := Run(t.Context(), o, progress.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.TrainLosses) != 1 || r.Validation == nil || r.Validation.Labels[0].Name != "Volume" {
				t.Errorf("%s: %+v", name, r)
			}
		}
		p, err := loadPlans(o)
		if err != nil {
			t.Fatal(err)
		}
		if p.RealMasks != realMasks || p.MasksUnknown == realMasks {
			t.Errorf("%s: masks real %v, unknown %v", name, p.RealMasks, p.MasksUnknown)
		}
		ids, err := dataset.Cases(folders.Stage(name, task.DefaultDataIdentifier))
		if err != nil {
			t.Fatal(err)
		}
		data, err := dataset.Open(folders.Stage(name, task.DefaultDataIdentifier), ids)
		if err != nil {
			t.Fatal(err)
		}
		defer data.Close()
		listing, err := task.ReadListing(filepath.Join(folders.PreprocessedTask(name), task.DatasetFile), "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range data.Len() {
			if !slices.Equal(data.Targets(i), listing.Targets[data.ID(i)]) {
				t.Errorf("%s: case %s has targets %v", name, data.ID(i), data.Targets(i))
			}
		}
	}
}
