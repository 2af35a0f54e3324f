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

// numpyKinds are the element types of NumPy arrays and scalars.
var numpyKinds = map[string]elementKind{
	"f2": kindF16, "f4": kindF32, "f8": kindF64, "b1": kindU8, "i1": kindI8, "u1": kindU8,
	"i2": kindI16, "u2": kindU16, "i4": kindI32, "u4": kindU32, "i8": kindI64,
}

// maxElements keeps sums and products of sizes far from overflow; no storage of a network comes near it.
const maxElements = 1 << 40

// torchStorage is a tensor's memory; its bytes are read when a tensor needs them.
type torchStorage struct {
	kind     elementKind
	key      string
	elements int64
	data     []byte
}

// torchTensor is a view of a storage; offset and stride count elements.
type torchTensor struct {
	storage       *torchStorage
	offset        int64
	shape, stride []int64
}

type numpyType struct {
	name  string
	order binary.ByteOrder
}

type numpyArray struct {
	dtype   *numpyType
	shape   []int64
	fortran bool
	data    []byte
}

// names are the functions and classes a checkpoint may mention, by module.
var names = map[string][]string{
	"collections":           {"OrderedDict", "defaultdict"},
	"torch._utils":          {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"},
	"numpy.core.multiarray": {"_reconstruct", "scalar"}, "numpy._core.multiarray": {"_reconstruct", "scalar"},
	"numpy":    {"dtype", "ndarray"},
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
		if _, ok := numpyKinds[name]; !ok {
			return nil, fmt.Errorf("elements of type %.20q; numbers were expected", name)
		}
		return &numpyType{name: name, order: binary.LittleEndian}, nil
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
			return nil, fmt.Errorf("character U+%04X is no byte", c)
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

func numpyScalar(a pickleTuple) (any, error) {
	if len(a) != 2 {
		return nil, fmt.Errorf("%d arguments; 2 were expected", len(a))
	}
	t, ok1 := a[0].(*numpyType)
	data, ok2 := a[1].(pickleBytes)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("made of a %s and a %s", kindOf(a[0]), kindOf(a[1]))
	}
	if want := numpyKinds[t.name].size; len(data) != want {
		return nil, fmt.Errorf("%d bytes; %s has %d", len(data), t.name, want)
	}
	return t.element(data), nil
}

// element is one value: bool, int64 or float64.
func (t *numpyType) element(b []byte) any {
	kind := numpyKinds[t.name]
	switch {
	case t.name == "b1":
		return b[0] != 0
	case kind.float:
		return kind.real(b, t.order)
	}
	return kind.integer(b, t.order)
}

// build sets the state of an object: of types and arrays of NumPy. The attributes of a dictionary (PyTorch keeps versions of
// modules there) are dropped.
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
		shape, ok1 := integers(values[1])
		t, ok2 := values[2].(*numpyType)
		fortran, ok3 := values[3].(bool)
		data, ok4 := values[4].(pickleBytes)
		if !ok1 || !ok2 || !ok3 || !ok4 {
			return fmt.Errorf("an array without shape, type, order or numbers")
		}
		n, ok := elements(shape, int64(len(data))+1<<16)
		if !ok || n*int64(numpyKinds[t.name].size) != int64(len(data)) {
			return fmt.Errorf("an array of shape %v and type %s in %d bytes", shape, t.name, len(data))
		}
		*o = numpyArray{dtype: t, shape: shape, fortran: fortran, data: data}
		return nil
	}
	return fmt.Errorf("a state for a %s", kindOf(object))
}

// elements is the number of elements of an array. It is not ok if that is beyond limit, also when an empty axis is counted as one.
func elements(shape []int64, limit int64) (n int64, ok bool) {
	n = 1
	empty := false
	for _, s := range shape {
		if s < 0 || max(1, s) > limit/n {
			return 0, false
		}
		n *= max(1, s)
		empty = empty || s == 0
	}
	if empty {
		n = 0
	}
	return n, true
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
