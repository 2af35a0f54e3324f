package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/jobgraph"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/localrun"
)

// runStepCommand is what a pod of Kubernetes runs: one command of a step, chosen by the pod's index.
func runStepCommand() *cobra.Command {
	var file, dataRoot string
	var index int
	cmd := &cobra.Command{
		Use:    "run-step STEP",
		Short:  "Run one command of a step that uc submit laid out",
		Hidden: true,
		Args:   exactArgs("STEP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("index") {
				n, err := strconv.Atoi(env.Get(env.CompletionIndex))
				if err != nil {
					return usagef("missing --index, and %s is %q", env.CompletionIndex, env.Get(env.CompletionIndex))
				}
				index = n
			}
			return runStep(cmd, file, dataRoot, args[0], index)
		},
	}
	cmd.Flags().StringVar(&file, "graph", "", "`FILE` of the graph")
	cmd.Flags().IntVar(&index, "index", 0, "`N` of the command, from 0 (default: "+env.CompletionIndex+" of the environment)")
	dataRootFlag(cmd, &dataRoot)
	return cmd
}

// runStep runs a command. What it prints also goes to its log, next to its exit code, where uc status finds both.
func runStep(cmd *cobra.Command, file, dataRoot, step string, index int) error {
	folders, err := foldersOf(dataRoot)
	if err != nil {
		return err
	}
	var given jobgraph.Graph
	if err := jsonfile.Read(file, &given); err != nil {
		return err
	}
	given.Options.Folders = folders
	g := jobgraph.New(given.Options)
	s := g.Step(step)
	if s == nil || index < 0 || index >= len(s.Commands) {
		return usagef("%s: no command %d of step %q", file, index, step)
	}
	c := s.Commands[index]
	if err := atomicfile.MkdirAll(filepath.Dir(g.Log(c))); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	err = localrun.Execute(cmd.Context(), program, g, c, cmd.ErrOrStderr())
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == ExitUsage {
		return usagef("%s was refused", c.Name)
	}
	return err
}
