//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withDeadline fails the test when do waits forever.
func withDeadline(t *testing.T, do func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("still running after a minute")
	}
}

// Pipes, devices and links to them are refused, whatever they stand in for.
func TestSpecialFilesAreRefused(t *testing.T) {
	c := newCohort(t, 5)
	ok(t, c.planArgs()...)
	ok(t, c.trainArgs("0")...)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	// replace puts a link in the place of a file until the test is done.
	replace := func(t *testing.T, path, to string) {
		aside := filepath.Join(t.TempDir(), "aside")
		if err := os.Rename(path, aside); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Rename(aside, path); err != nil {
				t.Error(err)
			}
		})
	}
	predict := []string{"predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-s", c.path("labelsTs"), "-o", filepath.Join(c.root, "out"), "-t", "1", "-f", "0"}
	stage := filepath.Join(c.root, "preprocessed", c.name, "universal_classifier_plans_v1.0_stage0")
	tested, err := filepath.Glob(c.path("imagesTs", "*.nii.gz"))
	if err != nil || len(tested) == 0 {
		t.Fatalf("no images to predict: %v", err)
	}
	for i, test := range []struct {
		name, path string
		args       []string
	}{
		{"image", c.image(t, 1), c.planArgs()},
		{"image, verified", c.image(t, 1), c.planArgs("--verify_dataset_integrity")},
		{"mask", c.mask(t, 1), c.planArgs()},
		{"dataset.json", c.path("dataset.json"), c.planArgs()},
		{"plans", filepath.Join(c.root, "preprocessed", c.name, "UniversalClassifierPlansv1.0_plans_3D.json"), c.trainArgs("1")},
		{"splits", filepath.Join(c.root, "preprocessed", c.name, "splits_final.json"), c.trainArgs("1")},
		{"properties of a case", filepath.Join(stage, c.caseID(t, 0)+".json"), c.trainArgs("1")},
		{"arrays of a case", filepath.Join(stage, c.caseID(t, 0)+".npz"), c.trainArgs("1", "--use_compressed_data")},
		{"plans of the model", filepath.Join(c.model(), "plans.json"), predict},
		{"checkpoint", filepath.Join(c.model(), "fold_0", "model_final_checkpoint.safetensors"), predict},
		{"checkpoint to validate", filepath.Join(c.model(), "fold_0", "model_final_checkpoint.safetensors"), c.trainArgs("0", "-val")},
		{"cases.json", filepath.Join(c.model(), "fold_0", "validation_raw", "cases.json"), []string{"evaluate", "--data-root", c.root, "1", "-f", "0"}},
		{"result of a validation", filepath.Join(c.model(), "fold_0", "validation_raw", c.validated(t)+".npz"), []string{"evaluate", "--data-root", c.root, "1", "-f", "0"}},
	} {
		kind, to := "pipe", pipe
		if i%2 > 0 {
			kind, to = "device", "/dev/zero"
		}
		t.Run(test.name+" is a "+kind, func(t *testing.T) {
			replace(t, test.path, to)
			withDeadline(t, func() {
				refused(t, ExitFailed, []string{"a link to a " + kind, filepath.Base(test.path)}, test.args...)
			})
		})
	}
	t.Run("image to predict", func(t *testing.T) {
		replace(t, tested[0], pipe)
		withDeadline(t, func() { refused(t, ExitFailed, []string{"1 of"}, predict...) })
	})
	for name, args := range map[string][]string{
		"weights": c.trainArgs("1", "-pretrained_weights", pipe),
		"plans":   c.planArgs("-overwrite_plans", pipe, "-overwrite_plans_identifier", "X"),
		"truth":   {"evaluate", "--predictions", filepath.Join(c.root, "out"), "--truth", pipe},
	} {
		t.Run(name+" given is a pipe", func(t *testing.T) {
			withDeadline(t, func() { refused(t, ExitFailed, []string{"a pipe"}, args...) })
		})
	}
}

// validated is a case of the validation of fold 0.
func (c testCohort) validated(t *testing.T) string {
	t.Helper()
	results, err := filepath.Glob(filepath.Join(c.model(), "fold_0", "validation_raw", "*.npz"))
	if err != nil || len(results) == 0 {
		t.Fatalf("no validation: %v", err)
	}
	base := filepath.Base(results[0])
	return base[:len(base)-len(".npz")]
}
