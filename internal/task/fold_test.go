package task

import (
	"slices"
	"testing"
)

func TestFoldFolders(t *testing.T) {
	for dir, want := range map[string]int{"fold_0": 0, "fold_12": 12, "all": -1, "fold_": -1, "fold_01": -1, "fold_-1": -1, "fold_x": -1, "evaluation": -1} {
		number, ok := NumberedFold(dir)
		if ok != (want >= 0) || ok && (number != want) {
			t.Errorf("%s: %d, %v", dir, number, ok)
		}
	}
	if FoldDir("3") != "fold_3" || FoldDir(FoldAll) != FoldAll {
		t.Error("names of folders")
	}
}

func TestCheckFolds(t *testing.T) {
	if got, err := CheckFolds([]string{"02", "0", "all"}); err != nil || !slices.Equal(got, []string{"2", "0", "all"}) {
		t.Errorf("got %q (%v)", got, err)
	}
	for _, wrong := range [][]string{{"1", "01"}, {"all", "all"}, {"-1"}, {"x"}, {""}, {"9999999999"}} {
		if got, err := CheckFolds(wrong); err == nil {
			t.Errorf("%q: got %q", wrong, got)
		}
	}
}
