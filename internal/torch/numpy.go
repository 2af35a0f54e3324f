package torch

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// numpyKinds are the element types of NumPy arrays and scalars that are numbers.
var numpyKinds = map[string]elementKind{
	"f2": kindF16, "f4": kindF32, "f8": kindF64, "b1": kindU8, "i1": kindI8, "u1": kindU8,
	"i2": kindI16, "u2": kindU16, "i4": kindI32, "u4": kindU32, "i8": kindI64,
}

// maxText is the longest element of an array of text, in characters.
const maxText = 1 << 16

// numpyType is a NumPy dtype: a number, text of a fixed length ("U15": UCS-4, "S15": bytes) or "O", any Python object.
type numpyType struct {
	name  string
	order binary.ByteOrder
	size  int // bytes of an element; 0 for objects
}

func newNumpyType(name string) (*numpyType, error) {
	t := &numpyType{name: name, order: binary.LittleEndian}
	if kind, ok := numpyKinds[name]; ok {
		t.size = kind.size
		return t, nil
	}
	switch name {
	case "O", "O4", "O8":
		t.name = "O"
		return t, nil
	}
	if len(name) > 1 && (name[0] == 'U' || name[0] == 'S') {
		if n, err := strconv.Atoi(name[1:]); err == nil && n >= 0 && n <= maxText {
			t.size = n
			if name[0] == 'U' {
				t.size = 4 * n
			}
			return t, nil
		}
	}
	return nil, fmt.Errorf("elements of type %.20q; numbers or text were expected", name)
}

// newNumpyArray checks that the elements fill the shape.
func newNumpyArray(shape, dtype any, fortran bool, data any) (*numpyArray, error) {
	a := &numpyArray{fortran: fortran}
	var ok1, ok2 bool
	a.shape, ok1 = integers(shape)
	a.dtype, ok2 = dtype.(*numpyType)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("an array without shape or type")
	}
	held, unit := 0, a.dtype.size
	switch d := data.(type) {
	case pickleBytes:
		a.data, held = d, len(d)
	case *pickleList:
		a.objects, held, unit = d.items, len(d.items), 1
	default:
		return nil, fmt.Errorf("an array with a %s for elements", kindOf(data))
	}
	n, ok := elements(a.shape, int64(held)+1<<16)
	if !ok || n*int64(unit) != int64(held) || (a.objects != nil) != (a.dtype.name == "O") && held > 0 {
		return nil, fmt.Errorf("an array of shape %v and type %s in %d bytes or objects", a.shape, a.dtype.name, held)
	}
	return a, nil
}

func numpyScalar(a pickleTuple) (any, error) {
	if len(a) != 2 {
		return nil, fmt.Errorf("%d arguments; 2 were expected", len(a))
	}
	t, ok1 := a[0].(*numpyType)
	data, ok2 := a[1].(pickleBytes)
	if !ok1 || !ok2 || t.name == "O" {
		return nil, fmt.Errorf("made of a %s and a %s", kindOf(a[0]), kindOf(a[1]))
	}
	if len(data) != t.size {
		return nil, fmt.Errorf("%d bytes; %s has %d", len(data), t.name, t.size)
	}
	return t.element(data), nil
}

// element is one value: bool, int64, float64 or string.
func (t *numpyType) element(b []byte) any {
	kind, isNumber := numpyKinds[t.name]
	switch {
	case t.name[0] == 'S':
		return strings.TrimRight(string(b), "\x00")
	case t.name[0] == 'U':
		var text strings.Builder
		for ; len(b) >= 4; b = b[4:] {
			text.WriteRune(rune(t.order.Uint32(b)))
		}
		return strings.TrimRight(text.String(), "\x00")
	case t.name == "b1":
		return b[0] != 0
	case isNumber && kind.float:
		return kind.real(b, t.order)
	}
	return kind.integer(b, t.order)
}

// elements is the number of elements of an array. It is not ok if that is beyond limit, also when an empty axis is
// counted as one.
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
