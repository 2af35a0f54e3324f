package nifti

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Geometry places a grid of voxels in space. Arrays are ordered (Z, Y, X) with X fastest, and so are Size and Spacing;
// Origin and Direction are ITK's, in millimetres along x (to the patient's left), y (to the back) and z (to the head).
type Geometry struct {
	Size      [3]int     // voxels along z, y, x
	Spacing   [3]float64 // mm along z, y, x
	Origin    [3]float64 // mm, centre of voxel (0, 0, 0), as ITK gives it: x, y, z in LPS
	Direction [9]float64 // direction cosines, row-major, as ITK gives them (LPS); all zero stands for the identity when a file is written
}

// Voxels is the number of voxels of the grid.
func (g Geometry) Voxels() int { return g.Size[0] * g.Size[1] * g.Size[2] }

// Check reports what keeps the geometry from being that of a volume: an empty axis, more voxels than an int holds, a
// spacing that is not a positive number, an origin or a direction that is not finite, an axis without a direction.
func (g Geometry) Check() error {
	most := math.MaxInt
	for _, n := range g.Size {
		if n < 1 || n > most {
			return fmt.Errorf("size %v, expected 1 or more along every axis and at most %d voxels", g.Size, math.MaxInt)
		}
		most /= n
	}
	for _, s := range g.Spacing {
		if !(s > 0) || !numeric.Finite(s) {
			return fmt.Errorf("spacing %v, expected positive numbers of millimetres", g.Spacing)
		}
	}
	for _, o := range g.Origin {
		if !numeric.Finite(o) {
			return fmt.Errorf("origin %v, expected finite numbers of millimetres", g.Origin)
		}
	}
	if g.Direction == [9]float64{} {
		return nil
	}
	for j := range 3 {
		norm := math.Hypot(math.Hypot(g.Direction[j], g.Direction[3+j]), g.Direction[6+j])
		if !(norm > 0) || !numeric.Finite(norm) {
			return fmt.Errorf("direction %v, expected a direction for every axis: columns of finite numbers that are not all 0", g.Direction)
		}
	}
	return nil
}

// Image is one modality of a case.
type Image struct {
	Geometry
	Data         []float32 // Z*Y*X, X fastest
	NonFinite    int       // voxels that the file stores as NaN or infinity; they are read as 0
	SpacingDoubt string    // what in the file's header speaks against the spacing; "" if nothing does
	Notes        []string  // what else is odd about the file, but loses nothing; mostly empty
}

// NewImage returns an image on the grid g. Data holds its voxels (Z*Y*X, X fastest) and is not copied; nil stands for
// zeros. A geometry that Check rejects, or data of another length, is an error.
func NewImage(g Geometry, data []float32) (*Image, error) {
	data, err := onGrid(g, data)
	if err != nil {
		return nil, err
	}
	return &Image{Geometry: g, Data: data}, nil
}

// Mask holds labels of a region of interest: 0 is background, -1 marks voxels outside a crop.
type Mask struct {
	Geometry
	Data  []int16  // Z*Y*X, X fastest
	Notes []string // as in Image
}

// NewMask returns a mask on the grid g, as NewImage does.
func NewMask(g Geometry, data []int16) (*Mask, error) {
	data, err := onGrid(g, data)
	if err != nil {
		return nil, err
	}
	return &Mask{Geometry: g, Data: data}, nil
}

func onGrid[T float32 | int16](g Geometry, data []T) ([]T, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	if data == nil {
		data = make([]T, g.Voxels())
	}
	if len(data) != g.Voxels() {
		return nil, fmt.Errorf("%d voxels, expected %d for size %v", len(data), g.Voxels(), g.Size)
	}
	return data, nil
}
