package reference

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// CheckpointFile is the file of a checkpoint in the folder of a fold; its name is one of model_final_checkpoint,
// model_best, model_latest.
func CheckpointFile(foldDir, name string) string { return filepath.Join(foldDir, name+".model") }

// CheckpointExists reports whether the fold has the checkpoint.
func CheckpointExists(foldDir, name string) bool {
	_, err := os.Stat(CheckpointFile(foldDir, name))
	return err == nil
}

// HasCheckpoint reports whether the folder of a fold holds any checkpoint.
func HasCheckpoint(foldDir string) bool {
	entries, err := os.ReadDir(foldDir)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), ".model") })
}
