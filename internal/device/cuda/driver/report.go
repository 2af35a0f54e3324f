package driver

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// CardInfo describes a card.
type CardInfo struct {
	Index           int    `json:"index"`
	Name            string `json:"name"`
	Memory          int64  `json:"memory_bytes"`
	Capability      int    `json:"compute_capability"` // 90 for 9.0
	Multiprocessors int    `json:"multiprocessors"`
}

// LibraryInfo says which library was found, and where.
type LibraryInfo struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Path    string `json:"path,omitempty"`
	Found   string `json:"found_by,omitempty"` // loader path, CUDA_HOME, VIRTUAL_ENV, ...
	Problem string `json:"problem,omitempty"`
	Install string `json:"install,omitempty"` // the command that brings what is missing
}

// Report is what a machine has for a GPU. A Problem of its own means that no card can be used.
type Report struct {
	CUDA    int         `json:"driver_cuda_version"`            // 13020 for 13.2
	Version string      `json:"driver_version,omitempty"`       // the driver package's own, 580.65.06
	Driver  string      `json:"driver_library,omitempty"`       // path or name
	Cards   []CardInfo  `json:"cards"`                          //
	NVRTC   LibraryInfo `json:"nvrtc"`                          //
	CuDNN   LibraryInfo `json:"cudnn"`                          //
	Problem string      `json:"problem,omitempty"`              //
	Looked  []string    `json:"looked_for_libraries,omitempty"` // where, if something is missing
}

// Usable says why the card of this number cannot be used, or nothing.
func (r *Report) Usable(card int) error {
	switch {
	case r.Problem != "":
		return errors.New(r.Problem)
	case card >= len(r.Cards):
		return fmt.Errorf("there is no card %d: the machine has %s", card, r.count())
	case r.NVRTC.Problem != "":
		return fmt.Errorf("%s; run: %s", r.NVRTC.Problem, r.NVRTC.Install)
	}
	return nil
}

func (r *Report) count() string {
	if len(r.Cards) == 1 {
		return "one card, cuda:0"
	}
	return fmt.Sprintf("%d cards, cuda:0 to cuda:%d", len(r.Cards), len(r.Cards)-1)
}

// VersionText writes a CUDA version as people do: 13020 is 13.2.
func VersionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// Probe opens the driver and the libraries in this process. A broken driver may end or hang it, so that programs
// probe in a child process.
func Probe(cudaLibs string) *Report {
	r := &Report{Cards: []CardInfo{}, Version: kernelDriver()}
	a, err := openCUDA()
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	r.Driver = a.path
	if r.CUDA, err = a.version(); err != nil {
		r.Problem = err.Error()
		return r
	}
	if r.CUDA < minDriver {
		r.Problem = fmt.Sprintf("the NVIDIA driver %sis too old: it is for CUDA %s, expected 12.0 or later; install a newer driver", spaced(r.Version), VersionText(r.CUDA))
		return r
	}
	if r.Cards, err = a.cards(); err != nil {
		r.Problem = err.Error()
		return r
	}
	if len(r.Cards) == 0 {
		r.Problem = "the NVIDIA driver finds no card"
		return r
	}
	where := places(cudaLibs)
	_, nvrtc, cudnn := components()
	r.NVRTC = r.find(nvrtc, where, func(path string) (string, int, error) {
		n, err := openNVRTC(path)
		if err != nil {
			return "", 0, err
		}
		_, _, err = n.target(r.Cards[0].Capability)
		return fmt.Sprintf("%d.%d", n.major, n.minor), n.major, err
	})
	r.CuDNN = r.find(cudnn, where, func(path string) (string, int, error) {
		c, err := openCuDNN(path)
		if err != nil {
			return "", 0, err
		}
		version, cudart := c.number()
		text := fmt.Sprintf("%d.%d.%d for CUDA %s", version/10000, version/100%100, version%100, VersionText(cudart))
		if version/10000 != cudnnMajor {
			return text, cudart / 1000, fmt.Errorf("%s: cuDNN %s, expected %d.x", path, text, cudnnMajor)
		}
		return text, cudart / 1000, nil
	})
	if r.NVRTC.Path == "" || r.CuDNN.Path == "" {
		for _, p := range where {
			if p.dir != "" {
				r.Looked = append(r.Looked, p.dir)
			}
		}
	}
	r.NVRTC.Install = r.install(r.NVRTC, "nvidia-cuda-nvrtc")
	r.CuDNN.Install = r.install(r.CuDNN, "nvidia-cudnn")
	return r
}

// cudnnMajor is the major version of cuDNN whose interface this is.
const cudnnMajor = 9

func spaced(text string) string {
	if text == "" {
		return ""
	}
	return text + " "
}

// find opens the first library of a component that works with the driver.
func (r *Report) find(c component, where []place, try func(path string) (version string, major int, err error)) LibraryInfo {
	info := LibraryInfo{Name: c.name}
	paths, why := candidates(c, where)
	for i, path := range paths {
		version, major, err := try(path)
		if err == nil && major > r.CUDA/1000 {
			err = fmt.Errorf("%s %s (%s) needs a newer driver: this one is for CUDA %s", c.name, version, path, VersionText(r.CUDA))
		}
		if err == nil {
			return LibraryInfo{Name: c.name, Version: version, Path: path, Found: why[i]}
		}
		if version != "" || why[i] != loaderPath { // there is a file, but it does not do
			info.Problem = err.Error()
		}
	}
	if info.Problem == "" {
		info.Problem = c.name + " is not found"
	}
	return info
}

// install is the command that brings a missing library, for the CUDA version of the driver.
func (r *Report) install(l LibraryInfo, wheel string) string {
	if l.Problem == "" {
		return ""
	}
	pip := "python3 -m pip install "
	if runtime.GOOS == "windows" {
		pip = "python -m pip install "
	}
	switch old := r.CUDA < 13000 || r.Cards[0].Capability < 75; {
	case old:
		return pip + wheel + "-cu12"
	case wheel == "nvidia-cudnn":
		return pip + wheel + "-cu13"
	}
	return pip + wheel
}

// kernelDriver is the version of the driver package as Linux tells it.
func kernelDriver() string {
	b, err := os.ReadFile("/proc/driver/nvidia/version")
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	_, after, ok := strings.Cut(line, "Kernel Module")
	if !ok {
		return ""
	}
	for _, f := range strings.Fields(after) {
		if f[0] >= '0' && f[0] <= '9' && strings.Contains(f, ".") {
			return f
		}
	}
	return ""
}
