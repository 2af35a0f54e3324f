package npz

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"github.com/universal-classifier/uc/internal/infile"
)

// Mapped is a float32 .npy file whose data is read from disk as it is touched.
type Mapped struct {
	Shape []int
	Data  []float32 // C order; not to be written to, and gone after Close
	pages mmap.MMap // nil if the data had to be read into memory
}

// OpenMapped maps a little-endian float32 .npy file in C order into memory.
func OpenMapped(path string) (*Mapped, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mapFile(f, path)
}

func mapFile(f *infile.File, path string) (*Mapped, error) {
	h, offset, err := readHeader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if h.kind != 'f' || h.size != 4 || h.big || h.fortran {
		return nil, fmt.Errorf("%s: %w: only little-endian float32 in C order can be mapped", path, ErrFormat)
	}
	if want := int64(offset) + 4*int64(h.count); f.Size() != want {
		return nil, fmt.Errorf("%s: %w: %d bytes, but its header says %d", path, ErrFormat, f.Size(), want)
	}
	if h.count == 0 || offset%4 != 0 || !littleEndianHost() {
		a, err := ReadNPY(path)
		if err != nil {
			return nil, err
		}
		return &Mapped{Shape: a.Shape, Data: a.Data.([]float32)}, nil
	}
	pages, err := mmap.Map(f.OS(), mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot map it into memory: %w", path, err)
	}
	data := unsafe.Slice((*float32)(unsafe.Pointer(&pages[offset])), h.count)
	return &Mapped{Shape: h.shape, Data: data, pages: pages}, nil
}

// Close unmaps the file. Data must not be touched afterwards.
func (m *Mapped) Close() error {
	m.Data = nil
	if m.pages == nil {
		return nil
	}
	return m.pages.Unmap()
}

func littleEndianHost() bool {
	return binary.NativeEndian.Uint16([]byte{1, 0}) == 1
}
