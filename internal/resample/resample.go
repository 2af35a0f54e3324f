// Package resample brings arrays onto another grid, with the numbers of nnU-Net 1.7's resampling.
package resample

import (
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/volume"
)

// AnisotropyThreshold is nnU-Net's RESAMPLING_SEPARATE_Z_ANISO_THRESHOLD: an axis whose spacing exceeds the finest by
// more than this factor is resampled on its own.
const AnisotropyThreshold = 3

// Shape is the size of an array after a change of spacing: round(from / to * size), halves to even as NumPy rounds,
// and at least one voxel.
func Shape(size [3]int, from, to [3]float64) [3]int {
	var out [3]int
	for d := range 3 {
		out[d] = max(1, int(math.RoundToEven(from[d]/to[d]*float64(size[d]))))
	}
	return out
}

// SeparateAxis is the axis to be resampled on its own, or -1: the coarsest axis of the original spacing if that is
// anisotropic, else of the target spacing. Two equally coarse axes are not taken apart.
func SeparateAxis(original, target [3]float64) int {
	for _, spacing := range [][3]float64{original, target} {
		coarsest, finest := slices.Max(spacing[:]), slices.Min(spacing[:])
		if coarsest/finest <= AnisotropyThreshold {
			continue
		}
		axis := -1
		for d, s := range spacing {
			if s == coarsest {
				if axis >= 0 {
					return -1
				}
				axis = d
			}
		}
		return axis
	}
	return -1
}

// nearestIndex maps each of out positions on an axis to the voxel of in that lies nearest, as scipy's map_coordinates
// of order 0 finds it at in/out * (i + 0.5) - 0.5. The product is rounded before the subtraction, as scipy's is: that
// decides ties, and some processors would fuse the two.
func nearestIndex(in, out int) []int {
	index := make([]int, out)
	scale := float64(in) / float64(out)
	for i := range index {
		at := float64(scale*(float64(i)+0.5)) - 0.5
		at = min(max(at, 0), float64(in-1))
		index[i] = int(math.Floor(at + 0.5))
	}
	return index
}

// Data resamples data (axes a0, a1, a2 of the given size) into dst of the size to, with cubic B-splines. With axis >= 0
// each slice across that axis is resized in its plane alone and the slices are then picked by nearest neighbour. The
// result stays within the range of what was resized: the whole array, or one slice. dst and data do not overlap.
func Data(dst, data []float32, size, to [3]int, axis int) {
	switch {
	case size == to:
		copy(dst, data)
	case axis < 0:
		spline(dst, data, size, to)
	case axis == 0:
		slicewise(dst, data, size, to)
	default:
		// The separate axis first, and back.
		axes, back := [3]int{1, 0, 2}, [3]int{1, 0, 2}
		if axis == 2 {
			axes, back = [3]int{2, 0, 1}, [3]int{1, 2, 0}
		}
		turnedSize, turnedTo := volume.Permute(size, axes), volume.Permute(to, axes)
		turned := make([]float32, len(dst))
		slicewise(turned, volume.Transpose(data, size, axes), turnedSize, turnedTo)
		volume.TransposeInto(dst, turned, turnedTo, back)
	}
}

// Scratch is the number of float32 values that Data holds in addition to dst and data.
func Scratch(size, to [3]int, axis int) int {
	switch {
	case size == to || axis == 0:
		return 0
	case axis > 0:
		return size[0]*size[1]*size[2] + to[0]*to[1]*to[2]
	case planesFirst(size, to):
		return size[0] * to[1] * to[2]
	}
	return to[0] * size[1] * size[2]
}

// slicewise resizes the slices across axis 0 in their plane and picks them by nearest neighbour.
func slicewise(dst, data []float32, size, to [3]int) {
	plane, toPlane := size[1]*size[2], to[1]*to[2]
	var r planeResizer
	if size[1] != to[1] || size[2] != to[2] {
		r = newPlaneResizer(size, to)
	}
	from := -1
	for i, j := range nearestIndex(size[0], to[0]) {
		out := dst[i*toPlane:][:toPlane]
		in := data[j*plane:][:plane]
		switch {
		case j == from: // the slice before this one came from the same place
			copy(out, dst[(i-1)*toPlane:])
		case size[1] == to[1] && size[2] == to[2]:
			copy(out, in)
		default:
			r.resize(out, in)
			clip(out, in)
		}
		from = j
	}
}
