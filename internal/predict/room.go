package predict

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// room is the memory that predictions may take: cases on their way to the network, and the network, which keeps what it
// has grown to. Nobody waits for memory while holding some, so nobody waits forever.
type room struct {
	given    int64 // by the user, for messages
	fixed    int64 // taken by the weights of the folds
	capacity int64 // what is shared out
	budget   *memory.Budget

	mu      sync.Mutex
	network int64            // taken for the network
	needs   map[[3]int]int64 // of the network, per shape
}

// newRoom shares out the given bytes, less those that are fixed.
func newRoom(given, fixed int64) (*room, error) {
	r := &room{given: given, fixed: fixed, capacity: int64(memory.WorkShare*float64(given)) - fixed, needs: map[[3]int]int64{}}
	if r.capacity <= 0 {
		return nil, fmt.Errorf("the weights of the folds: %w", r.tooLarge(1))
	}
	r.budget = memory.NewBudget(r.capacity)
	return r, nil
}

// tooLarge says that n bytes are more than can be shared out, by the budget that would do.
func (r *room) tooLarge(n int64) error {
	return &memory.TooLargeError{Need: int64(math.Ceil(float64(n+r.fixed) / memory.WorkShare)), Budget: r.given}
}

// take turns the held bytes of a case into most, and makes the network's share at least network, if what that takes is
// free now.
func (r *room) take(held, most, network int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	growth := max(network-r.network, 0)
	switch want := most + growth; {
	case want > held && !r.budget.TryAcquire(want-held):
		return false
	case want < held:
		r.budget.Release(held - want)
	}
	r.network += growth
	return true
}

// grow enlarges the network's share by n bytes if they are free now.
func (r *room) grow(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.budget.TryAcquire(n) {
		return false
	}
	r.network += n
	return true
}

// settle sets the network's share to what it really takes. It is false if there is not that much.
func (r *room) settle(network int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if network > r.network && !r.budget.TryAcquire(network-r.network) {
		return false
	}
	if network < r.network {
		r.budget.Release(r.network - network)
	}
	r.network = network
	return true
}

// enter waits until n bytes are free and takes them. Where only the network's share is in the way, the network is given
// up first.
func (m *Model) enter(ctx context.Context, n int64) error {
	r := m.room
	if n > r.capacity {
		return r.tooLarge(n)
	}
	r.mu.Lock()
	blocked := n > r.capacity-r.network
	r.mu.Unlock()
	if blocked {
		// With all of the rest in hand no case is in the works.
		r.mu.Lock()
		rest := r.capacity - r.network
		r.mu.Unlock()
		if err := r.budget.Acquire(ctx, rest); err != nil {
			return err
		}
		m.mu.Lock()
		m.forgetNetwork()
		m.mu.Unlock()
		r.budget.Release(rest)
	}
	return r.budget.Acquire(ctx, n)
}

// forgetNetwork gives up the networks and their memory; they are made again when they are needed. m.mu is held.
func (m *Model) forgetNetwork() {
	for _, n := range slices.Backward(m.networks) { // the first owns what the others share
		n.Free()
	}
	m.networks = nil
	m.room.settle(0)
}

// settleNetwork accounts for what the network takes after a run. m.mu is held.
func (m *Model) settleNetwork() {
	if len(m.networks) == 0 || m.ownMemory() {
		return
	}
	used := m.networks[0].MemoryBytes()
	for _, n := range m.networks[1:] {
		used += n.OwnBytes() // the workspace is common
	}
	if !m.room.settle(used) {
		m.forgetNetwork()
	}
}

// ownMemory reports whether the device computes in memory of its own rather than in the machine's.
func (m *Model) ownMemory() bool {
	_, own := m.device.(interface{ Memory() (free, total int64) })
	return own
}

// networkBytes is the machine's memory that the network takes for a case of the given shape.
func (m *Model) networkBytes(shape [3]int) (int64, error) {
	if m.ownMemory() {
		return 0, nil
	}
	m.room.mu.Lock()
	defer m.room.mu.Unlock()
	n, known := m.room.needs[shape]
	if !known {
		own, activations, err := i3d.PredictorMemory(m.device, m.config, shape)
		if err != nil {
			return 0, err
		}
		n = own + activations
		m.room.needs[shape] = n
	}
	return n, nil
}

// prepareWithin takes a case to the plans' grid within the memory there is. What it returns holds memory, so many
// bytes, until it is released.
func (m *Model) prepareWithin(ctx context.Context, c input) (p *preprocess.Prepared, bytes int64, err error) {
	reading, err := c.cropBytes()
	if err != nil {
		return nil, 0, err
	}
	for held := reading; ; {
		if err := m.enter(ctx, held); err != nil {
			return nil, 0, task.InCase(c.ID, err)
		}
		crop, most, network, err := m.crop(c, reading)
		if err != nil {
			m.room.budget.Release(held)
			return nil, 0, err
		}
		if !m.room.take(held, most, network) {
			m.room.budget.Release(held)
			held = most + network // read it again when there is enough
			continue
		}
		p, err := crop.Finish(ctx)
		if err != nil {
			m.room.budget.Release(most)
			return nil, 0, err
		}
		keep := m.inputBytes(crop.Shape())
		m.room.budget.Release(most - keep)
		return p, keep, nil
	}
}

// crop reads and crops a case, and says what it needs from there on, and what the network needs for it.
func (m *Model) crop(c input, reading int64) (crop *preprocess.Planned, most, network int64, err error) {
	if crop, err = c.crop(m.plans); err != nil {
		return nil, 0, 0, err
	}
	shape := crop.Shape()
	if network, err = m.networkBytes(shape); err != nil {
		return nil, 0, 0, task.InCase(c.ID, err)
	}
	most = max(reading, crop.FinishBytes(), m.inputBytes(shape))
	if most+network > m.room.capacity {
		return nil, 0, 0, task.CaseErrorf(c.ID, "%s voxels after resampling: %w", volume.ShapeText(shape), m.room.tooLarge(most+network))
	}
	return crop, most, network, nil
}

// inputBytes is what the network's input for a case and a mirror image of it take.
func (m *Model) inputBytes(shape [3]int) int64 {
	const copies, floatBytes = 2, 4
	return copies * floatBytes * int64(m.config.InChannels) * int64(shape[0]) * int64(shape[1]) * int64(shape[2])
}

// leave releases what a prepared case holds.
func (m *Model) leave(p *prepared) {
	if p != nil {
		m.room.budget.Release(p.bytes)
	}
}
