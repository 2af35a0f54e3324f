package cuda

import (
	"fmt"
	"unsafe"

	"github.com/universal-classifier/uc/internal/device"
)

// floatBytes views floats as the card's memory.
func floatBytes(values []float32) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
}

// Upload implements Device.
func (d *gpuDevice) Upload(t *device.Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("device: %d values for a tensor of shape %v", len(values), t.Spec().Shape))
	}
	if t.Spec().Kind == device.Input && d.takePrefetched(t, values) {
		return
	}
	d.doAlone(func() error {
		st := t.Storage.(*gpuStorage)
		switch t.Spec().Kind {
		case device.Activation:
			p, err := d.take(4 * int64(len(values)))
			if err != nil {
				return err
			}
			if err := d.card.Upload(uint64(p), floatBytes(values)); err != nil {
				return err
			}
			return d.run(d.t.PackActivations(p, st.view, st.view.C))
		case device.Weights:
			st.block.stale = true
			return d.card.Upload(uint64(st.ptr()), floatBytes(tapsFirst(t.Spec().Shape, values)))
		case device.Values:
			st.block.stale = true
		case device.Input:
		default:
			panic("device: tensors of this kind are not uploaded")
		}
		return d.card.Upload(uint64(st.ptr()), floatBytes(values))
	})
}

// Download implements Device.
func (d *gpuDevice) Download(t *device.Tensor, values []float32) {
	if len(values) != t.Size() {
		panic(fmt.Sprintf("device: room for %d values, tensor of shape %v", len(values), t.Spec().Shape))
	}
	d.doAlone(func() error {
		st := t.Storage.(*gpuStorage)
		switch t.Spec().Kind {
		case device.Activation:
			p, err := d.take(4 * int64(len(values)))
			if err != nil {
				return err
			}
			if err := d.run(d.t.UnpackActivations(st.view, p)); err != nil {
				return err
			}
			return d.card.Download(floatBytes(values), uint64(p))
		case device.Weights:
			packed := make([]float32, len(values))
			if err := d.card.Download(floatBytes(packed), uint64(st.ptr())); err != nil {
				return err
			}
			channelsFirst(t.Spec().Shape, packed, values)
			return nil
		case device.Input, device.Values:
			return d.card.Download(floatBytes(values), uint64(st.ptr()))
		}
		panic("device: tensors of this kind are not downloaded")
	})
}

// tapsFirst reorders weights (Out, In, taps) to (Out, taps, In), as they lie on the card.
func tapsFirst(shape []int, values []float32) []float32 {
	in, taps := shape[1], device.Count(shape[2:])
	if taps == 1 {
		return values
	}
	packed := make([]float32, len(values))
	for row := 0; row < len(values); row += in * taps {
		for c := range in {
			for k := range taps {
				packed[row+k*in+c] = values[row+c*taps+k]
			}
		}
	}
	return packed
}

// channelsFirst is the way back.
func channelsFirst(shape []int, packed, values []float32) {
	in, taps := shape[1], device.Count(shape[2:])
	for row := 0; row < len(values); row += in * taps {
		for c := range in {
			for k := range taps {
				values[row+c*taps+k] = packed[row+k*in+c]
			}
		}
	}
}
