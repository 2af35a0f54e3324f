package rows

import "encoding/binary"

// Line places a row of output voxels in a source volume. Voxel i of the row has the source coordinates, per axis a,
//
//	Base[a] + (First + i) * Step[a] + Center[a] + (the row's displacement, if any, times Matrix)
//
// in voxels of the source, axis order z, y, x.
type Line struct {
	Base, Step, Center [3]float64
	First              float64
	// Size is the source's size: a coordinate outside 0..Size-1 lies outside of the volume.
	Size [3]int
	// RowStride and PlaneStride are those of the padded array that is gathered from, whose element 0 is one voxel
	// before the source's first on each axis. A PlaneStride of 0 means that the source is one plane.
	RowStride, PlaneStride int
	// Displacement holds, if not nil, the row's displacement on the axes z, y, x; Matrix[a][b] is what a displacement of
	// one voxel on axis a moves the source on axis b.
	Displacement [3][]float32
	Matrix       [3][3]float32
}

// Places holds where the voxels of a row lie in a source: the element of the padded array that starts the voxel's
// 4 x 4 x 4 neighbourhood, or -1 outside of the source, and the position within the cell, 0 <= f < 1, per axis.
type Places struct {
	Start []int32
	F     [3][]float32
}

// NewPlaces returns room for a row of n voxels.
func NewPlaces(n int) *Places {
	all := make([]float32, 3*n)
	return &Places{Start: make([]int32, n), F: [3][]float32{all[:n:n], all[n : 2*n : 2*n], all[2*n:]}}
}

// from returns the places of the row's voxels from i on.
func (p *Places) from(i int) Places {
	return Places{Start: p.Start[i:], F: [3][]float32{p.F[0][i:], p.F[1][i:], p.F[2][i:]}}
}

// Shorten makes the places those of a row of n voxels, at most as many as there is room for.
func (p *Places) Shorten(n int) { p.Start = p.Start[:n] }

// Locate computes where the voxels of a row lie.
func (p *Places) Locate(line *Line) { locate(p, line) }

// Cubic gathers a row from cubic B-spline coefficients: for every voxel the 4 x 4 x 4 coefficients from its start,
// weighted by the B-spline at its position; 0 outside. Element e of the padded array has channels values beginning
// at coefficients[e*channels], one for each destination. With a planeStride of 0 the neighbourhood is 4 x 4.
func (p *Places) Cubic(dst [][]float32, coefficients []float32, rowStride, planeStride int) {
	for _, d := range dst {
		_ = d[:len(p.Start)]
	}
	cubic(p, dst, coefficients, rowStride, planeStride)
}

// Codes is a label map in a padded array, as the coefficients are laid out, for Labels to gather from. Codes order as
// labels do; 255 is none.
type Codes struct {
	Codes                  []uint8
	RowStride, PlaneStride int
	cells                  []uint8
}

// mixed marks a cell of 2 x 2 x 2 voxels of more than one label.
const mixed = 255

// Settle must be called when the codes have changed: it finds the cells of one label.
func (c *Codes) Settle() {
	if cap(c.cells) < len(c.Codes) {
		c.cells = make([]uint8, len(c.Codes))
	}
	c.cells = c.cells[:len(c.Codes)]
	row, plane := c.RowStride, c.PlaneStride
	last := len(c.Codes) - plane - row - 1 // cells from here on are incomplete
	e := 0
	for ; e+8 <= last; e += 8 {
		at := func(offset int) uint64 { return binary.LittleEndian.Uint64(c.Codes[e+offset:]) }
		v := at(0)
		// The bytes of different are 0 where the eight voxels agree.
		different := (v ^ at(1)) | (v ^ at(row)) | (v ^ at(row+1)) | (v ^ at(plane)) | (v ^ at(plane+1)) | (v ^ at(plane+row)) | (v ^ at(plane+row+1))
		const low = 0x7f7f7f7f7f7f7f7f
		high := (((different & low) + low) | different) &^ low
		binary.LittleEndian.PutUint64(c.cells[e:], v|high>>7*mixed)
	}
	for ; e < len(c.cells); e++ {
		c.cells[e] = mixed
	}
}

// Labels gathers a row of a label map, label by label and linearly: a voxel gets the highest label whose share of
// the 8 voxels around it, weighted linearly, is at least one half; none where no label reaches that, or outside.
// values holds what to write for each code.
func (p *Places) Labels(dst []float32, c *Codes, none uint8, values *[256]float32) {
	n := len(dst)
	start, fz, fy, fx := p.Start[:n], p.F[0][:n], p.F[1][:n], p.F[2][:n]
	row, plane := c.RowStride, c.PlaneStride
	// The cell's first voxel is one further on each axis than the 4 x 4 x 4 neighbourhood's.
	corner := plane + row + 1
	for i, s := range start {
		if s < 0 {
			dst[i] = values[none]
			continue
		}
		e := int(s) + corner
		if v := c.cells[e]; v != mixed {
			dst[i] = values[v]
			continue
		}
		near, far := c.Codes[e:], c.Codes[e+plane:]
		corners := [8]uint8{near[0], near[1], near[row], near[row+1], far[0], far[1], far[row], far[row+1]}
		dst[i] = values[majority(&corners, fz[i], fy[i], fx[i], none)]
	}
}

// majority returns the highest label that has at least half of the weight at a position in a cell.
func majority(corners *[8]uint8, z, y, x float32, none uint8) uint8 {
	limit := uint8(mixed)
	for {
		var label uint8
		found := false
		for _, c := range corners {
			if c < limit && c >= label {
				label, found = c, true
			}
		}
		if !found {
			return none
		}
		// The share is the linear interpolation of the label's indicator, axis by axis.
		along := [4]float32{0, 1 - x, x, 1}
		pair := func(i int) float32 { return along[equal(corners[i], label)|equal(corners[i+1], label)<<1] }
		near, far := pair(0), pair(4)
		near += (pair(2) - near) * y
		far += (pair(6) - far) * y
		if near+(far-near)*z >= 0.5 {
			return label
		}
		limit = label
	}
}

func equal(a, b uint8) int {
	if a == b {
		return 1
	}
	return 0
}
