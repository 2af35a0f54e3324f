package augment

import (
	"math"

	"github.com/universal-classifier/uc/internal/augment/rows"
)

// lowResolution picks a coarse grid of voxels (nearest neighbour) and brings it back to full size by cubic B-splines,
// limited to the range of the coarse grid: skimage.transform.resize of order 0, then 3, mode edge. In dummy-2D axis 0
// keeps its resolution.
func (p *Pipeline) lowResolution(channel []float32, zoom float64) {
	s := &p.scratch
	var coarse [3]int
	for axis, n := range p.shape {
		m := max(int(math.RoundToEven(float64(n)*zoom)), 1)
		if axis == 0 && p.params.Dummy2D {
			m = n
		}
		coarse[axis] = m
		picks := room(&s.picks[axis], m)
		ratio := float64(n) / float64(m)
		for i := range picks {
			at := float64((float64(i)+0.5)*ratio) - 0.5 // rounded in between, not fused: that decides ties
			picks[i] = min(max(int(math.Floor(at+0.5)), 0), n-1)
		}
		s.axes[axis].fill(n, m, edge, func(i int) float64 {
			return float64((float64(i)+0.5)*(float64(m)/float64(n))) - 0.5
		})
		s.axes[axis].keep = axis == 0 && m == n
	}
	ny, nx := p.shape[1], p.shape[2]
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	picked := room(&s.picked, coarse[2])
	s.separable(channel, p.shape, coarse, edge, func(z, y int) []float32 {
		row := channel[(s.picks[0][z]*ny+s.picks[1][y])*nx:][:nx]
		for i, x := range s.picks[2] {
			v := row[x]
			picked[i] = v
			low, high = min(low, v), max(high, v)
		}
		return picked
	})
	rows.Affine(channel, 1, 0, low, high)
}
