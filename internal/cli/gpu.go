package cli

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/memory"
)

// probeCommand is the hidden command of the process that looks at the GPU, so that a broken driver takes down only
// that.
const probeCommand = "gpu-probe"

func newProbe() *cobra.Command {
	return &cobra.Command{
		Use: probeCommand + " QUESTION", Short: "Look at the GPU and answer one question about it", Hidden: true, Args: exactArgs("QUESTION"),
		RunE: func(cmd *cobra.Command, args []string) error { return open.AnswerProbe(args[0], cmd.OutOrStdout()) },
	}
}

// folderValue is a flag whose value is kept as an absolute path.
type folderValue string

func (f *folderValue) String() string { return string(*f) }
func (f *folderValue) Type() string   { return "string" }

func (f *folderValue) Set(dir string) error {
	dir, err := filepath.Abs(dir)
	*f = folderValue(dir)
	return err
}

// gpuFlags adds --cuda-libs.
func gpuFlags(cmd *cobra.Command, g *open.GPU) {
	g.Probe = driver.Child(probeCommand)
	cmd.Flags().Var((*folderValue)(&g.Libraries), "cuda-libs", "the `DIR` that holds NVRTC and cuDNN for a GPU, or Python packages with them; it is looked into first (default: "+env.CUDALibs+" of the environment)")
}

// gpuInfo is what the machine has for a GPU.
type gpuInfo struct {
	*driver.Report
	Usable  bool   `json:"usable"`
	Verdict string `json:"verdict"` // in words
}

func lookForGPU(gpu open.GPU) gpuInfo {
	r := gpu.Look()
	g := gpuInfo{Report: r, Usable: true, Verdict: "--device auto tests cuda:0 once and takes it"}
	switch err := r.Usable(0); {
	case err != nil:
		g.Usable, g.Verdict = false, err.Error()
	case r.CuDNN.Path == "":
		g.Verdict = "without cuDNN, --device auto takes the CPU and --device cuda is slow"
	}
	return g
}

// devices lists the names that --device takes.
func (g *gpuInfo) devices() []string {
	all := []string{"cpu"}
	if g.Usable {
		for _, c := range g.Cards {
			all = append(all, fmt.Sprintf("cuda:%d", c.Index))
		}
	}
	return all
}

func (g *gpuInfo) print(w io.Writer) {
	if g.CUDA == 0 {
		fmt.Fprintf(w, "GPU: %s\n", g.Verdict)
		return
	}
	version := ""
	if g.Version != "" {
		version = " " + g.Version
	}
	fmt.Fprintf(w, "GPU: NVIDIA driver%s, for CUDA %s (%s)\n", version, driver.VersionText(g.CUDA), g.Driver)
	for _, c := range g.Cards {
		fmt.Fprintf(w, "  cuda:%d: %s, %s, compute capability %d.%d\n", c.Index, c.Name, memory.Format(c.Memory), c.Capability/10, c.Capability%10)
	}
	for _, l := range []driver.LibraryInfo{g.NVRTC, g.CuDNN} {
		switch {
		case l.Name == "": // not looked for
		case l.Problem == "":
			found := l.Found
			if found == driver.Given {
				found = "--cuda-libs"
			}
			fmt.Fprintf(w, "  %s %s: %s (%s)\n", l.Name, l.Version, l.Path, found)
		default:
			fmt.Fprintf(w, "  %s: %s; run: %s\n", l.Name, l.Problem, l.Install)
		}
	}
	fmt.Fprintf(w, "  %s\n", g.Verdict)
}
