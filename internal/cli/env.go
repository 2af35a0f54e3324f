package cli

import (
	"os"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
)

// A variable of the environment that uc reads.
type variable struct{ name, meaning string }

// environment lists all of them, for the help and the documentation.
var environment = []variable{
	{"nnUNet_raw_data_base", "folder of the raw data (holds nnUNet_raw_data/); --data-root D stands for D/raw"},
	{"nnUNet_preprocessed", "folder of plans, splits and preprocessed cases; --data-root D stands for D/preprocessed"},
	{"RESULTS_FOLDER", "folder of the trained models (holds nnUNet/); --data-root D stands for D/trained_models"},
	{envWorkers, "default of uc train --workers"},
	{"UC_CPU", "forces a set of CPU kernels: generic, avx2 or avx512; unset, the fastest the machine has"},
	{open.CUDALibsVariable, "folder that holds NVRTC and cuDNN for a GPU, or Python packages with them; --cuda-libs stands for it"},
	{device.GraphVariable, "0 launches the operations of a GPU one by one instead of as a CUDA graph"},
	{"CUDA_HOME, CUDA_PATH, VIRTUAL_ENV, CONDA_PREFIX", "looked into for NVRTC and cuDNN, after the loader's own path"},
	{"NO_COLOR, TERM=dumb", "plain progress lines instead of a bar, even on a terminal"},
}

const envWorkers = "nnUNet_n_proc_DA"

// defaultWorkers is the number of workers that augment training samples: the environment's, else one per processor of this process.
func defaultWorkers() int {
	if n, err := strconv.Atoi(os.Getenv(envWorkers)); err == nil && n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0) // knows the limits of control groups
}

// plainTerminal reports whether the environment asks for output without cursor movement.
func plainTerminal() bool {
	return os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
}

func environmentTopic() *cobra.Command {
	long := "Variables of the environment that uc reads:\n"
	for _, v := range environment {
		long += "\n  " + v.name + "\n      " + v.meaning + "\n"
	}
	return &cobra.Command{Use: "environment", Short: "The environment variables that uc reads", Long: long}
}
