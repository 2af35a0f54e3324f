// Package mirror flips images along their axes, for test-time augmentation.
package mirror

// Axes says which of the axes (z, y, x) are flipped.
type Axes [3]bool

// All lists the eight combinations of flipped axes, the one that flips none first.
func All() []Axes {
	var all []Axes
	for bits := range 8 {
		all = append(all, Axes{bits&1 != 0, bits&2 != 0, bits&4 != 0})
	}
	return all
}

// Apply writes src, (C, Z, Y, X) with shape (Z, Y, X), flipped into dst, which grows as needed, and returns it.
func (a Axes) Apply(dst, src []float32, shape [3]int) []float32 {
	if cap(dst) < len(src) {
		dst = make([]float32, len(src))
	}
	dst = dst[:len(src)]
	n, width := shape[0]*shape[1], shape[2]
	for channel := 0; channel < len(src); channel += n * width {
		a.Rows(shape, func(row, partner int) {
			to, from := dst[channel+row*width:][:width], src[channel+partner*width:][:width]
			if !a[2] {
				copy(to, from)
				return
			}
			for x, v := range from {
				to[width-1-x] = v
			}
		})
	}
	return dst
}

// Rows calls f for every row along x of an image of shape (Z, Y, X), in order, with its number and that of the row that
// comes to lie there when z and y are flipped.
func (a Axes) Rows(shape [3]int, f func(row, partner int)) {
	depth, rows := shape[0], shape[1]
	for z := range depth {
		fromZ := z
		if a[0] {
			fromZ = depth - 1 - z
		}
		for y := range rows {
			fromY := y
			if a[1] {
				fromY = rows - 1 - y
			}
			f(z*rows+y, fromZ*rows+fromY)
		}
	}
}
