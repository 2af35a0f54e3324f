package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/defaults"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// dataRootFlag adds --data-root, which names the folder that holds raw/, preprocessed/ and trained_models/.
func dataRootFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data-root", "", "the `DIR` that holds raw/, preprocessed/ and trained_models/; "+
		"without it the environment names the three (see uc help environment)")
}

// noWaitFlag adds --no-wait, for commands that write where another process may be writing.
func noWaitFlag(cmd *cobra.Command, noWait *bool) {
	cmd.Flags().BoolVar(noWait, "no-wait", false, "end with an error, rather than wait, while another process writes the same folder")
}

// enter locks a folder for what the command writes there.
func enter(cmd *cobra.Command, dir string, noWait bool) (*lockfile.Lock, error) {
	d := displayOf(cmd)
	defer d.Close()
	return lockfile.Enter(cmd.Context(), dir, noWait, d)
}

// deviceFlags adds --device, --cuda-libs and --threads, which choose what computes.
func deviceFlags(cmd *cobra.Command, device *string, threads *int, gpu *open.GPU) {
	cmd.Flags().StringVar(device, "device", defaults.Device, "`DEVICE` that computes: auto, cpu, cuda or cuda:N")
	gpuFlags(cmd, gpu)
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
		return f, usagef("%w", err)
	}
	return f, nil
}

// A modelFlags chooses a trained model as the reference's predict does.
type modelFlags struct {
	network, trainer, plans string
	dir                     string // of the model, if --model names one instead of a network
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

// addFolder is add for commands whose --model may also name the folder of a model.
func (m *modelFlags) addFolder(cmd *cobra.Command) {
	m.add(cmd)
	cmd.Flags().Lookup("model").Usage = "`NETWORK`, of which only " + task.DefaultNetwork + " exists; or the folder of a model of uc or of the Python reference, in place of -t"
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

// checkFolder is check for commands whose --model may also name the folder of a model, which takes the place of -t.
func (m *modelFlags) checkFolder(idOrName string) error {
	if m.network != task.DefaultNetwork {
		info, err := os.Stat(m.network)
		switch {
		case err == nil && info.IsDir():
			m.network, m.dir = task.DefaultNetwork, m.network
		case strings.ContainsAny(m.network, `/\`):
			return usagef("flag --model: there is no folder %s", m.network)
		}
	}
	switch {
	case m.dir == "" && idOrName == "":
		return usagef("missing -t TASK")
	case m.dir != "" && idOrName != "":
		return usagef("-t %s and --model %s name two models; leave one out", idOrName, m.dir)
	}
	return m.check()
}

// folder is the folder of the model: the one that --model names, or that of the task under the data root.
func (m *modelFlags) folder(dataRoot, idOrName string) (string, error) {
	if m.dir != "" {
		return m.dir, nil
	}
	folders, err := foldersOf(dataRoot)
	if err != nil {
		return "", err
	}
	name, err := task.FindName(folders, idOrName)
	if err != nil {
		return "", err
	}
	return folders.Model(name, m.trainer, m.plans), nil
}
