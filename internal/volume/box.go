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

// Crop copies the box out of data (Z, Y, X).
func Crop[T Voxel](data []T, size [3]int, box Box) []T {
	return CropTransposed(data, size, box, [3]int{0, 1, 2})
}

// CropTransposed copies the box out of data (Z, Y, X) with its axes in the order of axes: axis d of the result is
// axis axes[d] of the box.
func CropTransposed[T Voxel](data []T, size [3]int, box Box, axes [3]int) []T {
	from := box.Size()
	stride := [3]int{size[1] * size[2], size[2], 1}
	start := box.Min[0]*stride[0] + box.Min[1]*stride[1] + box.Min[2]
	n := [3]int{from[axes[0]], from[axes[1]], from[axes[2]]}
	s := [3]int{stride[axes[0]], stride[axes[1]], stride[axes[2]]}
	out := make([]T, n[0]*n[1]*n[2])
	switch {
	case axes[2] == 2:
		for i := range n[0] {
			for j := range n[1] {
				copy(out[(i*n[1]+j)*n[2]:][:n[2]], data[start+i*s[0]+j*s[1]:])
			}
		}
	case axes[1] == 2:
		for i := range n[0] {
			plane := out[i*n[1]*n[2]:][:n[1]*n[2]]
			transposePlane(plane, data[start+i*s[0]:], n[1], n[2], s[2])
		}
	default:
		for j := range n[1] {
			for k := range n[2] {
				row := data[start+j*s[1]+k*s[2]:][:n[0]]
				for i, v := range row {
					out[(i*n[1]+j)*n[2]+k] = v
				}
			}
		}
	}
	return out
}

// transposePlane sets out[j][k] = data[k*stride+j] for j < rows, k < columns, in tiles that stay in the cache.
func transposePlane[T Voxel](out, data []T, rows, columns, stride int) {
	const tile = 32
	for j0 := 0; j0 < rows; j0 += tile {
		j1 := min(j0+tile, rows)
		for k0 := 0; k0 < columns; k0 += tile {
			for k := k0; k < min(k0+tile, columns); k++ {
				in := data[k*stride+j0 : k*stride+j1]
				for j, v := range in {
					out[(j0+j)*columns+k] = v
				}
			}
		}
	}
}

// Transpose reorders the axes of data: axis d of the result is axis axes[d] of data.
func Transpose[T Voxel](data []T, size, axes [3]int) []T {
	return CropTransposed(data, size, Box{Max: size}, axes)
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

// PadInto copies data of the given size into the zeroed dst of size target at offset.
func PadInto[T Voxel](dst []T, target [3]int, data []T, size, offset [3]int) {
	for z := range size[0] {
		for y := range size[1] {
			at := ((z+offset[0])*target[1]+y+offset[1])*target[2] + offset[2]
			copy(dst[at:at+size[2]], data[(z*size[1]+y)*size[2]:])
		}
	}
}
