package augment

import (
	"github.com/universal-classifier/uc/internal/augment/rows"
	"github.com/universal-classifier/uc/internal/mirror"
)

// mirror flips all channels along the axes (z, y, x) in one pass of swaps.
func (p *Pipeline) mirror(axes [3]bool, data []float32) {
	if axes == [3]bool{} {
		return
	}
	for c := range p.modalities + 1 {
		mirrorChannel(p.channel(data, c), p.shape, axes)
	}
}

func mirrorChannel(channel []float32, shape [3]int, axes mirror.Axes) {
	width := shape[2]
	row := func(i int) []float32 { return channel[i*width:][:width:width] }
	axes.Rows(shape, func(i, partner int) {
		switch {
		case i > partner: // swapped already
		case i == partner && axes[2]:
			rows.Reverse(row(i))
		case i == partner:
		case axes[2]:
			rows.SwapReversed(row(i), row(partner))
		default:
			rows.Swap(row(i), row(partner))
		}
	})
}
