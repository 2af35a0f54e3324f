package report

import (
	"math"

	"github.com/universal-classifier/uc/internal/chart"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/figure"
	"github.com/universal-classifier/uc/internal/readable"
)

// walk is a curve of a figure that the page lets the reader walk along. At is, at each point of a ROC curve, from which
// probability on a case counts as positive; of a calibration, how many cases the point stands for; of a decision curve,
// what acting on every case gains.
type walk struct {
	Name  string       `json:"name"`
	Panel int          `json:"panel"`
	X     []jsonNumber `json:"x"`
	Y     []jsonNumber `json:"y"`
	At    []jsonNumber `json:"at"`
	Low   []jsonNumber `json:"low,omitempty"`
	High  []jsonNumber `json:"high,omitempty"`
}

// drawn is a figure with its curves.
type drawn struct {
	Kind   string
	Figure *figure.Figure
	Walks  []walk
}

// figuresOf draws a label; what is not measured is left out.
func figuresOf(l evaluate.LabelReport, at int, predictions []evaluate.Prediction) []drawn {
	l = withReadableNames(l)
	all := []drawn{{"roc", chart.ROC(l, at, predictions), rocWalks(l)}}
	if l.Calibration == nil {
		l.Calibration = &evaluate.CalibrationReport{Before: plainCalibration(l, at, predictions)}
	}
	all = append(all, drawn{"calibration", chart.Calibration(l), calibrationWalks(l.Calibration)})
	if f := chart.DecisionCurve(l); f != nil {
		all = append(all, drawn{"decision", f, decisionWalks(l)})
	}
	return all
}

// withReadableNames is a copy whose names are fit to be drawn.
func withReadableNames(l evaluate.LabelReport) evaluate.LabelReport {
	l.Name = readable.Name(l.Name)
	names := make([]string, len(l.ClassNames))
	for i, name := range l.ClassNames {
		names[i] = readable.Name(name)
	}
	l.ClassNames = names
	values := make([]evaluate.ValueReport, len(l.Values))
	for i, v := range l.Values {
		v.Name = readable.Name(v.Name)
		values[i] = v
	}
	l.Values = values
	if c := l.Calibration; c != nil {
		with := *c
		with.Before.Classes = readableClasses(c.Before.Classes)
		if c.After != nil {
			after := *c.After
			after.Classes = readableClasses(after.Classes)
			with.After = &after
		}
		l.Calibration = &with
	}
	return l
}

func readableClasses(classes []evaluate.ClassCalibration) []evaluate.ClassCalibration {
	out := make([]evaluate.ClassCalibration, len(classes))
	for i, c := range classes {
		c.Name = readable.Name(c.Name)
		out[i] = c
	}
	return out
}

func rocWalks(l evaluate.LabelReport) []walk {
	var all []walk
	for _, v := range l.Values {
		if v.ROC != nil {
			all = append(all, walk{Name: v.Name, X: numbers(v.ROC.FPR), Y: numbers(v.ROC.TPR), At: numbers(v.ROC.Thresholds)})
		}
	}
	return all
}

func calibrationWalks(c *evaluate.CalibrationReport) []walk {
	panels := []evaluate.CalibrationMeasures{c.Before}
	if c.After != nil {
		panels = append(panels, *c.After)
	}
	var all []walk
	for i, m := range panels {
		for _, class := range m.Classes {
			w := walk{Name: class.Name, Panel: i}
			if len(panels) > 1 {
				w.Name += []string{", as predicted", ", after temperature scaling"}[i]
			}
			for _, b := range class.Bins {
				w.X, w.Y, w.At = append(w.X, jsonNumber(b.Probability)), append(w.Y, jsonNumber(b.Share.Value)), append(w.At, jsonNumber(b.Cases))
				w.Low, w.High = append(w.Low, jsonNumber(b.Share.Low)), append(w.High, jsonNumber(b.Share.High))
			}
			if len(w.X) > 0 {
				all = append(all, w)
			}
		}
	}
	return all
}

func decisionWalks(l evaluate.LabelReport) []walk {
	var all []walk
	for _, v := range l.Values {
		if c := v.DecisionCurve; c != nil {
			all = append(all, walk{Name: v.Name, Panel: len(all), X: ofNumbers(c.Thresholds), Y: ofNumbers(c.Model), At: ofNumbers(c.TreatAll), Low: ofNumbers(c.Low), High: ofNumbers(c.High)})
		}
	}
	return all
}

func ofNumbers(values []evaluate.Number) []jsonNumber {
	out := make([]jsonNumber, len(values))
	for i, v := range values {
		out[i] = jsonNumber(v)
	}
	return out
}

// plainCalibration is the calibration as the PNG shows it, for a report in which it is not measured.
func plainCalibration(l evaluate.LabelReport, at int, predictions []evaluate.Prediction) evaluate.CalibrationMeasures {
	m := evaluate.CalibrationMeasures{ECE: evaluate.Estimate{Value: evaluate.Number(math.NaN())}}
	for _, v := range l.Values {
		class := evaluate.ClassCalibration{Value: v.Value, Name: v.Name}
		points, bars := calibrationPoints(v.Value, at, predictions)
		var cases [calibrationBins]int
		for _, c := range predictions {
			cases[calibrationBin(c.Probabilities[at][v.Value])]++
		}
		for i, p := range points {
			low, high := bars.YError(i)
			class.Bins = append(class.Bins, evaluate.CalibrationBin{Cases: cases[calibrationBin(p.X)], Probability: evaluate.Number(p.X),
				Share: evaluate.Estimate{Value: evaluate.Number(p.Y), Low: evaluate.Number(p.Y - low), High: evaluate.Number(p.Y + high)}})
		}
		m.Classes = append(m.Classes, class)
	}
	return m
}

// maxConfusion is up to how many classes the cells of a confusion matrix are shaded.
const maxConfusion = 12

// share is that of a row of the confusion matrix.
func share(row []int, at int) float64 {
	sum := 0
	for _, n := range row {
		sum += n
	}
	if sum == 0 {
		return 0
	}
	return float64(row[at]) / float64(sum)
}
