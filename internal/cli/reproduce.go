package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/reproduce"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// errNotReproduced is the outcome of a lock whose results did not come again, or cannot.
var errNotReproduced = errors.New("not reproduced")

func reproduceCommand() *cobra.Command {
	var o reproduce.Options
	var dataRoot string
	var checkOnly, asJSON bool
	cmd := &cobra.Command{
		Use:   "reproduce LOCK",
		Short: "Check a uc.lock against data and program, and repeat its trainings",
		Long: `Reads the uc.lock that uc evaluate --paper wrote, compares scans, preprocessed cases, classes, plans and folds with what is under the
data root, and program and processor with those at hand, and says of each whether it is the same. If data differ, they are named
and nothing is trained. Otherwise trains and validates the folds of the lock again, with its recipes and seeds, into a folder of
their own, and compares the results: bit for bit with the same build on the same kind of processor, otherwise by whether each
accuracy and area under the ROC curve lies within the 95 % interval of the lock.

The exit code is 0 if the results came again. A run that was stopped goes on where it was when the command is given again.`,
		Example: `  uc reproduce --data-root /path/to/data evaluation/paper/uc.lock --check
  uc reproduce --data-root /path/to/data uc.lock -o reproduced`,
		Args: exactArgs("LOCK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkThreads(cmd, o.Threads); err != nil {
				return err
			}
			lock, err := reproduce.Read(args[0])
			if err != nil {
				return err
			}
			folders, err := foldersOf(dataRoot)
			if err != nil {
				return err
			}
			if _, err := task.FindName(folders, lock.Task); err != nil {
				return err
			}
			o.Source = reproduce.Source{Folders: folders, Task: lock.Task, Trainer: lock.Trainer, Plans: lock.Identifier, Version: version()}
			if o.Out == "" {
				o.Out = filepath.Join(filepath.Dir(args[0]), "reproduced")
			}
			return runReproduce(cmd, lock, o, checkOnly, asJSON)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&checkOnly, "check", false, "only compare data and program, train nothing")
	fs.StringVarP(&o.Out, "output_folder", "o", "", "`DIR` for the new trainings (default: reproduced beside LOCK)")
	fs.StringVar(&o.Pretrained, "pretrained_weights", "", "`FILE` of the weights that the trainings started from, if they did")
	spell(fs, "pretrained_weights", "-pretrained_weights")
	fs.IntVar(&o.Workers, "workers", 0, "`N` workers prepare training samples, which do not depend on it (default: as for uc train)")
	dataRootFlag(cmd, &dataRoot)
	deviceFlags(cmd, &o.Device, &o.Threads, &o.GPU)
	noWaitFlag(cmd, &o.NoWait)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// reproduced is what uc reproduce --json prints.
type reproduced struct {
	Checks  []reproduce.Finding `json:"checks"`
	Outcome *reproduce.Outcome  `json:"outcome,omitempty"`
}

func runReproduce(cmd *cobra.Command, lock *reproduce.Lock, o reproduce.Options, checkOnly, asJSON bool) error {
	if !cmd.Flags().Changed("device") {
		o.Device = "" // that of each fold
	}
	d := newDisplay(cmd.ErrOrStderr())
	defer d.Close()
	findings, err := reproduce.Check(cmd.Context(), lock, o.Source, d)
	if err != nil {
		return err
	}
	d.Close()
	out := cmd.OutOrStdout()
	if !asJSON {
		fmt.Fprint(out, printable(findingsTable(findings)))
	}
	result := reproduced{Checks: findings}
	switch {
	case reproduce.DataDiffer(findings):
		err = fmt.Errorf("%w: the data are not those of the lock; nothing was trained", errNotReproduced)
	case !checkOnly:
		training := newDisplay(cmd.ErrOrStderr())
		result.Outcome, err = reproduce.Run(cmd.Context(), lock, findings, o, training)
		training.Close()
		switch {
		case errors.Is(err, train.ErrInterrupted): // what the training would advise continues another one
			return fmt.Errorf("%v; to go on, give the same command again", err)
		case errors.Is(err, reproduce.ErrPretrained):
			return fmt.Errorf("%w (give it with -pretrained_weights FILE)", err)
		case err != nil:
			return err
		}
		if _, err := report.Write(filepath.Join(result.Outcome.Model, "evaluation"), result.Outcome.Report, nil); err != nil {
			return err
		}
		if !result.Outcome.Reproduced {
			err = fmt.Errorf("%w: see the table above", errNotReproduced)
		}
		if !asJSON {
			fmt.Fprint(out, printable(outcomeTable(result.Outcome)))
		}
	}
	if asJSON {
		if printErr := printJSON(out, result); printErr != nil {
			return printErr
		}
	}
	return err
}

// findingsTable lists what was compared.
func findingsTable(findings []reproduce.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		verdict := "same"
		if !f.Same {
			verdict = "DIFFERS"
		}
		text := f.Text
		if text != "" {
			text = ": " + text
		}
		fmt.Fprintf(&b, "%-8s %s%s\n", verdict, f.What, text)
	}
	return b.String()
}

// outcomeTable lists what came of the trainings.
func outcomeTable(o *reproduce.Outcome) string {
	var b strings.Builder
	word := map[bool]string{true: "same", false: "DIFFERS"}
	b.WriteString("\n")
	for _, f := range o.Folds {
		fmt.Fprintf(&b, "fold %s: weights %s, predictions %s (%s)\n", f.Fold, word[f.Weights], word[f.Predictions], f.Device)
	}
	for _, v := range o.Values {
		agrees := "agrees"
		if !v.Agrees {
			agrees = "OUTSIDE the interval"
		}
		fmt.Fprintf(&b, "%s, %s: %s, now %s: %s\n", v.Label, v.Measure, v.Locked, v.Now.Value, agrees)
	}
	switch {
	case o.Bits && o.Reproduced:
		b.WriteString("Reproduced, bit for bit.\n")
	case o.Bits:
		b.WriteString("Not reproduced: the same program and processor should have given the same bits.\n")
	case o.Reproduced:
		fmt.Fprintf(&b, "Reproduced within the intervals; equal bits are not promised: %s.\n", o.Why)
	default:
		fmt.Fprintf(&b, "Not reproduced; equal bits are not promised: %s.\n", o.Why)
	}
	fmt.Fprintf(&b, "%s\n", o.Model)
	return b.String()
}
