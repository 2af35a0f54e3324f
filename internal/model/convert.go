package model

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
)

// Convert writes m into dir as a model folder of this program: plans.json, and the weights of every fold as
// safetensors. A folder that holds a model already is refused.
func (m *Model) Convert(ctx context.Context, dir string, r progress.Reporter) error {
	if isModel(dir) {
		return fmt.Errorf("%s holds a model already; choose another folder of results, or remove the model first", dir)
	}
	r.Stage("import", len(m.Folds))
	for _, fold := range m.Folds {
		if err := ctx.Err(); err != nil {
			return err
		}
		foldDir := filepath.Join(dir, task.FoldDir(fold.Name))
		if err := os.MkdirAll(foldDir, 0o755); err != nil {
			return err
		}
		c := &checkpoint.Checkpoint{
			Model:   checkpoint.Model{Task: m.Plans.TaskName, Trainer: task.DefaultTrainer, Fold: fold.Name, Inputs: m.Config.InChannels, Outputs: m.Config.Outputs},
			Weights: fold.Weights,
		}
		if err := checkpoint.Write(foldDir, m.Checkpoint, c, nil); err != nil {
			return err
		}
		r.Advance(fold.Name)
	}
	return m.Plans.Save(filepath.Join(dir, checkpoint.PlansFile)) // last: with it the folder is a model
}
