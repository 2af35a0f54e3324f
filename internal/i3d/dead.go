package i3d

import (
	"time"

	"github.com/universal-classifier/uc/internal/device"
)

const (
	deadMinValues = 12       // per channel: of fewer, all may well be zero by chance
	deadMaxValues = 16 << 20 // of a layer's output: more are not copied from the device (64 MiB)
)

// DeadChannels is the share, 0 to 1, of channels whose outputs, behind the ReLU, are zero everywhere for all samples of
// a batch x (N, C, D, H, W), in evaluation mode. It looks at the convolutions before the Inception blocks and at the
// blocks' outputs as far as they have 12 values per channel or more and no more than 16 Mi in all, and is 0 if none
// has. It costs as much as EvalLoss and copies these outputs from the device.
func (t *Training) DeadChannels(x []float32, batch int) (share float64, err error) {
	defer device.Recover(&err)
	eval, err := t.evaluation()
	if err != nil {
		return 0, err
	}
	isLayer := map[string]bool{}
	for _, s := range stages {
		isLayer[s.name] = s.pool == nil
	}
	var values []float32
	dead, all := 0, 0
	eval.Trace(func(name string, result *device.Tensor, _ time.Duration) {
		shape, size := result.Shape(), result.Size()
		if !isLayer[name] || size > deadMaxValues || size/shape[1] < deadMinValues {
			return
		}
		if cap(values) < size {
			values = make([]float32, size)
		}
		t.dev.Download(result, values[:size])
		dead += zeroChannels(values[:size], shape[0], shape[1])
		all += shape[1]
	})
	defer eval.Trace(nil)
	if _, err := eval.Logits(x, batch, t.shape); err != nil || all == 0 {
		return 0, err
	}
	return float64(dead) / float64(all), nil
}

// zeroChannels counts the channels of values (N, C, ...) that are zero throughout.
func zeroChannels(values []float32, n, channels int) (zero int) {
	voxels := len(values) / (n * channels)
channel:
	for c := range channels {
		for i := range n {
			for _, v := range values[(i*channels+c)*voxels:][:voxels] {
				if v != 0 {
					continue channel
				}
			}
		}
		zero++
	}
	return zero
}
