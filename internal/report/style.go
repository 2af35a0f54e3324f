// Package report draws training progress, ROC curves, confusion matrices and the page that shows them.
package report

import (
	"image/color"
	"io"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/universal-classifier/uc/internal/atomicfile"
)

// Pictures are drawn at twice the dots per inch of a screen, so that 800 x 600 points of layout stay sharp in print.
const (
	dpi    = 144
	inches = 96 // layout points per inch
	width  = 800
	height = 600
)

// colours tell curves apart, also for readers with colour blindness (Okabe & Ito 2008).
var colours = []color.RGBA{
	{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
	{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
	{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff},
	{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff},
}

var (
	ink   = color.RGBA{R: 0x26, G: 0x2b, B: 0x33, A: 0xff}
	faint = color.RGBA{R: 0xe3, G: 0xe6, B: 0xea, A: 0xff}
	grey  = color.RGBA{R: 0x9a, G: 0xa1, B: 0xab, A: 0xff}
)

func colour(i int) color.RGBA { return colours[i%len(colours)] }

func sans(size vg.Length, bold bool) font.Font {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = 2
	}
	return f
}

// newPlot is an empty plot in the style of all pictures.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font = sans(15, true)
	p.Title.Padding = 8
	p.Title.TextStyle.Color = ink
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = sans(12, false)
		axis.Label.TextStyle.Color = ink
		axis.Label.Padding = 6
		axis.Tick.Label.Font = sans(11, false)
		axis.Tick.Label.Color = ink
		axis.Color, axis.Tick.Color = grey, grey
		axis.Tick.Length = 4
		axis.Padding = 0
	}
	p.Legend.TextStyle.Font = sans(11, false)
	p.Legend.TextStyle.Color = ink
	p.Legend.ThumbnailWidth = 24
	p.Legend.Padding = 4
	return p
}

func addGrid(p *plot.Plot) {
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = faint, faint
	p.Add(g)
}

// addLine draws points joined by a line and names it in the legend, if named.
func addLine(p *plot.Plot, points plotter.XYs, c color.Color, width vg.Length, name string, dashes ...vg.Length) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width, line.Dashes = c, width, dashes
	p.Add(line)
	if name != "" {
		p.Legend.Add(name, line)
	}
	return nil
}

// unitAxes shows 0 to 1 on both axes, with a tick every 0.2.
func unitAxes(p *plot.Plot) {
	var ticks []plot.Tick
	for i := 0; i <= 10; i += 2 {
		v := float64(i) / 10
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', 1, 64)})
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Min, axis.Max = 0, 1
		axis.Tick.Marker = plot.ConstantTicks(ticks)
	}
}

// save draws on a white canvas of w x h layout points with a margin and writes it as PNG.
func save(path string, w, h int, drawOn func(draw.Canvas)) error {
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(w)*vg.Inch/inches, vg.Length(h)*vg.Inch/inches), vgimg.UseDPI(dpi),
		vgimg.UseBackgroundColor(color.White))
	const margin = 12
	drawOn(draw.Crop(draw.New(c), margin, -margin, margin, -margin))
	return atomicfile.Write(path, func(out io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(out)
		return err
	})
}
