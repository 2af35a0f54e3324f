package augment

import (
	"math"

	"github.com/universal-classifier/uc/internal/augment/rows"
)

const (
	// gammaEpsilon keeps the range of a constant channel from 0 (batchgenerators' augment_gamma).
	gammaEpsilon = 1e-7
	// gammaSDEpsilon keeps the standard deviation after the power from 0 (likewise).
	gammaSDEpsilon = 1e-8
)

// gamma raises a channel, scaled to 0..1 by its range, to a power and scales it back. inverted does so to the
// negated channel. retain puts the mean and the standard deviation back to what they were.
func gamma(channel []float32, exponent float64, inverted, retain bool) {
	before := rows.Describe(channel)
	extent := float64(before.Max-before.Min) + gammaEpsilon
	shift, sign := before.Min, 1.
	if inverted {
		shift, sign = before.Max, -1
	}
	after := rows.Power(channel, shift, float32(sign/extent), float32(exponent))
	scale, offset := sign*extent, float64(shift)
	if retain {
		// In units of the power, which extent turns into those of the channel.
		scale = sign * extent * before.SD / (extent*after.SD + gammaSDEpsilon)
		offset = before.Mean - scale*after.Mean
	}
	infinity := float32(math.Inf(1))
	rows.Affine(channel, float32(scale), float32(offset), -infinity, infinity)
}
