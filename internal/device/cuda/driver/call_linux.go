//go:build linux && (amd64 || arm64) && !nogpu

package driver

import (
	"fmt"

	"github.com/ebitengine/purego"
)

// open loads a shared library; its symbols serve libraries opened later, as NVIDIA's open one another by name.
func open(path string) (uintptr, error) {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

func symbol(library uintptr, name string) (uintptr, error) { return purego.Dlsym(library, name) }

// call calls a C function whose arguments and result are integers or pointers. Pointers into Go memory must be
// converted in the argument list itself, which keeps them alive and in place.
//
//go:uintptrescapes
func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}
