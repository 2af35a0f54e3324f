package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkReproduction writes the files for a paper about fold 0, repeats its training from the lock, and alters a scan.
func checkReproduction(t *testing.T, c testCohort) {
	t.Helper()
	out := t.TempDir()
	printed := ok(t, "evaluate", "--data-root", c.root, c.name, "-f", "0", "--paper", "-o", out)
	folder := filepath.Join(out, "paper")
	for _, name := range []string{"README.md", "model-card.md", "checklist-tripod-ai.md", "checklist-claim-2024.md", "methods.md", "references.bib", "paper.tex",
		"figures/roc_Lesion.pdf", "figures/training.svg", "tables/performance.csv", "tables/performance.tex", "uc.lock"} {
		if path := filepath.Join(folder, filepath.FromSlash(name)); !exists(path) || !strings.Contains(printed, path) {
			t.Errorf("evaluate --paper: %s is not there, or not named in\n%s", name, printed)
		}
	}
	refused(t, ExitUsage, []string{"--paper", "TASK"}, "evaluate", "--predictions", out, "--truth", c.path("truthTs.csv"), "--paper")

	lock := filepath.Join(folder, "uc.lock")
	b, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), c.root) {
		t.Errorf("the lock names a folder of this machine:\n%s", b)
	}
	again := filepath.Join(out, "again")
	args := func(more ...string) []string {
		return append([]string{"reproduce", "--data-root", c.root, lock, "-o", again}, more...)
	}
	if text := ok(t, args("--check")...); strings.Contains(text, "DIFFERS") || exists(again) {
		t.Errorf("reproduce --check printed\n%s", text)
	}
	var r reproduced
	decode(t, ok(t, args("--threads", "1", "--workers", "1", "--json")...), &r)
	if r.Outcome == nil || !r.Outcome.Bits || !r.Outcome.Reproduced || len(r.Outcome.Folds) != 1 || !r.Outcome.Folds[0].Weights || !r.Outcome.Folds[0].Predictions {
		t.Errorf("reproduce --json: %+v", r.Outcome)
	}
	if text := ok(t, args()...); !strings.Contains(text, "Reproduced, bit for bit.") { // what is done is compared again
		t.Errorf("reproduce printed\n%s", text)
	}

	// Another lock does not go into the same folder, and altered data are named and not trained on.
	var changed map[string]any
	if err := json.Unmarshal(b, &changed); err != nil {
		t.Fatal(err)
	}
	changed["program"].(map[string]any)["version"] = "another"
	b, err = json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(out, "other.lock")
	if err := os.WriteFile(other, b, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{"another lock", again}, "reproduce", "--data-root", c.root, other, "-o", again)

	scans, err := filepath.Glob(filepath.Join(c.path("imagesTr"), "*.nii.gz"))
	if err != nil || len(scans) == 0 {
		t.Fatal(scans, err)
	}
	whole, err := os.ReadFile(scans[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.WriteFile(scans[0], whole, 0o644); err != nil {
			t.Error(err)
		}
	}()
	altered := append([]byte(nil), whole...)
	altered[len(altered)/2] ^= 1
	if err := os.WriteFile(scans[0], altered, 0o644); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSuffix(filepath.Base(scans[0]), "_0000.nii.gz")
	result := uc("reproduce", "--data-root", c.root, lock, "-o", filepath.Join(out, "third"))
	if result.code != ExitFailed || !strings.Contains(result.stdout, "DIFFERS  scans: 1 of 10 differ: "+id) || !strings.Contains(result.stderr, "nothing was trained") || exists(filepath.Join(out, "third")) {
		t.Errorf("altered scan: code %d\n%s%s", result.code, result.stdout, result.stderr)
	}
}
