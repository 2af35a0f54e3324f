package driver

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/universal-classifier/uc/internal/atomicfile"
)

// CacheDir is where compiled kernels and measurements are kept between runs; empty if there is no place.
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "uc", "cuda")
}

// Load compiles source for the card, unless that was done before, and finds the named kernels in it. options depend on the
// architecture that the compiler can make code for.
func (c *Card) Load(source string, options func(arch int) []string, names []string) error {
	arch, machineCode, err := c.nvrtc.target(c.info.Capability)
	if err != nil {
		return err
	}
	opts := options(arch)
	prog, err := c.nvrtc.cached(source, opts, machineCode)
	if err != nil {
		return fmt.Errorf("the kernels do not compile for compute capability %d.%d: %w", c.info.Capability/10, c.info.Capability%10, err)
	}
	defer c.enter()()
	if err := c.check("cuModuleLoadData", call(c.cuda.moduleLoad, uintptr(unsafe.Pointer(&c.module)), uintptr(unsafe.Pointer(&prog[0])))); err != nil {
		return err
	}
	for _, name := range names {
		text := cString(name)
		f := &function{}
		if err := c.check("cuModuleGetFunction", call(c.cuda.moduleFunction, uintptr(unsafe.Pointer(&f.address)), c.module, uintptr(unsafe.Pointer(&text[0])))); err != nil {
			return fmt.Errorf("kernel %s: %w", name, err)
		}
		c.functions[name] = f
	}
	return nil
}

// cached is the compiled source, from an earlier run if it was compiled by the same compiler with the same options.
func (a *nvrtcAPI) cached(source string, options []string, machineCode bool) (program, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d.%d %v %q\n%s", a.major, a.minor, machineCode, options, source))
	path := filepath.Join(CacheDir(), "kernels-"+hex.EncodeToString(sum[:12]))
	if CacheDir() != "" {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return b, nil
		}
	}
	p, err := a.build(source, "uc.cu", options, machineCode)
	if err != nil || CacheDir() == "" {
		return p, err
	}
	// A cache that cannot be written costs time, nothing else.
	if os.MkdirAll(filepath.Dir(path), 0o755) == nil {
		_ = atomicfile.WriteBytes(path, p)
	}
	return p, nil
}

// Compile compiles source with the NVRTC at path as Load would for a card of the given compute capability, and returns the size of the
// code. No card is needed.
func Compile(path string, capability int, source string, options func(arch int) []string) (bytes int, err error) {
	a, err := openNVRTC(path)
	if err != nil {
		return 0, err
	}
	arch, machineCode, err := a.target(capability)
	if err != nil {
		return 0, err
	}
	p, err := a.build(source, "uc.cu", options(arch), machineCode)
	return len(p), err
}
