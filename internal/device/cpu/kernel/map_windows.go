package kernel

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

func mapMemory(bytes int) ([]byte, error) {
	p, err := windows.VirtualAlloc(0, uintptr(bytes), windows.MEM_COMMIT|windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), bytes), nil // not memory of Go's, whatever vet thinks of the conversion
}

func unmapMemory(raw []byte) {
	if err := windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(raw))), 0, windows.MEM_RELEASE); err != nil {
		panic(err) // only what was never mapped cannot be unmapped
	}
}
