package report

import (
	"fmt"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// calibrationBins is the number of equal ranges of probability that cases are counted in.
const calibrationBins = 5

// Calibration draws, to path (PNG), the share of cases that are of a class against the probability that the model gave
// it: one point with its 95 % interval (evaluate.Share) per fifth of the probabilities that holds cases. at is the
// label's place among the targets of the predictions.
func Calibration(path string, l evaluate.LabelReport, at int, predictions []evaluate.Prediction) error {
	p := newPlot("Calibration: "+l.Name, "predicted probability", "share of cases of the class")
	unitAxes(p)
	addGrid(p)
	if err := addLine(p, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}}, grey, 1, "", vg.Points(5), vg.Points(4)); err != nil {
		return err
	}
	for i, v := range l.Values {
		points, bars := calibrationPoints(v.Value, at, predictions)
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, line.Width = colour(i), 2
		dots.GlyphStyle = draw.GlyphStyle{Color: colour(i), Radius: 4, Shape: draw.CircleGlyph{}}
		whiskers, err := plotter.NewYErrorBars(struct {
			plotter.XYs
			plotter.YErrors
		}{points, bars})
		if err != nil {
			return err
		}
		whiskers.Color = colour(i)
		p.Add(whiskers, line, dots)
		p.Legend.Add(fmt.Sprintf("%s: %d of %d cases", v.Name, v.Positives, l.Cases), line, dots)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = 10, -10
	return save(path, width, height, p.Draw)
}

// calibrationPoints are (mean probability, share of the class) of each range with cases, and their intervals.
func calibrationPoints(class, at int, predictions []evaluate.Prediction) (plotter.XYs, plotter.YErrors) {
	var sums [calibrationBins]float64
	var hits [calibrationBins][]bool
	var patients [calibrationBins][]string
	for _, c := range predictions {
		probability := c.Probabilities[at][class]
		bin := calibrationBin(probability)
		sums[bin] += probability
		hits[bin], patients[bin] = append(hits[bin], c.Targets[at] == class), append(patients[bin], c.Patient)
	}
	var points plotter.XYs
	var bars plotter.YErrors
	for bin := range hits {
		n := len(hits[bin])
		if n == 0 {
			continue
		}
		e := evaluate.Share(hits[bin], patients[bin])
		points = append(points, plotter.XY{X: sums[bin] / float64(n), Y: float64(e.Value)})
		bars = append(bars, struct{ Low, High float64 }{float64(e.Value - e.Low), float64(e.High - e.Value)})
	}
	return points, bars
}

// calibrationBin is the range that a probability belongs to.
func calibrationBin(probability float64) int {
	return max(0, min(int(probability*calibrationBins), calibrationBins-1))
}
