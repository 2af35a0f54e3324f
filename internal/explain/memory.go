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
	return m.fits(c.ID, n)
}

// fits refuses what takes more than the memory given, beside the weights of the folds and one set of them on its way
// into the network.
func (m *Model) fits(id string, n int64) error {
	for _, f := range m.opened.Folds {
		for _, name := range f.Weights.Names() {
			n += floatBytes * int64(f.Weights.Get(name).Len())
		}
	}
	if float64(n) <= memory.WorkShare*float64(m.limit) {
		return nil
	}
	return fmt.Errorf("case %s: %w", id, &memory.TooLargeError{Need: int64(math.Ceil(float64(n) / memory.WorkShare)), Budget: m.limit})
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
	voxels := floatBytes * int64(device.Count(shape[:]))
	const copies = 3 // the input, its mirror image, and the upload's
	n := copies * voxels * int64(m.opened.Config.InChannels)
	classes := 0
	for _, c := range m.opened.Config.Outputs {
		classes += c
	}
	n += voxels * int64(classes+2) // at most that many maps, and two on the way
	if _, own := m.device.(interface{ Memory() (free, total int64) }); own {
		return n, nil
	}
	plain, err := i3d.PredictorMemory(m.device, m.opened.Config, shape)
	if err != nil {
		return 0, err
	}
	layer := m.options.Layer
	switch {
	case m.options.Method == Gradients:
		layer = i3d.InputLayer
	case m.options.Method == Occlusion:
		return n + plain, nil // of one sample; batches take what is left
	case layer == "":
		if layer, err = m.DefaultLayer(shape); err != nil {
			return 0, err
		}
	}
	cut, err := m.network.Cut(layer)
	if err != nil {
		return 0, err
	}
	own, activations, err := cut.Bytes(1, shape)
	return n + own + max(plain, activations+m.network.OwnBytes()), err
}

// batch is how many inputs of the given shape go through the network at a time, at most n: as many as fit the memory.
func (m *Model) batch(shape [3]int, n int) int {
	size := min(n, maxBatch)
	if _, own := m.device.(interface{ Memory() (free, total int64) }); own {
		return size
	}
	one, err := i3d.PredictorMemory(m.device, m.opened.Config, shape)
	if err != nil {
		return 1
	}
	one = max(1, one-m.network.OwnBytes()) + floatBytes*int64(m.opened.Config.InChannels*device.Count(shape[:]))
	free := int64(memory.WorkShare*float64(m.limit)) - m.network.MemoryBytes()
	return max(1, min(size, int(free/one)))
}
