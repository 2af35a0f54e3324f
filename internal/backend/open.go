package backend

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrNoGPU is returned by Open for a CUDA device that cannot be had.
var ErrNoGPU = errors.New("no usable GPU backend in this build")

var cudaName = regexp.MustCompile(`^cuda(:[0-9]+)?$`)

// Options say which device to open and how it computes.
type Options struct {
	Device  string // "auto" or "cpu", or "cuda", "cuda:1" for a GPU
	Threads int    // bounds the CPU's workers; below 1 all that the process may use
	Mixed   bool   // keep activations in the device's 16-bit format where it has one; parameters and sums stay float32
}

// Open returns the device that the options name.
func Open(o Options) (Device, error) {
	switch n := strings.ToLower(strings.TrimSpace(o.Device)); {
	case n == "" || n == "auto" || n == "cpu":
		return newCPU(o.Threads, o.Mixed), nil
	case cudaName.MatchString(n):
		return nil, fmt.Errorf("device %s: %w; use --device cpu", n, ErrNoGPU)
	}
	return nil, fmt.Errorf("unknown device %q: expected auto, cpu, cuda or cuda:N", o.Device)
}
