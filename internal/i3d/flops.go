package i3d

import "github.com/universal-classifier/uc/internal/device"

// FLOPs counts the floating-point operations of the convolutions, as direct convolution with 2 operations per
// multiply-add, for a batch of images of shape (D, H, W): of inference, and of a training step, which also computes the
// gradients of all weights and of every convolution's input except the first. Kernels with fast algorithms execute
// fewer.
func FLOPs(cfg Config, batch int, shape [3]int) (inference, training float64) {
	layers := allLayers(cfg.InChannels)
	for i, s := range stages {
		if s.pool != nil {
			shape = s.pool.OutSize(shape)
			continue
		}
		for _, l := range layers[i] {
			out := l.conv.OutSize(shape)
			forward := 2 * float64(batch) * float64(device.Count(l.weightShape())) * float64(device.Count(out[:]))
			inference += forward
			training += 3 * forward
			if i == 0 {
				training -= forward
			}
		}
		if s.mixed == nil {
			shape = s.conv.OutSize(shape)
		}
	}
	return inference, training
}
