package torch

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// elementKind is how one element of an array lies in memory.
type elementKind struct {
	size    int
	float   bool
	integer func(b []byte, o binary.ByteOrder) int64
	real    func(b []byte, o binary.ByteOrder) float64
}

var (
	kindF16  = elementKind{size: 2, float: true, real: func(b []byte, o binary.ByteOrder) float64 { return halfFloat(o.Uint16(b)) }}
	kindBF16 = elementKind{size: 2, float: true, real: func(b []byte, o binary.ByteOrder) float64 {
		return float64(math.Float32frombits(uint32(o.Uint16(b)) << 16))
	}}
	kindF32 = elementKind{size: 4, float: true, real: func(b []byte, o binary.ByteOrder) float64 { return float64(math.Float32frombits(o.Uint32(b))) }}
	kindF64 = elementKind{size: 8, float: true, real: func(b []byte, o binary.ByteOrder) float64 { return math.Float64frombits(o.Uint64(b)) }}
	kindI8  = elementKind{size: 1, integer: func(b []byte, _ binary.ByteOrder) int64 { return int64(int8(b[0])) }}
	kindU8  = elementKind{size: 1, integer: func(b []byte, _ binary.ByteOrder) int64 { return int64(b[0]) }}
	kindI16 = elementKind{size: 2, integer: func(b []byte, o binary.ByteOrder) int64 { return int64(int16(o.Uint16(b))) }}
	kindU16 = elementKind{size: 2, integer: func(b []byte, o binary.ByteOrder) int64 { return int64(o.Uint16(b)) }}
	kindI32 = elementKind{size: 4, integer: func(b []byte, o binary.ByteOrder) int64 { return int64(int32(o.Uint32(b))) }}
	kindU32 = elementKind{size: 4, integer: func(b []byte, o binary.ByteOrder) int64 { return int64(o.Uint32(b)) }}
	kindI64 = elementKind{size: 8, integer: func(b []byte, o binary.ByteOrder) int64 { return int64(o.Uint64(b)) }}
)

// torchStorages are the classes that name the element type of a tensor's memory.
var torchStorages = map[string]elementKind{
	"HalfStorage": kindF16, "BFloat16Storage": kindBF16, "FloatStorage": kindF32, "DoubleStorage": kindF64,
	"CharStorage": kindI8, "ByteStorage": kindU8, "BoolStorage": kindU8, "ShortStorage": kindI16, "IntStorage": kindI32, "LongStorage": kindI64,
}

// maxElements keeps sums and products of sizes far from overflow; no storage of a network comes near it.
const maxElements = 1 << 40

// torchStorage is a tensor's memory; its bytes are read when a tensor needs them.
type torchStorage struct {
	kind     elementKind
	key      string
	elements int64
	data     []byte
	read     func() ([]byte, error) // nil where the file has no elements for it
}

// load reads the bytes once.
func (s *torchStorage) load() error {
	if s.data != nil || s.read == nil {
		return nil
	}
	var err error
	s.data, err = s.read()
	return err
}

// torchTensor is a view of a storage; offset and stride count elements.
type torchTensor struct {
	storage       *torchStorage
	offset        int64
	shape, stride []int64
}

type numpyArray struct {
	dtype   *numpyType
	shape   []int64
	fortran bool
	data    []byte
	objects []any // instead of data, for elements that are Python objects
}

// names are the functions and classes a checkpoint may mention, by module.
var names = map[string][]string{
	"collections":           {"OrderedDict", "defaultdict"},
	"torch._utils":          {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"},
	"numpy.core.multiarray": {"_reconstruct", "scalar"}, "numpy._core.multiarray": {"_reconstruct", "scalar"},
	"numpy":              {"dtype", "ndarray"},
	"numpy.core.numeric": {"_frombuffer"}, "numpy._core.numeric": {"_frombuffer"}, // arrays in protocol 5
	"_codecs":  {"encode"},
	"torch":    {"Size", "device"},
	"builtins": {"dict", "list", "set"}, "__builtin__": {"dict", "list", "set"},
}

func known(g pickleGlobal) bool {
	if _, ok := torchStorages[g.name]; ok && g.module == "torch" {
		return true
	}
	for _, name := range names[g.module] {
		if name == g.name {
			return true
		}
	}
	return false
}

// reduce makes the value that a call stands for.
func reduce(g pickleGlobal, a pickleTuple) (any, error) {
	switch g.name {
	case "OrderedDict", "defaultdict", "dict":
		return dictOf(g.name, a)
	case "Size", "list", "set":
		return sequenceOf(a)
	case "device":
		return oneString(a)
	case "encode":
		return latin1(a)
	case "_rebuild_tensor", "_rebuild_tensor_v2":
		return rebuildTensor(a)
	case "_rebuild_parameter":
		if len(a) > 0 {
			if t, ok := a[0].(*torchTensor); ok {
				return t, nil
			}
		}
		return nil, fmt.Errorf("holds no tensor")
	case "dtype":
		name, err := oneString(a)
		if err != nil {
			return nil, err
		}
		return newNumpyType(name)
	case "_frombuffer":
		if len(a) != 4 {
			return nil, fmt.Errorf("%d arguments; 4 were expected", len(a))
		}
		return newNumpyArray(a[2], a[1], a[3] == "F", a[0])
	case "_reconstruct":
		return &numpyArray{}, nil
	case "scalar":
		return numpyScalar(a)
	}
	return nil, fmt.Errorf("a class, not called in a checkpoint")
}

func dictOf(name string, a pickleTuple) (any, error) {
	d := newPickleDict()
	if len(a) == 0 || name == "defaultdict" {
		return d, nil
	}
	l, ok := a[0].(*pickleList)
	if !ok {
		return nil, fmt.Errorf("made of a %s; a list of pairs was expected", kindOf(a[0]))
	}
	for _, item := range l.items {
		var pair []any
		switch item := item.(type) {
		case pickleTuple:
			pair = item
		case *pickleList:
			pair = item.items
		}
		if len(pair) != 2 {
			return nil, fmt.Errorf("made of something else than pairs")
		}
		if err := d.setAll(pair); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func sequenceOf(a pickleTuple) (any, error) {
	if len(a) == 0 {
		return &pickleList{}, nil
	}
	switch v := a[0].(type) {
	case pickleTuple:
		return v, nil
	case *pickleList:
		return &pickleList{items: append([]any{}, v.items...)}, nil
	}
	return nil, fmt.Errorf("made of a %s; a sequence was expected", kindOf(a[0]))
}

func oneString(a pickleTuple) (string, error) {
	if len(a) > 0 {
		switch s := a[0].(type) {
		case string:
			return s, nil
		case pickleBytes:
			return string(s), nil
		}
	}
	return "", fmt.Errorf("without a name")
}

// latin1 is how protocol 2 writes bytes: as text, one character per byte.
func latin1(a pickleTuple) (any, error) {
	text, err := oneString(a)
	if err != nil {
		return nil, err
	}
	var out pickleBytes
	for _, c := range text {
		if c > 0xff {
			return nil, fmt.Errorf("character U+%04X is not a byte", c)
		}
		out = append(out, byte(c))
	}
	return out, nil
}

func rebuildTensor(a pickleTuple) (any, error) {
	if len(a) < 4 {
		return nil, fmt.Errorf("%d arguments; at least 4 were expected", len(a))
	}
	storage, ok1 := a[0].(*torchStorage)
	offset, ok2 := a[1].(int64)
	shape, ok3 := integers(a[2])
	stride, ok4 := integers(a[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || len(shape) != len(stride) || offset < 0 {
		return nil, fmt.Errorf("not a storage, an offset, a shape and as many strides")
	}
	// The last element must lie inside the storage. Every comparison bounds a factor before it is multiplied.
	last, empty := offset, false
	for i, n := range shape {
		if n < 0 || stride[i] < 0 {
			return nil, fmt.Errorf("shape %v, strides %v", shape, stride)
		}
		empty = empty || n == 0
	}
	for i, n := range shape {
		if empty {
			break
		}
		if stride[i] > 0 && n-1 > (storage.elements-1)/stride[i] {
			return nil, fmt.Errorf("shape %v with strides %v reaches outside its storage of %d elements", shape, stride, storage.elements)
		}
		if last > storage.elements {
			break
		}
		last += (n - 1) * stride[i]
	}
	if !empty && last >= storage.elements {
		return nil, fmt.Errorf("shape %v with strides %v from %d on reaches outside its storage of %d elements", shape, stride, offset, storage.elements)
	}
	return &torchTensor{storage: storage, offset: offset, shape: shape, stride: stride}, nil
}

// build sets the state of an object: of types and arrays of NumPy. The attributes of a dictionary (PyTorch keeps
// versions of modules there) are dropped.
func build(object, state any) error {
	values, _ := state.(pickleTuple)
	switch o := object.(type) {
	case *pickleDict:
		return nil
	case *numpyType:
		if len(values) > 1 {
			if order, err := oneString(values[1:]); err == nil && order == ">" {
				o.order = binary.BigEndian
			}
		}
		return nil
	case *numpyArray:
		if len(values) != 5 {
			return fmt.Errorf("an array with %d properties; 5 were expected", len(values))
		}
		fortran, ok := values[3].(bool)
		if !ok {
			return fmt.Errorf("an array without order")
		}
		array, err := newNumpyArray(values[1], values[2], fortran, values[4])
		if err != nil {
			return err
		}
		*o = *array
		return nil
	}
	return fmt.Errorf("a state for a %s", kindOf(object))
}

func integers(v any) ([]int64, bool) {
	var items []any
	switch v := v.(type) {
	case pickleTuple:
		items = v
	case *pickleList:
		items = v.items
	default:
		return nil, false
	}
	if len(items) > 32 {
		return nil, false
	}
	out := make([]int64, len(items))
	for i, item := range items {
		n, ok := item.(int64)
		if !ok {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// halfFloat is an IEEE 754 half-precision number.
func halfFloat(h uint16) float64 {
	sign, exponent, fraction := 1.0, int(h>>10&0x1f), float64(h&0x3ff)
	if h>>15 != 0 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 0x1f:
		if fraction != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// keyText is a dictionary's key as text: 0 becomes "0".
func keyText(key any) string {
	switch k := key.(type) {
	case string:
		return k
	case int64:
		return strconv.FormatInt(k, 10)
	case nil:
		return "None"
	}
	return fmt.Sprint(key)
}
