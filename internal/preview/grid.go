package preview

import (
	"math"

	"github.com/universal-classifier/uc/internal/volume"
)

// grid is where the voxels of an image come to lie in a preview: its axes are those of the body that they are nearest
// to, z from feet to head, y from front to back, x from the right to the left of the patient.
type grid struct {
	from volume.Geometry
	box  volume.Box // of the image that is shown
	axes [3]int     // axis of the image that axis d (z, y, x) of the preview runs along
	flip [3]bool    // whether it runs the other way
	size [3]int     // of the preview
	at   [3][]int   // per axis of the image: offset in the preview, -1 outside the box
}

// newGrid lays a grid of at most the given number of voxels, nearly cubic ones, over a box of an image. It never has
// more voxels along an axis than the box.
func newGrid(g volume.Geometry, box volume.Box, voxels int) *grid {
	out := &grid{from: g, box: box}
	out.axes, out.flip = orient(g.Direction)
	n := volume.Permute(box.Size(), out.axes)
	mm := volume.Permute(g.Spacing, out.axes)
	out.size = shrink(n, mm, voxels)
	stride := [3]int{out.size[1] * out.size[2], out.size[2], 1}
	for d, axis := range out.axes {
		offsets := make([]int, g.Size[axis])
		for i := range offsets {
			k := i - box.Min[axis]
			if k < 0 || k >= n[d] {
				offsets[i] = -1
				continue
			}
			if out.flip[d] {
				k = n[d] - 1 - k
			}
			offsets[i] = k * out.size[d] / n[d] * stride[d]
		}
		out.at[axis] = offsets
	}
	return out
}

// orient finds, for the axes z, y, x of a body, the axes of an image (0 is z) that are nearest to them, and whether
// they run the other way.
func orient(direction [9]float64) (axes [3]int, flip [3]bool) {
	if direction == [9]float64{} {
		return [3]int{0, 1, 2}, flip
	}
	// Directions are columns for x, y, z of the image with rows L, P, S. The nearest pair is matched first, so that every
	// axis is taken once however oblique the image is.
	var usedBody, usedImage [3]bool
	for range 3 {
		best, body, image := -1.0, 0, 0
		for b := range 3 {
			for i := range 3 {
				if v := math.Abs(direction[3*b+i]); !usedBody[b] && !usedImage[i] && v > best {
					best, body, image = v, b, i
				}
			}
		}
		usedBody[body], usedImage[image] = true, true
		axes[2-body], flip[2-body] = 2-image, direction[3*body+image] < 0
	}
	return axes, flip
}

// shrink is the size of a grid of at most the given number of voxels over n voxels of the given spacing: the finest
// spacing that fits, on every axis that is not coarser already.
func shrink(n [3]int, mm [3]float64, voxels int) [3]int {
	at := func(spacing float64) (size [3]int, product float64) {
		product = 1
		for d := range 3 {
			size[d] = max(1, min(n[d], int(math.Floor(float64(n[d])*mm[d]/max(spacing, mm[d])+1e-9))))
			product *= float64(size[d])
		}
		return size, product
	}
	low, high := min(mm[0], mm[1], mm[2]), 0.0
	for d := range 3 {
		high = max(high, float64(n[d])*mm[d])
	}
	size, product := at(low)
	if product <= float64(voxels) {
		return size
	}
	for range 60 {
		middle := (low + high) / 2
		if _, product := at(middle); product <= float64(voxels) {
			high = middle
		} else {
			low = middle
		}
	}
	size, _ = at(high)
	return size
}

func (g *grid) voxels() int { return g.size[0] * g.size[1] * g.size[2] }

// spacing is that of the preview's voxels in mm, z, y, x.
func (g *grid) spacing() [3]float64 {
	n, mm := volume.Permute(g.box.Size(), g.axes), volume.Permute(g.from.Spacing, g.axes)
	for d := range 3 {
		mm[d] *= float64(n[d]) / float64(g.size[d])
	}
	return mm
}

// reduced reports whether voxels of the image share voxels of the preview.
func (g *grid) reduced() bool { return volume.Permute(g.box.Size(), g.axes) != g.size }

// affine are the rows of the matrix that takes the indices x, y, z of a voxel to millimetres to the right, to the front
// and to the head, as NIfTI has it.
func (g *grid) affine() [12]float64 {
	direction := g.from.Direction
	if direction == [9]float64{} {
		direction = [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	}
	n, mm := g.box.Size(), g.spacing()
	var out [12]float64
	for row := range 3 {
		offset := g.from.Origin[row]
		for d, axis := range g.axes {
			step := direction[3*row+2-axis]
			// The first voxel of the preview is the mean of those that lie in it.
			first := float64(g.box.Min[axis])*g.from.Spacing[axis] + (mm[d]-g.from.Spacing[axis])/2
			if g.flip[d] {
				first = float64(g.box.Min[axis]+n[axis]-1)*g.from.Spacing[axis] - (mm[d]-g.from.Spacing[axis])/2
				offset += step * first
				step = -step
			} else {
				offset += step * first
			}
			out[4*row+2-d] = step * mm[d]
		}
		out[4*row+3] = offset
	}
	for row := range 2 { // L, P to R, A
		for i := range 4 {
			out[4*row+i] = -out[4*row+i]
		}
	}
	return out
}

// walk calls visit with the offset in the preview of every voxel of the box. values continue where the last ended.
type walker struct {
	g       *grid
	z, y, x int
}

func (w *walker) visit(values []float32, do func(at int, v float32)) {
	size := w.g.from.Size
	for len(values) > 0 {
		n := min(len(values), size[2]-w.x)
		if az, ay := w.g.at[0][w.z], w.g.at[1][w.y]; az >= 0 && ay >= 0 {
			row := w.g.at[2][w.x : w.x+n]
			for i, ax := range row {
				if ax >= 0 {
					do(az+ay+ax, values[i])
				}
			}
		}
		values = values[n:]
		if w.x += n; w.x == size[2] {
			w.x = 0
			if w.y++; w.y == size[1] {
				w.y = 0
				w.z++
			}
		}
	}
}
