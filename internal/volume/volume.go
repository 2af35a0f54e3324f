// Package volume is the three-dimensional array with its place in space: axes (Z, Y, X), X fastest.
package volume

import "github.com/universal-classifier/uc/pkg/nifti"

// The types are those of pkg/nifti, so that other programs can name them.
type (
	// Geometry places a grid of voxels in space.
	Geometry = nifti.Geometry
	// Image is one modality of a case.
	Image = nifti.Image
	// Mask holds labels of a region of interest.
	Mask = nifti.Mask
)

// Box is a half-open range of voxels: Min belongs to it, Max does not. Order z, y, x.
type Box struct{ Min, Max [3]int }
