package cuda

import (
	"sync"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
)

// gpuPrefetch is input on its way to the card, ahead of its Upload: the next one may come before the one before it is
// taken.
type gpuPrefetch struct {
	sending sync.Mutex // held over a whole Prefetch

	sync.Mutex // of what follows
	slots      [driver.Slots]gpuSlot
	next       int
	inflight   *float32 // the first value of what is being sent
}

type gpuSlot struct {
	key   *float32 // the first value of what was sent; nil: nothing is held
	bytes int64
	p     uint64
	room  int64
}

// Prefetch implements Prefetcher. What cannot be sent ahead is sent by Upload.
func (d *gpuDevice) Prefetch(values []float32) {
	if len(values) == 0 {
		return
	}
	f := &d.prefetch
	f.sending.Lock()
	defer f.sending.Unlock()
	f.Lock()
	i := f.next
	f.next = (i + 1) % len(f.slots)
	for k := range f.slots {
		if k == i || f.slots[k].key == &values[0] { // what was sent of a slice before is out of date
			f.slots[k].key = nil
		}
	}
	slot := f.slots[i]
	f.inflight = &values[0]
	f.Unlock()
	err := d.sendAhead(i, &slot, values)
	f.Lock()
	defer f.Unlock()
	f.inflight = nil
	if err == nil {
		slot.key = &values[0]
	}
	f.slots[i] = slot
}

// sendAhead fills a slot, which nobody else uses.
func (d *gpuDevice) sendAhead(i int, slot *gpuSlot, values []float32) error {
	slot.bytes = 4 * int64(len(values))
	if slot.room < slot.bytes {
		d.recording.RLock()
		defer d.recording.RUnlock()
		if slot.p != 0 {
			d.card.Free(slot.p)
		}
		slot.p, slot.room = 0, 0
		p, err := d.card.Alloc(slot.bytes)
		if err != nil {
			return err
		}
		slot.p, slot.room = p, slot.bytes
		// Its zeros are written by the stream that computes, and must not come after what is sent by the other.
		if err := d.card.Sync(); err != nil {
			return err
		}
	}
	return d.card.Prefetch(i, slot.p, floatBytes(values))
}

// takePrefetched copies an input that has been sent ahead, if it has.
func (d *gpuDevice) takePrefetched(t *device.Tensor, values []float32) (taken bool) {
	if len(values) == 0 {
		return false
	}
	f := &d.prefetch
	taken, coming := d.takeSlot(t, values)
	if !coming {
		return taken
	}
	f.sending.Lock() // until it has been sent
	defer f.sending.Unlock()
	taken, _ = d.takeSlot(t, values)
	return taken
}

// takeSlot copies an input from the slot that holds it, or reports whether it is still being sent.
func (d *gpuDevice) takeSlot(t *device.Tensor, values []float32) (taken, coming bool) {
	f := &d.prefetch
	f.Lock()
	defer f.Unlock()
	for i := range f.slots {
		s := &f.slots[i]
		if s.key == nil || s.key != &values[0] || s.bytes != 4*int64(len(values)) {
			continue
		}
		s.key = nil
		d.doAlone(func() error {
			return d.card.TakePrefetched(i, uint64(t.Storage.(*gpuStorage).ptr()), s.p, s.bytes)
		})
		return true, false
	}
	return false, f.inflight == &values[0]
}
