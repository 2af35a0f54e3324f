package report

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// averageWeight is the weight of the past in the moving average of the validation loss, as in nnU-Net
// (val_eval_criterion_alpha): by this average the trainer decides which model is best.
const averageWeight = 0.9

// ProgressPlot draws the mean losses of every epoch so far to path (PNG), with the moving average of the validation loss
// and the epoch in which that was lowest. Values that are not finite leave gaps.
func ProgressPlot(path string, training, validation []float64) error {
	p := newPlot(fmt.Sprintf("Training: %d epochs", len(training)), "epoch", "loss")
	if len(training) == 1 {
		p.Title.Text = "Training: 1 epoch"
	}
	addGrid(p)
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.YOffs = -10, -6
	average, best := movingAverage(validation)
	for i, series := range []struct {
		name   string
		values []float64
		width  vg.Length
	}{{"training", training, 1.6}, {"validation", validation, 0.8}, {"validation, moving average", average, 2.2}} {
		c := colour(min(i, 1))
		if i == 1 {
			c.A = 0xb0
			c.R, c.G, c.B = uint8(int(c.R)*0xb0/0xff), uint8(int(c.G)*0xb0/0xff), uint8(int(c.B)*0xb0/0xff) // alpha-premultiplied
		}
		if err := addSeries(p, series.values, draw.LineStyle{Color: c, Width: series.width}, series.name); err != nil {
			return err
		}
	}
	if best >= 0 {
		dot, err := plotter.NewScatter(plotter.XYs{{X: float64(best + 1), Y: average[best]}})
		if err != nil {
			return err
		}
		dot.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: 4.5, Shape: draw.RingGlyph{}}
		p.Add(dot)
		p.Legend.Add(fmt.Sprintf("lowest: %.3f after epoch %d", average[best], best+1), dot)
	}
	p.X.Min, p.X.Max = 1, math.Max(2, float64(max(len(training), len(validation))))
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{whole: true}, ticks{}
	widen(&p.Y)
	return save(path, width, height, p.Draw)
}

// movingAverage averages the past at every epoch and says at which (from 0) the average was lowest; -1 if it never was a
// number. Values that are not finite are passed over.
func movingAverage(values []float64) (average []float64, best int) {
	average, best = make([]float64, len(values)), -1
	last := math.NaN()
	for i, v := range values {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
		case math.IsNaN(last):
			last = v
		default:
			last = averageWeight*last + (1-averageWeight)*v
		}
		average[i] = last
		if !math.IsNaN(last) && (best < 0 || last < average[best]) {
			best = i
		}
	}
	return average, best
}

// addSeries draws values over their epoch, counted from 1: each stretch of finite ones as a line, a lone one as a dot.
func addSeries(p *plot.Plot, values []float64, style draw.LineStyle, name string) error {
	var stretch plotter.XYs
	flush := func() error {
		if len(stretch) == 0 {
			return nil
		}
		defer func() { stretch, name = nil, "" }()
		if len(stretch) > 1 {
			return addLine(p, stretch, style.Color, style.Width, name)
		}
		dot, err := plotter.NewScatter(stretch)
		if err != nil {
			return err
		}
		dot.GlyphStyle = draw.GlyphStyle{Color: style.Color, Radius: 2 + style.Width/2, Shape: draw.CircleGlyph{}}
		p.Add(dot)
		if name != "" {
			p.Legend.Add(name, dot)
		}
		return nil
	}
	for i, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			stretch = append(stretch, plotter.XY{X: float64(i + 1), Y: v})
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

// ticks marks round numbers, about six, and only whole ones if wanted.
type ticks struct{ whole bool }

// Ticks implements plot.Ticker.
func (t ticks) Ticks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/6)))
	for _, factor := range []float64{2, 2.5, 2} { // 1, 2, 5, 10 times a power of ten
		if (high-low)/step > 8 {
			step *= factor
		}
	}
	if t.whole {
		step = math.Max(1, step)
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	var out []plot.Tick
	for i := math.Ceil(low / step); i*step <= high; i++ {
		out = append(out, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, 'f', decimals, 64)})
	}
	return out
}
