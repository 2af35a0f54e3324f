package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/paper"
	"github.com/universal-classifier/uc/internal/reproduce"
	"github.com/universal-classifier/uc/internal/task"
)

// paperFolder is where evaluate --paper writes, in the folder of the evaluation.
const paperFolder = "paper"

// checkPaper refuses --paper where there is no cross-validation to write about.
func (f *evaluateFlags) checkPaper(args []string) error {
	if f.paper && (f.test || len(args) == 0) {
		return usagef("flag --paper belongs to the cross-validation of a TASK; external test sets and tables of predictions have no lock to repeat them from")
	}
	return nil
}

// writePaper writes what a publication needs of a cross-validation, with the lock, into a folder of out.
func (f *evaluateFlags) writePaper(cmd *cobra.Command, out string, r *evaluate.Report) ([]string, error) {
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return nil, err
	}
	d := displayOf(cmd)
	defer d.Close()
	source := reproduce.Source{Folders: folders, Task: r.Task, Trainer: f.model.trainer, Plans: f.model.plans, Version: version()}
	lock, err := reproduce.Gather(cmd.Context(), source, r, d)
	if err != nil {
		return nil, fmt.Errorf("nothing is written for a paper: %w", err)
	}
	listing, err := task.ListedToday(folders, r.Task)
	if err != nil {
		listing = nil // the warnings say so
	}
	facts, err := paper.Gather(r.Model, r, lock, listing)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(out, paperFolder)
	files, err := paper.Write(dir, facts)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, reproduce.File)
	return append(files, path), lock.Write(path)
}
