package report

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// ConfusionMatrix draws how many cases of each true class (row) were given each class (column), to path (PNG). The
// shade is the share of the row.
func ConfusionMatrix(path string, l evaluate.LabelReport) error {
	classes := len(l.ClassNames)
	p := newPlot(fmt.Sprintf("%s: %d cases, accuracy %s", l.Name, l.Cases, l.Accuracy.Value), "predicted class", "true class")
	var columns, rows []plot.Tick
	for i, name := range l.ClassNames {
		columns = append(columns, plot.Tick{Value: float64(i), Label: name})
		rows = append(rows, plot.Tick{Value: float64(classes - 1 - i), Label: name})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(columns), plot.ConstantTicks(rows)
	p.X.Tick.Length, p.Y.Tick.Length = 0, 0
	p.X.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
	p.Add(cells{counts: l.Confusion})
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(classes)-0.5, -0.5, float64(classes)-0.5
	return save(path, width, height, p.Draw)
}

// cells draws the squares of a confusion matrix, first row on top.
type cells struct {
	counts [][]int
}

// Plot implements plot.Plotter.
func (m cells) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	top := len(m.counts) - 1
	size := vg.Length(22)
	if len(m.counts) > 4 {
		size = 13
	}
	for t, row := range m.counts {
		total := 0
		for _, n := range row {
			total += n
		}
		for predicted, n := range row {
			share := 0.0
			if total > 0 {
				share = float64(n) / float64(total)
			}
			left, right := x(float64(predicted)-0.48), x(float64(predicted)+0.48)
			low, high := y(float64(top-t)-0.48), y(float64(top-t)+0.48)
			c.FillPolygon(shade(share), []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}})
			words := color.Color(ink)
			if share > 0.5 {
				words = color.White
			}
			middle := vg.Point{X: (left + right) / 2, Y: (low + high) / 2}
			c.FillText(centred(sans(size, true), words), vg.Point{X: middle.X, Y: middle.Y + size*0.35}, fmt.Sprint(n))
			c.FillText(centred(sans(size*0.55, false), words), vg.Point{X: middle.X, Y: middle.Y - size*0.6}, fmt.Sprintf("%.0f %%", 100*share))
		}
	}
}

func centred(f font.Font, c color.Color) text.Style {
	return text.Style{Color: c, Font: f, XAlign: text.XCenter, YAlign: text.YCenter, Handler: plot.DefaultTextHandler}
}

// shade goes from nearly white to the first colour.
func shade(share float64) color.Color {
	to := colours[0]
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + share*(float64(b)-float64(a))) }
	return color.RGBA{R: mix(0xf2, to.R), G: mix(0xf5, to.G), B: mix(0xf9, to.B), A: 0xff}
}
