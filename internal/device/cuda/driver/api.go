package driver

import (
	"fmt"
	"unsafe"
)

// functions resolves the symbols of a library into fields of addresses.
func functions(library uintptr, path string, table map[string]*uintptr) error {
	for name, at := range table {
		address, err := symbol(library, name)
		if err != nil || address == 0 {
			return fmt.Errorf("%s has no function %s", path, name)
		}
		*at = address
	}
	return nil
}

// cString is text as C wants it. The caller keeps it alive over the call.
func cString(text string) []byte { return append([]byte(text), 0) }

// address turns what C returned into a pointer.
func address(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// goString reads C's text; nothing for a null pointer.
func goString(p uintptr) string {
	if p == 0 {
		return ""
	}
	start := (*byte)(address(p))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(start), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(start, n))
}

// untilNull is the text before the first null byte.
func untilNull(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
