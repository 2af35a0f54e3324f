package volume

// Size is the number of voxels along z, y, x.
func (b Box) Size() [3]int {
	return [3]int{b.Max[0] - b.Min[0], b.Max[1] - b.Min[1], b.Max[2] - b.Min[2]}
}

// Shift moves the box by offset: from the coordinates of a crop to those of the grid it was cut from.
func (b Box) Shift(offset [3]int) Box {
	for d := range 3 {
		b.Min[d] += offset[d]
		b.Max[d] += offset[d]
	}
	return b
}

// Grow moves each side out by int(extent * fraction) voxels, within a grid of the given size.
func (b Box) Grow(fraction float64, size [3]int) Box {
	extent := b.Size()
	for d := range 3 {
		margin := int(float64(extent[d]) * fraction)
		b.Min[d] = max(b.Min[d]-margin, 0)
		b.Max[d] = min(b.Max[d]+margin, size[d])
	}
	return b
}

// BoundingBox is the smallest box around the voxels that are not 0; ok is false if there are none.
func BoundingBox(mask []uint8, size [3]int) (box Box, ok bool) {
	box.Min = size
	for z := range size[0] {
		for y := range size[1] {
			row := mask[(z*size[1]+y)*size[2]:][:size[2]]
			first := firstSet(row)
			if first < 0 {
				continue
			}
			ok = true
			last := len(row) - 1
			for row[last] == 0 {
				last--
			}
			box.Min[0], box.Max[0] = min(box.Min[0], z), z+1
			box.Min[1], box.Max[1] = min(box.Min[1], y), max(box.Max[1], y+1)
			box.Min[2], box.Max[2] = min(box.Min[2], first), max(box.Max[2], last+1)
		}
	}
	if !ok {
		return Box{}, false
	}
	return box, true
}

func firstSet(row []uint8) int {
	for x, v := range row {
		if v != 0 {
			return x
		}
	}
	return -1
}

// Voxel is the type of a voxel's value.
type Voxel interface {
	~uint8 | ~int16 | ~int32 | ~float32 | ~float64
}

// Crop cuts the box out of data (Z, Y, X). It may reuse the memory of data, which must not be used any more; where that
// would keep much more alive than is needed, the box is copied.
func Crop[T Voxel](data []T, size [3]int, box Box) []T {
	n := box.Size()
	if n == size {
		return data
	}
	voxels := n[0] * n[1] * n[2]
	out := data[:voxels]
	if 2*voxels < len(data) {
		out = make([]T, voxels)
	}
	// A row never moves to a later place, so rows that are yet to be moved are not overwritten.
	for z := range n[0] {
		for y := range n[1] {
			from := ((z+box.Min[0])*size[1]+y+box.Min[1])*size[2] + box.Min[2]
			copy(out[(z*n[1]+y)*n[2]:][:n[2]], data[from:])
		}
	}
	return out
}

// Transpose reorders the axes of data: axis d of the result is axis axes[d] of data. Without a change data itself is
// returned.
func Transpose[T Voxel](data []T, size, axes [3]int) []T {
	if axes == [3]int{0, 1, 2} {
		return data
	}
	out := make([]T, len(data))
	TransposeInto(out, data, size, axes)
	return out
}

// TransposeInto is Transpose into out.
func TransposeInto[T Voxel](out, data []T, size, axes [3]int) {
	stride := [3]int{size[1] * size[2], size[2], 1}
	n, s := Permute(size, axes), Permute(stride, axes)
	switch {
	case axes[2] == 2:
		for i := range n[0] {
			for j := range n[1] {
				copy(out[(i*n[1]+j)*n[2]:][:n[2]], data[i*s[0]+j*s[1]:])
			}
		}
	case axes[1] == 2:
		for i := range n[0] {
			transposePlane(out[i*n[1]*n[2]:], data[i*s[0]:], n[1], n[2], n[2], s[2])
		}
	default:
		for j := range n[1] {
			transposePlane(out[j*n[2]:], data[j*s[1]:], n[0], n[2], n[1]*n[2], s[2])
		}
	}
}

// transposePlane sets out[j*to+k] = data[k*from+j] for j < rows, k < columns, in tiles that stay in the cache.
func transposePlane[T Voxel](out, data []T, rows, columns, to, from int) {
	const tile = 32
	for j0 := 0; j0 < rows; j0 += tile {
		j1 := min(j0+tile, rows)
		for k0 := 0; k0 < columns; k0 += tile {
			for k := k0; k < min(k0+tile, columns); k++ {
				in := data[k*from+j0 : k*from+j1]
				for j, v := range in {
					out[(j0+j)*to+k] = v
				}
			}
		}
	}
}

// Permute reorders three values as Transpose reorders axes.
func Permute[T any](v [3]T, axes [3]int) [3]T {
	return [3]T{v[axes[0]], v[axes[1]], v[axes[2]]}
}

// PadOffset is where a block of the given size starts when it is centred in target: target/2 - size/2, each halved
// with its remainder dropped.
func PadOffset(size, target [3]int) [3]int {
	var offset [3]int
	for d := range 3 {
		offset[d] = target[d]/2 - size[d]/2
	}
	return offset
}

// PadInPlace takes a block of the given size that fills the end of data, and moves it to offset in a grid of size
// target that fills all of data; the rest becomes 0.
func PadInPlace[T Voxel](data []T, target, size, offset [3]int) {
	if size == target {
		return
	}
	block := len(data) - size[0]*size[1]*size[2]
	// No row lies before the place it moves to, so rows that are yet to be moved are not overwritten.
	done := 0
	for z := range size[0] {
		for y := range size[1] {
			at := ((z+offset[0])*target[1]+y+offset[1])*target[2] + offset[2]
			copy(data[at:at+size[2]], data[block+(z*size[1]+y)*size[2]:])
			clear(data[done:at])
			done = at + size[2]
		}
	}
	clear(data[done:])
}
