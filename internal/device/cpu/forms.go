package cpu

import "github.com/universal-classifier/uc/internal/device/cpu/kernel"

// Forms keeps what convolutions have made of weights that stay as they are: transformed, or in pairs of bfloat16. The
// zero value is ready.
type Forms struct {
	made map[formKey][]float32
}

// formKey says which weights were made into what; the scheme is that of a Winograd convolution, zero for a 1x1x1
// kernel.
type formKey struct {
	weights *float32
	scheme  [3]int
	bf16    bool
}

// get returns the form under a key, which make fills when it is not there yet.
func (f *Forms) get(key formKey, floats int, fill func(form []float32)) []float32 {
	form, ok := f.made[key]
	if !ok {
		form = kernel.AlignedFloats(floats)
		fill(form)
		if f.made == nil {
			f.made = map[formKey][]float32{}
		}
		f.made[key] = form
	}
	return form
}

// Clear forgets all forms; it must be called when the weights have changed.
func (f *Forms) Clear() { f.made = nil }
