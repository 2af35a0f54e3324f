package augment

import "github.com/universal-classifier/uc/internal/augment/rows"

// contrast stretches a channel about its mean by factor and limits it to its old range.
func contrast(channel []float32, factor float64) {
	s := rows.Describe(channel)
	rows.Affine(channel, float32(factor), float32(s.Mean*(1-factor)), s.Min, s.Max)
}
