package augment

import (
	"math"

	"github.com/universal-classifier/uc/internal/augment/rows"
)

// border says how an array continues beyond its ends.
type border int

const (
	zeros   border = iota // 0 0 | a b c | 0 0
	reflect               // b a | a b c | c b
)

// source returns the index that stands for index i outside of 0..n-1, or -1 for none.
func (b border) source(i, n int) int {
	if i >= 0 && i < n {
		return i
	}
	if b == zeros {
		return -1
	}
	i %= 2 * n
	if i < 0 {
		i += 2 * n
	}
	return min(i, 2*n-1-i)
}

// pad returns how many rows beyond the ends must exist for a filter of the given radius. Of zeros it takes only as
// many as a group of rows made together can overhang: taps on zeros alone are left out.
func (b border) pad(radius int) int {
	if b == zeros {
		return min(radius, group-1)
	}
	return radius
}

// group is how many rows rows.Combine4 makes together.
const group = 4

// gaussian returns the weights of scipy.ndimage.gaussian_filter1d with truncate 4.
func gaussian(weights *[]float32, sigma float64) []float32 {
	radius := int(4*sigma + 0.5)
	w := room(weights, 2*radius+1)
	var sum float64
	for i := range w {
		d := float64(i - radius)
		sum += math.Exp(-0.5 * d * d / (sigma * sigma))
	}
	for i := range w {
		d := float64(i - radius)
		w[i] = float32(math.Exp(-0.5*d*d/(sigma*sigma)) / sum)
	}
	return w
}

// correlate filters a volume (or, where planar, each of its planes) in place with the same symmetric, odd number of
// weights along each axis.
func (s *scratch) correlate(volume []float32, shape [3]int, weights []float32, b border, planar bool) {
	nz, ny, nx := shape[0], shape[1], shape[2]
	radius := len(weights) / 2
	pad := b.pad(radius)
	longest := ny
	if !planar {
		longest = max(ny, nz)
	}
	block := room(&s.block, (longest+2*pad)*nx)
	line := room(&s.line, nx+2*radius)
	for z := range nz {
		plane := volume[z*ny*nx:][:ny*nx]
		y := 0
		for ; b == zeros && y+rows.SmoothRows <= ny; y += rows.SmoothRows {
			rows.Smooth(block[(pad+y)*nx:], nx, plane[y*nx:], nx, nx, weights)
		}
		for ; y < ny; y++ {
			extend(line, plane[y*nx:][:nx], radius, b)
			rows.Combine(block[(pad+y)*nx:][:nx], line, 1, weights)
		}
		b.extendRows(block, pad, ny, nx)
		correlateRows(plane, nx, block, ny, nx, weights, pad)
	}
	if planar {
		return
	}
	for y := range ny {
		for z := range nz {
			copy(block[(pad+z)*nx:][:nx], volume[(z*ny+y)*nx:][:nx])
		}
		b.extendRows(block, pad, nz, nx)
		correlateRows(volume[y*nx:], ny*nx, block, nz, nx, weights, pad)
	}
}

// extend writes a row with n values more on either side.
func extend(dst, row []float32, n int, b border) {
	copy(dst[n:], row)
	for i := range n {
		low, high := b.source(i-n, len(row)), b.source(len(row)+i, len(row))
		if low < 0 {
			dst[i], dst[n+len(row)+i] = 0, 0
			continue
		}
		dst[i], dst[n+len(row)+i] = row[low], row[high]
	}
}

// extendRows fills the pad rows before and after n rows of length nx.
func (b border) extendRows(block []float32, pad, n, nx int) {
	row := func(i int) []float32 { return block[(pad+i)*nx:][:nx] }
	for i := range pad {
		for _, beyond := range [2]int{-1 - i, n + i} {
			if from := b.source(beyond, n); from >= 0 {
				copy(row(beyond), row(from))
			} else {
				clear(row(beyond))
			}
		}
	}
}

// correlateRows filters along an axis: n rows of length nx, extended by pad, into rows dstStride apart.
func correlateRows(dst []float32, dstStride int, block []float32, n, nx int, weights []float32, pad int) {
	radius := len(weights) / 2
	// Output row i combines block rows i+pad-radius+k; taps that fall outside of the block fall on zeros.
	taps := func(i, rowsTogether int) (first, last int) {
		first = max(0, radius-pad-i)
		last = min(len(weights), n+2*pad-(i+rowsTogether-1)+radius-pad)
		return first, last
	}
	i := 0
	for ; i+group <= n; i += group {
		first, last := taps(i, group)
		rows.Combine4(dst[i*dstStride:], dstStride, nx, block[(i+pad-radius+first)*nx:], nx, weights[first:last])
	}
	for ; i < n; i++ {
		first, last := taps(i, 1)
		rows.Combine(dst[i*dstStride:][:nx], block[(i+pad-radius+first)*nx:], nx, weights[first:last])
	}
}
