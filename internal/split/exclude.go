package split

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/provenance"
)

// BeforeExcludeFile is the file next to SplitsFile that keeps the folds as they were before cases were taken out.
const BeforeExcludeFile = "splits_before_exclude.json"

// TakeOut removes cases from the folds in dir, where all others stay; it returns which of them the folds named. The
// folds as they were stay in BeforeExcludeFile. Folds that were drawn count as drawn afterwards. It does nothing where
// there are no folds.
func TakeOut(dir string, cases []string) ([]string, error) {
	path := filepath.Join(dir, SplitsFile)
	var splits []Split
	err := jsonfile.ReadStrict(path, &splits)
	if errors.Is(err, fs.ErrNotExist) || jsonfile.Damaged(err) || err == nil && len(cases) == 0 {
		return nil, nil // whoever reads the folds says what is wrong with them
	}
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, id := range cases {
		out[id] = true
	}
	var taken []string
	for f := range splits {
		for _, part := range []*[]string{&splits[f].Train, &splits[f].Val} {
			*part = slices.DeleteFunc(*part, func(id string) bool {
				if out[id] && !slices.Contains(taken, id) {
					taken = append(taken, id)
				}
				return out[id]
			})
		}
	}
	if len(taken) == 0 {
		return nil, nil
	}
	record, err := readDrawn(dir)
	if err != nil {
		return nil, err
	}
	content, err := Encode(splits)
	if err != nil {
		return nil, err
	}
	if before := filepath.Join(dir, BeforeExcludeFile); !exists(before) { // else it holds the folds before an earlier change
		raw, err := infile.ReadFile(path, infile.MaxText)
		if err == nil {
			err = atomicfile.WriteBytes(before, raw)
		}
		if err != nil {
			return nil, err
		}
	}
	if record != nil {
		record.Splits = provenance.Digest(content)
		if err := jsonfile.Write(filepath.Join(dir, DrawnFile), record, jsonfile.Indent); err != nil {
			return nil, err
		}
	}
	if err := atomicfile.WriteBytes(path, content); err != nil {
		return nil, fmt.Errorf("the excluded cases are not taken out of the folds: %w", err)
	}
	slices.Sort(taken)
	return taken, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
