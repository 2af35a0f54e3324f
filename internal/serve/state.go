package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/task"
)

// stateOf sums up the files of a model that matter to predictions: those next to the folds, the folds, and in these the
// files of the checkpoint, each with size, time of change and identity. It changes with any of them.
func stateOf(modelDir, checkpoint string) (string, error) {
	entries, err := os.ReadDir(modelDir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	add := func(path string) {
		if info, err := os.Stat(path); err != nil {
			fmt.Fprintf(h, "%q: %v\n", path, err)
		} else if info.Mode().IsRegular() {
			fmt.Fprintf(h, "%q: %d bytes, %d, %s\n", path, info.Size(), info.ModTime().UnixNano(), identity(info))
		}
	}
	for _, e := range entries {
		path := filepath.Join(modelDir, e.Name())
		if e.Name() != task.FoldDir(task.FoldAll) && !strings.HasPrefix(e.Name(), task.FoldDir("")) {
			add(path)
			continue
		}
		fmt.Fprintf(h, "%q\n", path)
		files, err := os.ReadDir(path)
		if err != nil {
			continue // no folder
		}
		for _, f := range files {
			if strings.HasPrefix(f.Name(), checkpoint+".") {
				add(filepath.Join(path, f.Name()))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
