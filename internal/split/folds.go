package split

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/split/mt19937"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// SplitsFile is the name of the file of cross-validation splits in the preprocessed folder of a task. Users may edit
// it.
const SplitsFile = "splits_final.json"

const (
	numFolds  = 5     // of the cross-validation drawn when there is no file
	splitSeed = 12345 // of the folds; a fold beyond the file uses splitSeed + fold
)

// trainShare is the part of the cases that trains in a fold beyond the split file.
const trainShare = 0.8

// Split names the training and the validation cases of one fold, each sorted.
type Split struct {
	Train []string `json:"train"`
	Val   []string `json:"val"`
	Site  string   `json:"site,omitempty"` // the one that the fold leaves out
}

// KFold draws the five folds over the sorted identifiers: index for index those of scikit-learn's
// KFold(n_splits=5, shuffle=True, random_state=12345). Fewer than five cases are an error.
func KFold(ids []string) ([]Split, error) {
	if len(ids) < numFolds {
		return nil, fmt.Errorf("%d cases cannot be split into %d folds; train fold %q, or write the splits you want into %s",
			len(ids), numFolds, task.FoldAll, SplitsFile)
	}
	sorted := slices.Sorted(slices.Values(ids))
	shuffled := mt19937.New(splitSeed).Permutation(len(sorted))
	splits := make([]Split, numFolds)
	from := 0
	for f := range splits {
		size := len(sorted) / numFolds
		if f < len(sorted)%numFolds {
			size++
		}
		isVal := make([]bool, len(sorted))
		for _, i := range shuffled[from : from+size] {
			isVal[i] = true
		}
		from += size
		splits[f] = divide(sorted, func(i int) bool { return !isVal[i] })
	}
	return splits, nil
}

// FallbackSplit is the seeded 80:20 split of a fold beyond the split file: the training cases are
// numpy.random.RandomState(12345 + fold).choice(n, int(0.8 n), replace=False) over the sorted identifiers.
func FallbackSplit(ids []string, fold int) Split {
	sorted := slices.Sorted(slices.Values(ids))
	isTrain := make([]bool, len(sorted))
	for _, i := range mt19937.New(uint32(splitSeed+fold)).Choice(len(sorted), int(float64(len(sorted))*trainShare)) {
		isTrain[i] = true
	}
	return divide(sorted, func(i int) bool { return isTrain[i] })
}

func divide(sorted []string, train func(i int) bool) Split {
	s := Split{Train: []string{}, Val: []string{}}
	for i, id := range sorted {
		if train(i) {
			s.Train = append(s.Train, id)
		} else {
			s.Val = append(s.Val, id)
		}
	}
	return s
}

// ChosenSplit is the split of a fold and how it came about.
type ChosenSplit struct {
	Split
	Origin   string        // one line for the log
	Warnings []remedy.Note // what the user may not have meant
}

// ChooseSplit returns the split of a fold ("0", "1", ..., "all") over the cases of a task. It reads SplitsFile in dir,
// or PickledSplitsFile if that alone is there; if neither is, it draws splits and writes SplitsFile. A file that names
// unknown cases, or one case twice in a fold, is an error, and so is one with a patient on both sides of a fold unless
// that is allowed.
func ChooseSplit(dir, fold string, ids []string, d Drawing) (*ChosenSplit, error) {
	if len(ids) == 0 {
		return nil, errors.New("no cases to split")
	}
	if fold == task.FoldAll {
		sorted := slices.Sorted(slices.Values(ids))
		return &ChosenSplit{Split: Split{Train: sorted, Val: sorted}, Origin: "all cases train, and the same cases validate"}, nil
	}
	number, err := task.ParseFold(fold)
	if err != nil {
		return nil, err
	}
	s, err := d.folds(dir, ids)
	if err != nil {
		return nil, err
	}
	c := &ChosenSplit{Origin: s.origin, Warnings: s.warnings}
	if unused := unusedCases(s.splits, ids); len(unused) > 0 {
		c.Warnings = append(c.Warnings, remedy.Notef("%s: %d of %d cases are in no fold (%s); delete the file to draw new splits over all cases",
			s.path, len(unused), len(ids), words.Some(unused)))
	}
	if number < len(s.splits) {
		c.Split = s.splits[number]
		if c.Site != "" {
			c.Origin = fmt.Sprintf("leaves out site %q (%d cases); %s", c.Site, len(c.Val), c.Origin)
		}
		return c, nil
	}
	if c.Split, err = d.beyond(s, ids, number); err != nil {
		return nil, err
	}
	c.Origin = fmt.Sprintf("fold %d is beyond the %d folds of %s: a random, seeded 80:20 split", number, len(s.splits), s.path)
	if len(c.Train) == 0 || len(c.Val) == 0 {
		return nil, fmt.Errorf("fold %d: %d cases are too few for an 80:20 split; train fold %q", number, len(ids), task.FoldAll)
	}
	more, err := d.checkPatients(d.overlaps(fold, c.Split), "the 80:20 split")
	c.Warnings = append(c.Warnings, more...)
	return c, err
}

// ReadSplits reads a split file and checks it against the cases of the task.
func ReadSplits(path string, ids []string) ([]Split, error) {
	var splits []Split
	if err := jsonfile.ReadStrict(path, &splits); jsonfile.Damaged(err) {
		return nil, fmt.Errorf(`%w; expected a list of {"train": [cases], "val": [cases]}`, err)
	} else if err != nil {
		return nil, err
	}
	return splits, checkSplits(path, splits, ids)
}

// checkSplits compares splits with the cases of the task and sorts them.
func checkSplits(path string, splits []Split, ids []string) error {
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	var problems []error
	for f := range splits {
		problems = append(problems, splits[f].check(f, known)...)
		sort.Strings(splits[f].Train)
		sort.Strings(splits[f].Val)
	}
	if len(splits) == 0 {
		problems = append(problems, errors.New("it holds no fold"))
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s: %w; correct the file, or delete it to draw new splits", path, errors.Join(problems...))
	}
	return nil
}

// check returns what is wrong with fold number f of a file.
func (s Split) check(f int, known map[string]bool) []error {
	var problems []error
	part := map[string]string{}
	for _, p := range []struct {
		name  string
		cases []string
	}{{"train", s.Train}, {"val", s.Val}} {
		if len(p.cases) == 0 {
			problems = append(problems, fmt.Errorf("fold %d: %q names no case", f, p.name))
		}
		for _, id := range p.cases {
			switch other, seen := part[id]; {
			case !known[id]:
				problems = append(problems, fmt.Errorf("fold %d: %q names case %s, which is not among the preprocessed cases", f, p.name, id))
			case seen && other == p.name:
				problems = append(problems, fmt.Errorf("fold %d: %q names case %s twice", f, p.name, id))
			case seen:
				problems = append(problems, fmt.Errorf("fold %d: case %s is both in %q and in %q", f, id, other, p.name))
			}
			part[id] = p.name
		}
	}
	return problems
}

// Encode returns splits as SplitsFile holds them.
func Encode(splits []Split) ([]byte, error) { return jsonfile.Encode(splits, jsonfile.Indent) }

func unusedCases(splits []Split, ids []string) []string {
	used := map[string]bool{}
	for _, s := range splits {
		for _, id := range slices.Concat(s.Train, s.Val) {
			used[id] = true
		}
	}
	var unused []string
	for _, id := range ids {
		if !used[id] {
			unused = append(unused, id)
		}
	}
	return unused
}
