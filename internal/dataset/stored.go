package dataset

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// Names in Properties.MadeFrom.
const (
	FromPlans  = "plans"  // what of the plans the arrays depend on, and the version
	FromFiles  = "files"  // content of images and mask
	FromArrays = "arrays" // checksum and size of the arrays that belong to these properties
)

// ArraysName is the array in a case's .npz.
const ArraysName = "data"

// PropertiesFile is the file of the properties of a case in a stage folder.
func PropertiesFile(stage, id string) string { return filepath.Join(stage, id+".json") }

// ArraysFile is the file of its arrays, compressed.
func ArraysFile(stage, id string) string { return filepath.Join(stage, id+".npz") }

// UnpackedFile is the file of its arrays, unpacked to be mapped.
func UnpackedFile(stage, id string) string { return filepath.Join(stage, id+".npy") }

// ReadProperties reads how a case in a stage folder was preprocessed.
func ReadProperties(stage, id string) (preprocess.Properties, error) {
	path := PropertiesFile(stage, id)
	var p preprocess.Properties
	err := jsonfile.Read(path, &p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = remedy.With(task.CaseErrorf(id, "%s not found; preprocess the task: %w", path, err), remedy.Plan{})
	case jsonfile.Damaged(err):
		err = remedy.With(task.CaseErrorf(id, "%w; preprocess the task again", err), remedy.Plan{})
	}
	return p, err
}
