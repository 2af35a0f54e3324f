package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/cohortpage"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
)

// reportFlag adds --report, which writes the page of a cohort.
func reportFlag(cmd *cobra.Command, report *bool) {
	cmd.Flags().BoolVar(report, "report", false, "write "+cohortpage.File+" to the task's preprocessed folder: classes by site and fold, histograms of sizes, spacings and intensities, "+
		"a slice of every case with the region of interest outlined, and warnings. Reads every image once")
}

// writeCohortPage writes the page of a task, and returns where.
func writeCohortPage(cmd *cobra.Command, t *task.Task) (string, error) {
	d := displayOf(cmd)
	defer d.Close()
	dir := t.Folders.PreprocessedTask(t.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	in := cohortpage.Input{Task: t, Warnings: t.Dataset.Warnings}
	var ids []string
	for _, c := range t.Dataset.Cases {
		ids = append(ids, c.ID)
	}
	splits, err := split.ReadSplits(filepath.Join(dir, split.SplitsFile), ids)
	switch {
	case err == nil:
		for i, s := range splits {
			in.Folds = append(in.Folds, cohortpage.Fold{Name: strconv.Itoa(i), Validation: s.Val})
		}
	case !errors.Is(err, fs.ErrNotExist):
		in.Warnings = append(in.Warnings, err.Error())
	}
	path := filepath.Join(dir, cohortpage.File)
	return path, cohortpage.Write(cmd.Context(), path, in, d)
}
