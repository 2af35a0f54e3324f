// Package volume is the three-dimensional array with its place in space: axes (Z, Y, X), X fastest.
package volume

// Geometry places a grid of voxels in space.
type Geometry struct {
	Size      [3]int     // voxels along z, y, x
	Spacing   [3]float64 // mm along z, y, x
	Origin    [3]float64 // mm, centre of voxel (0, 0, 0), as ITK gives it: x, y, z in LPS
	Direction [9]float64 // direction cosines, row-major, as ITK gives them (LPS)
}

// Voxels is the number of voxels of the grid.
func (g Geometry) Voxels() int { return g.Size[0] * g.Size[1] * g.Size[2] }

// Image is one modality of a case.
type Image struct {
	Geometry
	Data         []float32 // Z*Y*X, X fastest
	NonFinite    int       // voxels that the file stores as NaN or infinity; they are read as 0
	SpacingDoubt string    // what in the file's header speaks against the spacing; "" if nothing does
	Notes        []string  // what else is odd about the file, but loses nothing; mostly empty
}

// Mask holds labels of a region of interest: 0 is background, -1 marks voxels outside a crop.
type Mask struct {
	Geometry
	Data  []int16  // Z*Y*X, X fastest
	Notes []string // as in Image
}

// Box is a half-open range of voxels: Min belongs to it, Max does not. Order z, y, x.
type Box struct{ Min, Max [3]int }
