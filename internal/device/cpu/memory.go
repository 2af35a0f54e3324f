package cpu

import (
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// slab is memory outside Go's heap, aligned as kernels want it.
type slab struct {
	floats []float32
	unmap  func()
}

// newSlab returns n zeros.
func newSlab(n int) (s slab, err error) {
	s.floats, s.unmap, err = kernel.MapFloats(n)
	return s, err
}

// mustSlab is newSlab for the operations of the device, which have no errors.
func mustSlab(n int) slab {
	s, err := newSlab(n)
	if err != nil {
		panic(&device.Error{Device: "cpu", Err: err, Remedy: "a smaller batch or smaller images need less"})
	}
	return s
}

// free gives the memory back, unless that has been done.
func (s *slab) free() {
	if s.unmap != nil {
		s.unmap()
	}
	*s = slab{}
}

// cpuBlock implements device.Block.
type cpuBlock struct {
	dev *cpuDevice
	slab
	forms []*Forms // of the weights in it
}

// Bytes implements device.Block.
func (b *cpuBlock) Bytes() int64 { return 4 * int64(len(b.floats)) }

// Free implements device.Block.
func (b *cpuBlock) Free() {
	b.dev.mu.Lock()
	defer b.dev.mu.Unlock()
	b.free()
}

func (b *cpuBlock) free() {
	for _, f := range b.forms {
		f.free()
	}
	b.forms = nil
	b.slab.free()
	delete(b.dev.blocks, b)
}
