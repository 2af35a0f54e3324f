package explain

import (
	"context"
	"math"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/mirror"
)

// Integrated gradients are a mean over places between a blank input and the case. Their number is tripled until the
// attributions add up to the difference in score within the tolerance: thirds, because the middles of intervals are
// then used again.
const (
	firstPlaces = 9
	mostPlaces  = 243
	// completeness is by what part of the absolute difference, or of 1 where that is larger, the sum may miss it.
	completeness = 0.02
	// smoothing is the standard deviation, in voxels, of the Gaussian that spreads the attributions of single voxels,
	// which alternate in sign. It keeps their sum.
	smoothing = 1.5
)

// integrate fills in the heat by integrated gradients from an input of zeros, the mean over folds and mirror images:
// attributions, summed over the channels, in units of the score.
func (m *Model) integrate(ctx context.Context, p *prepared, folds []int, maps []Map) error {
	if err := m.load(folds[0]); err != nil {
		return err
	}
	cut, err := m.cutBehind(i3d.InputLayer)
	if err != nil {
		return err
	}
	mirrors := m.mirrors()
	share := 1 / float64(len(folds)*len(mirrors))
	var turned []float32
	for i := range maps {
		maps[i].Heat, maps[i].Score, maps[i].Sum = make([]float32, p.voxels()), new(float64), new(float64)
	}
	err = m.eachImage(ctx, p, folds, mirrors, func(input []float32, axes mirror.Axes) error {
		for i := range maps {
			attributions, difference, err := m.integrated(ctx, cut, p.shape, input, &maps[i])
			if err != nil {
				return err
			}
			*maps[i].Score += share * difference
			turned = axes.Apply(turned, attributions, p.shape)
			for j, v := range turned {
				maps[i].Heat[j] += float32(share * float64(v))
				*maps[i].Sum += share * float64(v)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range maps {
		smooth(maps[i].Heat, p.shape, smoothing)
	}
	return nil
}

// integrated are the attributions of one input, and the difference of its score from that of an input of zeros.
func (m *Model) integrated(ctx context.Context, cut *i3d.Cut, shape [3]int, input []float32, h *Map) ([]float32, float64, error) {
	seed := m.seed(h)
	at := make([]float32, len(input))
	total := make([]float64, len(input)) // of gradients
	var value float64
	visit := func(place float64, keep bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, v := range input {
			at[i] = float32(place) * v
		}
		logits, gradient, err := cut.Gradient(at, 1, shape, seed)
		if err != nil {
			return err
		}
		value = score(h, logits[h.Label])
		if keep {
			for i, g := range gradient {
				total[i] += float64(g)
			}
		}
		return nil
	}
	if err := visit(1, false); err != nil {
		return nil, 0, err
	}
	difference := value
	if err := visit(0, false); err != nil {
		return nil, 0, err
	}
	difference -= value
	for places := firstPlaces; ; places *= 3 {
		for k := range places {
			if places > firstPlaces && k%3 == 1 { // the middle of an interval that was visited before
				continue
			}
			if err := visit((float64(k)+0.5)/float64(places), true); err != nil {
				return nil, 0, err
			}
		}
		sum := 0.0
		for i, g := range total {
			sum += g * float64(input[i]) / float64(places)
		}
		if !complete(sum, difference) && places < mostPlaces {
			continue
		}
		voxels := shape[0] * shape[1] * shape[2]
		out := make([]float32, voxels)
		for i, g := range total {
			out[i%voxels] += float32(g * float64(input[i]) / float64(places))
		}
		return out, difference, nil
	}
}

// complete reports whether attributions add up to a difference in score.
func complete(sum, difference float64) bool {
	return math.Abs(sum-difference) <= completeness*max(1, math.Abs(difference))
}

// smooth spreads every value by a Gaussian, mirrored at the borders, so that the sum stays.
func smooth(data []float32, shape [3]int, sd float64) {
	radius := int(math.Ceil(3 * sd))
	weights, sum := make([]float64, 2*radius+1), 0.0
	for i := range weights {
		d := float64(i - radius)
		weights[i] = math.Exp(-d * d / (2 * sd * sd))
		sum += weights[i]
	}
	stride := [3]int{shape[1] * shape[2], shape[2], 1}
	for a := range 3 {
		n := shape[a]
		line := make([]float64, n)
		for start := range data {
			if start/stride[a]%n != 0 {
				continue
			}
			clear(line)
			for i := range n {
				v := float64(data[start+i*stride[a]]) / sum
				for k, w := range weights {
					line[reflected(i+k-radius, n)] += w * v
				}
			}
			for i, v := range line {
				data[start+i*stride[a]] = float32(v)
			}
		}
	}
}

// reflected is a place beyond the ends of 0..n-1, mirrored back into them: -1 is 0, n is n-1.
func reflected(i, n int) int {
	for i < 0 || i >= n {
		if i < 0 {
			i = -1 - i
		} else {
			i = 2*n - 1 - i
		}
	}
	return i
}
