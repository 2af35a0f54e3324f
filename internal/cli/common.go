package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// dataRootFlag adds --data-root, which names the folder that holds raw/, preprocessed/ and trained_models/.
func dataRootFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data-root", "", "the `DIR` that holds raw/, preprocessed/ and trained_models/; "+
		"without it the environment names the three (see uc help environment)")
}

// deviceFlags adds --device and --threads, which choose what computes.
func deviceFlags(cmd *cobra.Command, device *string, threads *int) {
	cmd.Flags().StringVar(device, "device", "auto", "`DEVICE` that computes: auto, cpu, cuda or cuda:N")
	cudaLibsFlag(cmd)
	cmd.Flags().IntVar(threads, "threads", 0, "`N` threads that compute; on the CPU the results do not depend on it, in any bit (default: one per processor that the process may use: GOMAXPROCS, limits of control groups)")
}

// checkThreads refuses a number of threads that was given and is less than one.
func checkThreads(cmd *cobra.Command, threads int) error {
	if threads < 1 && cmd.Flags().Changed("threads") {
		return usagef("flag --threads: %d is less than 1", threads)
	}
	return nil
}

// foldersOf finds the folders by --data-root or the environment; a command without either is a usage error.
func foldersOf(dataRoot string) (task.Folders, error) {
	f, err := task.ResolveFolders(dataRoot)
	if err != nil {
		return f, usagef("%v", err)
	}
	return f, nil
}

// A modelFlags chooses a trained model as the reference's predict does.
type modelFlags struct {
	network, trainer, plans string
}

func (m *modelFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&m.trainer, "trainer_class_name", task.DefaultTrainer, "`TRAINER` that made the model")
	spell(fs, "trainer_class_name", "-tr", "--trainer_class_name")
	fs.StringVarP(&m.network, "model", "m", task.DefaultNetwork, "`NETWORK`; only "+task.DefaultNetwork+" exists")
	spell(fs, "model", "-m", "--model")
	fs.StringVarP(&m.plans, "plans_identifier", "p", task.DefaultPlans, "`NAME` of the plans the model was trained with")
	spell(fs, "plans_identifier", "-p", "--plans_identifier")
}

// check refuses networks and trainers that do not exist.
func (m *modelFlags) check() error {
	if m.network != task.DefaultNetwork {
		return usagef("unknown network %q: only %s exists", m.network, task.DefaultNetwork)
	}
	if names := train.Trainers(); !slices.Contains(names, m.trainer) {
		return usagef("unknown trainer %q: expected %s", m.trainer, strings.Join(names, " or "))
	}
	if m.plans == "" {
		return usagef("the name of the plans must not be empty")
	}
	return nil
}
