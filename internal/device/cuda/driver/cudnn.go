package driver

import (
	"fmt"
	"unsafe"
)

// cudnnAPI holds the addresses of cuDNN 9's functions (cudnn_graph.h).
type cudnnAPI struct {
	path string

	version, cudartVersion, create, destroy, setStream, errorText, lastError uintptr
	descCreate, descDestroy, finalize, setAttribute, getAttribute, execute   uintptr
}

func openCuDNN(path string) (*cudnnAPI, error) {
	lib, err := open(path)
	if err != nil {
		return nil, err
	}
	a := &cudnnAPI{path: path}
	return a, functions(lib, path, map[string]*uintptr{
		"cudnnGetVersion": &a.version, "cudnnGetCudartVersion": &a.cudartVersion, "cudnnCreate": &a.create, "cudnnDestroy": &a.destroy,
		"cudnnSetStream": &a.setStream, "cudnnGetErrorString": &a.errorText, "cudnnGetLastErrorString": &a.lastError,
		"cudnnBackendCreateDescriptor": &a.descCreate, "cudnnBackendDestroyDescriptor": &a.descDestroy,
		"cudnnBackendFinalize": &a.finalize, "cudnnBackendSetAttribute": &a.setAttribute,
		"cudnnBackendGetAttribute": &a.getAttribute, "cudnnBackendExecute": &a.execute,
	})
}

// number is cuDNN's version, 92600 for 9.26.0; cudart the CUDA version it was built with, 13020 for 13.2.
func (c *cudnnAPI) number() (version, cudart int) {
	return int(call(c.version)), int(call(c.cudartVersion))
}

// A cudnnError is a status of cuDNN other than success.
type cudnnError struct {
	function string
	status   int
	text     string
}

func (e *cudnnError) Error() string { return fmt.Sprintf("%s: %s", e.function, e.text) }

func (c *cudnnAPI) check(function string, status uintptr) error {
	code := status & 0xffffffff
	if code == 0 {
		return nil
	}
	text := goString(call(c.errorText, code))
	detail := make([]byte, 1024)
	call(c.lastError, uintptr(unsafe.Pointer(&detail[0])), uintptr(len(detail)))
	if d := untilNull(detail); d != "" {
		text += " (" + d + ")"
	}
	return &cudnnError{function, int(code), text}
}

// Numbers of cudnnBackendDescriptorType_t.
const (
	descPointwise      = 0
	descConvolution    = 1
	descEngine         = 2
	descEngineConfig   = 3
	descEngineHeur     = 4
	descPlan           = 5
	descForward        = 10
	descBackwardFilter = 11
	descBackwardData   = 12
	descOpPointwise    = 13
	descGraph          = 15
	descVariantPack    = 16
	descTensor         = 17
)

// Numbers of cudnnBackendAttributeType_t.
const (
	typeHandle        = 0
	typeDataType      = 1
	typeBoolean       = 2
	typeInt64         = 3
	typeFloat         = 4
	typePointer       = 6
	typeConvMode      = 7
	typeHeurMode      = 8
	typeNumericalNote = 11
	typePointwiseMode = 14
	typeDescriptor    = 15
)

// Numbers of cudnnBackendAttributeName_t.
const (
	attrPointwiseMode = 0
	attrPointwisePrec = 1

	attrConvCompType    = 100
	attrConvMode        = 101
	attrConvDilations   = 102
	attrConvStrides     = 103
	attrConvPostPadding = 104
	attrConvPrePadding  = 105
	attrConvSpatialDims = 106

	attrHeurMode    = 200
	attrHeurGraph   = 201
	attrHeurResults = 202

	attrConfigEngine = 300

	attrPlanHandle    = 400
	attrPlanConfig    = 401
	attrPlanWorkspace = 402

	attrForwardAlpha = 700 // and BETA, CONV_DESC, W, X, Y
	attrForwardBeta  = 701
	attrForwardConv  = 702
	attrForwardW     = 703
	attrForwardX     = 704
	attrForwardY     = 705
	attrDataAlpha    = 706
	attrDataBeta     = 707
	attrDataConv     = 708
	attrDataW        = 709
	attrDataDX       = 710
	attrDataDY       = 711
	attrFilterAlpha  = 712
	attrFilterBeta   = 713
	attrFilterConv   = 714
	attrFilterDW     = 715
	attrFilterX      = 716
	attrFilterDY     = 717

	attrOpPointwise  = 750
	attrOpPointwiseX = 751
	attrOpPointwiseB = 752
	attrOpPointwiseY = 753

	attrGraphHandle = 800
	attrGraphOps    = 801

	attrTensorAlignment = 900
	attrTensorType      = 901
	attrTensorDims      = 902
	attrTensorStrides   = 903
	attrTensorID        = 906
	attrTensorVirtual   = 907

	attrPackIDs       = 1000
	attrPackPointers  = 1001
	attrPackWorkspace = 1003

	attrEngineNotes = 1303
)

// Numbers of smaller enumerations.
const (
	dataFloat    = 0 // cudnnDataType_t
	dataFP16     = 2
	dataBFloat16 = 9

	crossCorrelation = 1 // cudnnConvolutionMode_t

	pointwiseAdd  = 0 // cudnnPointwiseMode_t
	pointwiseReLU = 100

	heurModeB        = 1 // cudnnBackendHeurMode_t
	heurModeFallback = 2
	heurModeA        = 3

	noteTensorCore           = 0 // cudnnBackendNumericalNote_t
	noteDownConvertInputs    = 1
	noteReducedPrecision     = 2
	noteFFT                  = 3
	noteNondeterministic     = 4
	noteWinograd             = 5
	noteWinogradTile4        = 6
	noteWinogradTile6        = 7
	noteWinogradTile13       = 8
	numericalNotes           = 16 // room for more of them than there are
	statusNotSupported       = 3000
	statusNotSupportedBeyond = 4000
)

// A descriptor is one of cuDNN's descriptors, being built: the first error sticks.
type descriptor struct {
	api *cudnnAPI
	ptr uintptr
	err error
}

func (c *cudnnAPI) describe(kind uintptr) *descriptor {
	d := &descriptor{api: c}
	d.err = c.check("cudnnBackendCreateDescriptor", call(c.descCreate, kind, uintptr(unsafe.Pointer(&d.ptr))))
	return d
}

func (d *descriptor) destroy() {
	if d.ptr != 0 {
		call(d.api.descDestroy, d.ptr)
		d.ptr = 0
	}
}

func (d *descriptor) set(attribute, kind uintptr, count int, values unsafe.Pointer) {
	if d.err == nil {
		d.err = d.api.check(fmt.Sprintf("cudnnBackendSetAttribute(%d)", attribute), call(d.api.setAttribute, d.ptr, attribute, kind, uintptr(count), uintptr(values)))
	}
}

func (d *descriptor) setInts(attribute uintptr, values ...int64) {
	d.set(attribute, typeInt64, len(values), unsafe.Pointer(&values[0]))
}

// setEnum sets a value of any enumeration; they are 32 bits wide.
func (d *descriptor) setEnum(attribute, kind uintptr, value int32) {
	d.set(attribute, kind, 1, unsafe.Pointer(&value))
}

func (d *descriptor) setBool(attribute uintptr, value bool) {
	d.set(attribute, typeBoolean, 1, unsafe.Pointer(&value))
}

func (d *descriptor) setFloat(attribute uintptr, value float32) {
	d.set(attribute, typeFloat, 1, unsafe.Pointer(&value))
}

// setPointers sets handles, descriptors or addresses.
func (d *descriptor) setPointers(attribute, kind uintptr, values ...uintptr) {
	d.set(attribute, kind, len(values), unsafe.Pointer(&values[0]))
}

// setDescriptors hands over other descriptors; their errors become this one's.
func (d *descriptor) setDescriptors(attribute uintptr, others ...*descriptor) {
	values := make([]uintptr, len(others))
	for i, o := range others {
		if d.err == nil {
			d.err = o.err
		}
		values[i] = o.ptr
	}
	d.setPointers(attribute, typeDescriptor, values...)
}

func (d *descriptor) finalize() error {
	if d.err == nil {
		d.err = d.api.check("cudnnBackendFinalize", call(d.api.finalize, d.ptr))
	}
	return d.err
}

// get reads up to room values and returns how many there are.
func (d *descriptor) get(attribute, kind uintptr, room int, values unsafe.Pointer) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	var n int64
	err := d.api.check(fmt.Sprintf("cudnnBackendGetAttribute(%d)", attribute),
		call(d.api.getAttribute, d.ptr, attribute, kind, uintptr(room), uintptr(unsafe.Pointer(&n)), uintptr(values)))
	return int(n), err
}
