// Package figure draws curves, bands, points and text on axes, and writes the same figure as SVG and as PDF.
//
// Own code for what lies between a series and a page: gonum/plot, which draws the PNGs of reports, writes SVG without
// names or groups, so that a page could not answer to the pointer, and has no text that a screen reader reads. PDF is
// written by go-pdf/fpdf, with the font embedded, as journals want it.
package figure

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Colour is red, green and blue.
type Colour [3]uint8

// Palette tells series apart, also for readers with colour blindness (Okabe & Ito 2008).
var Palette = []Colour{
	{0x00, 0x72, 0xb2}, {0xd5, 0x5e, 0x00}, {0x00, 0x9e, 0x73}, {0xcc, 0x79, 0xa7}, {0xe6, 0x9f, 0x00}, {0x56, 0xb4, 0xe9},
}

// Colours of whatever is not a series.
var (
	Ink   = Colour{0x26, 0x2b, 0x33}
	Grey  = Colour{0x6b, 0x72, 0x7c}
	Faint = Colour{0xe3, 0xe6, 0xea}
	White = Colour{0xff, 0xff, 0xff}
)

// Series is the colour of the i-th series, from 0.
func Series(i int) Colour { return Palette[i%len(Palette)] }

// Hex is the colour as CSS writes it.
func (c Colour) Hex() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// Towards mixes a share of another colour in, 0 to 1.
func (c Colour) Towards(other Colour, share float64) Colour {
	for i := range c {
		c[i] = uint8(math.Round(float64(c[i]) + share*(float64(other[i])-float64(c[i]))))
	}
	return c
}

// Point is a place in the units of the axes.
type Point struct{ X, Y float64 }

func (p Point) finite() bool { return numeric.Finite(p.X) && numeric.Finite(p.Y) }

// Panel is a pair of axes with what is drawn on them.
type Panel struct {
	Title string
	X, Y  Axis
	Marks []Mark // the first lies lowest
	// Height of the area between the axes, in points; default 300. Its width is the same in all panels.
	Height float64
}

// Figure is one panel or several, below each other, on a common width.
type Figure struct {
	Title       string // for those who cannot see it; not drawn
	Description string // what it shows, in a sentence or two; not drawn
	Panels      []Panel
	Width       float64 // in points (1/72 inch); default 400
}

// Axis is the scale of one direction.
type Axis struct {
	Label    string
	Min, Max float64 // if equal, the marks decide
	Ticks    []Tick  // none: about six round numbers
	Whole    bool    // only whole numbers are marked
	Bare     bool    // no lines: neither axis nor grid
}

// Tick is a marked value of an axis.
type Tick struct {
	Value float64
	Label string
}

// Mark is something that is drawn on the axes.
type Mark interface {
	// extent calls see with every point that the axes should reach.
	extent(see func(Point))
	draw(c canvas, a *area)
	// legend is the name in the legend, "" for none, and draws its key into a box with the middle left at at.
	legend() string
	key(c canvas, at Point)
}

// Line joins points. Points that are not finite leave gaps; a lone point becomes a dot.
type Line struct {
	Name   string // in the legend; none without
	Points []Point
	Colour Colour
	Width  float64 // in points of the page; default 1.5
	Dashed bool
	Pale   bool
}

// Band fills what lies between two values.
type Band struct {
	Name         string
	X, Low, High []float64
	Colour       Colour
}

// Dots are points, each with an interval in either direction where Low and High are given.
type Dots struct {
	Name   string
	At     []Point
	Labels []string // what the pointer is told of each; optional
	X, Y   []Range  // intervals; optional
	Colour Colour
	Radius float64 // in points of the page; default 3
	Ring   bool    // not filled
}

// Range is an interval.
type Range struct{ Low, High float64 }

// Box is a filled rectangle.
type Box struct {
	From, To Point
	Fill     Colour
	Label    string // what the pointer is told
}

// Words are text on the axes, centred on a point.
type Words struct {
	At     Point
	Text   string
	Size   float64 // in points
	Bold   bool
	Colour Colour
	Shift  float64 // down, in points
}

// Note is a line in the legend with no mark on the axes.
type Note struct {
	Text   string
	Colour Colour
}
