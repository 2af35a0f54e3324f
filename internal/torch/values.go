package torch

import (
	"fmt"
	"math/big"
	"slices"
)

// Values on the stack: nil, bool, int64, *big.Int, float64, string, and these.
type (
	pickleBytes []byte
	pickleTuple []any
	pickleList  struct{ items []any }
	// pickleDict keeps the order in which its keys came. Most dictionaries are small and need no index.
	pickleDict struct {
		keys, values []any
		index        map[any]int
	}
	pickleGlobal struct{ module, name string }
	pickleMark   struct{}
)

// indexFrom is the number of entries from which a dictionary has an index.
const indexFrom = 16

func newPickleDict() *pickleDict { return &pickleDict{} }

func (d *pickleDict) find(key any) (at int, ok bool) {
	if d.index != nil {
		at, ok = d.index[key]
		return at, ok
	}
	at = slices.Index(d.keys, key)
	return at, at >= 0
}

func (d *pickleDict) add(key, value any) {
	if len(d.keys) == indexFrom {
		d.index = make(map[any]int, 2*indexFrom)
		for i, k := range d.keys {
			d.index[k] = i
		}
	}
	if d.index != nil {
		d.index[key] = len(d.keys)
	}
	d.keys, d.values = append(d.keys, key), append(d.values, value)
}

// setAll takes keys and values in turn.
func (d *pickleDict) setAll(items []any) error {
	if len(items)%2 != 0 {
		return fmt.Errorf("a dictionary with a key but no value")
	}
	for i := 0; i < len(items); i += 2 {
		key := items[i]
		switch key.(type) {
		case string, int64, bool, float64, nil:
		default:
			return fmt.Errorf("a dictionary with a %s as key", kindOf(key))
		}
		if at, ok := d.find(key); ok {
			d.values[at] = items[i+1]
			continue
		}
		d.add(key, items[i+1])
	}
	return nil
}

func (d *pickleDict) get(key string) (any, bool) {
	at, ok := d.find(key)
	if !ok {
		return nil, false
	}
	return d.values[at], true
}

// kindOf names a value's type as Python does.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case pickleBytes:
		return "bytes"
	case pickleTuple:
		return "tuple"
	case *pickleList:
		return "list"
	case *pickleDict:
		return "dict"
	case pickleGlobal:
		return v.module + "." + v.name
	case *torchTensor:
		return "tensor"
	case *numpyArray:
		return "array"
	}
	return "value"
}
