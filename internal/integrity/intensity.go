package integrity

import "math"

// maxIntensity is the largest magnitude whose square float32 holds. Beyond it no standard deviation, and so no z-score,
// can be computed in float32; what lies there marks missing data.
var maxIntensity = float32(math.Sqrt(math.MaxFloat32))

// FirstHuge returns the index of the first voxel whose magnitude is too large to be normalised, or is infinite, and -1
// if there is none. NaN does not count.
func FirstHuge(data []float32) int {
	limit := maxIntensity
	for i, v := range data {
		if v > limit || v < -limit {
			return i
		}
	}
	return -1
}

// FirstNonFinite returns the index of the first voxel that is NaN or infinite, and -1 if there is none.
func FirstNonFinite(data []float32) int {
	for i, v := range data {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
