package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/task"
)

type systemInfo struct {
	Version  string       `json:"version"`
	Go       string       `json:"go"`
	OS       string       `json:"os"`
	Arch     string       `json:"arch"`
	CPUs     int          `json:"cpus"`
	Kernels  string       `json:"cpu_kernels"`
	Possible []string     `json:"cpu_kernels_available"`
	Devices  []string     `json:"devices"`
	GPU      gpuInfo      `json:"gpu"`
	Folders  *folderInfo  `json:"folders"`
	Problem  string       `json:"folders_problem,omitempty"`
	Tasks    []taskStatus `json:"tasks"`
	Report   string       `json:"report,omitempty"` // page of the cohort
}

type folderInfo struct {
	Raw          string `json:"raw"`
	Preprocessed string `json:"preprocessed"`
	Results      string `json:"results"`
}

// A taskStatus says how far a task has come.
type taskStatus struct {
	Name         string        `json:"name"`
	Raw          bool          `json:"raw"`
	Preprocessed bool          `json:"preprocessed"`
	Models       []modelStatus `json:"models,omitempty"`
}

// A modelStatus lists the folds of one trainer and plans.
type modelStatus struct {
	Model   string   `json:"model"` // TRAINER__PLANS
	Trained []string `json:"trained_folds"`
	Begun   []string `json:"unfinished_folds"`
}

func infoCommand() *cobra.Command {
	var dataRoot string
	var gpu open.GPU
	var asJSON, report bool
	cmd := &cobra.Command{
		Use:   "info [TASK]",
		Short: "Show the version, the machine, its GPU, the folders and how far every task has come",
		Long: `Shows the version, the machine, its GPU, the folders and how far every task has come, or the one that is named. With
--report it writes a page about the cohort of that task.`,
		Example: `  uc info
  uc info --data-root /path/to/data --json
  uc info --data-root /path/to/data 1 --report`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("unexpected argument %q", args[1])
			}
			if len(args) == 0 && report {
				return usagef("missing argument TASK, whose cohort --report shows")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			info := systemInfo{
				Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
				GPU: lookForGPU(gpu), Tasks: []taskStatus{},
			}
			info.Devices = info.GPU.devices()
			info.Kernels = cpulevel.Default().String()
			for _, f := range cpulevel.Available() {
				info.Possible = append(info.Possible, f.String())
			}
			if folders, err := task.ResolveFolders(dataRoot); err != nil && len(args) > 0 {
				return usagef("%v", err)
			} else if err != nil {
				info.Problem = err.Error()
			} else {
				info.Folders = &folderInfo{folders.Raw, folders.Preprocessed, folders.Results}
				if info.Tasks, err = taskStatuses(folders); err != nil {
					return err
				}
				if len(args) > 0 {
					if err := info.only(cmd, folders, args[0], report); err != nil {
						return err
					}
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), info)
			}
			info.print(cmd.OutOrStdout())
			return nil
		},
	}
	dataRootFlag(cmd, &dataRoot)
	reportFlag(cmd, &report)
	gpuFlags(cmd, &gpu)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// only leaves one task, and writes the page of its cohort if that is wanted.
func (info *systemInfo) only(cmd *cobra.Command, f task.Folders, idOrName string, report bool) error {
	name, err := task.FindName(f, idOrName)
	if err != nil {
		return err
	}
	info.Tasks = slices.DeleteFunc(info.Tasks, func(t taskStatus) bool { return t.Name != name })
	if !report {
		return nil
	}
	t, err := task.Load(f, name)
	if err != nil {
		return err
	}
	info.Report, err = writeCohortPage(cmd, t)
	return err
}

// taskStatuses reports the state of every task.
func taskStatuses(f task.Folders) ([]taskStatus, error) {
	names, err := task.List(f)
	if err != nil {
		return nil, err
	}
	out := make([]taskStatus, 0, len(names))
	for _, name := range names {
		s := taskStatus{Name: name, Raw: exists(filepath.Join(f.RawTask(name), task.DatasetFile))}
		plans, _ := filepath.Glob(filepath.Join(f.PreprocessedTask(name), "*_plans_3D.json"))
		s.Preprocessed = len(plans) > 0
		models, err := os.ReadDir(filepath.Join(f.Models(), name))
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		for _, m := range models {
			if trainer, plansID, ok := strings.Cut(m.Name(), "__"); ok && m.IsDir() {
				s.Models = append(s.Models, statusOfModel(f.Model(name, trainer, plansID)))
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func statusOfModel(dir string) modelStatus {
	m := modelStatus{Model: filepath.Base(dir), Trained: []string{}, Begun: []string{}}
	folds, _ := filepath.Glob(filepath.Join(dir, task.FoldDir("*")))
	folds = append(folds, filepath.Join(dir, task.FoldDir(task.FoldAll)))
	for _, fold := range folds {
		id := strings.TrimPrefix(filepath.Base(fold), task.FoldDir(""))
		switch {
		case checkpoint.Exists(fold, checkpoint.Final), reference.CheckpointExists(fold, checkpoint.Final):
			m.Trained = append(m.Trained, id)
		case exists(fold):
			m.Begun = append(m.Begun, id)
		}
	}
	return m
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (info *systemInfo) print(w io.Writer) {
	fmt.Fprintf(w, "uc %s (%s, %s/%s)\n", info.Version, info.Go, info.OS, info.Arch)
	others := slices.DeleteFunc(slices.Clone(info.Possible), func(s string) bool { return s == info.Kernels })
	fmt.Fprintf(w, "CPU: %d threads, kernels %s", info.CPUs, info.Kernels)
	if len(others) > 0 {
		fmt.Fprintf(w, " (UC_CPU also takes %s)", strings.Join(others, ", "))
	}
	fmt.Fprintln(w)
	info.GPU.print(w)
	fmt.Fprintf(w, "devices: %s\n", strings.Join(info.Devices, ", "))
	if info.Folders == nil {
		fmt.Fprintf(w, "folders: %s\n", info.Problem)
		return
	}
	fmt.Fprintf(w, "raw:            %s\npreprocessed:   %s\ntrained models: %s\n",
		info.Folders.Raw, info.Folders.Preprocessed, info.Folders.Results)
	if len(info.Tasks) == 0 {
		fmt.Fprintln(w, "tasks: none")
		return
	}
	fmt.Fprintln(w, "tasks:")
	for _, t := range info.Tasks {
		var state []string
		if t.Raw {
			state = append(state, "raw")
		}
		if t.Preprocessed {
			state = append(state, "preprocessed")
		}
		for _, m := range t.Models {
			if len(m.Trained) > 0 {
				state = append(state, fmt.Sprintf("%s: trained folds %s", m.Model, strings.Join(m.Trained, " ")))
			}
			if len(m.Begun) > 0 {
				state = append(state, fmt.Sprintf("%s: unfinished folds %s", m.Model, strings.Join(m.Begun, " ")))
			}
		}
		fmt.Fprintf(w, "  %s: %s\n", printable(t.Name), strings.Join(state, "; "))
	}
	if info.Report != "" {
		fmt.Fprintf(w, "report: %s\n", printable(info.Report))
	}
}
