package reference

import (
	"os"
	"path/filepath"
)

// CheckpointFile is the file of a checkpoint in the folder of a fold; its name is one of model_final_checkpoint, model_best, model_latest.
func CheckpointFile(foldDir, name string) string { return filepath.Join(foldDir, name+".model") }

// CheckpointExists reports whether the fold has the checkpoint.
func CheckpointExists(foldDir, name string) bool {
	_, err := os.Stat(CheckpointFile(foldDir, name))
	return err == nil
}
