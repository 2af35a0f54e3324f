package export

import (
	"context"
	"fmt"
	"os"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

var referenceFormat = Format{
	Name:  "reference",
	Short: "a folder of results or artifact of the Python package universalclassifier, pickles included",
	// OUT serves as RESULTS_FOLDER and as artifact of the reference.
	folder: func(out string, m *model.Model) string {
		return task.Folders{Results: out}.Model(m.Plans.TaskName, task.DefaultTrainer, task.DefaultPlans)
	},
	write: writeReference,
}

func writeReference(ctx context.Context, dir string, m *model.Model, r progress.Reporter) error {
	if m.Plans.TaskName == "" {
		return remedy.With(fmt.Errorf("%s does not say which task the model is of; import it under the name of a task first", m.Dir), remedy.ImportModel)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s exists already; remove it, or choose another folder", dir)
	}
	r.Stage("export", len(m.Folds))
	var folds []reference.Fold
	for _, fold := range m.Folds {
		folds = append(folds, reference.Fold{
			Name: fold.Name, Weights: i3d.ReferenceStateDict(fold.Weights), TrainLosses: fold.TrainLosses, ValLosses: fold.ValLosses,
		})
	}
	return reference.WriteModel(ctx, dir, m.Plans, folds, r)
}
