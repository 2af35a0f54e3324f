package device

import (
	"fmt"
	"slices"
)

// Arena hands out the tensors that live within one run of a graph. Every run asks for the same tensors in the same
// order, so a first run on a planning device records when each is needed; Plan then gives all of them places in one
// block, as few bytes as a greedy search finds, and later runs allocate nothing.
type Arena struct {
	dev    Device
	slots  []slot
	next   int
	clock  int
	placed bool
	bytes  int64
}

type slot struct {
	bytes, offset int64
	born, died    int
	tensor        *Tensor
}

// NewArena returns an empty arena whose tensors will live on dev.
func NewArena(dev Device) *Arena { return &Arena{dev: dev} }

// Begin starts a run.
func (a *Arena) Begin() { a.next = 0 }

// Alloc returns the next tensor of the run; its values are undefined.
func (a *Arena) Alloc(kind Kind, shape ...int) *Tensor {
	a.next++
	if a.placed {
		t := a.slots[a.next-1].tensor
		if t.spec.Kind != kind || !slices.Equal(t.spec.Shape, shape) {
			panic(fmt.Sprintf("device: allocation %d is %d%v, planned was %d%v", a.next, kind, shape, t.spec.Kind, t.spec.Shape))
		}
		return t
	}
	t := NewTensor(Spec{kind, shape}, nil)
	t.slot = a.next
	a.clock++
	a.slots = append(a.slots, slot{bytes: a.dev.Bytes(t.spec), born: a.clock, died: -1, tensor: t})
	return t
}

// Free ends a tensor's life in this run. Tensors that the arena did not hand out are left alone.
func (a *Arena) Free(t *Tensor) {
	if a.placed || t == nil || t.slot == 0 {
		return
	}
	s := &a.slots[t.slot-1]
	if s.died >= 0 {
		panic(fmt.Sprintf("device: tensor %v freed twice", t.spec.Shape))
	}
	a.clock++
	s.died = a.clock
}

// Plan ends the recording. Tensors never freed live to the end of the run. It returns the bytes the block needs.
func (a *Arena) Plan() int64 {
	order := make([]*slot, len(a.slots))
	for i := range a.slots {
		if a.slots[i].died < 0 {
			a.slots[i].died = a.clock + 1
		}
		order[i] = &a.slots[i]
	}
	// Largest first, each at the lowest place that is free for all of its life.
	slices.SortStableFunc(order, func(x, y *slot) int {
		switch {
		case x.bytes > y.bytes:
			return -1
		case x.bytes < y.bytes:
			return 1
		}
		return x.born - y.born
	})
	var byOffset []*slot
	for _, s := range order {
		at := int64(0)
		for _, o := range byOffset {
			if o.born > s.died || o.died < s.born {
				continue
			}
			if at+s.bytes <= o.offset {
				break
			}
			at = max(at, o.offset+o.bytes)
		}
		s.offset = at
		a.bytes = max(a.bytes, at+s.bytes)
		i, _ := slices.BinarySearchFunc(byOffset, s, func(x, y *slot) int {
			switch {
			case x.offset < y.offset:
				return -1
			case x.offset > y.offset:
				return 1
			}
			return 0
		})
		byOffset = slices.Insert(byOffset, i, s)
	}
	return a.bytes
}

// Bytes is what Plan found.
func (a *Arena) Bytes() int64 { return a.bytes }

// Settle puts the planned tensors into a block of at least Bytes, which other arenas may share as long as their runs do
// not overlap.
func (a *Arena) Settle(b Block) {
	for i := range a.slots {
		s := &a.slots[i]
		s.tensor.Storage = a.dev.Place(s.tensor.spec, b, s.offset).Storage
	}
	a.placed = true
}

// Unsettle lets go of the block; before the next run the arena must be settled again.
func (a *Arena) Unsettle() {
	for i := range a.slots {
		a.slots[i].tensor.Storage = nil
	}
}
