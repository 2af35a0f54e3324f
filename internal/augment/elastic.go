package augment

import "github.com/universal-classifier/uc/internal/augment/rows"

// elasticField makes the elastic displacement of a sample of the given shape from noise uniform over [-1, 1): per axis
// smoothed by a Gaussian of width sigma with zeros outside, times alpha. In dummy-2D shape[0] is 1, and only the axes
// 1 and 2 are displaced. field is (3, shape...) or (2, shape[1:]...) and holds the noise before.
func (s *scratch) elasticField(field []float32, shape [3]int, alpha, sigma float64, planar bool) {
	n := shape[0] * shape[1] * shape[2]
	weights := gaussian(&s.weights, sigma)
	for ; len(field) > 0; field = field[n:] {
		s.correlate(field[:n], shape, weights, zeros, planar)
		rows.Scale(field[:n], float32(alpha))
	}
}
