package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/task"
)

// loadPlans reads the plans of the task. In a folder that the reference preprocessed they are a pickle, and labels are
// named in the dataset.json next to it.
func loadPlans(o Options) (*plan.Plans, error) {
	dir := o.Folders.PreprocessedTask(o.Task)
	p, err := plan.Load(filepath.Join(dir, plan.File(o.Plans)))
	pickled := filepath.Join(dir, reference.PreprocessedPlans(o.Plans))
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if _, statErr := os.Stat(pickled); statErr != nil {
		return nil, err
	}
	if p, err = reference.ReadPlans(pickled); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, task.DatasetFile)
	listing, err := task.ReadListing(file, o.Folders.RawTask(o.Task))
	if err != nil {
		return nil, fmt.Errorf("the labels of a task that the reference preprocessed are in its dataset.json: %w", err)
	}
	if err := reference.Name(p, listing); err != nil {
		return nil, fmt.Errorf("%s does not belong to %s: %w", file, pickled, err)
	}
	p.TaskName = o.Task // the folder may have been renamed since
	return p, nil
}
