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

// Open returns the device of that name: "auto" or "cpu", or "cuda", "cuda:1" for a GPU. threads bounds the CPU's workers; below 1 all
// that the process may use.
func Open(name string, threads int) (Device, error) {
	switch n := strings.ToLower(strings.TrimSpace(name)); {
	case n == "" || n == "auto" || n == "cpu":
		return newCPU(threads, nil), nil
	case cudaName.MatchString(n):
		return nil, fmt.Errorf("device %s: %w; use --device cpu", n, ErrNoGPU)
	}
	return nil, fmt.Errorf("unknown device %q: expected auto, cpu, cuda or cuda:N", name)
}
