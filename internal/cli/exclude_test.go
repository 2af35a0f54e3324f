package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/split"
)

// What a reader excluded takes no part in planning and folds, is on record, and comes back without the flag.
func TestExcludedCases(t *testing.T) {
	c := newCohort(t, 10)
	preprocessed := filepath.Join(c.root, "preprocessed", c.name)
	cases := func() []string {
		t.Helper()
		ids, err := dataset.Cases(filepath.Join(preprocessed, plan.DataIdentifier+"_stage0"))
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	ok(t, c.planArgs()...)
	all := cases()
	if len(all) != 10 {
		t.Fatalf("%d cases", len(all))
	}
	broken, relabelled := all[3], all[5]
	images, err := filepath.Glob(filepath.Join(c.root, "raw", "nnUNet_raw_data", c.name, "imagesTr", broken+"_*"))
	if err != nil || len(images) != 1 {
		t.Fatal(images, err)
	}
	whole, err := os.ReadFile(images[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(images[0], []byte("not an image any more"), 0o644); err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(t.TempDir(), "marks.csv")
	text := "case,mark,comment\n" + all[0] + ",exclude,\"motion, twice\"\n" + broken + ",Exclude,\n" + relabelled + ",relabel,is benign\nc_99,exclude,\n"
	if err := os.WriteFile(table, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{broken}, c.planArgs()...)
	// Folds written by hand stay, but for the cases.
	own := c.splits(t)
	own[0].Val, own[1].Val = own[1].Val, own[0].Val
	own[0].Train, own[1].Train = own[1].Train, own[0].Train
	b, err := split.Encode(own)
	if err != nil {
		t.Fatal(err)
	}
	splits := filepath.Join(preprocessed, split.SplitsFile)
	if err := os.WriteFile(splits, b, 0o644); err != nil {
		t.Fatal(err)
	}
	r := uc(c.planArgs("--exclude", table)...)
	if r.code != ExitOK {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	for _, want := range []string{"case " + all[0] + " is excluded (motion, twice)", "case " + broken + " is excluded", "2 cases are excluded, 8 left",
		"1 case is marked relabel; the classes of dataset.json are used as they are, so correct them there: " + relabelled + " (is benign)",
		"folds: 2 excluded cases are taken out of splits_final.json",
		"1 marked case is not in dataset.json: c_99"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("no %q in\n%s", want, r.stderr)
		}
	}
	if strings.Contains(r.stderr, "belongs to no case") {
		t.Errorf("an excluded case's image is called a straggler\n%s", r.stderr)
	}
	left := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return id == all[0] || id == broken })
	if got := cases(); !slices.Equal(got, left) {
		t.Errorf("preprocessed %v, want %v", got, left)
	}
	p, err := plan.Load(filepath.Join(preprocessed, plan.File(plan.Identifier)))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{all[0], broken}; !slices.Equal(p.ExcludedCases, want) || len(p.OriginalSizes) != 8 {
		t.Errorf("the plans exclude %v, want %v; they are of %d cases", p.ExcludedCases, want, len(p.OriginalSizes))
	}
	var held []string
	for f, s := range c.splits(t) {
		held = append(held, s.Val...)
		for _, id := range s.Val {
			if !slices.Contains(own[f].Val, id) {
				t.Errorf("case %s moved into fold %d", id, f)
			}
		}
	}
	if before, err := os.ReadFile(filepath.Join(preprocessed, split.BeforeExcludeFile)); err != nil || string(before) != string(b) {
		t.Errorf("the folds as they were are not kept: %v", err)
	}
	if slices.Sort(held); !slices.Equal(held, left) {
		t.Errorf("the folds hold out %v", held)
	}
	if err := os.WriteFile(images[0], whole, 0o644); err != nil {
		t.Fatal(err)
	}
	ok(t, c.planArgs()...)
	if p, err = plan.Load(filepath.Join(preprocessed, plan.File(plan.Identifier))); err != nil || p.ExcludedCases != nil || len(cases()) != 10 {
		t.Errorf("%v, %v, %d cases", err, p.ExcludedCases, len(cases()))
	}

	refused(t, ExitFailed, []string{"absent.csv"}, c.planArgs("--exclude", "absent.csv")...)
	everyone := "case,mark\n"
	for _, id := range all {
		everyone += id + ",exclude\n"
	}
	if err := os.WriteFile(table, []byte(everyone), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{"all 10 cases are excluded"}, c.planArgs("--exclude", table)...)
	refused(t, ExitUsage, []string{"--exclude names cases of one task"}, "plan-and-preprocess", "--data-root", c.root, "-t", "1", "2", "--exclude", table)
}
