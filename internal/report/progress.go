package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"github.com/universal-classifier/uc/internal/numeric"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// averageWeight is the weight of the past in the moving averages, as in nnU-Net (val_eval_criterion_alpha): by the
// average of the validation loss the trainer decides which model is best.
const averageWeight = 0.9

// Progress is what the epochs of a training brought, one value each. Values that are not finite leave gaps.
type Progress struct {
	TrainLoss, ValLoss    []float64 // means
	AUC, BalancedAccuracy []float64 // on validation cases, 0 to 1
}

// ProgressPlot draws the losses of every epoch so far to path (PNG), with the moving average of the validation loss and
// the epoch in which that was lowest; below, where there are any, the AUC and its moving average, with the epoch in
// which that was highest, and the balanced accuracy.
func ProgressPlot(path string, p Progress) error {
	epochs := max(len(p.TrainLoss), len(p.ValLoss))
	title := fmt.Sprintf("Training: %d epochs", len(p.TrainLoss))
	if len(p.TrainLoss) == 1 {
		title = "Training: 1 epoch"
	}
	losses, err := lossPlot(title, p, epochs)
	if err != nil {
		return err
	}
	if !anyFinite(p.AUC) && !anyFinite(p.BalancedAccuracy) {
		return save(path, width, height, losses.Draw)
	}
	outcomes, err := outcomePlot(p, epochs)
	if err != nil {
		return err
	}
	losses.X.Label.Text = ""
	return save(path, width, height, func(c draw.Canvas) {
		tiles := draw.Tiles{Rows: 2, Cols: 1, PadY: 10}
		panels := plot.Align([][]*plot.Plot{{losses}, {outcomes}}, tiles, c)
		losses.Draw(panels[0][0])
		outcomes.Draw(panels[1][0])
	})
}

// lossPlot is the panel of the losses.
func lossPlot(title string, p Progress, epochs int) (*plot.Plot, error) {
	panel := epochPlot(title, "loss", epochs)
	average, best := movingAverage(p.ValLoss, false)
	err := addAll(panel, []curve{
		{"training", p.TrainLoss, colour(0), 1.6},
		{"validation", p.ValLoss, pale(colour(1)), 0.8},
		{"validation, moving average", average, colour(1), 2.2},
	})
	if err != nil {
		return nil, err
	}
	if err := addRing(panel, average, best, "lowest"); err != nil {
		return nil, err
	}
	widen(&panel.Y)
	return panel, nil
}

// outcomePlot is the panel of AUC and balanced accuracy.
func outcomePlot(p Progress, epochs int) (*plot.Plot, error) {
	panel := epochPlot("", "on validation cases", epochs)
	average, best := movingAverage(p.AUC, true)
	balanced, _ := movingAverage(p.BalancedAccuracy, true)
	err := addAll(panel, []curve{
		{"AUC", p.AUC, pale(colour(2)), 0.8},
		{"AUC, moving average", average, colour(2), 2.2},
		{"balanced accuracy, moving average", balanced, colour(3), 1.2},
	})
	if err != nil {
		return nil, err
	}
	if err := addRing(panel, average, best, "highest"); err != nil {
		return nil, err
	}
	panel.Y.Min, panel.Y.Max = math.Min(panel.Y.Min-0.03, 0.45), 1.02
	// The legend goes below the later half of the curves, where the axis makes room for it, or else to the top.
	const legend = 0.36 // of the panel's height
	lowest := 1.0
	for _, values := range [][]float64{p.AUC, average, balanced} {
		for _, v := range values[len(values)/2:] {
			if v < lowest {
				lowest = v
			}
		}
	}
	if room := (lowest - legend*panel.Y.Max) / (1 - legend); room >= 0 {
		panel.Y.Min = math.Min(panel.Y.Min, room)
		panel.Legend.Top, panel.Legend.YOffs = false, 6
	}
	return panel, nil
}

// epochPlot is an empty panel over epochs.
func epochPlot(title, y string, epochs int) *plot.Plot {
	p := newPlot(title, "epoch", y)
	addGrid(p)
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.YOffs = -10, -6
	p.X.Min, p.X.Max = 1, math.Max(2, float64(epochs))
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{whole: true}, ticks{}
	return p
}

// curve is a value of every epoch and how it is drawn.
type curve struct {
	name   string
	values []float64
	colour color.RGBA
	width  vg.Length
}

func addAll(p *plot.Plot, curves []curve) error {
	for _, c := range curves {
		if err := addSeries(p, c.values, draw.LineStyle{Color: c.colour, Width: c.width}, c.name); err != nil {
			return err
		}
	}
	return nil
}

// addRing marks the best value of a series.
func addRing(p *plot.Plot, values []float64, best int, name string) error {
	if best < 0 {
		return nil
	}
	dot, err := plotter.NewScatter(plotter.XYs{{X: float64(best + 1), Y: values[best]}})
	if err != nil {
		return err
	}
	dot.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: 4.5, Shape: draw.RingGlyph{}}
	p.Add(dot)
	p.Legend.Add(fmt.Sprintf("%s: %.3f after epoch %d", name, values[best], best+1), dot)
	return nil
}

// pale is a colour that lets the background through.
func pale(c color.RGBA) color.RGBA {
	const alpha = 0xb0
	premultiplied := func(v uint8) uint8 { return uint8(int(v) * alpha / 0xff) }
	return color.RGBA{R: premultiplied(c.R), G: premultiplied(c.G), B: premultiplied(c.B), A: alpha}
}

func anyFinite(values []float64) bool {
	return slices.ContainsFunc(values, func(v float64) bool { return numeric.Finite(v) })
}

// movingAverage averages the past at every epoch and returns at which (from 0) the average was highest or else lowest;
// -1 if it never was a number. Values that are not finite are passed over.
func movingAverage(values []float64, highest bool) (average []float64, best int) {
	average, best = make([]float64, len(values)), -1
	last := math.NaN()
	for i, v := range values {
		switch {
		case !numeric.Finite(v):
		case math.IsNaN(last):
			last = v
		default:
			last = averageWeight*last + (1-averageWeight)*v
		}
		average[i] = last
		if !math.IsNaN(last) && (best < 0 || highest && last > average[best] || !highest && last < average[best]) {
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
		if numeric.Finite(v) {
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
