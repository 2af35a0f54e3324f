package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// --report writes the page of a cohort when planning, with its folds, and from the raw task alone.
func TestCohortReport(t *testing.T) {
	root := t.TempDir()
	ok(t, "demo", root, "--cases", "6", "--test-cases", "0")
	path := filepath.Join(root, "preprocessed", "Task900_Phantom", "cohort.html")
	var info struct {
		Report string
		Tasks  []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(ok(t, "info", "--data-root", root, "900", "--report", "--json")), &info); err != nil {
		t.Fatal(err)
	}
	if info.Report != path || len(info.Tasks) != 1 {
		t.Errorf("%+v", info)
	}
	before, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(before), "not drawn yet") || !strings.Contains(string(before), `id="case-6"`) {
		t.Errorf("%v, a page of %d bytes", err, len(before))
	}
	if out := ok(t, "plan-and-preprocess", "--data-root", root, "-t", "900", "--report"); !strings.Contains(out, "report: "+path) {
		t.Error(out)
	}
	if after, err := os.ReadFile(path); err != nil || !strings.Contains(string(after), "fold 4") {
		t.Errorf("%v, no folds on the page", err)
	}
	refused(t, ExitUsage, []string{"missing argument TASK"}, "info", "--data-root", root, "--report")
	refused(t, ExitUsage, []string{`unexpected argument "2"`}, "info", "--data-root", root, "900", "2")
	refused(t, ExitFailed, []string{`no task "7"`}, "info", "--data-root", root, "7")
}
