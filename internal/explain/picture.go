package explain

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/planes"
	"github.com/universal-classifier/uc/internal/volume"
)

// Sizes of a picture in points.
const (
	panel    = 240
	gap      = 14
	head     = 40
	foot     = 34
	barWidth = 12
	barRoom  = 58
	dpi      = 144
)

// panelPixels is the side of a panel in pixels.
const panelPixels = panel * dpi / 72

var (
	ink     = color.RGBA{R: 0x26, G: 0x2b, B: 0x33, A: 0xff}
	outline = color.RGBA{R: 0x00, G: 0xd0, B: 0xc8, A: 0xff}
	cross   = color.RGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff}
)

// heatColours run from no heat to the most, and back from none to the most against the class; all can be told apart by
// readers with colour blindness, and the two halves do not meet.
var (
	warm = []color.RGBA{{R: 0x54, G: 0x10, B: 0x5c, A: 0xff}, {R: 0xb6, G: 0x2f, B: 0x5b, A: 0xff}, {R: 0xf0, G: 0x70, B: 0x20, A: 0xff}, {R: 0xfc, G: 0xf0, B: 0x70, A: 0xff}}
	cold = []color.RGBA{{R: 0x08, G: 0x30, B: 0x70, A: 0xff}, {R: 0x30, G: 0x80, B: 0xd0, A: 0xff}, {R: 0xc0, G: 0xe8, B: 0xff, A: 0xff}}
)

// mostOpaque is how opaque the largest heat is.
const mostOpaque = 0.75

// heatColour is the colour of a heat from -1 to 1 and how opaque it is.
func heatColour(v float64) (c color.RGBA, alpha float64) {
	scale := warm
	if v < 0 {
		v, scale = -v, cold
	}
	v = min(v, 1)
	at := v * float64(len(scale)-1)
	low := min(int(at), len(scale)-2)
	f := at - float64(low)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-f) + float64(b)*f)) }
	a, b := scale[low], scale[low+1]
	return color.RGBA{R: mix(a.R, b.R), G: mix(a.G, b.G), B: mix(a.B, b.B), A: 0xff}, mostOpaque * min(1, 2*v)
}

// A Picture shows a map over the image it was made of.
type Picture struct {
	Title, Note string
	Image       *volume.Image
	Heat        *volume.Image // on the grid of Image
	ROI         *volume.Mask  // on the same grid; nil: none is outlined
	At          [3]int        // the voxel (z, y, x) that the planes cross
}

// Draw draws the three planes through At as PNG: the image between its first and its last percentile there, with the
// region of interest outlined, and the same with the heat over it.
func (p *Picture) Draw(path string) error {
	w, h := vg.Length(3*panel+4*gap+barRoom), vg.Length(2*panel+gap+head+foot)
	c := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))
	dc := draw.New(c)
	text(dc, p.Title, gap, h-20, 11, true)
	low, high := p.window()
	least, most := limits(p.Heat.Data)
	largest := math.Max(math.Abs(float64(least)), math.Abs(float64(most)))
	for a := range 3 {
		// Axial, coronal, sagittal, wherever these planes lie in the volume.
		normal := 0
		for d := range 3 {
			if toward, _ := planes.Body(p.Image.Geometry, d); toward == 2-a {
				normal = d
			}
		}
		v := planes.Along(p.Image.Geometry, normal)
		for row, most := range []float64{largest, 0} { // with the heat below, without it above
			im, width, height := p.plane(v, float64(low), float64(high), most)
			x, y := vg.Length(gap+a*(panel+gap)), vg.Length(foot+row*(panel+gap))
			wide, tall := vg.Length(width)*72/dpi, vg.Length(height)*72/dpi
			x, y = x+(panel-wide)/2, y+(panel-tall)/2
			dc.DrawImage(vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + wide, Y: y + tall}}, im)
		}
		text(dc, fmt.Sprintf("%s, voxel %d of %s", v.Name, p.At[normal], [3]string{"z", "y", "x"}[normal]), vg.Length(gap+a*(panel+gap)), foot+2*panel+gap+6, 9, false)
	}
	p.bar(dc, least, most, largest)
	text(dc, p.Note, gap, 12, 8, false)
	return atomicfile.Write(path, func(out io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(out)
		return err
	})
}

func text(c draw.Canvas, s string, x, y vg.Length, size vg.Length, bold bool) {
	style := draw.TextStyle{Color: ink, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Handler: plot.DefaultTextHandler}
	if bold {
		style.Font.Weight = 2
	}
	c.FillText(style, vg.Point{X: x, Y: y}, s)
}

// window is the range of intensities to show: between the first and the last percentile of the three planes.
func (p *Picture) window() (low, high float32) {
	var values []float32
	for normal := range 3 {
		v := planes.Along(p.Image.Geometry, normal)
		for r := range p.Image.Size[v.Row] {
			for c := range p.Image.Size[v.Col] {
				values = append(values, p.Image.Data[p.index(v, r, c)])
			}
		}
	}
	slices.Sort(values)
	low, high = values[len(values)/100], values[len(values)-1-len(values)/100]
	if !(high > low) {
		low, high = values[0], values[len(values)-1]
	}
	return low, high
}

// index is where row r and column c of a plane lie in the volume, before it is turned.
func (p *Picture) index(v planes.View, r, c int) int {
	at := p.At
	at[v.Row], at[v.Col] = r, c
	return (at[0]*p.Image.Size[1]+at[1])*p.Image.Size[2] + at[2]
}

// limits are the smallest and the largest value.
func limits(values []float32) (least, most float32) {
	least, most = values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	return least, most
}

// plane draws a plane with its pixels square in mm, as large as a panel allows; largest is the heat at the end of the
// scale, 0 for none.
func (p *Picture) plane(v planes.View, low, high, largest float64) (im *image.RGBA, width, height int) {
	g := p.Image.Geometry
	rows, cols := g.Size[v.Row], g.Size[v.Col]
	tall, wide := float64(rows)*g.Spacing[v.Row], float64(cols)*g.Spacing[v.Col]
	scale := panelPixels / max(tall, wide)
	width, height = max(1, int(math.Round(wide*scale))), max(1, int(math.Round(tall*scale)))
	im = image.NewRGBA(image.Rect(0, 0, width, height))
	// Where pixel i of n lies among m voxels, turned.
	place := func(i, n, m int, flip bool) float64 {
		at := (float64(i)+0.5)*float64(m)/float64(n) - 0.5
		if flip {
			at = float64(m-1) - at
		}
		return at
	}
	region := make([]bool, width*height)
	for y := range height {
		r := tapAt(place(y, height, rows, v.FlipRow), rows)
		for x := range width {
			c := tapAt(place(x, width, cols, v.FlipCol), cols)
			corners := [4]int{p.index(v, r.low, c.low), p.index(v, r.low, c.high), p.index(v, r.high, c.low), p.index(v, r.high, c.high)}
			weights := [4]float64{float64((1 - r.weight) * (1 - c.weight)), float64((1 - r.weight) * c.weight), float64(r.weight * (1 - c.weight)), float64(r.weight * c.weight)}
			var grey, heat, inside float64
			for k, i := range corners {
				grey += weights[k] * float64(p.Image.Data[i])
				heat += weights[k] * float64(p.Heat.Data[i])
				if p.ROI != nil && p.ROI.Data[i] > 0 {
					inside += weights[k]
				}
			}
			region[y*width+x] = inside >= 0.5
			if high > low {
				grey = min(max((grey-low)/(high-low), 0), 1) * 255
			} else {
				grey = 0
			}
			var over color.RGBA
			alpha := 0.0
			if largest > 0 {
				over, alpha = heatColour(heat / largest)
			}
			mix := func(c uint8) uint8 { return uint8(math.Round(grey*(1-alpha) + float64(c)*alpha)) }
			im.SetRGBA(x, y, color.RGBA{R: mix(over.R), G: mix(over.G), B: mix(over.B), A: 0xff})
		}
	}
	if p.ROI != nil {
		edge(im, region, width, height)
	}
	// The maximum lies at the end of four marks, which leave it free.
	middle := func(at, n, m int, flip bool) int {
		if flip {
			at = m - 1 - at
		}
		return int((float64(at) + 0.5) * float64(n) / float64(m))
	}
	mark(im, middle(p.At[v.Col], width, cols, v.FlipCol), middle(p.At[v.Row], height, rows, v.FlipRow))
	return im, width, height
}

// edge draws the border of a region, two pixels wide.
func edge(im *image.RGBA, region []bool, width, height int) {
	in := func(x, y int) bool { return x >= 0 && y >= 0 && x < width && y < height && region[y*width+x] }
	for y := range height {
		for x := range width {
			if in(x, y) && !(in(x-1, y) && in(x+1, y) && in(x, y-1) && in(x, y+1) && in(x-2, y) && in(x+2, y) && in(x, y-2) && in(x, y+2)) {
				im.SetRGBA(x, y, outline)
			}
		}
	}
}

// mark draws four lines that point at a pixel.
func mark(im *image.RGBA, x, y int) {
	const from, to = 8, 18
	for i := from; i < to; i++ {
		for _, at := range [][2]int{{x + i, y}, {x - i, y}, {x, y + i}, {x, y - i}} {
			if image.Pt(at[0], at[1]).In(im.Rect) {
				im.SetRGBA(at[0], at[1], cross)
			}
		}
	}
}

// bar draws the scale of colours.
func (p *Picture) bar(c draw.Canvas, least, most float32, largest float64) {
	x, bottom := vg.Length(3*(panel+gap)+gap), -1.0
	if least >= 0 {
		bottom = 0
	}
	const steps = 120
	for i := range steps {
		v := bottom + (1-bottom)*(float64(i)+0.5)/steps
		colour, alpha := heatColour(v)
		const ground = 0x60 // as over a grey image
		mix := func(b uint8) uint8 { return uint8(ground*(1-alpha) + float64(b)*alpha) }
		c.SetColor(color.RGBA{R: mix(colour.R), G: mix(colour.G), B: mix(colour.B), A: 0xff})
		y := vg.Length(foot) + vg.Length(i)*panel/steps
		c.Fill(vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + barWidth, Y: y + panel/steps + 0.5}}.Path())
	}
	end := largest
	text(c, fmt.Sprintf("%.2g", end), x+barWidth+4, foot+panel-8, 8, false)
	if bottom < 0 {
		text(c, "0", x+barWidth+4, foot+panel/2-3, 8, false)
		text(c, fmt.Sprintf("%.2g", -end), x+barWidth+4, foot, 8, false)
		return
	}
	text(c, "0", x+barWidth+4, foot, 8, false)
}
