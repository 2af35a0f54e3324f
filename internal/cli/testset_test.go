package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/split"
)

// The external test set is predicted and measured apart from the cross-validation, compared with the training cases,
// and what it shares with them is said.
func TestExternalTestSet(t *testing.T) {
	c := newCohort(t, 6)
	refused(t, ExitFailed, []string{"test lists no case with classes"}, "evaluate", "--data-root", c.root, "1", "--test")
	c.changeDataset(t, func(d map[string]any) {
		for i, e := range d["training"].([]any) {
			e.(map[string]any)["patient"] = string(rune('A' + i))
		}
		entry := func(id, patient string, size int) map[string]any {
			return map[string]any{"image": "./imagesTs/" + id + ".nii.gz", "label": "./labelsTs/" + id + ".nii.gz", "Lesion": size % 2, "Size": size, "patient": patient}
		}
		d["test"] = []any{entry("phantom_test_001", "B", 0), entry("phantom_test_002", "Z", 1)}
	})
	for _, kind := range []string{"_0000.nii.gz", ".nii.gz"} { // the second test case is a training case
		from, to := c.path("imagesTr", "phantom_003"+kind), c.path("imagesTs", "phantom_test_002"+kind)
		if kind == ".nii.gz" {
			from, to = c.path("labelsTr", "phantom_003"+kind), c.path("labelsTs", "phantom_test_002"+kind)
		}
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if r := uc(c.planArgs("--verify_dataset_integrity", "--split", "stratified")...); r.code != ExitOK ||
		!strings.Contains(r.stderr, "case phantom_003 and test case phantom_test_002 hold the same voxels") {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	for _, s := range c.splits(t) {
		if slices.ContainsFunc(append(s.Train, s.Val...), func(id string) bool { return strings.Contains(id, "test") }) {
			t.Errorf("a test case is in a fold: %+v", s)
		}
	}
	ok(t, c.trainArgs("0")...)
	args := []string{"evaluate", "--data-root", c.root, "1", "--test"}
	r := uc(args...)
	for _, want := range []string{"external test set: 2 cases of 2 patients", "test case phantom_test_001 is of patient B, of whom training case phantom_002",
		"case phantom_003 and test case phantom_test_002 hold the same voxels", "share of Lesion", "spacing x [mm]", "mean intensity, modality 0"} {
		if r.code != ExitOK || !strings.Contains(r.stdout, want) {
			t.Fatalf("exit code %d, no %q in\n%s\n%s", r.code, want, r.stdout, r.stderr)
		}
	}
	var report evaluate.Report
	decode(t, ok(t, append(args, "-f", "0", "--json")...), &report)
	if !report.External || report.Cases != 2 || len(report.Drift) < 12 || report.Labels[0].Confusion == nil {
		t.Errorf("%+v", report)
	}
	predictions := filepath.Join(c.model(), "test", "folds_0")
	decode(t, ok(t, "evaluate", "--data-root", c.root, "1", "--test", "--predictions", predictions, "-o", t.TempDir(), "--json"), &report)
	if report.Cases != 2 {
		t.Errorf("%+v", report)
	}
	decode(t, ok(t, "evaluate", "--data-root", c.root, "1", "--json"), &report)
	for _, f := range report.PerFold {
		if f.Cases != 2 && f.Cases != 1 {
			t.Errorf("fold %s: %d cases", f.Fold, f.Cases)
		}
	}
	refused(t, ExitUsage, []string{"--truth"}, append(args, "--truth", "x.csv")...)
	refused(t, ExitUsage, []string{"--device belongs to --test"}, "evaluate", "--data-root", c.root, "1", "--device", "cpu")
	b, err := json.Marshal([]split.Split{{Train: []string{"phantom_test_001"}, Val: []string{"phantom_001"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.root, "preprocessed", c.name, split.SplitsFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{"phantom_test_001", "not among the preprocessed cases"}, c.trainArgs("1")...)
}
