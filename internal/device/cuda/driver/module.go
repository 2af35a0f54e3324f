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

// Load compiles source for the card, unless that was done before, and finds the named kernels in it. options and names
// depend on the architecture that the compiler can make code for.
func (c *Card) Load(source string, options, names func(arch int) []string) error {
	arch, machineCode, err := c.nvrtc.target(c.info.Capability)
	if err != nil {
		return err
	}
	opts := options(arch)
	path := c.nvrtc.cachePath(source, opts, machineCode)
	if prog, err := os.ReadFile(path); err == nil && len(prog) > 0 && c.loadModule(prog, names(arch)) == nil {
		return nil
	}
	prog, err := c.nvrtc.build(source, "uc.cu", opts, machineCode)
	if err != nil {
		return fmt.Errorf("the kernels do not compile for compute capability %d.%d: %w", c.info.Capability/10, c.info.Capability%10, err)
	}
	if err := c.loadModule(prog, names(arch)); err != nil {
		return err
	}
	// A cache that cannot be written costs time, nothing else.
	if path != "" && os.MkdirAll(filepath.Dir(path), 0o755) == nil {
		_ = atomicfile.WriteBytes(path, prog)
	}
	return nil
}

// loadModule brings compiled code to the card and finds the named kernels in it.
func (c *Card) loadModule(prog program, names []string) error {
	defer c.enter()()
	var module uintptr
	if err := c.cuda.check("cuModuleLoadData", call(c.cuda.moduleLoad, uintptr(unsafe.Pointer(&module)), uintptr(unsafe.Pointer(&prog[0])))); err != nil {
		return err
	}
	found := map[string]*function{}
	for _, name := range names {
		text := cString(name)
		f := &function{}
		if err := c.cuda.check("cuModuleGetFunction", call(c.cuda.moduleFunction, uintptr(unsafe.Pointer(&f.address)), module, uintptr(unsafe.Pointer(&text[0])))); err != nil {
			call(c.cuda.moduleUnload, module)
			return fmt.Errorf("kernel %s: %w", name, err)
		}
		found[name] = f
	}
	c.module, c.functions = module, found
	return nil
}

// cachePath is where compiled source is kept, by compiler and options; empty if there is no place.
func (a *nvrtcAPI) cachePath(source string, options []string, machineCode bool) string {
	dir := CacheDir()
	if dir == "" {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d.%d %v %q\n%s", a.major, a.minor, machineCode, options, source))
	return filepath.Join(dir, "kernels-"+hex.EncodeToString(sum[:12]))
}

// Compile compiles source with the NVRTC at path as Load would for a card of the given compute capability, and returns
// the size of the code. No card is needed.
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
