package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/artifact"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/task"
)

type packageFlags struct {
	dataRoot   string
	out        string
	task       string
	model      modelFlags
	folds      []string
	checkpoint string
	keepNames  bool
	device     string
	gpu        open.GPU
	threads    int
	json       bool
}

func packageCommand() *cobra.Command {
	var f packageFlags
	cmd := &cobra.Command{
		Use:   "package -t TASK -o ARTIFACT",
		Short: "Pack a trained model into a folder that predicts elsewhere",
		Long: `Writes the folder ARTIFACT with what prediction needs of a trained model and nothing else: the plans, the weights of the
folds, and a self-test, a made-up scan with the model's answer to it, which uc check-artifact runs. The names of the training
cases are left out. Python's universalclassifier.predict and uc serve-stdio predict from such a folder.`,
		Example: `  uc package --data-root /path/to/data -t 4 -f all -o artifact
  uc package -t Task010_PancreaticCancer -f 0 1 2 3 4 -o artifact`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPackage(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.task, "task_name", "t", "", "`TASK`, an id (4, 004) or a full name (Task004_X); required")
	spell(fs, "task_name", "-t", "--task_name")
	fs.StringVarP(&f.out, "output_folder", "o", "", "`DIR` for the artifact, new or empty; required")
	spell(fs, "output_folder", "-o", "--output_folder")
	fs.StringSliceVarP(&f.folds, "folds", "f", nil, "`FOLDS` to pack, numbers or all (default: all if it is trained, else the trained ones)")
	spell(fs, "folds", "-f", "--folds")
	list(fs, "folds")
	f.model.add(cmd)
	fs.StringVar(&f.checkpoint, "chk", checkpoint.Final, "`NAME` of the checkpoint")
	spell(fs, "chk", "-chk")
	fs.BoolVar(&f.keepNames, "keep-case-names", false, "leave the names of the training cases, and the folder they lay in, in the plans")
	dataRootFlag(cmd, &f.dataRoot)
	deviceFlags(cmd, &f.device, &f.threads, &f.gpu)
	jsonFlag(cmd, &f.json)
	return cmd
}

// check finds mistakes that need no look at the data.
func (f *packageFlags) check() error {
	switch {
	case f.task == "":
		return usagef("missing -t TASK")
	case f.out == "":
		return usagef("missing -o ARTIFACT")
	}
	for i, fold := range f.folds {
		if slices.Contains(f.folds[:i], fold) {
			return usagef("fold %s is named twice", fold)
		}
	}
	return cmp.Or(f.model.check(), checkFolds(f.folds))
}

func runPackage(cmd *cobra.Command, f *packageFlags) error {
	if err := cmp.Or(f.check(), checkThreads(cmd, f.threads)); err != nil {
		return err
	}
	folders, err := foldersOf(f.dataRoot)
	if err != nil {
		return err
	}
	name, err := task.FindName(folders, f.task)
	if err != nil {
		return err
	}
	d := displayOf(cmd)
	defer d.Close()
	m, err := artifact.Pack(cmd.Context(), folders, artifact.PackOptions{
		Task: name, Trainer: f.model.trainer, Plans: f.model.plans, Folds: f.folds, Checkpoint: f.checkpoint,
		KeepCaseNames: f.keepNames, Machine: artifact.Machine{Device: f.device, Threads: f.threads, GPU: f.gpu}, Version: version(),
	}, f.out, d)
	if err != nil {
		return err
	}
	d.Close()
	out := cmd.OutOrStdout()
	if f.json {
		return printJSON(out, struct {
			Folder string `json:"folder"`
			*artifact.Manifest
		}{f.out, m})
	}
	_, err = fmt.Fprintf(out, "%s: %s, folds %s, %d files; check it with: uc check-artifact %s\n", f.out, m.Task, strings.Join(m.Folds, " "), len(m.Files)+1, f.out)
	return err
}

func checkArtifactCommand() *cobra.Command {
	var device string
	var threads int
	var gpu open.GPU
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check-artifact DIR",
		Short: "Run the self-test of a packed model",
		Long: `Compares the files of an artifact that uc package made with their checksums, predicts the made-up scan in it (in fp32, without
mirroring) and compares the answer with the recorded one: probabilities must agree within 1e-4 and logits within 1e-3. Run it
where the artifact is to be used, in the container for instance. Nothing is written.`,
		Example: `  uc check-artifact artifact
  uc check-artifact /opt/algorithm/artifact --device cpu --json`,
		Args: exactArgs("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkThreads(cmd, threads); err != nil {
				return err
			}
			d := displayOf(cmd)
			defer d.Close()
			o, err := artifact.Check(cmd.Context(), args[0], artifact.Machine{Device: device, Threads: threads, GPU: gpu}, d)
			if err != nil {
				return err
			}
			d.Close()
			return printOutcome(cmd, args[0], o, asJSON)
		},
	}
	deviceFlags(cmd, &device, &threads, &gpu)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// checkedArtifact is what uc check-artifact --json prints.
type checkedArtifact struct {
	Passed     bool                `json:"passed"`
	Artifact   *artifact.Manifest  `json:"artifact"`
	Files      string              `json:"files,omitempty"` // what is missing or changed
	Difference artifact.Difference `json:"difference"`
	Expected   *artifact.Answer    `json:"expected"`
	Got        *artifact.Answer    `json:"got"`
}

func printOutcome(cmd *cobra.Command, dir string, o *artifact.Outcome, asJSON bool) error {
	c := checkedArtifact{Passed: o.Passed(), Artifact: o.Manifest, Difference: o.Difference, Expected: o.Want, Got: o.Got}
	if o.Files != nil {
		c.Files = o.Files.Error()
	}
	out := cmd.OutOrStdout()
	if asJSON {
		if err := printJSON(out, c); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%s: %s, folds %s, packed by uc %s\n", dir, o.Manifest.Task, strings.Join(o.Manifest.Folds, " "), o.Manifest.Version)
		fmt.Fprintf(out, "self-test: probabilities differ by at most %.1e, logits by %.1e\n", o.Difference.Probability, o.Difference.Logit)
	}
	switch {
	case o.Files != nil:
		return fmt.Errorf("%s is not as it was packed: %w; package the model again", dir, o.Files)
	case !o.Difference.Passed:
		return fmt.Errorf("%s: the self-test gave %v, expected %v; this machine or this version of uc computes something else: do not use it", dir, o.Got.Probabilities, o.Want.Probabilities)
	case !asJSON:
		fmt.Fprintln(out, "passed")
	}
	return nil
}
