// Package env is the environment that uc reads: every variable, what it means, and its reader.
package env

import (
	"os"
	"strconv"
)

// Names of the variables.
const (
	RawData      = "nnUNet_raw_data_base"
	Preprocessed = "nnUNet_preprocessed"
	Results      = "RESULTS_FOLDER"
	Workers      = "nnUNet_n_proc_DA"
	CPU          = "UC_CPU"
	CUDALibs     = "UC_CUDA_LIBS"
	CUDAGraph    = "UC_CUDA_GRAPH"

	CompletionIndex = "JOB_COMPLETION_INDEX"
)

// A Variable is one that uc reads, or several that mean the same.
type Variable struct{ Name, Meaning string }

// Variables lists all of them, in the order of the help.
func Variables() []Variable {
	return []Variable{
		{RawData, "folder of the raw data (holds nnUNet_raw_data/)"},
		{Preprocessed, "folder of plans, splits and preprocessed cases"},
		{Results, "folder of the trained models (holds nnUNet/)"},
		{Workers, "how many workers prepare training samples, where no number is given"},
		{CPU, "forces a set of CPU kernels: generic, avx2, avx512, amx or neon; unset, the fastest the machine has"},
		{CUDALibs, "folder that holds NVRTC and cuDNN for a GPU, or Python packages with them"},
		{CUDAGraph, "0 launches the operations of a GPU one by one instead of as a CUDA graph"},
		{"CUDA_HOME, CUDA_PATH, VIRTUAL_ENV, CONDA_PREFIX", "looked into for NVRTC and cuDNN, after the loader's own path"},
		{CompletionIndex, "which command of a step a pod of Kubernetes runs, set by its job"},
		{"NO_COLOR, TERM=dumb", "plain progress lines instead of a bar, even on a terminal"},
	}
}

// Get returns the value of a variable, empty where it is not set.
func Get(name string) string { return os.Getenv(name) }

// WorkersOf returns how many workers prepare training samples; false where the variable holds no number from 1.
func WorkersOf() (int, bool) {
	n, err := strconv.Atoi(Get(Workers))
	return n, err == nil && n > 0
}

// Graphs reports whether passes on a GPU may be recorded as CUDA graphs.
func Graphs() bool { return Get(CUDAGraph) != "0" }

// PlainTerminal reports whether output without cursor movement is asked for.
func PlainTerminal() bool { return Get("NO_COLOR") != "" || Get("TERM") == "dumb" }

// Toolkits returns the roots of CUDA toolkits and Python environments that may hold NVIDIA's libraries, by variable.
func Toolkits() (cuda, python []Root) {
	roots := func(names ...string) (found []Root) {
		for _, name := range names {
			if dir := Get(name); dir != "" {
				found = append(found, Root{name, dir})
			}
		}
		return found
	}
	return roots("CUDA_HOME", "CUDA_PATH"), roots("VIRTUAL_ENV", "CONDA_PREFIX")
}

// A Root is a folder that a variable names.
type Root struct{ Variable, Dir string }

// Windows returns the system's folder and that of programs; both are empty on other systems.
func Windows() (system, programs string) { return Get("SystemRoot"), Get("ProgramFiles") }
