package augment

import "github.com/universal-classifier/uc/internal/augment/rows"

// brightness multiplies a channel.
func brightness(channel []float32, factor float64) { rows.Scale(channel, float32(factor)) }
