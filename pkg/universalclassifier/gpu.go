package universalclassifier

import (
	"fmt"
	"os"

	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/open"
)

// GPU says how NVIDIA cards are looked for. Without one from EnableGPU, the device "auto" is the CPU, and "cuda" opens
// a card untested.
type GPU struct {
	Libraries string // folder with NVRTC and cuDNN, looked into first; default: the loader's path, Python environments, CUDA toolkits
	probe     driver.Prober
}

// gpuProbe is the first argument of a process that looks at the GPU.
const gpuProbe = "uc-gpu-probe"

// EnableGPU lets the device "auto" take a card that passes its test. Cards are looked at by a copy of this program, so
// that a driver that crashes or hangs takes down only that: call EnableGPU at the start of main, before anything else.
// In the copy it does not return.
func EnableGPU() GPU {
	if len(os.Args) == 3 && os.Args[1] == gpuProbe {
		if err := open.AnswerProbe(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	return GPU{probe: driver.Child(gpuProbe)}
}

func (g GPU) option() open.GPU { return open.GPU{Libraries: g.Libraries, Probe: g.probe} }
