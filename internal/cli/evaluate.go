package cli

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/baseline"
	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/crossvalidation"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/doubt"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/reliability"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/task"
)

type evaluateFlags struct {
	dataRoot    string
	model       modelFlags
	folds       []string
	predictions string
	truth       string
	covariates  string
	groups      []string
	test        bool
	device      string
	gpu         open.GPU
	threads     int
	out         string
	noWait      bool
	paper       bool
	json        bool
	scans       bool // on the page
	noHeat      bool
	heat        bool // heat maps are made
	prevalence  []string
	shares      []reliability.Prevalence // as they were parsed
}

func evaluateCommand() *cobra.Command {
	var f evaluateFlags
	cmd := &cobra.Command{
		Use:   "evaluate TASK",
		Short: "Measure a cross-validation, or predictions against the truth: AUC with intervals, confusion matrices, ROC curves",
		Long: `Pools the validation cases of all trained folds, each predicted by a network that has not seen it, and measures per
classification label and class: area under the ROC curve with its 95 % interval (DeLong), sensitivity, specificity,
accuracy, balanced accuracy, confusion matrix; and what baselines reach that know no more of a case than its volumes or mean
intensities, by logistic regression on the same folds, with a warning where the network is not better. Prints a table and writes evaluation.json, evaluation.csv, ROC curves,
confusion matrices and calibration as PNG, and report.html, which shows all of it and a table of all cases; with --report also the
scans of the cases.

With --predictions and --truth instead of a TASK, measures a folder that uc predict wrote against the true classes in a table,
separated by commas, semicolons or tabs: a column case, and one per classification label that holds the name of the class or
its number. Where classes are named by other classes' numbers, a column "LABEL value" holds names alone.

With --test, measures the external test set of the TASK: the entries of "test" in dataset.json that carry classes. They are predicted with
the folds given, as uc predict does, unless --predictions names a folder in which they are, and measured apart from the cross-validation, which they never enter. Says in which numbers the test cases
differ from the training cases (sizes, spacings, intensities, shares of the classes), and which scans and patients are in both.

Where dataset.json gives sites or covariates of the cases, or --covariates names a table of them, every measure is also given by
subgroup, with tests of the differences, corrected for their number (Holm), and baselines know the covariates, alone and together with the network.

Says what the probabilities are worth: a temperature per label, fitted on the other folds, calibration before and after, thresholds by rule
chosen on the other folds, predictive values at --prevalence, net benefit, and prediction sets that hold the true class in 90 % of cases. What it
learns from all validated folds it writes to calibration.json in the model's folder, which uc predict applies; with -f nothing is written.

With --paper, also writes a folder paper: figures as PDF and SVG, tables as CSV and LaTeX, a methods section with references, a
model card, the TRIPOD+AI and CLAIM 2024 checklists as far as the program can fill them, and uc.lock, from which uc reproduce
checks the data and repeats the trainings.

Where dataset.json names patients, or the table has a column patient, and a patient has several of the cases, intervals are clustered by patient.`,
		Example: `  uc evaluate --data-root /path/to/data 4
  uc evaluate Task004_Hippocampus -f 0 1 2
  uc evaluate 4 --report
  uc evaluate 4 --json
  uc evaluate 4 --paper
  uc evaluate 4 --test -f 0 1 2 3 4
  uc evaluate 4 --covariates patients.csv --groups age:50,70 weight:q4
  uc evaluate --predictions predictions --truth truthTs.csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.test || f.predictions == "" && f.truth == "" {
				return exactArgs("TASK")(cmd, args)
			}
			return exactArgs()(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runEvaluate(cmd, &f, args) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.test, "test", false, "measure the external test set of the task instead of its cross-validation")
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` to pool (default: all that are validated, without all), or, with --test, to average; give TASK before it")
	list(fs, "folds")
	f.model.add(cmd)
	fs.StringVar(&f.predictions, "predictions", "", "`DIR` that uc predict wrote, instead of TASK; with --truth, or with TASK and --test")
	fs.StringVar(&f.truth, "truth", "", "table `FILE` (CSV) with the true classes of the cases in --predictions")
	groupFlags(cmd, &f)
	fs.StringVarP(&f.out, "output_folder", "o", "", "`DIR` for the files (default: evaluation in the model's folder, or in that of the predictions)")
	fs.BoolVar(&f.paper, "paper", false, "also write what a publication needs, with uc.lock, into the folder paper beside the files")
	dataRootFlag(cmd, &f.dataRoot)
	deviceFlags(cmd, &f.device, &f.threads, &f.gpu)
	pageFlag(cmd, &f.scans, &f.noHeat)
	noWaitFlag(cmd, &f.noWait)
	jsonFlag(cmd, &f.json)
	return cmd
}

func runEvaluate(cmd *cobra.Command, f *evaluateFlags, args []string) error {
	if err := f.checkPaper(args); err != nil {
		return err
	}
	if f.noHeat && !f.scans {
		return usagef("--no-heat belongs to --report")
	}
	f.heat = f.scans && !f.noHeat
	r, dir, incomplete, err := f.measure(cmd, args)
	if err != nil {
		return err
	}
	out := f.out
	if out == "" {
		out = filepath.Join(dir, "evaluation")
	}
	if err := atomicfile.MkdirAll(out); err != nil {
		return err
	}
	lock, err := enter(cmd, out, f.noWait)
	if err != nil {
		return err
	}
	defer lock.Release()
	p, err := f.page(cmd, r)
	if err != nil {
		return err
	}
	files, err := report.Write(out, r, p)
	if err != nil {
		return err
	}
	if f.paper {
		more, err := f.writePaper(cmd, out, r)
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	if f.json {
		return cmp.Or(r.JSON(cmd.OutOrStdout()), incomplete)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", printable(r.Table()), strings.Join(files, "\n"))
	return cmp.Or(err, incomplete)
}

// measure measures what args and flags say; dir is the folder of what was measured, incomplete tells of test cases that
// could not be predicted.
func (f *evaluateFlags) measure(cmd *cobra.Command, args []string) (r *evaluate.Report, dir string, incomplete, err error) {
	rules, err := covariate.ParseRules(f.groups)
	if err != nil {
		return nil, "", nil, usagef("flag --groups: %v", err)
	}
	for _, name := range []string{"device", "threads"} {
		if cmd.Flags().Changed(name) && !f.test && !f.heat {
			return nil, "", nil, usagef("flag --%s belongs to --test, which predicts, and to --report, which makes heat maps", name)
		}
	}
	if f.shares, err = parsePrevalence(f.prevalence); err != nil {
		return nil, "", nil, err
	}
	var known *covariate.Table
	switch {
	case f.test:
		r, dir, known, incomplete, err = f.testSet(cmd, args[0])
	case len(args) == 0:
		r, dir, err = f.againstTruth(cmd)
	default:
		r, dir, known, err = f.crossValidation(cmd, args[0])
	}
	if err == nil {
		err = f.subgroups(cmd, r, known, rules)
	}
	return r, dir, incomplete, err
}

// crossValidation measures the trained folds of a task; the second result is the model's folder, the third what is
// known of its cases, nil if its dataset.json is not there.
func (f *evaluateFlags) crossValidation(cmd *cobra.Command, id string) (*evaluate.Report, string, *covariate.Table, error) {
	if err := cmp.Or(f.model.check(), checkFolds(f.folds)); err != nil {
		return nil, "", nil, err
	}
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return nil, "", nil, err
	}
	name, err := task.FindName(folders, id)
	if err != nil {
		return nil, "", nil, err
	}
	known, err := crossvalidation.Covariates(folders, name, f.covariates)
	if err != nil {
		return nil, "", nil, err
	}
	result, err := crossvalidation.Measure(crossvalidation.Options{
		Folders: folders, Task: name, Trainer: f.model.trainer, Plans: f.model.plans, Folds: f.folds, Covariates: known, Prevalence: f.shares,
		Warn: func(err error) {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: the validations are not compared with the task of today: %v\n", err)
		},
	})
	if err != nil {
		return nil, "", nil, err
	}
	r := result.Report
	if err := f.keepDoubt(result); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s is not written: %v\n", doubt.File, err)
	}
	if err := result.NoBaselines; err != nil {
		hint := ""
		if errors.Is(err, baseline.ErrNotMeasured) {
			hint = fmt.Sprintf("; run uc plan-and-preprocess -t %s", name)
		}
		r.Warnings = append(r.Warnings, fmt.Sprintf("no baselines: %v%s", err, hint))
	}
	return r, result.Model, known, nil
}

// againstTruth measures predictions; the second result is their folder.
func (f *evaluateFlags) againstTruth(cmd *cobra.Command) (*evaluate.Report, string, error) {
	switch {
	case f.predictions == "":
		return nil, "", usagef("missing --predictions DIR, which --truth belongs to")
	case f.truth == "":
		return nil, "", usagef("missing --truth FILE with the true classes")
	case f.scans:
		return nil, "", usagef("--report needs a TASK, whose scans it shows")
	}
	for _, name := range []string{"folds", "data-root", "trainer_class_name", "model", "plans_identifier"} {
		if flag := cmd.Flags().Lookup(name); flag.Changed {
			return nil, "", usagef("flag %s does not go with --predictions, whose results are measured as they are", spellings(flag)[0])
		}
	}
	r, err := evaluate.AgainstTruth(f.predictions, f.truth)
	if err != nil {
		return nil, "", err
	}
	reliability.Add(r, reliability.Options{Prevalence: f.shares})
	return r, f.predictions, nil
}

// groupFlags add what subgroups are made of.
func groupFlags(cmd *cobra.Command, f *evaluateFlags) {
	fs := cmd.Flags()
	fs.StringVar(&f.covariates, "covariates", "", "table `FILE` (CSV) with a column case, or patient, and one per covariate, in addition to those in dataset.json: every measure by subgroup, and baselines that know them")
	fs.StringArrayVar(&f.groups, "groups", nil, "how a covariate is cut into subgroups: `NAME:CUTS` (age:50,70), NAME:qN (N groups of about one size), NAME:category or NAME:number")
	list(fs, "groups")
	fs.StringSliceVar(&f.prevalence, "prevalence", nil, "share of the cases that are of the class where the predictions are to be used, for predictive values and decision curves: `P` for labels with two classes, or LABEL=P, or LABEL:CLASS=P (default: the share among these cases)")
}
