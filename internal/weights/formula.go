package weights

import (
	"math"
	"strings"
)

// Uniform is the reproducible stream behind the formula weights: FNV-1a of a key seeds SplitMix64; every draw is in
// [-1, 1).
type Uniform struct{ state uint64 }

// NewUniform starts the stream of a key.
func NewUniform(key string) *Uniform {
	h := uint64(0xcbf29ce484222325)
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * 0x100000001b3
	}
	return &Uniform{h}
}

// Next returns the next value.
func (u *Uniform) Next() float64 {
	u.state += 0x9E3779B97F4A7C15
	z := u.state
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	z ^= z >> 31
	return float64(z>>40)*(1.0/(1<<24))*2 - 1
}

// Formula overwrites every tensor with values that depend on its name, the salt and the gain alone, so that networks
// with known weights need not be stored: batch-norm scales around 1, biases and running means within 0.1, running
// variances in 1..1.5, convolution and linear weights gain·sqrt(3/fan_in)·u, num_batches_tracked 0.
func Formula(sd *StateDict, salt string, gain float64) {
	for _, name := range sd.names {
		t := sd.tensors[name]
		if strings.HasSuffix(name, "num_batches_tracked") {
			t.I64[0] = 0
			continue
		}
		f := formulaOf(name, t.Shape, gain)
		u := NewUniform(name + salt)
		for i := range t.F32 {
			t.F32[i] = float32(f(u.Next()))
		}
	}
}

func formulaOf(name string, shape []int, gain float64) func(u float64) float64 {
	switch {
	case strings.HasSuffix(name, "running_mean"), strings.HasSuffix(name, "bias"):
		return func(u float64) float64 { return 0.1 * u }
	case strings.HasSuffix(name, "running_var"):
		return func(u float64) float64 { return 1 + 0.5*math.Abs(u) }
	case strings.Contains(name, "batch3d") && strings.HasSuffix(name, "weight"):
		return func(u float64) float64 { return 1 + 0.1*u }
	}
	scale := gain * math.Sqrt(3/float64(product(shape[1:])))
	return func(u float64) float64 { return scale * u }
}

// FormulaInput returns n values scale·u of the stream of a key such as "input:2,2,32,32,32".
func FormulaInput(key string, n int, scale float64) []float32 {
	x := make([]float32, n)
	u := NewUniform(key)
	for i := range x {
		x[i] = float32(scale * u.Next())
	}
	return x
}
