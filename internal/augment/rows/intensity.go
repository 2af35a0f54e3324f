package rows

import "math"

// Stats describes the values of a row.
type Stats struct {
	Mean, SD float64 // SD divides by the number of values
	Min, Max float32
}

// Describe returns the statistics of a row of at least one value.
func Describe(x []float32) Stats {
	about := sampleMean(x, func(v float32) float32 { return v })
	s := nothing
	describe(x, about, &s)
	return s.stats(len(x), float64(about))
}

// sums are what one pass over a row collects.
type sums struct {
	sum, squares float64
	min, max     float32
}

// nothing is what an empty row has.
var nothing = sums{min: float32(math.Inf(1)), max: float32(math.Inf(-1))}

func (s *sums) stats(n int, about float64) Stats {
	mean := s.sum / float64(n)
	return Stats{
		Mean: mean + about,
		SD:   math.Sqrt(max(s.squares/float64(n)-mean*mean, 0)),
		Min:  s.min, Max: s.max,
	}
}

// Affine sets x[i] = min(max(x[i]*scale + shift, low), high).
func Affine(x []float32, scale, shift, low, high float32) { affine(x, scale, shift, low, high) }

// Scale sets x[i] = x[i] * factor.
func Scale(x []float32, factor float32) { scale(x, factor) }

// Power sets x[i] = (max((x[i] - shift) * scale, 0)) ^ exponent and returns the statistics of the result. The bases
// must be below 2; those below 2^-31 count as 0. The result is within 1e-6 of the true power for exponents from 0.7 to
// 4.
func Power(x []float32, shift, scale, exponent float32) Stats {
	p := newPowers(exponent)
	about := sampleMean(x, func(v float32) float32 { return p.of((v - shift) * scale) })
	s := nothing
	power(x, shift, scale, &p, about, &s)
	return s.stats(len(x), float64(about))
}

// sampleMean returns the mean of f over some values of a row. Sums are taken about it, so that a mean far above the
// standard deviation costs no digits.
func sampleMean(x []float32, f func(float32) float32) float32 {
	var sum float32
	step := max(len(x)/64, 1)
	count := 0
	for i := 0; i < len(x); i += step {
		sum += f(x[i])
		count++
	}
	return sum / float32(max(count, 1))
}

// Reverse turns a row round.
func Reverse(x []float32) { reverse(x) }

// SwapReversed swaps a row with another one of the same length, both turned round.
func SwapReversed(a, b []float32) { swapReversed(a, b[:len(a)]) }

// Swap swaps two rows of the same length.
func Swap(a, b []float32) { swap(a, b[:len(a)]) }
