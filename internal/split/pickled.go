package split

import (
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/universal-classifier/uc/internal/torch"
)

// PickledSplitsFile is the split file of nnU-Net and the reference, which takes the place of SplitsFile where that is
// missing.
const PickledSplitsFile = "splits_final.pkl"

// readPickledSplits reads a list of dictionaries with the cases of "train" and "val", as lists or as NumPy arrays of
// text, and checks it against the cases of the task. A file that is not there wraps fs.ErrNotExist.
func readPickledSplits(path string, ids []string) ([]Split, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	v, err := torch.ReadPickle(path)
	if err != nil {
		return nil, err
	}
	folds, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: expected a list of dictionaries with train and val", path)
	}
	var splits []Split
	for i, f := range folds {
		fold, _ := f.(map[string]any)
		train, err := caseList(fold["train"])
		if err != nil {
			return nil, fmt.Errorf("%s: fold %d: train: %w", path, i, err)
		}
		val, err := caseList(fold["val"])
		if err != nil {
			return nil, fmt.Errorf("%s: fold %d: val: %w", path, i, err)
		}
		splits = append(splits, Split{Train: train, Val: val})
	}
	return splits, checkSplits(path, splits, ids)
}

func caseList(v any) ([]string, error) {
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("expected a list of cases")
	}
	cases := make([]string, len(items))
	for i, item := range items {
		if cases[i], ok = item.(string); !ok {
			return nil, fmt.Errorf("entry %d is %v, expected the name of a case", i, item)
		}
	}
	return cases, nil
}

func sameSplits(a, b []Split) bool {
	return slices.EqualFunc(a, b, func(x, y Split) bool { return slices.Equal(x.Train, y.Train) && slices.Equal(x.Val, y.Val) })
}
