package driver

import "unsafe"

// ringChunk is the size of a pinned buffer in bytes. While the card reads one, the next is filled.
const ringChunk = 8 << 20

// A ring is two buffers of pinned memory through which everything travels between the machine and the card.
type ring struct {
	buffer [2]uintptr
	event  [2]uintptr // the card has done with the buffer
	next   int
}

func (r *ring) prepare(c *Card) error {
	for i := range r.buffer {
		if r.buffer[i] != 0 {
			continue
		}
		if err := c.event(&r.event[i], eventDisableTiming); err != nil {
			return err
		}
		if err := c.check("cuMemHostAlloc", call(c.cuda.hostAlloc, uintptr(unsafe.Pointer(&r.buffer[i])), ringChunk, 0)); err != nil {
			return err
		}
	}
	return nil
}

func (r *ring) bytes(i int) []byte { return unsafe.Slice((*byte)(address(r.buffer[i])), ringChunk) }

// send copies src to the card by way of the buffers.
func (r *ring) send(c *Card, dst uint64, src []byte, stream uintptr) error {
	if err := r.prepare(c); err != nil {
		return err
	}
	for len(src) > 0 {
		i := r.next
		r.next = 1 - i
		if err := c.check("cuEventSynchronize", call(c.cuda.eventSynchronize, r.event[i])); err != nil {
			return err
		}
		n := copy(r.bytes(i), src)
		if err := c.check("cuMemcpyHtoDAsync", call(c.cuda.copyHtoD, uintptr(dst), r.buffer[i], uintptr(n), stream)); err != nil {
			return err
		}
		if err := c.check("cuEventRecord", call(c.cuda.eventRecord, r.event[i], stream)); err != nil {
			return err
		}
		dst += uint64(n)
		src = src[n:]
	}
	return nil
}

// receive copies from the card: while one buffer is read, the next is filled.
func (r *ring) receive(c *Card, dst []byte, src uint64, stream uintptr) error {
	if err := r.prepare(c); err != nil {
		return err
	}
	sizes := [2]int{}
	fetch := func(i, at int) error {
		sizes[i] = min(ringChunk, len(dst)-at)
		if sizes[i] <= 0 {
			return nil
		}
		if err := c.check("cuEventSynchronize", call(c.cuda.eventSynchronize, r.event[i])); err != nil {
			return err
		}
		if err := c.check("cuMemcpyDtoHAsync", call(c.cuda.copyDtoH, r.buffer[i], uintptr(src)+uintptr(at), uintptr(sizes[i]), stream)); err != nil {
			return err
		}
		return c.check("cuEventRecord", call(c.cuda.eventRecord, r.event[i], stream))
	}
	if err := fetch(0, 0); err != nil {
		return err
	}
	for at, i := 0, 0; at < len(dst); at, i = at+ringChunk, 1-i {
		if err := fetch(1-i, at+ringChunk); err != nil {
			return err
		}
		if err := c.check("cuEventSynchronize", call(c.cuda.eventSynchronize, r.event[i])); err != nil {
			return err
		}
		copy(dst[at:], r.bytes(i)[:sizes[i]])
	}
	return nil
}

func (r *ring) close(c *Card) {
	for i := range r.buffer {
		if r.event[i] != 0 {
			call(c.cuda.eventDestroy, r.event[i])
		}
		if r.buffer[i] != 0 {
			call(c.cuda.hostFree, r.buffer[i])
		}
	}
	*r = ring{}
}
