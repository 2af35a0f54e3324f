package weights

import (
	"math"
	"math/rand/v2"
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
