package cli

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/task"
)

type evaluateFlags struct {
	dataRoot string
	model    modelFlags
	folds    []string
	out      string
	json     bool
}

func evaluateCommand() *cobra.Command {
	var f evaluateFlags
	cmd := &cobra.Command{
		Use:   "evaluate TASK",
		Short: "Measure the cross-validation of a task: AUC with intervals, confusion matrices, ROC curves",
		Long: `Pools the validation cases of all trained folds, each predicted by a network that has not seen it, and measures per
classification label and class: area under the ROC curve with its 95 % interval (DeLong), sensitivity, specificity,
accuracy, balanced accuracy, confusion matrix. Prints a table and writes evaluation.json, evaluation.csv, ROC curves,
confusion matrices and calibration as PNG, and report.html, which shows all of it.`,
		Example: `  uc evaluate --data-root /path/to/data 4
  uc evaluate Task004_Hippocampus -f 0 1 2
  uc evaluate 4 --json`,
		Args: exactArgs("TASK"),
		RunE: func(cmd *cobra.Command, args []string) error { return runEvaluate(cmd, &f, args[0]) },
	}
	fs := cmd.Flags()
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` to pool (default: all that are validated, without all); give TASK before it")
	list(fs, "folds")
	f.model.add(cmd)
	fs.StringVarP(&f.out, "output_folder", "o", "", "`DIR` for the files (default: evaluation in the model's folder)")
	dataRootFlag(cmd, &f.dataRoot)
	jsonFlag(cmd, &f.json)
	return cmd
}

func runEvaluate(cmd *cobra.Command, f *evaluateFlags, id string) error {
	if err := cmp.Or(f.model.check(), checkFolds(f.folds)); err != nil {
		return err
	}
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return err
	}
	name, err := task.FindName(folders, id)
	if err != nil {
		return err
	}
	model := folders.Model(name, f.model.trainer, f.model.plans)
	r, err := evaluate.CrossValidation(model, f.folds)
	if err != nil {
		return err
	}
	r.Task = name
	out := f.out
	if out == "" {
		out = filepath.Join(model, "evaluation")
	}
	files, err := report.Write(out, r)
	if err != nil {
		return err
	}
	if f.json {
		return r.JSON(cmd.OutOrStdout())
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", r.Table(), strings.Join(files, "\n"))
	return err
}
