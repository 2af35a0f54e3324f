package weights

import (
	"math"
	"math/rand/v2"
	"slices"
)

// InitUniform fills dst with draws from ±1/sqrt(fanIn): PyTorch's default for convolution and linear weights
// (kaiming_uniform with a = sqrt(5), whose gain sqrt(1/3) cancels the sqrt(3) of the uniform bound) and for their
// biases.
func InitUniform(rng *rand.Rand, dst []float32, fanIn int) {
	bound := 1 / math.Sqrt(float64(fanIn))
	for i := range dst {
		dst[i] = float32((2*rng.Float64() - 1) * bound)
	}
}

// Correlate gives the weights of each kernel of a filter (its input channels one after the other, taps weights each)
// the given correlation, from 0 to 1, and keeps the variance that InitUniform gave them. A kernel of one tap and a
// correlation of 0 stay as they are.
func Correlate(rng *rand.Rand, filter []float32, taps int, correlation float64) {
	if taps == 1 || correlation == 0 {
		return
	}
	own, common := math.Sqrt(1-correlation), math.Sqrt(correlation)
	deviation := math.Sqrt(1./3) / math.Sqrt(float64(len(filter))) // of the uniform law
	for kernel := range slices.Chunk(filter, taps) {
		shared := common * (rng.NormFloat64() * deviation)
		for i, v := range kernel {
			kernel[i] = float32(float64(own*float64(v)) + shared) // rounded twice, so that no processor fuses the two
		}
	}
}
