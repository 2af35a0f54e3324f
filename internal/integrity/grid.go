// Package integrity holds the rules that the files of a case must obey, for planning, prediction and verification
// alike.
package integrity

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/volume"
)

// tolerance is how far two grids may differ and still be one: a share of a voxel for spacing and origin, the difference
// of direction cosines. Software that writes a rotation as a quaternion of float32 is off by up to 6e-4.
const tolerance = 1e-3

// floatDigits is the relative rounding of a float32, in which headers store places; a few roundings make no other grid.
const floatDigits = 4.0 / (1 << 23)

// GridMismatch says in what the grid of file differs from that of the file other, whose grid comes second: size,
// spacing, origin or direction, with the numbers of both (x, y, z) and what to do. It is empty for one and the same
// grid.
func GridMismatch(g volume.Geometry, other string, of volume.Geometry) string {
	const remedy = "the files of a case must share one grid; resample one onto the other"
	switch {
	case g.Size != of.Size:
		return fmt.Sprintf("size %s, but %s has %s; %s", volume.SizeText(g.Size), other, volume.SizeText(of.Size), remedy)
	case spacingDiffers(g, of):
		return fmt.Sprintf("spacing %s, but %s has %s; %s", volume.SpacingText(g.Spacing), other, volume.SpacingText(of.Spacing), remedy)
	case originDiffers(g, of):
		return fmt.Sprintf("origin %.6g mm, but %s has %.6g; %s", g.Origin, other, of.Origin, remedy)
	case directionDiffers(g, of):
		return fmt.Sprintf("direction %.4g, but %s has %.4g; %s", g.Direction, other, of.Direction, remedy)
	}
	return ""
}

// MaskMismatch compares the grid g of a mask with that of the image of its case. wrong says in what they differ so that
// the mask cannot be laid over the image; elsewhere says that they differ in the origin alone: voxel for voxel the mask
// fits, as if it lay where the image does, which is how the reference takes it, but one of the two headers is not true.
// Both are empty for one and the same grid.
func MaskMismatch(g volume.Geometry, image string, of volume.Geometry) (wrong, elsewhere string) {
	placed := g
	placed.Origin = of.Origin
	if wrong = GridMismatch(placed, image, of); wrong != "" {
		return wrong, ""
	}
	if originDiffers(g, of) {
		elsewhere = fmt.Sprintf("origin %.6g mm, but %s has %.6g; the mask is laid over the image voxel by voxel, whatever the headers say: look whether it is the mask of this scan",
			g.Origin, image, of.Origin)
	}
	return "", elsewhere
}

func spacingDiffers(a, b volume.Geometry) bool {
	for d := range 3 {
		if !(math.Abs(a.Spacing[d]-b.Spacing[d]) <= tolerance*min(a.Spacing[d], b.Spacing[d])) {
			return true
		}
	}
	return false
}

// originDiffers measures the shift along each voxel axis in voxels.
func originDiffers(a, b volume.Geometry) bool {
	var shift [3]float64
	largest := 0.0
	for i := range 3 {
		shift[i] = a.Origin[i] - b.Origin[i]
		largest = max(largest, math.Abs(a.Origin[i]), math.Abs(b.Origin[i]))
	}
	for axis := range 3 { // x, y, z
		along := 0.0
		for i := range 3 {
			along += shift[i] * a.Direction[3*i+axis]
		}
		if !(math.Abs(along) <= tolerance*a.Spacing[2-axis]+floatDigits*largest) {
			return true
		}
	}
	return false
}

func directionDiffers(a, b volume.Geometry) bool {
	for i := range a.Direction {
		if !(math.Abs(a.Direction[i]-b.Direction[i]) <= tolerance) {
			return true
		}
	}
	return false
}

// PositionText writes where in an array of the given size (z, y, x) the voxel i lies, x first: (12, 0, 3).
func PositionText(i int, size [3]int) string {
	return fmt.Sprintf("(%d, %d, %d)", i%size[2], i/size[2]%size[1], i/size[2]/size[1])
}
