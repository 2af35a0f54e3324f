package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/compare"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
)

type compareFlags struct {
	dataRoot string
	task     string
	plans    string
	folds    []string
	truth    string
	out      string
	noWait   bool
	json     bool

	folders task.Folders
	name    string         // of the task; "" if it is not known
	listing *task.Snapshot // of its dataset.json; nil if that is not at hand
}

func compareCommand() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare RUN_A RUN_B",
		Short: "Compare two trainings, folders of predictions or readers on the same cases, with paired tests",
		Long: `Compares two runs on the cases that both have: area under the ROC curve by DeLong's paired test, accuracy, sensitivity and
specificity by McNemar's exact test, balanced accuracy, average precision, Brier score and calibration error by the bootstrap; each with
the difference, its 95 % interval and p, corrected for the number of labels and classes (Holm). Where a patient has several of the cases,
intervals and tests take them together.

A run is the folder of a model (its cross-validation), a folder that uc predict wrote, a reader's table, or, with -t TASK, the name of a trainer,
or TRAINER__PLANS, of that task. A reader's table is a CSV with a column case and, per classification label, its name (the class), or
"LABEL score" (a score of class 1, of any scale), or "LABEL P(CLASS)" for every class, as predictions.csv has.

The true classes of predictions and readers come from the other run if that is a cross-validation, from --truth, or from the dataset.json of the task.`,
		Example: `  uc compare -t 4 ClassifierTrainer ClassifierTrainerReference
  uc compare models/small models/large -o small_or_large
  uc compare predictions_a predictions_b --truth truthTs.csv
  uc compare -t 4 ClassifierTrainer radiologist.csv`,
		Args: exactArgs("RUN_A", "RUN_B"),
		RunE: func(cmd *cobra.Command, args []string) error { return runCompare(cmd, &f, args) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.task, "task", "t", "", "`TASK` that the runs are of: its trainers, true classes and patients")
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` of cross-validations to pool (default: all that are validated, without all)")
	list(fs, "folds")
	fs.StringVarP(&f.plans, "plans_identifier", "p", task.DefaultPlans, "`NAME` of the plans of trainers that are named")
	fs.StringVar(&f.truth, "truth", "", "table `FILE` (CSV) with the true classes, and patients, as for uc evaluate")
	fs.StringVarP(&f.out, "output_folder", "o", "comparison", "`DIR` for compare.json and compare.csv")
	dataRootFlag(cmd, &f.dataRoot)
	noWaitFlag(cmd, &f.noWait)
	jsonFlag(cmd, &f.json)
	return cmd
}

func runCompare(cmd *cobra.Command, f *compareFlags, args []string) error {
	if err := checkFolds(f.folds); err != nil {
		return err
	}
	if err := f.findTask(); err != nil {
		return err
	}
	var runs [2]*compare.Run
	for i, arg := range args { // readers have no labels of their own: they come last
		if !isReader(arg) {
			var err error
			if runs[i], err = f.open(arg); err != nil {
				return fmt.Errorf("%s: %w", arg, err)
			}
		}
	}
	labels, err := f.labels(runs)
	if err != nil {
		return err
	}
	for i, arg := range args {
		if runs[i] == nil {
			if runs[i], err = compare.FromReading(arg, arg, labels); err != nil {
				return err
			}
		}
	}
	if err := f.know(runs, labels); err != nil {
		return err
	}
	r, err := compare.Runs(runs[0], runs[1])
	if errors.Is(err, compare.ErrNoTruth) {
		return fmt.Errorf("%w; name a table of them with --truth FILE, or the task with -t TASK", err)
	}
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(f.out); err != nil {
		return err
	}
	lock, err := enter(cmd, f.out, f.noWait)
	if err != nil {
		return err
	}
	defer lock.Release()
	var files []string
	for _, of := range []struct {
		name  string
		write func(io.Writer) error
	}{{"compare.json", r.JSON}, {"compare.csv", r.CSV}} {
		files = append(files, filepath.Join(f.out, of.name))
		if err := atomicfile.Write(files[len(files)-1], of.write); err != nil {
			return err
		}
	}
	if f.json {
		return r.JSON(cmd.OutOrStdout())
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", printable(r.Table()), strings.Join(files, "\n"))
	return err
}

// findTask looks up the task of -t.
func (f *compareFlags) findTask() error {
	if f.task == "" {
		return nil
	}
	var err error
	if f.folders, err = foldersOf(f.dataRoot); err != nil {
		return err
	}
	if f.name, err = task.FindName(f.folders, f.task); err != nil {
		return err
	}
	f.listing, err = task.ListedToday(f.folders, f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// isReader reports whether a run is a reader's table.
func isReader(arg string) bool {
	info, err := os.Stat(arg)
	return err == nil && info.Mode().IsRegular()
}

// open opens a run of a model: predictions, a model's folder, or a trainer of the task.
func (f *compareFlags) open(arg string) (*compare.Run, error) {
	dir := arg
	if info, err := os.Stat(arg); err != nil || !info.IsDir() {
		if f.name == "" {
			return nil, errors.New("no such file or folder; expected the folder of a model or of predictions, a reader's table, or, with -t TASK, the name of a trainer")
		}
		trainer, plans, both := strings.Cut(arg, "__")
		if !both {
			plans = f.plans
		}
		dir = f.folders.Model(f.name, trainer, plans)
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("neither a file or folder nor a trained model of %s: %w; trained are: %s", f.name, err, trainedModels(filepath.Dir(dir)))
		}
	}
	if _, err := os.Stat(filepath.Join(dir, evaluate.TableFile)); err == nil {
		t, err := evaluate.ReadTable(dir)
		if err != nil {
			return nil, err
		}
		return compare.FromTable(arg, t), nil
	}
	listing := f.listing
	if listing == nil {
		listing = listingOf(dir)
	}
	if fold, err := evaluate.ReadFold(dir); err == nil {
		return compare.FromReport(arg, compare.Fold, evaluate.Evaluate(fold.Labels, fold.Predictions)), nil
	} else if !errors.Is(err, evaluate.ErrNotValidated) {
		return nil, err
	}
	r, err := evaluate.CrossValidation(dir, f.folds, evaluate.Today{Listing: listing})
	if err != nil {
		return nil, err
	}
	run := compare.FromReport(arg, compare.CrossValidation, r)
	if listing == nil {
		run.Warnings = append(run.Warnings, "whom the cases are of is not known, since the dataset.json of the task was not found: every case counts as a patient of its own")
	}
	return run, nil
}

// listingOf is the dataset.json of the task that a model's folder lies in, data root and all; nil if it is not there.
func listingOf(model string) *task.Snapshot {
	path, err := filepath.Abs(model)
	if err != nil {
		return nil
	}
	name := filepath.Base(filepath.Dir(path))
	if _, ok := task.ParseName(name); !ok {
		return nil
	}
	root := filepath.Dir(path) // .../trained_models/nnUNet/3d_fullres/TASK
	for range 4 {
		root = filepath.Dir(root)
	}
	for _, dataRoot := range []string{root, ""} {
		folders, err := task.ResolveFolders(dataRoot)
		if err != nil || filepath.Dir(folders.Model(name, "x", "y")) != filepath.Dir(path) {
			continue
		}
		if l, err := task.ListedToday(folders, name); err == nil {
			return l
		}
	}
	return nil
}

// trainedModels names the models of a task.
func trainedModels(dir string) string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.IsDir() && strings.Contains(e.Name(), "__") {
			names = append(names, e.Name())
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// labels are those of the runs that are open, or of the task.
func (f *compareFlags) labels(runs [2]*compare.Run) ([]task.Label, error) {
	for _, r := range runs {
		if r != nil {
			return r.Labels, nil
		}
	}
	if f.listing != nil {
		return f.listing.Labels, nil
	}
	return nil, usagef("two tables of readers do not say what the classes of a label are; name the task with -t TASK")
}

// know tells the runs the true classes and the patients.
func (f *compareFlags) know(runs [2]*compare.Run, labels []task.Label) error {
	targets, patients, source := map[string][]int{}, map[string]string{}, ""
	if f.listing != nil {
		if !slices.EqualFunc(f.listing.Labels, labels, func(a, b task.Label) bool { return a.Name == b.Name && slices.Equal(a.Values, b.Values) }) {
			return fmt.Errorf("the runs are of the labels %s, but %s has %s", task.LabelsText(labels), f.listing.Path, task.LabelsText(f.listing.Labels))
		}
		source = f.listing.Path
		for _, c := range slices.Concat(f.listing.Test, f.listing.Cases) {
			targets[c.ID], patients[c.ID] = c.Targets, c.Patient
		}
	}
	if f.truth != "" {
		truth, whose, incomplete, err := evaluate.ReadTruth(f.truth, labels)
		if err != nil {
			return err
		}
		for _, r := range runs {
			if len(incomplete) > 0 {
				r.Warnings = append(r.Warnings, fmt.Sprintf("%d cases lack a class in %s", len(incomplete), f.truth))
				break
			}
		}
		source = f.truth
		targets = truth
		for id, p := range whose {
			patients[id] = p
		}
	}
	for _, r := range runs {
		if err := r.Know(source, targets, patients); err != nil {
			return err
		}
	}
	return nil
}
