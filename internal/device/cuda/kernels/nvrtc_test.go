//go:build linux

package kernels_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ebitengine/purego"

	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// nvrtc is the run-time compiler.
type nvrtc struct {
	create      func(prog *uintptr, source, name string, headers int32, texts, names uintptr) int32
	compile     func(prog uintptr, count int32, options **byte) int32
	logSize     func(prog uintptr, n *uint64) int32
	log         func(prog uintptr, text *byte) int32
	cubinSize   func(prog uintptr, n *uint64) int32
	cubin       func(prog uintptr, code *byte) int32
	destroy     func(prog *uintptr) int32
	archCount   func(n *int32) int32
	archs       func(values *int32) int32
	errorString func(code int32) string
}

// openNVRTC opens the library that UC_NVRTC names (see make cuda-compile) and skips the test without it.
func openNVRTC(t *testing.T) *nvrtc {
	path := os.Getenv("UC_NVRTC")
	if path == "" {
		t.Skip("UC_NVRTC does not name a libnvrtc.so; make cuda-compile installs one and runs this test")
	}
	builtins, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "libnvrtc-builtins.so*"))
	for _, b := range builtins {
		if _, err := purego.Dlopen(b, purego.RTLD_NOW|purego.RTLD_GLOBAL); err != nil {
			t.Fatal(err)
		}
	}
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		t.Fatal(err)
	}
	c := &nvrtc{}
	for name, f := range map[string]any{
		"nvrtcCreateProgram": &c.create, "nvrtcCompileProgram": &c.compile, "nvrtcGetProgramLogSize": &c.logSize, "nvrtcGetProgramLog": &c.log,
		"nvrtcGetCUBINSize": &c.cubinSize, "nvrtcGetCUBIN": &c.cubin, "nvrtcDestroyProgram": &c.destroy, "nvrtcGetNumSupportedArchs": &c.archCount,
		"nvrtcGetSupportedArchs": &c.archs, "nvrtcGetErrorString": &c.errorString,
	} {
		purego.RegisterLibFunc(f, lib, name)
	}
	return c
}

// build returns the machine code and what the compiler said.
func (c *nvrtc) build(source string, options []string) (code []byte, log string, err error) {
	var prog uintptr
	if r := c.create(&prog, source, "kernels.cu", 0, 0, 0); r != 0 {
		return nil, "", fmt.Errorf("nvrtcCreateProgram: %s", c.errorString(r))
	}
	defer c.destroy(&prog)
	texts := make([]*byte, len(options))
	for i, o := range options {
		texts[i] = &append([]byte(o), 0)[0]
	}
	r := c.compile(prog, int32(len(options)), &texts[0])
	var n uint64
	if c.logSize(prog, &n) == 0 && n > 1 {
		text := make([]byte, n)
		c.log(prog, &text[0])
		log = string(bytes.TrimRight(text, "\x00"))
	}
	if r != 0 {
		return nil, log, fmt.Errorf("nvrtcCompileProgram: %s", c.errorString(r))
	}
	if r := c.cubinSize(prog, &n); r != 0 || n == 0 {
		return nil, log, fmt.Errorf("nvrtcGetCUBINSize: %s, %d bytes", c.errorString(r), n)
	}
	code = make([]byte, n)
	if r := c.cubin(prog, &code[0]); r != 0 {
		return nil, log, fmt.Errorf("nvrtcGetCUBIN: %s", c.errorString(r))
	}
	return code, log, nil
}

// spill finds registers that went to memory, arrays of registers indexed at run time among them, in the assembler's
// report.
var spill = regexp.MustCompile(`[1-9][0-9]* bytes (stack frame|spill)`)

// TestCompile builds the kernels for every element type and every card that the compiler knows of those we name,
// without a warning, a spilled register or a missing kernel.
func TestCompile(t *testing.T) {
	c := openNVRTC(t)
	var n int32
	c.archCount(&n)
	known := make([]int32, n)
	c.archs(&known[0])
	built := 0
	for _, arch := range []int{75, 80, 86, 89, 90, 100, 120} {
		for _, k := range known {
			if int(k) != arch {
				continue
			}
			for _, typ := range kernels.Types {
				built++
				t.Run(fmt.Sprintf("%s/sm_%d", typ, arch), func(t *testing.T) {
					code, log, err := c.build(kernels.Source(), append(kernels.Options(typ, arch), "--ptxas-options=-v"))
					if err != nil {
						t.Fatalf("%v\n%s", err, log)
					}
					for _, line := range strings.Split(log, "\n") {
						if strings.Contains(line, "warning") || strings.Contains(line, "error") || spill.MatchString(line) {
							t.Error(line)
						}
					}
					for _, name := range kernels.Names(typ, arch) {
						if !bytes.Contains(code, []byte("\x00.text."+name+"\x00")) {
							t.Errorf("the machine code has no kernel %s", name)
						}
					}
					if os.Getenv("UC_NVRTC_LOG") != "" {
						t.Log(log)
					}
				})
			}
		}
	}
	if built == 0 {
		t.Fatalf("this compiler knows none of our cards; it knows %d", known)
	}
}
