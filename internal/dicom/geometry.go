package dicom

import (
	"cmp"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/volume"
)

type vector [3]float64

func (a vector) dot(b vector) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }
func (a vector) norm() float64        { return math.Sqrt(a.dot(a)) }
func (a vector) times(f float64) vector {
	return vector{a[0] * f, a[1] * f, a[2] * f}
}
func (a vector) plus(b vector) vector  { return vector{a[0] + b[0], a[1] + b[1], a[2] + b[2]} }
func (a vector) minus(b vector) vector { return a.plus(b.times(-1)) }
func (a vector) cross(b vector) vector {
	return vector{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}

// axes are the unit vectors of growing columns, growing rows and their normal. ok is false if the orientation is no
// pair of perpendicular unit vectors.
func (s *slice) axes() (x, y, normal vector, ok bool) {
	const tolerance = 0.01 // of rounding in the files
	x, y = vector(s.orientation[:3]), vector(s.orientation[3:])
	if math.Abs(x.norm()-1) > tolerance || math.Abs(y.norm()-1) > tolerance || math.Abs(x.dot(y)) > tolerance {
		return x, y, normal, false
	}
	x = x.times(1 / x.norm())
	normal = x.cross(y)
	normal = normal.times(1 / normal.norm())
	return x, normal.cross(x), normal, true
}

// sortAlong sorts the slices along a normal and returns their places on it, mm.
func sortAlong(all []*slice, normal vector) []float64 {
	slices.SortStableFunc(all, func(a, b *slice) int {
		return cmp.Or(cmp.Compare(vector(a.position).dot(normal), vector(b.position).dot(normal)), cmp.Compare(a.number, b.number), cmp.Compare(a.frame, b.frame))
	})
	at := make([]float64, len(all))
	for i, c := range all {
		at[i] = vector(c.position).dot(normal)
	}
	return at
}

// stack is how sorted slices lie above each other.
type stack struct {
	step     vector  // from slice to slice, mm
	along    float64 // part of step along the normal
	tilt     float64 // angle between step and normal, degrees
	straight bool    // all slices begin on one line
	sheared  bool    // the line is not the normal
}

// The origins of slices may be this far from their line: rounding in the files, not a shift that shows.
const (
	lineTolerance = 0.15  // mm
	lineShare     = 0.001 // of the height of the stack
)

// stackOf measures two or more slices, sorted along the normal, that are evenly spaced.
func stackOf(all []*slice, normal vector) stack {
	n := float64(len(all) - 1)
	first := vector(all[0].position)
	whole := vector(all[len(all)-1].position).minus(first)
	s := stack{step: whole.times(1 / n), straight: true}
	s.along = s.step.dot(normal)
	tolerance := max(lineTolerance, lineShare*math.Abs(whole.dot(normal)))
	for i, c := range all {
		off := vector(c.position).minus(first).minus(s.step.times(float64(i)))
		if off = off.minus(normal.times(off.dot(normal))); off.norm() > tolerance {
			s.straight = false
		}
	}
	across := whole.minus(normal.times(whole.dot(normal))).norm()
	s.sheared = across > tolerance
	s.tilt = math.Atan2(across, math.Abs(whole.dot(normal))) * 180 / math.Pi
	return s
}

// geometryOf places a volume of sorted slices as ITK does: columns, rows, and slices along the normal. In a sheared
// stack the third direction leads from slice to slice: it is longer than 1 and not perpendicular to the others, while
// the spacing is still that along the normal.
func geometryOf(all []*slice, x, y, normal vector, s stack) volume.Geometry {
	c := all[0]
	third := normal
	if s.sheared {
		third = s.step.times(1 / s.along)
	}
	return volume.Geometry{
		Size:      [3]int{len(all), c.file.format.rows, c.file.format.columns},
		Spacing:   [3]float64{s.along, c.spacing[0], c.spacing[1]},
		Origin:    c.position,
		Direction: [9]float64{x[0], y[0], third[0], x[1], y[1], third[1], x[2], y[2], third[2]},
	}
}
