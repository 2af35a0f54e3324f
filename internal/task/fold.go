package task

import (
	"fmt"
	"strconv"
	"strings"
)

// FoldAll is the fold that trains and validates on all cases.
const FoldAll = "all"

const foldPrefix = "fold_"

// FoldDir is the name of a fold's folder within its model: fold_0 for "0", all for "all".
func FoldDir(fold string) string {
	if fold == FoldAll {
		return fold
	}
	return foldPrefix + fold
}

// NumberedFold reports whether a folder of this name is that of a numbered fold, as FoldDir names it, and of which.
func NumberedFold(dir string) (number int, ok bool) {
	digits, isFold := strings.CutPrefix(dir, foldPrefix)
	number, err := ParseFold(digits)
	return number, isFold && err == nil && strconv.Itoa(number) == digits
}

// ParseFold returns the number of a fold that is not "all".
func ParseFold(fold string) (int, error) {
	n, err := strconv.Atoi(fold)
	if err != nil || n < 0 || n > 1<<31 {
		return 0, fmt.Errorf("fold %q: expected a number from 0, or %q", fold, FoldAll)
	}
	return n, nil
}

// CheckFolds checks names of folds, writes their numbers plainly, and refuses a fold that is named twice.
func CheckFolds(names []string) ([]string, error) {
	folds, seen := make([]string, 0, len(names)), map[string]bool{}
	for _, f := range names {
		if f != FoldAll {
			n, err := ParseFold(f)
			if err != nil {
				return nil, err
			}
			f = strconv.Itoa(n)
		}
		if seen[f] {
			return nil, fmt.Errorf("fold %s is named twice", f)
		}
		seen[f] = true
		folds = append(folds, f)
	}
	return folds, nil
}
