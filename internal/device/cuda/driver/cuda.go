package driver

import (
	"fmt"
	"unsafe"
)

// cudaAPI holds the addresses of the CUDA driver's functions, of the versions that every driver since CUDA 11 has.
type cudaAPI struct {
	path string

	init, driverVersion, deviceCount, deviceGet, deviceName, deviceTotalMem, deviceAttribute  uintptr
	primaryRetain, primaryRelease, setCurrent                                                 uintptr
	memAlloc, memFree, memInfo, hostAlloc, hostFree, copyHtoD, copyDtoH, copyDtoD, memset     uintptr
	streamCreate, streamSynchronize, streamDestroy, streamWait                                uintptr
	eventCreate, eventRecord, eventSynchronize, eventElapsed, eventDestroy                    uintptr
	moduleLoad, moduleFunction, moduleUnload, launch, functionAttribute, errorName, errorText uintptr
	beginCapture, endCapture, graphInstantiate, graphLaunch, graphDestroy, execDestroy        uintptr
}

// minDriver is the oldest CUDA version of a driver that works: NVRTC and cuDNN 9 begin with CUDA 12.
const minDriver = 12000

// Results of the CUDA driver that are told apart (cuda.h).
const (
	cudaOutOfMemory   = 2
	cudaStubLibrary   = 34
	cudaNoDevice      = 100
	cudaInvalidDevice = 101
	// From the first to the last of these, only what was being captured is lost.
	cudaCaptureFirst = 900 // CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
	cudaCaptureLast  = 908 // CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD
)

// openCUDA opens the driver's library and initialises it.
func openCUDA() (*cudaAPI, error) {
	c, _, _ := components()
	var lib uintptr
	var first error
	a := &cudaAPI{}
	for _, f := range c.files {
		var err error
		if lib, err = open(f); err == nil {
			a.path = f
			break
		}
		if first == nil {
			first = err
		}
	}
	if lib == 0 {
		return nil, fmt.Errorf("no NVIDIA driver: %w", first)
	}
	if err := functions(lib, a.path, map[string]*uintptr{
		"cuInit": &a.init, "cuDriverGetVersion": &a.driverVersion, "cuDeviceGetCount": &a.deviceCount, "cuDeviceGet": &a.deviceGet,
		"cuDeviceGetName": &a.deviceName, "cuDeviceTotalMem_v2": &a.deviceTotalMem, "cuDeviceGetAttribute": &a.deviceAttribute,
		"cuDevicePrimaryCtxRetain": &a.primaryRetain, "cuDevicePrimaryCtxRelease_v2": &a.primaryRelease, "cuCtxSetCurrent": &a.setCurrent,
		"cuMemAlloc_v2": &a.memAlloc, "cuMemFree_v2": &a.memFree, "cuMemGetInfo_v2": &a.memInfo, "cuMemHostAlloc": &a.hostAlloc,
		"cuMemFreeHost": &a.hostFree, "cuMemcpyHtoDAsync_v2": &a.copyHtoD, "cuMemcpyDtoHAsync_v2": &a.copyDtoH,
		"cuMemcpyDtoDAsync_v2": &a.copyDtoD, "cuMemsetD8Async": &a.memset, "cuStreamCreate": &a.streamCreate,
		"cuStreamSynchronize": &a.streamSynchronize, "cuStreamDestroy_v2": &a.streamDestroy, "cuStreamWaitEvent": &a.streamWait,
		"cuEventCreate": &a.eventCreate, "cuEventRecord": &a.eventRecord, "cuEventSynchronize": &a.eventSynchronize,
		"cuEventElapsedTime": &a.eventElapsed, "cuEventDestroy_v2": &a.eventDestroy, "cuModuleLoadData": &a.moduleLoad,
		"cuModuleGetFunction": &a.moduleFunction, "cuModuleUnload": &a.moduleUnload, "cuLaunchKernel": &a.launch,
		"cuFuncSetAttribute": &a.functionAttribute, "cuGetErrorName": &a.errorName, "cuGetErrorString": &a.errorText,
		"cuStreamBeginCapture_v2": &a.beginCapture, "cuStreamEndCapture": &a.endCapture, "cuGraphInstantiateWithFlags": &a.graphInstantiate,
		"cuGraphLaunch": &a.graphLaunch, "cuGraphDestroy": &a.graphDestroy, "cuGraphExecDestroy": &a.execDestroy,
	}); err != nil {
		return nil, fmt.Errorf("the NVIDIA driver is too old: %w; install a driver for CUDA 12 or later", err)
	}
	switch r := call(a.init, 0); r {
	case 0:
	case cudaNoDevice:
		return nil, fmt.Errorf("the NVIDIA driver finds no card")
	case cudaStubLibrary:
		return nil, fmt.Errorf("%s is a stub without a driver; take its folder off the loader's path", a.path)
	default:
		return nil, fmt.Errorf("the NVIDIA driver does not start: %w", a.failure("cuInit", r))
	}
	return a, nil
}

// A cudaError is a result of the CUDA driver other than success.
type cudaError struct {
	function, name, text string
	code                 uintptr
}

func (e *cudaError) Error() string { return fmt.Sprintf("%s: %s (%s)", e.function, e.text, e.name) }

// failure words a result. Results are 32 bits wide.
func (a *cudaAPI) failure(function string, r uintptr) error {
	e := &cudaError{function: function, code: r & 0xffffffff, name: fmt.Sprintf("error %d", r&0xffffffff), text: "unknown"}
	var p uintptr
	if call(a.errorName, e.code, uintptr(unsafe.Pointer(&p))) == 0 {
		e.name = goString(p)
	}
	if call(a.errorText, e.code, uintptr(unsafe.Pointer(&p))) == 0 {
		e.text = goString(p)
	}
	return e
}

// check turns a result into an error.
func (a *cudaAPI) check(function string, r uintptr) error {
	if uint32(r) == 0 {
		return nil
	}
	return a.failure(function, r)
}

// version is the newest CUDA version that the driver knows, 13020 for 13.2.
func (a *cudaAPI) version() (int, error) {
	var v int32
	err := a.check("cuDriverGetVersion", call(a.driverVersion, uintptr(unsafe.Pointer(&v))))
	return int(v), err
}

// Numbers of CUdevice_attribute (cuda.h).
const (
	attributeMultiprocessors = 16
	attributeMajor           = 75
	attributeMinor           = 76
	attributeSharedOptin     = 97
)

func (a *cudaAPI) attribute(device int32, which uintptr) (int, error) {
	var v int32
	err := a.check("cuDeviceGetAttribute", call(a.deviceAttribute, uintptr(unsafe.Pointer(&v)), which, uintptr(device)))
	return int(v), err
}

// cards lists what the driver has.
func (a *cudaAPI) cards() ([]CardInfo, error) {
	var n int32
	if err := a.check("cuDeviceGetCount", call(a.deviceCount, uintptr(unsafe.Pointer(&n)))); err != nil {
		return nil, err
	}
	all := []CardInfo{}
	for i := range int(n) {
		info, _, err := a.card(i)
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return all, nil
}

// card describes one card and returns the driver's number for it.
func (a *cudaAPI) card(index int) (CardInfo, int32, error) {
	info := CardInfo{Index: index}
	var device int32
	if err := a.check("cuDeviceGet", call(a.deviceGet, uintptr(unsafe.Pointer(&device)), uintptr(index))); err != nil {
		return info, 0, err
	}
	name := make([]byte, 256)
	if err := a.check("cuDeviceGetName", call(a.deviceName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), uintptr(device))); err != nil {
		return info, 0, err
	}
	info.Name = untilNull(name)
	var bytes uint64
	if err := a.check("cuDeviceTotalMem", call(a.deviceTotalMem, uintptr(unsafe.Pointer(&bytes)), uintptr(device))); err != nil {
		return info, 0, err
	}
	info.Memory = int64(bytes)
	major, err1 := a.attribute(device, attributeMajor)
	minor, err2 := a.attribute(device, attributeMinor)
	sms, err3 := a.attribute(device, attributeMultiprocessors)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return info, 0, err
		}
	}
	info.Capability, info.Multiprocessors = 10*major+minor, sms
	return info, device, nil
}
