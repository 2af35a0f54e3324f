package explain

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
)

const floatBytes = 4

// checkMemory refuses a case whose files alone need more memory than there is.
func (m *Model) checkMemory(c task.Case) error {
	n, err := preprocess.CropBytes(c)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.makeRoom(n)
	return m.fits(c.ID, n)
}

// fits refuses what takes more than the memory given, in addition to the weights of the folds and one set of them on
// its way into the network.
func (m *Model) fits(id string, n int64) error {
	n += m.foldBytes()
	if n <= m.share() {
		return nil
	}
	return fmt.Errorf("case %s: %w", id, &memory.TooLargeError{Need: int64(math.Ceil(float64(n) / memory.WorkShare)), Budget: m.limit})
}

// share is what the arrays that are accounted for may take of the memory given.
func (m *Model) share() int64 { return int64(memory.WorkShare * float64(m.limit)) }

// foldBytes is the memory of the weights of all folds.
func (m *Model) foldBytes() int64 {
	var n int64
	for _, f := range m.opened.Folds {
		for _, name := range f.Weights.Names() {
			n += floatBytes * int64(f.Weights.Get(name).Len())
		}
	}
	return n
}

// inputBytes is the memory of an input of the network.
func (m *Model) inputBytes(shape [3]int) int64 {
	return floatBytes * int64(m.opened.Config.InChannels*device.Count(shape[:]))
}

// caseBytes is the memory of a case of the given shape apart from the network: the input with its copies, and maps.
func (m *Model) caseBytes(shape [3]int) int64 {
	const copies = 3 // the input, its mirror image, and the upload's
	maps := 2        // on the way
	for _, c := range m.opened.Config.Outputs {
		maps += c // at most
	}
	return copies*m.inputBytes(shape) + floatBytes*int64(maps*device.Count(shape[:]))
}

// ownMemory reports whether the device computes in memory of its own rather than in the machine's.
func (m *Model) ownMemory() bool {
	_, own := m.device.(interface{ Memory() (free, total int64) })
	return own
}

// makeRoom gives up the network where what it still holds of earlier cases leaves less than n bytes. m.mu is held.
func (m *Model) makeRoom(n int64) {
	if m.network != nil && !m.ownMemory() && m.foldBytes()+m.network.MemoryBytes()+m.cut.OwnBytes()+n > m.share() {
		m.forget()
	}
}

// networkBytes is the machine's memory that explaining an input of the given shape takes: weights, activations, the
// input with its copies, and maps.
func (m *Model) networkBytes(shape [3]int) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.network == nil {
		if err := m.load(0); err != nil {
			return 0, err
		}
	}
	n := m.caseBytes(shape)
	if m.ownMemory() {
		return n, nil
	}
	weights, activations, err := i3d.PredictorMemory(m.device, m.opened.Config, shape)
	if err != nil {
		return 0, err
	}
	n += weights
	layer := m.options.Layer
	switch {
	case m.options.Method == Gradients:
		layer = i3d.InputLayer
	case m.options.Method == Occlusion:
		return n + activations, nil // of one sample; batches take what is left
	case layer == "":
		if layer, err = m.DefaultLayer(shape); err != nil {
			return 0, err
		}
	}
	cut, err := m.network.Cut(layer)
	if err != nil {
		return 0, err
	}
	own, ofCut, err := cut.Bytes(1, shape)
	return n + own + max(activations, ofCut), err
}

// batch is how many inputs of the given shape may go through the network at a time: as many as fit the memory next to
// the weights of the folds, the case and what the network holds. m.mu is held.
func (m *Model) batch(shape [3]int) int {
	each := m.inputBytes(shape)
	free := m.share() - m.foldBytes() - m.caseBytes(shape)
	if !m.ownMemory() {
		_, activations, err := i3d.PredictorMemory(m.device, m.opened.Config, shape)
		if err != nil {
			return 1
		}
		each += activations + m.inputBytes(shape) // the network's
		free -= m.network.OwnBytes() + m.cut.OwnBytes() + m.device.WorkspaceBytes()
	}
	return int(max(1, min(free/each, maxBatch)))
}
