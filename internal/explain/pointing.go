package explain

import (
	"math"

	"github.com/universal-classifier/uc/internal/volume"
)

// PointingTolerance is by how many voxels the maximum of a map may miss its target in the pointing game (Zhang et al.
// 2018, who allow 15 pixels in photographs of 500 x 375: 3 % of a side).
const PointingTolerance = 2

// Distance is how far, in voxels, a voxel (z, y, x) is from the nearest one that is labelled; 0 if it is itself,
// infinite if none is.
func Distance(target *volume.Mask, at [3]int) float64 {
	best := math.Inf(1)
	for i, v := range target.Data {
		if v <= 0 {
			continue
		}
		dz := float64(i/(target.Size[1]*target.Size[2]) - at[0])
		dy := float64(i/target.Size[2]%target.Size[1] - at[1])
		dx := float64(i%target.Size[2] - at[2])
		best = min(best, dz*dz+dy*dy+dx*dx)
	}
	return math.Sqrt(best)
}
