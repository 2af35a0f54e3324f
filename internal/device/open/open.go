// Package open opens the device that a user names, or the best that passes its test.
package open

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/cuda"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/remedy"
)

// ErrNoGPU is wrapped by Open's errors for an unavailable CUDA device.
var ErrNoGPU = errors.New("no usable GPU")

var cudaName = regexp.MustCompile(`^cuda(?::([0-9]+))?$`)

// Options say which device to open and how it computes.
type Options struct {
	Device        string // "auto" or "cpu", or "cuda", "cuda:1" for a GPU
	Threads       int    // bounds the CPU's workers; below 1 all that the process may use
	Mixed         bool   // keep activations in the device's 16-bit format where it has one; parameters and sums stay float32
	Deterministic bool   // the same bits every time; the CPU's always are
	GPU           GPU    // how cards are looked for
	// Choice, if set, is told which device "auto" means, and why.
	Choice func(text string)
}

// GPU says how NVIDIA cards and libraries are looked for.
type GPU struct {
	Libraries string // folder with NVRTC and cuDNN, which is looked into first; empty: what the environment names
	// Probe looks at the cards and tests them. Without one, auto looks for no card, and a card that is named is opened
	// untested, by this process.
	Probe driver.Prober
}

// Look looks for cards and for NVIDIA's libraries.
func (g GPU) Look() *driver.Report {
	probe := g.Probe
	if probe == nil {
		probe = InProcess
	}
	return driver.Look(probe, g.libraries())
}

func (g GPU) libraries() string {
	if g.Libraries != "" {
		return g.Libraries
	}
	return env.Get(env.CUDALibs)
}

// Device returns the device that the options name.
func Device(o Options) (device.Device, error) {
	n := strings.ToLower(strings.TrimSpace(o.Device))
	if n == "cpu" {
		return cpu.New(o.Threads, o.Mixed), nil
	}
	if n == "" || n == "auto" {
		return openAuto(o), nil
	}
	m := cudaName.FindStringSubmatch(n)
	if m == nil {
		return nil, fmt.Errorf("unknown device %q: expected auto, cpu, cuda or cuda:N", o.Device)
	}
	card := 0
	if m[1] != "" {
		var err error
		if card, err = strconv.Atoi(m[1]); err != nil {
			return nil, fmt.Errorf("unknown device %q: expected auto, cpu, cuda or cuda:N", o.Device)
		}
	}
	d, err := openGPU(card, o.GPU.Look(), o)
	if err != nil {
		return nil, remedy.With(fmt.Errorf("device %s: %w: %w; use the CPU", n, ErrNoGPU, err), remedy.Set{Option: remedy.Device, Value: "cpu"})
	}
	return d, nil
}

// openAuto opens the first card if it passes a test, else the CPU.
func openAuto(o Options) device.Device {
	choose := func(d device.Device, why string) device.Device {
		if o.Choice != nil {
			o.Choice(fmt.Sprintf("device %s: %s", d.Name(), why))
		}
		return d
	}
	if o.GPU.Probe == nil && driver.Present() {
		return choose(cpu.New(o.Threads, o.Mixed), "this program has not enabled GPUs")
	}
	libraries := o.GPU.Look()
	err := libraries.Usable(0)
	if err == nil && libraries.CuDNN.Path == "" {
		err = fmt.Errorf("%s; run: %s", libraries.CuDNN.Problem, libraries.CuDNN.Install)
	}
	if err == nil {
		err = testedGPU(0, libraries, o)
	}
	if err == nil {
		var d device.Device
		if d, err = openGPU(0, libraries, o); err == nil {
			return choose(d, "the card passed its test")
		}
	}
	return choose(cpu.New(o.Threads, o.Mixed), err.Error())
}

// Compute capabilities from which a format is fast.
const (
	capabilityBFloat16 = 80
	capabilityFP16     = 70
)

// gpuType is the number format in which a card computes.
func gpuType(capability int, mixed bool) kernels.Type {
	switch {
	case !mixed || capability < capabilityFP16:
		return kernels.Float32
	case capability < capabilityBFloat16:
		return kernels.FP16
	}
	return kernels.BFloat16
}

func openGPU(index int, libraries *driver.Report, o Options) (device.Device, error) {
	if err := libraries.Usable(index); err != nil {
		return nil, err
	}
	t := gpuType(libraries.Cards[index].Capability, o.Mixed)
	card, err := cuda.Open(index, libraries, t)
	if err != nil {
		return nil, err
	}
	d, err := cuda.New(card, t, o.Deterministic, driver.CacheDir())
	if err != nil {
		card.Close()
		return nil, err
	}
	return d, nil
}
