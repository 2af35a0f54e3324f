package dataset

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/torch"
)

// pickledCases reads the properties of cases that the reference preprocessed: a pickle per case, and the classes in the
// dataset.json of the preprocessed task.
type pickledCases struct {
	stage   string
	listing *task.Listing // once it was needed
}

func (c pickledCases) file(id string) string { return filepath.Join(c.stage, id+".pkl") }

func (c pickledCases) has(id string) bool {
	_, err := os.Stat(c.file(id))
	return err == nil
}

func (c *pickledCases) read(id string) (preprocess.Properties, error) {
	var p preprocess.Properties
	v, err := torch.ReadPickle(c.file(id))
	if err != nil {
		return p, task.InCase(id, err)
	}
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		return p, task.CaseErrorf(id, "%s: not the properties of a preprocessed case: %w", c.file(id), err)
	}
	if len(p.UseMaskForNorm) == 0 {
		return p, task.CaseErrorf(id, "%s: not the properties of a preprocessed case: use_nonzero_mask_for_norm is missing", c.file(id))
	}
	dataset := filepath.Join(filepath.Dir(c.stage), task.DatasetFile)
	if c.listing == nil {
		if c.listing, err = task.ReadListing(dataset, ""); err != nil {
			return p, fmt.Errorf("the classes of cases that the reference preprocessed are in its dataset.json: %w", err)
		}
	}
	targets, ok := c.listing.Targets[id]
	if !ok {
		return p, task.CaseErrorf(id, "%s does not list it", dataset)
	}
	p.Case, p.Targets = id, targets
	return p, nil
}
