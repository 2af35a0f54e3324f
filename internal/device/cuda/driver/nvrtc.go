package driver

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"
)

// nvrtcAPI holds the addresses of the run-time compiler's functions (nvrtc.h).
type nvrtcAPI struct {
	path         string
	major, minor int

	version, archCount, archs, create, destroy, compile, ptxSize, ptx, cubinSize, cubin, logSize, log, errorText uintptr
}

func openNVRTC(path string) (*nvrtcAPI, error) {
	lib, err := open(path)
	if err != nil {
		return nil, err
	}
	a := &nvrtcAPI{path: path}
	if err := functions(lib, path, map[string]*uintptr{
		"nvrtcVersion": &a.version, "nvrtcGetNumSupportedArchs": &a.archCount, "nvrtcGetSupportedArchs": &a.archs,
		"nvrtcCreateProgram": &a.create, "nvrtcDestroyProgram": &a.destroy, "nvrtcCompileProgram": &a.compile,
		"nvrtcGetPTXSize": &a.ptxSize, "nvrtcGetPTX": &a.ptx, "nvrtcGetCUBINSize": &a.cubinSize, "nvrtcGetCUBIN": &a.cubin,
		"nvrtcGetProgramLogSize": &a.logSize, "nvrtcGetProgramLog": &a.log, "nvrtcGetErrorString": &a.errorText,
	}); err != nil {
		return nil, err
	}
	var major, minor int32
	if err := a.check("nvrtcVersion", call(a.version, uintptr(unsafe.Pointer(&major)), uintptr(unsafe.Pointer(&minor)))); err != nil {
		return nil, err
	}
	a.major, a.minor = int(major), int(minor)
	return a, nil
}

func (a *nvrtcAPI) check(function string, r uintptr) error {
	if uint32(r) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", function, goString(call(a.errorText, r&0xffffffff)))
}

// supported lists the architectures that the compiler knows: 75, 80, 90, ...
func (a *nvrtcAPI) supported() ([]int, error) {
	var n int32
	if err := a.check("nvrtcGetNumSupportedArchs", call(a.archCount, uintptr(unsafe.Pointer(&n)))); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errors.New("nvrtcGetNumSupportedArchs: none")
	}
	list := make([]int32, n)
	if err := a.check("nvrtcGetSupportedArchs", call(a.archs, uintptr(unsafe.Pointer(&list[0])))); err != nil {
		return nil, err
	}
	all := make([]int, n)
	for i, v := range list {
		all[i] = int(v)
	}
	return all, nil
}

// target chooses the architecture to compile for: the card's, else the newest before it, whose machine code a card of
// the same major number runs; for any other the driver compiles the intermediate code.
func (a *nvrtcAPI) target(capability int) (arch int, machineCode bool, err error) {
	all, err := a.supported()
	if err != nil {
		return 0, false, err
	}
	all = slices.DeleteFunc(all, func(v int) bool { return v > capability })
	if len(all) == 0 {
		return 0, false, fmt.Errorf("NVRTC %d.%d no longer compiles for compute capability %d.%d; install NVRTC of CUDA 12", a.major, a.minor, capability/10, capability%10)
	}
	arch = slices.Max(all)
	return arch, arch/10 == capability/10, nil
}

// A program is compiled code: machine code, or intermediate code that ends with a null byte.
type program []byte

// build compiles source.
func (a *nvrtcAPI) build(source, name string, options []string, machineCode bool) (program, error) {
	text, title := cString(source), cString(name)
	var prog uintptr
	if err := a.check("nvrtcCreateProgram", call(a.create, uintptr(unsafe.Pointer(&prog)), uintptr(unsafe.Pointer(&text[0])),
		uintptr(unsafe.Pointer(&title[0])), 0, 0, 0)); err != nil {
		return nil, err
	}
	defer func() { call(a.destroy, uintptr(unsafe.Pointer(&prog))) }()
	list := make([]unsafe.Pointer, len(options)+1)
	for i, o := range options {
		c := cString(o)
		list[i] = unsafe.Pointer(&c[0])
	}
	if err := a.check("nvrtcCompileProgram", call(a.compile, prog, uintptr(len(options)), uintptr(unsafe.Pointer(&list[0])))); err != nil {
		return nil, fmt.Errorf("%w:\n%s", err, a.output(prog))
	}
	size, get := a.cubinSize, a.cubin
	if !machineCode {
		size, get = a.ptxSize, a.ptx
	}
	var n uint64
	if err := a.check("nvrtcGetCUBINSize", call(size, prog, uintptr(unsafe.Pointer(&n)))); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errors.New("NVRTC compiled the kernels to nothing")
	}
	p := make(program, n)
	return p, a.check("nvrtcGetCUBIN", call(get, prog, uintptr(unsafe.Pointer(&p[0]))))
}

// output is what the compiler said.
func (a *nvrtcAPI) output(prog uintptr) string {
	var n uint64
	if call(a.logSize, prog, uintptr(unsafe.Pointer(&n))) != 0 || n == 0 {
		return ""
	}
	b := make([]byte, n)
	call(a.log, prog, uintptr(unsafe.Pointer(&b[0])))
	return untilNull(b)
}
