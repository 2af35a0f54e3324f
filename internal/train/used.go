package train

import (
	"fmt"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/split"
)

// debugFile holds what a training decided, in the folder of its fold.
const debugFile = "debug.json"

// UsedSplit reads from the folder of a fold which cases its last training used. Weights that were brought from
// elsewhere have none; the error then wraps fs.ErrNotExist.
func UsedSplit(foldDir string) (split.Split, error) {
	path := filepath.Join(foldDir, debugFile)
	var used struct {
		Train []string `json:"training_cases"`
		Val   []string `json:"validation_cases"`
	}
	if err := jsonfile.Read(path, &used); err != nil {
		return split.Split{}, err
	}
	if len(used.Train) == 0 {
		return split.Split{}, fmt.Errorf("%s: names no training cases", path)
	}
	return split.Split{Train: used.Train, Val: used.Val}, nil
}
