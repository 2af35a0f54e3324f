package split

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/task"
)

// drawingOf is a cohort of so many cases, scans to a patient (0: none declared) and sites; class 1 is every fourth
// case.
func drawingOf(cases, scans, sites int) (Drawing, []string) {
	d := Drawing{Labels: []task.Label{{Name: "Lesion", Values: []string{"absent", "present"}}}}
	ids := numbered(cases)
	slices.Sort(ids)
	for i, id := range ids {
		c := Case{ID: id, Targets: []int{max(0, i%4-2)}}
		if scans > 0 {
			c.Patient = fmt.Sprintf("P%d", i/scans)
		}
		if sites > 0 {
			c.Site = fmt.Sprintf("site %c", 'A'+i/max(scans, 1)%sites)
		}
		d.Cases = append(d.Cases, c)
	}
	return d, ids
}

// choose is ChooseSplit that must work.
func choose(t *testing.T, dir, fold string, ids []string, d Drawing) *ChosenSplit {
	t.Helper()
	c, err := ChooseSplit(dir, fold, ids, d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refusedSplit is ChooseSplit that must fail with words.
func refusedSplit(t *testing.T, dir, fold string, ids []string, d Drawing, words ...string) {
	t.Helper()
	_, err := ChooseSplit(dir, fold, ids, d)
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want %q", err, word)
		}
	}
}

func readSplits(t *testing.T, dir string, ids []string) []Split {
	t.Helper()
	splits, err := ReadSplits(filepath.Join(dir, SplitsFile), ids)
	if err != nil {
		t.Fatal(err)
	}
	return splits
}

// Without patients the folds are the reference's; with patients no patient is on both sides, every case is in one
// validation, and classes are even.
func TestDefaultFoldsFollowWhatIsDeclared(t *testing.T) {
	dir := t.TempDir()
	d, ids := drawingOf(40, 0, 0)
	choose(t, dir, "0", ids, d)
	if want, _ := KFold(ids); !sameSplits(readSplits(t, dir, ids), want) {
		t.Error("without patients the folds are not the reference's")
	}
	d, ids = drawingOf(40, 2, 2)
	c := choose(t, dir, "0", ids, d) // nothing was trained: drawn again
	if !strings.Contains(c.Origin, "grouped since patients are declared now") {
		t.Errorf("origin %q", c.Origin)
	}
	held := map[string]int{}
	for f, s := range readSplits(t, dir, ids) {
		if len(d.overlaps("0", s)) > 0 {
			t.Errorf("fold %d: %v", f, d.overlaps("0", s))
		}
		present := 0
		for _, id := range s.Val {
			held[id]++
			for _, c := range d.Cases {
				if c.ID == id {
					present += c.Targets[0]
				}
			}
		}
		if len(s.Val) != 8 || present != 2 {
			t.Errorf("fold %d: %d cases, %d of class 1", f, len(s.Val), present)
		}
	}
	if len(held) != 40 {
		t.Errorf("%d cases are held out", len(held))
	}
	beyond := choose(t, dir, "7", ids, d)
	if len(d.overlaps("7", beyond.Split)) > 0 || len(beyond.Val) != 8 {
		t.Errorf("fold 7: %+v", beyond)
	}
	if again := choose(t, dir, "7", ids, d); !reflect.DeepEqual(again.Split, beyond.Split) {
		t.Error("fold 7 is not always the same")
	}
}

func TestModesAreHonoured(t *testing.T) {
	d, ids := drawingOf(40, 0, 3)
	for _, mode := range []string{SplitStratified, SplitReference, SplitSites} {
		dir := t.TempDir()
		d.Mode = mode
		c := choose(t, dir, "1", ids, d)
		if !strings.Contains(c.Origin, "drawn "+mode) {
			t.Errorf("%s: origin %q", mode, c.Origin)
		}
		without := d
		without.Mode = ""
		if again := choose(t, dir, "1", ids, without); !reflect.DeepEqual(again.Split, c.Split) {
			t.Errorf("%s is not kept", mode)
		}
	}
	d.Mode = SplitGrouped
	refusedSplit(t, t.TempDir(), "0", ids, d, "names no patients", "drawn stratified")
	refusedSplit(t, t.TempDir(), "0", ids, Drawing{Mode: SplitStratified}, "dataset.json")
	d.Mode = "random"
	refusedSplit(t, t.TempDir(), "0", ids, d, `"random"`, "leave-one-site-out")
}

// The reference's folds with patients on both sides must be insisted on.
func TestPatientsOnBothSides(t *testing.T) {
	dir := t.TempDir()
	d, ids := drawingOf(20, 4, 0)
	d.Mode = SplitReference
	refusedSplit(t, dir, "0", ids, d, "patient P0", "trains with case_", "drawn grouped", "or insist")
	if _, err := os.Stat(filepath.Join(dir, SplitsFile)); err == nil {
		t.Error("folds that were refused are written")
	}
	d.AllowPatientOverlap = true
	if c := choose(t, dir, "0", ids, d); len(c.Warnings) == 0 || !strings.Contains(c.Warnings[0].Text, "better than new patients") {
		t.Errorf("warnings %q", c.Warnings)
	}
	d.Mode, d.AllowPatientOverlap = "", false
	refusedSplit(t, dir, "0", ids, d, "patient P0") // --split reference was asked for, and stays
	refusedSplit(t, dir, "9", ids, d, "patient P0")
	choose(t, dir, task.FoldAll, ids, d)
}

// An own file wins, but a patient on both sides is an error that names patient, cases and the flag to insist.
func TestOwnFileWins(t *testing.T) {
	dir := t.TempDir()
	d, ids := drawingOf(10, 2, 0)
	own := []Split{{Train: ids[:8], Val: ids[8:]}}
	if err := writeSplits(filepath.Join(dir, SplitsFile), own); err != nil {
		t.Fatal(err)
	}
	d.Mode = SplitGrouped
	c := choose(t, dir, "0", ids, d)
	if !slices.Equal(c.Val, ids[8:]) || !strings.Contains(fmt.Sprint(c.Warnings), "folds drawn grouped has no effect") {
		t.Errorf("%+v", c)
	}
	own[0] = Split{Train: ids[:7], Val: ids[7:]}
	if err := writeSplits(filepath.Join(dir, SplitsFile), own); err != nil {
		t.Fatal(err)
	}
	refusedSplit(t, dir, "0", ids, d, SplitsFile, "fold 0: patient P3 trains with case_000006 and validates with case_000007", "or insist")
	d.AllowPatientOverlap = true
	choose(t, dir, "0", ids, d)
}

// Folds that were drawn and then edited are somebody's own.
func TestEditedFoldsAreKept(t *testing.T) {
	dir := t.TempDir()
	d, ids := drawingOf(20, 0, 0)
	choose(t, dir, "0", ids, d)
	splits := readSplits(t, dir, ids)
	splits[0], splits[1] = splits[1], splits[0]
	if err := writeSplits(filepath.Join(dir, SplitsFile), splits); err != nil {
		t.Fatal(err)
	}
	d.Mode = SplitStratified
	if c := choose(t, dir, "0", ids, d); !slices.Equal(c.Val, splits[0].Val) {
		t.Error("the edited file was replaced")
	}
}

// Once a fold is trained, no other folds are drawn under it.
func TestTrainedFoldsKeepTheirSplits(t *testing.T) {
	dir := t.TempDir()
	d, ids := drawingOf(20, 0, 0)
	before := choose(t, dir, "0", ids, d)
	d.Trained = []string{"fold_0"}
	d.Mode = SplitStratified
	refusedSplit(t, dir, "1", ids, d, "was drawn reference", "fold_0", "two cross-validations")
	d.Mode = ""
	more, moreIDs := drawingOf(22, 0, 0)
	more.Trained = d.Trained
	c := choose(t, dir, "0", moreIDs, more)
	if !slices.Equal(c.Val, before.Val) || !strings.Contains(fmt.Sprint(c.Warnings), "2 of 22 cases are in no fold") {
		t.Errorf("%+v", c)
	}
	more.Trained = nil
	if c := choose(t, dir, "0", moreIDs, more); !strings.Contains(c.Origin, "since the cases have changed") || len(c.Train)+len(c.Val) != 22 {
		t.Errorf("%+v", c)
	}
	d, ids = drawingOf(22, 2, 0)
	d.Trained = []string{"fold_0"}
	refusedSplit(t, dir, "1", ids, d, "patient P", "or insist")
}

func TestLeaveOneSiteOut(t *testing.T) {
	dir := t.TempDir()
	d, ids := drawingOf(30, 1, 3)
	d.Cases[0].Patient = d.Cases[1].Patient // who was at two sites
	d.Mode = SplitSites
	c := choose(t, dir, "1", ids, d)
	if c.Site != "site B" || len(c.Val) != 10 || len(c.Train) != 19 || !strings.Contains(c.Origin, "leaves out site \"site B\" (10 cases)") {
		t.Errorf("%+v", c)
	}
	if slices.Contains(c.Train, ids[0]) {
		t.Error("the patient of two sites trains where it validates")
	}
	splits := readSplits(t, dir, ids)
	if len(splits) != 3 || splits[2].Site != "site C" || !slices.Equal(FoldNames(dir), []string{"0", "1", "2"}) {
		t.Errorf("splits %+v", splits)
	}
	refusedSplit(t, dir, "3", ids, d, "fold 3 is not there", "folds 0 to 2")
	choose(t, dir, task.FoldAll, ids, d)
	d.Cases[5].Site = ""
	refusedSplit(t, t.TempDir(), "0", ids, d, "case_000005 has no site")
	one, oneIDs := drawingOf(30, 1, 1)
	one.Mode = SplitSites
	refusedSplit(t, t.TempDir(), "0", oneIDs, one, "all cases are of site")
}

// The reference's folds may lack a class: that is said loudly, with what mends it, and only where it does.
func TestFoldsWithoutAClass(t *testing.T) {
	d, ids := drawingOf(40, 0, 0)
	folds, _ := KFold(ids)
	for i, c := range d.Cases { // class 1 is in folds 0 and 1 alone
		d.Cases[i].Targets = []int{0}
		if slices.Contains(folds[0].Val, c.ID) || slices.Contains(folds[1].Val, c.ID) {
			d.Cases[i].Targets = []int{1}
		}
	}
	_, warnings, err := DrawSplits(t.TempDir(), ids, d)
	if err != nil || len(warnings) != 1 {
		t.Fatalf("warnings %q (%v)", warnings, err)
	}
	for _, want := range []string{"FOLDS WITHOUT A CLASS", `"Lesion", class 1 (present, 16 cases): none in the validation of fold 2, 3, 4`, "class 0 (absent, 24 cases): none in the validation of fold 0, 1", "drawn stratified"} {
		if !strings.Contains(warnings[0].Text, want) {
			t.Errorf("%q lacks %q", warnings[0], want)
		}
	}
	d.Mode = SplitStratified
	if _, warnings, err := DrawSplits(t.TempDir(), ids, d); err != nil || len(warnings) > 0 {
		t.Errorf("stratified: warnings %q (%v)", warnings, err)
	}
	for i := range d.Cases {
		d.Cases[i].Targets = []int{max(0, i-37)}
	}
	if _, warnings, err := DrawSplits(t.TempDir(), ids, d); err != nil || len(warnings) != 1 || len(warnings[0].For) > 0 || !strings.Contains(warnings[0].Text, "fewer cases of it than 5 folds") {
		t.Errorf("too few: warnings %q (%v)", warnings, err)
	}
}

// The record of the folds is what it is compared with.
func TestDrawnFileFitsItsFolds(t *testing.T) {
	dir := t.TempDir()
	d, ids := drawingOf(20, 2, 0)
	choose(t, dir, "0", ids, d)
	raw, err := os.ReadFile(filepath.Join(dir, DrawnFile))
	if err != nil {
		t.Fatal(err)
	}
	var of drawn
	if err := json.Unmarshal(raw, &of); err != nil || of.Mode != SplitGrouped || of.Asked || of.Cases != d.key(SplitGrouped, ids) {
		t.Errorf("%s (%v)", raw, err)
	}
	if err := os.WriteFile(filepath.Join(dir, DrawnFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if before, err := readDrawn(dir); before != nil || err != nil {
		t.Errorf("a damaged record: %v, %v", before, err)
	}
}
