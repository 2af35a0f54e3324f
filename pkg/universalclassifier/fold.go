package universalclassifier

import (
	"strconv"

	"github.com/universal-classifier/uc/internal/task"
)

// Fold is a fold of a task: 0 to 4 of the cross-validation, or as many as the task's splits have; higher numbers are
// further random 80:20 splits; or AllCases.
type Fold int

// AllCases is the fold that trains on all cases of a task, and validates on the same.
const AllCases Fold = -1

// ParseFold reads a fold as the command line takes it: a number from 0, or "all".
func ParseFold(text string) (Fold, error) {
	if text == task.FoldAll {
		return AllCases, nil
	}
	n, err := task.ParseFold(text)
	return Fold(n), err
}

// String is the fold as the command line takes it.
func (f Fold) String() string {
	if f == AllCases {
		return task.FoldAll
	}
	return strconv.Itoa(int(f))
}

// names are the folds by name; nil for none.
func names(folds []Fold) []string {
	var out []string
	for _, f := range folds {
		out = append(out, f.String())
	}
	return out
}

// folds are those with the given names, as they come from files.
func folds(names []string) []Fold {
	var out []Fold
	for _, name := range names {
		if f, err := ParseFold(name); err == nil {
			out = append(out, f)
		}
	}
	return out
}
