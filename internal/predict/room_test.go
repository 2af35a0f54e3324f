package predict

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// respace multiplies the spacing in the headers of a case.
func respace(t *testing.T, c task.Case, factor float64) {
	t.Helper()
	im, err := nifti.ReadImage(c.Images[0])
	if err != nil {
		t.Fatal(err)
	}
	m, err := nifti.ReadMask(c.Mask)
	if err != nil {
		t.Fatal(err)
	}
	for d := range 3 {
		im.Spacing[d] *= factor
	}
	m.Geometry = im.Geometry
	if err := nifti.WriteImage(c.Images[0], im); err != nil {
		t.Fatal(err)
	}
	if err := nifti.WriteMask(c.Mask, m); err != nil {
		t.Fatal(err)
	}
}

// A small file whose header makes it huge is reported, the others are predicted.
func TestCaseLargerThanTheBudget(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{""}, 1.6)
	cases := writeCases(t, 3)
	respace(t, cases[1], 20)
	m := openModel(t, dir, Options{Memory: 600 << 20, DisableTTA: true})
	out := filepath.Join(t.TempDir(), "out")
	s, err := m.Folder(t.Context(), cases, nil, out, false, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var large *memory.TooLargeError
	if s.Predicted != 2 || len(s.Failed) != 1 || !strings.Contains(s.Failed[0].Error, "case case_1: ") || !strings.Contains(s.Failed[0].Error, "600 MiB") || len(s.Failed[0].For) != 1 {
		t.Fatalf("%+v", s)
	}
	var table evaluate.Table
	testutil.ReadJSON(t, s.JSON, &table)
	if len(table.Cases) != 2 || len(table.Failed) != 1 || table.Failed[0].Case != "case_1" {
		t.Errorf("predictions.json: %+v", table)
	}
	if _, err := Open(dir, Options{Memory: 64 << 20, Device: "cpu"}, progress.Discard); !errors.As(err, &large) || !strings.Contains(err.Error(), "weights") {
		t.Errorf("a budget below the weights: %v", err)
	}
}

// What the error asks for is enough, also for cases of several sizes side by side, and the answers are the same as with
// plenty.
func TestBudgetThatJustSuffices(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{""}, 1.6)
	cases := writeCases(t, 4)
	respace(t, cases[1], 3)
	respace(t, cases[2], 1.5)
	respace(t, cases[3], 3)
	plenty := openModel(t, dir, Options{DisableTTA: true, Memory: 4 << 30})
	var want []*Result
	for _, c := range cases {
		r, err := plenty.Case(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	var large *memory.TooLargeError
	if _, err := openModel(t, dir, Options{DisableTTA: true, Memory: 160 << 20}).Case(t.Context(), cases[1]); !errors.As(err, &large) {
		t.Fatalf("expected too little memory: %v", err)
	}
	tight := openModel(t, dir, Options{DisableTTA: true, Memory: large.Need})
	for range 2 {
		var group sync.WaitGroup
		for i, c := range cases {
			group.Go(func() {
				r, err := tight.Case(t.Context(), c)
				if err != nil || !reflect.DeepEqual(r, want[i]) {
					t.Errorf("%s: %+v (%v), want %+v", c.ID, r, err, want[i])
				}
			})
		}
		group.Wait()
	}
	s, err := tight.Folder(t.Context(), cases, nil, t.TempDir(), false, progress.Discard)
	if err != nil || s.Predicted != len(cases) {
		t.Errorf("%+v, %v", s, err)
	}
	if !tight.room.budget.TryAcquire(tight.room.capacity - tight.room.network) {
		t.Error("cases that are done still hold memory")
	}
}

// A prediction warns of what the training cases were not like, and the warning outlives a run that keeps the result.
func TestStrangeCasesCarryWarnings(t *testing.T) {
	p := toyPlans()
	p.OriginalSpacings, p.OriginalOrientations = [][3]float64{{1, 1, 1}, {1.2, 1, 1}}, []string{"LPS", "LPS"}
	dir := writeModel(t, p, []string{""}, 1.6)
	cases := writeCases(t, 3)
	respace(t, cases[1], 1.9)
	im, err := nifti.ReadImage(cases[2].Images[0])
	if err != nil {
		t.Fatal(err)
	}
	mask, err := nifti.ReadMask(cases[2].Mask)
	if err != nil {
		t.Fatal(err)
	}
	im.Direction = [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1}
	mask.Geometry = im.Geometry
	if err := errors.Join(nifti.WriteImage(cases[2].Images[0], im), nifti.WriteMask(cases[2].Mask, mask)); err != nil {
		t.Fatal(err)
	}
	m := openModel(t, dir, Options{DisableTTA: true})
	out := t.TempDir()
	for run := range 2 {
		w := &warnings{Reporter: progress.Discard}
		found := []task.Problem{{Field: "x.nrrd", Message: "not read"}, {Case: "lost", Field: "lost_0000.nii.gz", Message: "missing"}, {Case: "lost", Field: "lost_0001.nii.gz", Message: "missing"}}
		s, err := m.Folder(t.Context(), cases, found, out, false, w)
		if err != nil {
			t.Fatal(err)
		}
		if run == 0 && (len(w.lines) != 2 || !strings.Contains(w.lines[0], "case_1: spacing 1.9 x 1.9 x 1.9 mm") || !strings.Contains(w.lines[1], "case_2: stored in the orientation RAS, but the training cases in LPS")) {
			t.Errorf("warnings %q", w.lines)
		}
		var table evaluate.Table
		testutil.ReadJSON(t, s.JSON, &table)
		if len(table.Cases) != 3 || len(table.Cases[0].Warnings) != 0 || len(table.Cases[1].Warnings) != 1 || len(table.Cases[2].Warnings) != 1 {
			t.Errorf("run %d: %+v", run, table.Cases)
		}
		if len(table.Unused) != 1 || table.Unused[0].File != "x.nrrd" || len(table.Failed) != 1 || table.Failed[0].Case != "lost" ||
			table.Failed[0].Error != "case lost: lost_0000.nii.gz: missing; lost_0001.nii.gz: missing" {
			t.Errorf("run %d: unused %+v, failed %+v", run, table.Unused, table.Failed)
		}
	}
}

// Grid and mask are checked at prediction as at planning, and names as in dataset.json.
func TestMaskThatDoesNotFit(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{""}, 1.6)
	m := openModel(t, dir, Options{DisableTTA: true})
	for name, test := range map[string]struct {
		spoil func(*volume.Mask)
		want  string
	}{
		"slices reversed":   {func(m *volume.Mask) { m.Direction[8] = -1; m.Origin[2] += 13 }, "direction"},
		"twice the spacing": {func(m *volume.Mask) { m.Spacing[0] = 2 }, "spacing"},
		"255":               {func(m *volume.Mask) { m.Data[3000] = 255 }, "values 255, but labels declares 0 to 1"},
		"-1":                {func(m *volume.Mask) { m.Data[3000] = -1 }, "values -1"},
	} {
		c := writeCases(t, 1)[0]
		mask, err := nifti.ReadMask(c.Mask)
		if err != nil {
			t.Fatal(err)
		}
		test.spoil(mask)
		if err := nifti.WriteMask(c.Mask, mask); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Case(t.Context(), c); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), c.Mask) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	c := writeCases(t, 1)[0]
	before, err := m.Case(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mask, err := nifti.ReadMask(c.Mask)
	if err != nil {
		t.Fatal(err)
	}
	mask.Origin[0] += 30
	if err := nifti.WriteMask(c.Mask, mask); err != nil {
		t.Fatal(err)
	}
	// The reference does not look at the origin: the numbers stay, but not in silence.
	after, err := m.Case(t.Context(), c)
	if err != nil || len(before.Warnings) != 0 || len(after.Warnings) != 1 || !strings.Contains(after.Warnings[0], "origin") {
		t.Fatalf("a mask elsewhere: %v, %+v", err, after)
	}
	if !reflect.DeepEqual(after.Logits, before.Logits) {
		t.Errorf("a mask elsewhere changes the logits from %v to %v", before.Logits, after.Logits)
	}
	c.ID = "=1"
	if _, err := m.Case(t.Context(), c); err == nil || !strings.Contains(err.Error(), "formula") {
		t.Errorf("a name that is a formula: %v", err)
	}
}
