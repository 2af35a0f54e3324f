package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/split"
)

// declare gives the training cases patients with so many scans each, and sites in turn.
func (c testCohort) declare(t *testing.T, scans, sites int) {
	t.Helper()
	c.changeDataset(t, func(d map[string]any) {
		for i, e := range d["training"].([]any) {
			e.(map[string]any)["patient"] = fmt.Sprintf("P%d", i/scans)
			e.(map[string]any)["site"] = string(rune('A' + i/scans%sites))
		}
	})
}

func (c testCohort) splits(t *testing.T) []split.Split {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.root, "preprocessed", c.name, split.SplitsFile))
	if err != nil {
		t.Fatal(err)
	}
	var splits []split.Split
	decode(t, string(b), &splits)
	return splits
}

// Patients that are declared stay together from the plan to the intervals.
func TestPatientsFromPlanToIntervals(t *testing.T) {
	c := newCohort(t, 10)
	refused(t, ExitUsage, []string{"--split", "groups"}, c.planArgs("--split", "groups")...)
	refused(t, ExitFailed, []string{"names no patients"}, c.planArgs("--split", "grouped")...)
	ok(t, c.planArgs()...)
	reference := c.splits(t)
	c.declare(t, 2, 2)
	if r := uc(c.planArgs()...); r.code != ExitOK || !strings.Contains(r.stderr, "drawn grouped since patients are declared now") {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	splits := c.splits(t)
	for f, s := range splits {
		var first, second int
		if len(s.Val) == 2 {
			fmt.Sscanf(s.Val[0], "phantom_%d", &first)
			fmt.Sscanf(s.Val[1], "phantom_%d", &second)
		}
		if first%2 != 1 || second != first+1 { // the two scans of a patient
			t.Errorf("fold %d validates %v", f, s.Val)
		}
	}
	for _, fold := range []string{"0", "1"} {
		ok(t, c.trainArgs(fold)...)
	}
	refused(t, ExitFailed, []string{"drawn grouped", "fold_0", "drawn stratified", "without --split"}, c.trainArgs("2", "--split", "stratified")...)
	var report evaluate.Report
	decode(t, ok(t, "evaluate", "--data-root", c.root, "1", "--json"), &report)
	if report.Patients != 2 || !report.Clustered || report.Cases != 4 || report.Labels[0].Accuracy.Method != evaluate.MethodRaoScott {
		t.Errorf("%d cases of %d patients, accuracy %+v", report.Cases, report.Patients, report.Labels[0].Accuracy)
	}
	if table := ok(t, "evaluate", "--data-root", c.root, "1"); !strings.Contains(table, "4 cases of 2 patients, folds 0 1") || !strings.Contains(table, "clustered by patient") {
		t.Errorf("evaluate printed\n%s", table)
	}
	path := filepath.Join(c.root, "preprocessed", c.name, split.SplitsFile)
	b, err := json.Marshal(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{"patient P", "trains with phantom_0", "validates with phantom_0", "--allow-patient-overlap"}, c.trainArgs("3")...)
	ok(t, c.trainArgs("3", "--allow-patient-overlap")...)
	if r := uc("evaluate", "--data-root", c.root, "1", "-f", "3"); r.code != ExitOK || !strings.Contains(r.stdout, "trained on other scans of the patients of") {
		t.Errorf("exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
}

// A fold per site: each says which one it leaves out, and the evaluation knows how many there are.
func TestLeaveOneSiteOut(t *testing.T) {
	c := newCohort(t, 9)
	c.declare(t, 1, 3)
	if r := uc(c.planArgs("--split", "leave-one-site-out")...); r.code != ExitOK || !strings.Contains(r.stderr, "fold 2: C (3 cases)") {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	if r := uc(c.trainArgs("1")...); r.code != ExitOK || !strings.Contains(r.stderr, `leaves out site "B" (3 cases)`) {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	refused(t, ExitFailed, []string{"folds 0 to 2 leave out one site each"}, c.trainArgs("3")...)
	ok(t, c.trainArgs("all")...)
	var report evaluate.Report
	decode(t, ok(t, "evaluate", "--data-root", c.root, "1", "--json"), &report)
	if !slices.Equal(report.Folds, []string{"1"}) || !slices.Equal(report.MissingFolds, []string{"0", "2"}) || report.Clustered {
		t.Errorf("folds %v, missing %v", report.Folds, report.MissingFolds)
	}
}
