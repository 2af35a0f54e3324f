package task

import (
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/remedy"
)

// All that is wrong with a case becomes one error that keeps what can be done about each part of it; what is said of a
// whole case, or of none, is about a file.
func TestBroken(t *testing.T) {
	masks, overwrite := remedy.Set{Option: remedy.Masks}, remedy.Set{Option: remedy.Overwrite}
	broken, unused := Broken([]Case{{ID: "whole"}}, []Problem{
		{Field: "c.nii", Message: "of no case"},
		{Case: "a", Field: "a_0001.nii", Message: "missing", For: []remedy.Remedy{overwrite}},
		{Case: "a", Field: "mask", Message: "missing, too", For: []remedy.Remedy{masks}},
		{Case: "b", Message: "odd"},
		{Case: "whole", Field: "whole_0007.nii", Message: "not used"},
	})
	if len(broken) != 2 || broken[0].Case != "a" || broken[1].Case != "b" || len(unused) != 2 || unused[0].File != "c.nii" || unused[1].File != "whole_0007.nii" {
		t.Fatalf("broken %+v, unused %+v", broken, unused)
	}
	if got, want := broken[0].Error, "case a: a_0001.nii: missing; mask: missing, too"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := broken[0].For, []remedy.Remedy{overwrite, masks}; !slices.Equal(got, want) {
		t.Errorf("remedies %v, want %v", got, want)
	}
	if got := broken[1].For; len(got) > 0 {
		t.Errorf("remedies %v of a problem without one", got)
	}
}
