package augment

import "github.com/universal-classifier/uc/internal/augment/rows"

// mirror flips all channels along the axes (z, y, x) in one pass of swaps.
func (p *Pipeline) mirror(axes [3]bool, data []float32) {
	if axes == [3]bool{} {
		return
	}
	for c := range p.modalities + 1 {
		mirrorChannel(p.channel(data, c), p.shape, axes)
	}
}

func mirrorChannel(channel []float32, shape [3]int, axes [3]bool) {
	nz, ny, nx := shape[0], shape[1], shape[2]
	row := func(z, y int) []float32 { return channel[(z*ny+y)*nx:][:nx:nx] }
	for z := range nz {
		toZ := z
		if axes[0] {
			toZ = nz - 1 - z
		}
		for y := range ny {
			toY := y
			if axes[1] {
				toY = ny - 1 - y
			}
			switch from, to := z*ny+y, toZ*ny+toY; {
			case from > to: // swapped already
			case from == to && axes[2]:
				rows.Reverse(row(z, y))
			case from == to:
			case axes[2]:
				rows.SwapReversed(row(z, y), row(toZ, toY))
			default:
				rows.Swap(row(z, y), row(toZ, toY))
			}
		}
	}
}
