// Package planes says how slices of a volume are turned for the eye.
package planes

import (
	"math"

	"github.com/universal-classifier/uc/internal/volume"
)

// View is how a volume is cut along one of its axes and turned: with the patient's right, or front, on the left and the
// front, or the head, on top.
type View struct {
	Normal   int    // axis of the volume (0 is z) that the slices are stacked along
	Name     string // axial, coronal or sagittal
	Row, Col int    // axes that run down and to the right
	FlipRow  bool
	FlipCol  bool
}

// Names of views, by the axis of the body (left, back, head) that their slices are stacked along.
var names = [3]string{"sagittal", "coronal", "axial"}

// Body is the axis of the body (0 left, 1 back, 2 head) that an axis of the volume is nearest to; sign is negative
// where it runs the other way.
func Body(g volume.Geometry, axis int) (toward int, sign float64) {
	// Direction has the body's axes (L, P, S) as rows and x, y, z as columns.
	column := 2 - axis
	for b := range 3 {
		if math.Abs(g.Direction[3*b+column]) > math.Abs(g.Direction[3*toward+column]) {
			toward = b
		}
	}
	return toward, g.Direction[3*toward+column]
}

// Along is the view of the slices that are stacked along an axis of the volume.
func Along(g volume.Geometry, normal int) View {
	v := View{Normal: normal}
	stacked, _ := Body(g, normal)
	v.Name = names[stacked]
	// What runs to the right: the left of the body, or in sagittal slices its back. What runs down: the back, or else the
	// feet.
	var in []int
	for d := range 3 {
		if d != normal {
			in = append(in, d)
		}
	}
	v.Row, v.Col = in[0], in[1]
	right := 0
	if stacked == 0 {
		right = 1
	}
	if b, _ := Body(g, v.Row); b == right {
		v.Row, v.Col = v.Col, v.Row
	}
	down, sign := Body(g, v.Row)
	v.FlipRow = (down == 2) == (sign > 0)
	_, sign = Body(g, v.Col)
	v.FlipCol = sign < 0
	return v
}
