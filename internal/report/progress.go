package report

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Curves are the values of every epoch so far; empty ones are left out. Metric is a figure of merit on the validation
// cases (its moving average, named by MetricName), which gets a panel of its own, as does the learning rate.
type Curves struct {
	Title             string
	Train, Validation []float64 // losses
	MetricName        string
	Metric            []float64
	LearningRate      []float64
}

// ProgressPlot draws the progress of a training over its epochs to path (PNG): the losses on top, the metric and the
// learning rate below. Values that are not finite leave gaps.
func ProgressPlot(path string, c Curves) error {
	losses := newPlot(c.Title, "", "loss")
	addGrid(losses)
	losses.Legend.Top = true
	losses.Legend.XOffs, losses.Legend.YOffs = -10, -6
	if err := addSeries(losses, c.Train, 0, "training"); err != nil {
		return err
	}
	if err := addSeries(losses, c.Validation, 1, "validation"); err != nil {
		return err
	}
	panels, shares := []*plot.Plot{losses}, []float64{2}
	for i, below := range []struct {
		name   string
		values []float64
	}{{c.MetricName, c.Metric}, {"learning rate", c.LearningRate}} {
		if len(below.values) == 0 {
			continue
		}
		p := newPlot("", "", below.name)
		addGrid(p)
		if err := addSeries(p, below.values, 2+i, ""); err != nil {
			return err
		}
		panels, shares = append(panels, p), append(shares, 1)
	}
	panels[len(panels)-1].X.Label.Text = "epoch"
	epochs := max(len(c.Train), len(c.Validation), len(c.Metric), len(c.LearningRate))
	for _, p := range panels {
		p.X.Min, p.X.Max = 0, math.Max(1, float64(epochs-1))
		p.X.Tick.Marker = wholeTicks{}
		widen(&p.Y)
	}
	return save(path, width, height, func(area draw.Canvas) { stack(area, panels, shares) })
}

// addSeries draws values over their index, each stretch of finite ones as a line; lone values become dots.
func addSeries(p *plot.Plot, values []float64, at int, name string) error {
	var stretch plotter.XYs
	flush := func() error {
		if len(stretch) == 0 {
			return nil
		}
		defer func() { stretch, name = nil, "" }()
		if len(stretch) > 1 {
			return addLine(p, stretch, colour(at), 1.8, name)
		}
		dot, err := plotter.NewScatter(stretch)
		if err != nil {
			return err
		}
		dot.GlyphStyle = draw.GlyphStyle{Color: colour(at), Radius: 3, Shape: draw.CircleGlyph{}}
		p.Add(dot)
		if name != "" {
			p.Legend.Add(name, dot)
		}
		return nil
	}
	for epoch, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			stretch = append(stretch, plotter.XY{X: float64(epoch), Y: v})
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return flush()
}

// widen gives the curves some air, and an axis without extent one.
func widen(a *plot.Axis) {
	if math.IsInf(a.Min, 0) || math.IsInf(a.Max, 0) || math.IsNaN(a.Min) || math.IsNaN(a.Max) {
		a.Min, a.Max = 0, 1
	}
	air := 0.06 * (a.Max - a.Min)
	if air == 0 {
		air = math.Max(1e-6, 0.1*math.Abs(a.Max))
	}
	a.Min, a.Max = a.Min-air, a.Max+air
}

// wholeTicks marks whole numbers only.
type wholeTicks struct{}

// Ticks implements plot.Ticker.
func (wholeTicks) Ticks(low, high float64) []plot.Tick {
	var out []plot.Tick
	for _, t := range (plot.DefaultTicks{}).Ticks(low, high) {
		if t.Value == math.Trunc(t.Value) {
			out = append(out, t)
		}
	}
	return out
}

// stack draws plots under each other in the given shares of the height, their data areas between the same sides.
func stack(area draw.Canvas, panels []*plot.Plot, shares []float64) {
	var total float64
	for _, s := range shares {
		total += s
	}
	const gap = 8
	free := area.Max.Y - area.Min.Y - vg.Length(len(panels)-1)*gap
	canvases := make([]draw.Canvas, len(panels))
	top := area.Max.Y
	var left vg.Length
	for i, p := range panels {
		c := area
		c.Max.Y = top
		c.Min.Y = top - free*vg.Length(shares[i]/total)
		top = c.Min.Y - gap
		canvases[i] = c
		left = max(left, p.DataCanvas(c).Min.X)
	}
	for i, p := range panels {
		c := canvases[i]
		c.Min.X += left - p.DataCanvas(c).Min.X
		p.Draw(c)
	}
}
