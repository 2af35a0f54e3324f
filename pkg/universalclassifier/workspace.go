package universalclassifier

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/task"
)

// Workspace is where raw data, preprocessed data and trained models lie.
type Workspace struct{ folders task.Folders }

// OpenWorkspace returns the workspace under a data root: dataRoot/raw, dataRoot/preprocessed and
// dataRoot/trained_models. An empty dataRoot takes the folders from the environment variables nnUNet_raw_data_base,
// nnUNet_preprocessed and RESULTS_FOLDER.
func OpenWorkspace(dataRoot string) (*Workspace, error) {
	folders, err := task.ResolveFolders(dataRoot)
	if err != nil {
		return nil, err
	}
	return &Workspace{folders}, nil
}

// Tasks lists the full names of the tasks in the workspace.
func (w *Workspace) Tasks() ([]string, error) { return task.List(w.folders) }

// OpenModel opens the trained folds of a task, given by id or full name.
func (w *Workspace) OpenModel(taskName string, o ModelOptions) (*Model, error) {
	name, err := task.FindName(w.folders, taskName)
	if err != nil {
		return nil, fmt.Errorf("no trained model: %w", err)
	}
	return OpenModel(w.model(name), o)
}

// model is the folder of the model of a task.
func (w *Workspace) model(name string) string {
	return w.folders.Model(name, task.DefaultTrainer, task.DefaultPlans)
}
