package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// splitFlags adds --split, which chooses how folds are drawn, and --allow-patient-overlap.
func splitFlags(cmd *cobra.Command, mode *string, overlap *bool) {
	cmd.Flags().StringVar(mode, "split", "", "`HOW` the folds are drawn, if none were trained yet: "+split.SplitReference+" (five at random, as the Python package draws them), "+
		split.SplitStratified+" (classes and sites even), "+split.SplitGrouped+" (the same, with all scans of a patient in one fold) or "+split.SplitSites+
		" (a fold per site); default "+split.SplitGrouped+" where dataset.json names patients, else "+split.SplitReference+". A splits_final.json of your own counts in any case")
	cmd.Flags().BoolVar(overlap, "allow-patient-overlap", false, "train and validate on scans of one patient nevertheless, if the folds are so")
}

// checkSplit refuses ways to split that do not exist.
func checkSplit(mode string) error {
	if mode != "" && !slices.Contains(split.SplitModes, mode) {
		return usagef("flag --split: unknown %q; expected %s", mode, strings.Join(split.SplitModes, ", "))
	}
	return nil
}

// drawSplits draws the folds of a task that was planned, or looks at those that are there. Without --split what is
// wrong with them is only warned of: the training will refuse them.
func drawSplits(ctx context.Context, t *task.Task, f *planFlags, r progress.Reporter) error {
	dir := t.Folders.PreprocessedTask(t.Name)
	lock, err := lockfile.Enter(ctx, dir, f.noWait, r)
	if err != nil {
		return err
	}
	defer lock.Release()
	ids := make([]string, len(t.Dataset.Cases))
	for i, c := range t.Dataset.Cases {
		ids[i] = c.ID
	}
	var left []string
	for _, c := range t.Dataset.Excluded {
		left = append(left, c.ID)
	}
	taken, err := split.TakeOut(dir, left)
	if err != nil {
		return err
	}
	if len(taken) > 0 {
		r.Note("folds: %s taken out of %s; the others stay where they are, and the folds as they were are in %s",
			words.CountOf(len(taken), "excluded case is", "excluded cases are"), split.SplitsFile, split.BeforeExcludeFile)
	}
	drawing, err := split.DrawingFor(t.Folders, t.Name, f.split)
	if err != nil {
		return err
	}
	drawing.AllowPatientOverlap = f.allowPatientOverlap
	drawing.Trained = split.TrainedFolds(t.Folders, t.Name, "")
	notes, warnings, err := split.DrawSplits(dir, ids, drawing)
	for _, n := range notes {
		r.Note("folds: %s", n)
	}
	for _, w := range warnings {
		r.Warn("%s", w)
	}
	if err != nil && f.split == "" {
		r.Warn("%v", err)
		return nil
	}
	return err
}
