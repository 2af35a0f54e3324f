package cuda

import (
	"errors"
	"fmt"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/memory"
)

// take returns scratch memory for this operation.
func (d *gpuDevice) take(bytes int64) (kernels.Ptr, error) {
	p, err := d.scratch.Take(bytes)
	return kernels.Ptr(p), err
}

// gpuBlock is a piece of the card's memory. If it holds parameters of convolutions, copy is the same array in the
// device's format.
type gpuBlock struct {
	dev   *gpuDevice
	p     uint64
	bytes int64
	copy  uint64
	stale bool // the copy is older than the parameters
}

// Bytes implements device.Block.
func (b *gpuBlock) Bytes() int64 { return b.bytes }

// Free implements device.Block.
func (b *gpuBlock) Free() {
	b.dev.mu.Lock()
	defer b.dev.mu.Unlock()
	b.dev.free(b)
}

// copyBytes is the size of the copy.
func (b *gpuBlock) copyBytes(t kernels.Type) int64 { return b.bytes / 4 * int64(t.Bytes()) }

// gpuStorage is where a tensor lies; view is that of activations.
type gpuStorage struct {
	block  *gpuBlock
	offset int64
	view   kernels.View
}

func (s *gpuStorage) ptr() kernels.Ptr { return kernels.Ptr(s.block.p) + kernels.Ptr(s.offset) }

// gpuAlign is the alignment of tensors in bytes; half of it is left in the copies of parameters.
const gpuAlign = 256

// Bytes implements Device.
func (d *gpuDevice) Bytes(s device.Spec) int64 {
	n := int64(device.Count(s.Shape))
	switch s.Kind {
	case device.Activation:
		n *= int64(d.t.Bytes())
	case device.Sums:
		n *= 16
	case device.Winners:
		n = kernels.WinnersBytes(d.dense(s.Shape, 0))
	default:
		n *= 4
	}
	return (n + gpuAlign - 1) / gpuAlign * gpuAlign
}

// dense is an activation whose voxels follow one another.
func (d *gpuDevice) dense(shape []int, p kernels.Ptr) kernels.View {
	return kernels.View{Data: p, N: shape[0], C: shape[1], D: shape[2], H: shape[3], W: shape[4], Pitch: shape[1]}
}

// NewBlock implements Device.
func (d *gpuDevice) NewBlock(bytes int64) (device.Block, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.card.Alloc(bytes)
	if errors.Is(err, driver.ErrMemory) {
		free, total := d.Memory()
		less := "a smaller batch or smaller images need less"
		if d.t == kernels.Float32 {
			less += ", and so does mixed precision"
		}
		return nil, fmt.Errorf("%s: the network needs a block of %s of its memory, %s of %s are free; %s", d.Name(), memory.Format(bytes), memory.Format(free), memory.Format(total), less)
	}
	if err != nil {
		return nil, d.failure(err)
	}
	b := &gpuBlock{dev: d, p: p, bytes: bytes, stale: true}
	d.blocks[b] = true
	return b, nil
}

// free releases what has not been released of a block.
func (d *gpuDevice) free(b *gpuBlock) {
	if !d.blocks[b] {
		return
	}
	delete(d.blocks, b)
	d.card.Free(b.p)
	if b.copy != 0 {
		d.card.Free(b.copy)
		d.copies -= b.copyBytes(d.t)
	}
}

// Place implements Device.
func (d *gpuDevice) Place(s device.Spec, b device.Block, offset int64) *device.Tensor {
	st := &gpuStorage{block: b.(*gpuBlock), offset: offset}
	if s.Kind == device.Activation {
		st.view = d.dense(s.Shape, st.ptr())
	}
	return device.NewTensor(s, st)
}

// Slice implements Device.
func (d *gpuDevice) Slice(t *device.Tensor, first, count int) *device.Tensor {
	s, st := device.SliceSpec(t.Spec(), first, count), t.Storage.(*gpuStorage)
	part := &gpuStorage{block: st.block, offset: st.offset}
	switch s.Kind {
	case device.Activation:
		part.view = st.view.Slice(d.t, first, count)
		part.offset += int64(first * d.t.Bytes())
	case device.Weights, device.Values:
		part.offset += 4 * int64(first*device.Count(s.Shape[1:]))
	case device.Sums:
		part.offset += 16 * int64(first)
	default:
		panic("device: tensors of this kind have no slices")
	}
	return device.NewTensor(s, part)
}

// WorkspaceBytes implements Device.
func (d *gpuDevice) WorkspaceBytes() int64 {
	d.prefetch.Lock()
	defer d.prefetch.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.scratch.Bytes() + d.copies
	for _, s := range d.prefetch.slots {
		n += s.room
	}
	return n
}

func ptrOf(t *device.Tensor) kernels.Ptr {
	if t == nil {
		return 0
	}
	return t.Storage.(*gpuStorage).ptr()
}

func viewOf(t *device.Tensor) kernels.View { return t.Storage.(*gpuStorage).view }
