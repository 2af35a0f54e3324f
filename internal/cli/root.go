// Package cli is the command line of uc: one file per command, which turns flags into options and results into text.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/universal-classifier/uc/internal/interrupt"
	"github.com/universal-classifier/uc/internal/remedy"
)

// Exit codes of uc.
const (
	ExitOK     = 0
	ExitFailed = 1 // the job could not be done, or not for every case
	ExitUsage  = 2 // usage error
)

// Execute runs the command line args (without the program's name) and returns the exit code. Results go to stdout;
// progress, warnings and errors to stderr. The first Ctrl-C ends the job cleanly, or after two seconds if it is stuck;
// the second at once.
func Execute(args []string, stdout, stderr io.Writer) int {
	ctx, stop := notifyEnd()
	defer stop()
	stdout, stderr = newStream(ctx, stdout), newStream(ctx, stderr)
	ctx, finished := interrupt.Watch(ctx, interrupt.Patience, func() {
		fmt.Fprintln(stderr, "uc: interrupted while it was busy; what was finished before is kept")
		os.Exit(ExitFailed)
	})
	defer finished()
	return execute(ctx, args, stdout, stderr)
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := run(interrupt.InWords(ctx), root, args)
	if err == nil {
		return ExitOK
	}
	cmd, _ := commandOf(root, args)
	h := hints{cmd}
	var u *usageError
	if errors.As(err, &u) {
		see := "see " + cmd.CommandPath() + " --help"
		if typed := h.spell(remedy.Of(err)); typed != "" {
			see = typed + "; " + see
		}
		fmt.Fprintf(stderr, "uc: %s (%s)\n", printable(err.Error()), printable(see))
		return ExitUsage
	}
	fmt.Fprintf(stderr, "uc: %s\n", printable(h.add(strings.TrimSpace(err.Error()), remedy.Of(err))))
	return ExitFailed
}

func run(ctx context.Context, root *cobra.Command, args []string) error {
	if cmd, own := commandOf(root, args); cmd != root {
		rest, err := translate(cmd, own)
		if err != nil {
			return err
		}
		args = append(slices.Clone(args[:len(args)-len(own)]), rest...)
	}
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// commandOf is the command that the first of args name, or root, and the arguments that are its own.
func commandOf(root *cobra.Command, args []string) (cmd *cobra.Command, own []string) {
	cmd = root
	for len(args) > 0 {
		i := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == args[0] || c.HasAlias(args[0]) })
		if i < 0 {
			break
		}
		cmd, args = cmd.Commands()[i], args[1:]
	}
	return cmd, args
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "uc",
		Short: "Universal 3D medical image classification: from NIfTI files to a validated classifier",
		Long: `uc trains classifiers for 3D medical images (CT, MRI, OCT, ...) without tuning by hand: it reads a folder of NIfTI
files and labels, plans the preprocessing from the data, trains an I3D network by cross-validation and predicts.
The workflow, the folders and the flags are those of nnU-Net and of the Python package universalclassifier.`,
		Example: `  uc demo demo                                   # a small cohort of phantom scans to try everything on
  uc plan-and-preprocess --data-root demo -t 900 -tf 2 -tl 2 --verify_dataset_integrity
  uc train --data-root demo 3d_fullres ClassifierTrainer 900 0 --epochs 10 --iterations 25
  uc predict --data-root demo -i images -s masks -o predictions -t 900 -f 0
  uc evaluate --data-root demo 900`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return cmd.Help()
		},
		PersistentPreRun: func(cmd *cobra.Command, _ []string) { warnInert(cmd) },
	}
	cobra.EnableCommandSorting = false // the help shows the commands in the order of the workflow
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
	root.AddCommand(newProbe(), runStepCommand(), demoCommand(), convertCommand(), planCommand(), trainCommand(), predictCommand(), explainCommand(), evaluateCommand(), viewCommand(), compareCommand(), reproduceCommand(), exportCommand(), preprocessCaseCommand(), importCommand(),
		submitCommand(), statusCommand(), packageCommand(), checkArtifactCommand(), serveCommand(),
		infoCommand(), benchCommand(), versionCommand(), completionCommand(), environmentTopic())
	root.InitDefaultHelpCmd()
	return root
}

// usageError is a mistake on the command line, as opposed to a job that failed.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// flagError words pflag's errors for people who typed the reference's spelling.
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		f := invalid.GetFlag()
		return usagef("flag %s: %q is not %s", spellings(f)[0], invalid.GetValue(), wanted(f))
	}
	return usagef("%v", err)
}

// wanted says what kind of value a flag takes.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int", "int64":
		return "a whole number"
	case "uint64":
		return "a whole number, 0 or more"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "intSlice":
		return "a list of whole numbers"
	}
	return "a " + f.Value.Type()
}

// exactArgs wants the positional arguments by name, so that the error can say which one is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("missing argument %s", strings.Join(names[len(args):], " "))
		}
		if len(args) > len(names) {
			return usagef("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}
