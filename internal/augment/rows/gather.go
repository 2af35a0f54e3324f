package rows

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

// Labels gathers a row of a label map, label by label and linearly: a voxel gets the highest label whose share of
// the 8 voxels around it, weighted linearly, is at least one half; none where no label reaches that, or outside.
// codes is padded as the coefficients are.
func (p *Places) Labels(dst []uint8, codes []uint8, rowStride, planeStride int, none uint8) {
	n := len(dst)
	start, fz, fy, fx := p.Start[:n], p.F[0][:n], p.F[1][:n], p.F[2][:n]
	// The cell's first voxel is one further on each axis than the 4 x 4 x 4 neighbourhood's.
	corner := planeStride + rowStride + 1
	for i := range dst {
		if start[i] < 0 {
			dst[i] = none
			continue
		}
		c := codes[int(start[i])+corner:][:planeStride+rowStride+2]
		v := c[0]
		near := c[rowStride : rowStride+2]
		far, last := c[planeStride:planeStride+2], c[planeStride+rowStride:][:2]
		if v == c[1] && v == near[0] && v == near[1] && v == far[0] && v == far[1] && v == last[0] && v == last[1] {
			dst[i] = v
			continue
		}
		z, y, x := fz[i], fy[i], fx[i]
		corners := [8]uint8{v, c[1], near[0], near[1], far[0], far[1], last[0], last[1]}
		z0y0, z0y1, z1y0, z1y1 := (1-z)*(1-y), (1-z)*y, z*(1-y), z*y
		weights := [8]float32{z0y0 * (1 - x), z0y0 * x, z0y1 * (1 - x), z0y1 * x, z1y0 * (1 - x), z1y0 * x, z1y1 * (1 - x), z1y1 * x}
		dst[i] = majority(&corners, &weights, none)
	}
}

// majority returns the highest label that has at least half of the weight.
func majority(corners *[8]uint8, weights *[8]float32, none uint8) uint8 {
	winner, found := none, false
	for _, label := range corners {
		if found && label <= winner {
			continue
		}
		var share float32
		for j, other := range corners {
			if other == label {
				share += weights[j]
			}
		}
		if share >= 0.5 {
			winner, found = label, true
		}
	}
	return winner
}
