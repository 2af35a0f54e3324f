package augment

import "github.com/universal-classifier/uc/internal/augment/rows"

// grid describes an array with what a gather may read beyond the borders: one element before and two after on each
// axis, or on axes 1 and 2 alone if it is a plane.
type grid struct {
	planes, rows, row int // extents; row is the stride of rows too
	plane             int // stride of planes, 0 for a plane
	lowZ              int // planes before the first
}

func padded(shape [3]int, flat bool) grid {
	g := grid{planes: shape[0] + 3, rows: shape[1] + 3, row: shape[2] + 3, lowZ: 1}
	g.plane = g.rows * g.row
	if flat {
		g.planes, g.plane, g.lowZ = 1, 0, 0
	}
	return g
}

func (g grid) size() int { return g.planes * g.rows * g.row }

// at returns the element of voxel (z, y, 0).
func (g grid) at(z, y int) int { return ((g.lowZ+z)*g.rows+1+y)*g.row + 1 }

// coefficients writes the cubic B-spline coefficients of channels (one or two), mirrored at the borders, into a padded
// array; of two channels the values alternate.
func (s *scratch) coefficients(channels [][]float32, shape [3]int, g grid) []float32 {
	nz, ny, nx := shape[0], shape[1], shape[2]
	count := len(channels)
	volume := room(&s.volume, g.size()*count)
	line := room(&s.line, lineRoom(nx))
	out := room(&s.out, count*g.row)
	width := g.row * count
	gain := splineGain(ny)
	if g.plane != 0 {
		gain *= splineGain(nz)
	}
	for z := range nz {
		for y := range ny {
			to := volume[(g.at(z, y)-1)*count:][:width]
			if count == 1 {
				mirrored.splineLine(to, channels[0][(z*ny+y)*nx:][:nx], line, gain)
				continue
			}
			a, b := out[:g.row], out[g.row:]
			mirrored.splineLine(a, channels[0][(z*ny+y)*nx:][:nx], line, gain)
			mirrored.splineLine(b, channels[1][(z*ny+y)*nx:][:nx], line, gain)
			rows.Interleave(to, a, b)
		}
		mirrored.splineRows(volume[(g.lowZ+z)*g.rows*width:][:g.rows*width], ny, width, width)
	}
	if g.plane != 0 {
		for y := range g.rows {
			mirrored.splineRows(volume[y*width:], nz, g.rows*width, width)
		}
	}
	return volume
}

// codeOf turns a label (-1 and up) into a code that orders as labels do.
func codeOf(label float32) uint8 { return uint8(int(label) - outside) }

// encode writes a mask as codes into a padded array.
func (s *scratch) encode(mask []float32, shape [3]int, g grid) {
	codes := room(&s.codes.Codes, g.size())
	s.codes.RowStride, s.codes.PlaneStride = g.row, g.plane
	clear(codes)
	for z := range shape[0] {
		for y := range shape[1] {
			from := mask[(z*shape[1]+y)*shape[2]:][:shape[2]]
			to := codes[g.at(z, y):][:len(from)]
			for i, label := range from {
				to[i] = codeOf(label)
			}
		}
	}
	s.codes.Settle()
}

// labelValues returns the labels of all codes.
func labelValues() *[256]float32 {
	var values [256]float32
	for code := range values {
		values[code] = float32(code + outside)
	}
	return &values
}
