// Package chart shows the results of evaluations and trainings as figures.
package chart

import (
	"fmt"
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/figure"
)

// side is the height of panels whose axes both go from 0 to 1, so that they are about square.
const side = 335

// diagonal is the line of chance, or of perfect calibration.
func diagonal() figure.Line {
	return figure.Line{Points: []figure.Point{{X: 0, Y: 0}, {X: 1, Y: 1}}, Colour: figure.Grey, Width: 1, Dashed: true}
}

// ROC shows the curves of a label's classes with their pointwise 95 % bands, areas and intervals, and the sensitivity
// and specificity of the predicted classes with theirs. at is the label's place among the targets of the predictions.
// A class whose curve is not defined is named in the legend with the reason.
func ROC(l evaluate.LabelReport, at int, predictions []evaluate.Prediction) *figure.Figure {
	p := figure.Panel{X: figure.Unit("1 - specificity"), Y: figure.Unit("sensitivity"), Height: side, Marks: []figure.Mark{diagonal()}}
	var bands, curves, points []figure.Mark
	for i, v := range l.Values {
		if v.ROC == nil {
			curves = append(curves, figure.Note{Text: fmt.Sprintf("%s: no curve, %s", v.Name, v.AUC.Why), Colour: figure.Series(i)})
			continue
		}
		truth, scores, patients := oneClass(v.Value, at, predictions)
		// Where all resamples give one curve, as if it were certain, there is no band; the area's interval has a method of
		// its own there.
		if b, err := evaluate.BandOfROC(truth, scores, patients); err == nil && v.AUC.Method != evaluate.MethodNewcombe {
			bands = append(bands, figure.Band{X: b.FPR, Low: b.Low, High: b.High, Colour: figure.Series(i)})
		}
		line := figure.Line{Name: fmt.Sprintf("%s: AUC %s, %d of %d cases", v.Name, v.AUC, v.Positives, l.Cases), Colour: figure.Series(i)}
		for k := range v.ROC.FPR {
			line.Points = append(line.Points, figure.Point{X: v.ROC.FPR[k], Y: v.ROC.TPR[k]})
		}
		curves = append(curves, line)
		points = append(points, figure.Dots{
			At:     []figure.Point{{X: 1 - float64(v.Specificity.Value), Y: float64(v.Sensitivity.Value)}},
			X:      []figure.Range{{Low: 1 - float64(v.Specificity.High), High: 1 - float64(v.Specificity.Low)}},
			Y:      []figure.Range{{Low: float64(v.Sensitivity.Low), High: float64(v.Sensitivity.High)}},
			Labels: []string{fmt.Sprintf("%s: sensitivity %s, specificity %s", v.Name, v.Sensitivity, v.Specificity)},
			Colour: figure.Series(i),
		})
	}
	p.Marks = slices.Concat(p.Marks, bands, curves, points)
	return &figure.Figure{
		Title: "ROC curves of " + l.Name,
		Description: "Sensitivity against 1 - specificity for every threshold of the probability, with pointwise 95 % bootstrap bands (none where the curve is perfect); " +
			"the dot is where the most probable class is predicted, with 95 % intervals. A curve along the dashed diagonal is no better than chance.",
		Panels: []figure.Panel{p},
	}
}

// oneClass are the cases as one class against the rest.
func oneClass(class, at int, predictions []evaluate.Prediction) (truth []bool, scores []float64, patients []string) {
	for _, c := range predictions {
		truth = append(truth, c.Targets[at] == class)
		scores = append(scores, c.Probabilities[at][class])
		patients = append(patients, c.Patient)
	}
	return truth, scores, patients
}

// Calibration shows for every class the share of cases of the class against the probability that was predicted, per
// bin of probabilities with its 95 % interval: before calibration and, where there is one, after. It is nil where the
// calibration was not measured.
func Calibration(l evaluate.LabelReport) *figure.Figure {
	if l.Calibration == nil {
		return nil
	}
	f := &figure.Figure{
		Title: "Calibration of " + l.Name,
		Description: "Share of cases of the class against the mean predicted probability, per bin, with 95 % intervals. " +
			"Points on the dashed diagonal are well calibrated; below it, the probabilities are too high.",
	}
	add := func(title string, m *evaluate.CalibrationMeasures) {
		p := figure.Panel{Title: title, X: figure.Unit("predicted probability"), Y: figure.Unit("share of cases"), Height: side, Marks: []figure.Mark{diagonal()}}
		for i, class := range m.Classes {
			d := figure.Dots{Name: class.Name, Colour: figure.Series(i)}
			for _, b := range class.Bins {
				d.At = append(d.At, figure.Point{X: float64(b.Probability), Y: float64(b.Share.Value)})
				d.Y = append(d.Y, figure.Range{Low: float64(b.Share.Low), High: float64(b.Share.High)})
				d.Labels = append(d.Labels, fmt.Sprintf("%s: %s of %d cases at a mean probability of %s", class.Name, b.Share, b.Cases, b.Probability))
			}
			p.Marks = append(p.Marks, figure.Line{Points: d.At, Colour: d.Colour}, d)
		}
		p.Marks = append(p.Marks, figure.Note{Text: fmt.Sprintf("expected calibration error %s", m.ECE), Colour: figure.Grey})
		f.Panels = append(f.Panels, p)
	}
	if l.Calibration.After == nil {
		add("", &l.Calibration.Before)
		return f
	}
	add("as predicted", &l.Calibration.Before)
	add("after temperature scaling", l.Calibration.After)
	return f
}

// DecisionCurve shows the net benefit of every class that has one; it is nil if none has.
func DecisionCurve(l evaluate.LabelReport) *figure.Figure {
	f := &figure.Figure{
		Title: "Decision curve of " + l.Name,
		Description: "Net benefit against the threshold of the probability at which one would act, with its 95 % interval. " +
			"The network is useful where its curve lies above acting on all cases and above acting on none (0).",
	}
	for i, v := range l.Values {
		d := v.DecisionCurve
		if d == nil {
			continue
		}
		p := figure.Panel{X: figure.Unit("threshold of the probability of " + v.Name), Y: figure.Axis{Label: "net benefit"}}
		x := floats(d.Thresholds)
		// Acting on all cases falls without end towards a threshold of 1; the axis follows the network.
		low, high := 0.0, 0.0
		for _, values := range [][]evaluate.Number{d.Model, d.High} {
			for _, y := range values {
				if y.Defined() {
					low, high = min(low, float64(y)), max(high, float64(y))
				}
			}
		}
		span := max(high-low, 1e-3)
		p.Y.Min, p.Y.Max = max(low-0.05*span, -0.3*max(high, 1e-3)), high+0.05*span
		if len(d.Low) == len(x) && len(d.High) == len(x) {
			p.Marks = append(p.Marks, figure.Band{X: x, Low: floats(d.Low), High: floats(d.High), Colour: figure.Series(i)})
		}
		name := "network"
		if d.Calibrated {
			name = "network, calibrated"
			p.Marks = append(p.Marks, figure.Line{Name: "network, as predicted", Points: along(x, d.Raw), Colour: figure.Series(i), Pale: true})
		}
		p.Marks = append(p.Marks,
			figure.Line{Name: "act on all cases", Points: along(x, d.TreatAll), Colour: figure.Grey, Width: 1},
			figure.Line{Name: "act on none", Points: []figure.Point{{X: 0}, {X: 1}}, Colour: figure.Grey, Width: 1, Dashed: true},
			figure.Line{Name: name, Points: along(x, d.Model), Colour: figure.Series(i)})
		f.Panels = append(f.Panels, p)
	}
	if f.Panels == nil {
		return nil
	}
	return f
}

func floats(numbers []evaluate.Number) []float64 {
	values := make([]float64, len(numbers))
	for i, n := range numbers {
		values[i] = float64(n)
	}
	return values
}

// along joins values to their places; a value that is missing is a gap.
func along(x []float64, y []evaluate.Number) []figure.Point {
	points := make([]figure.Point, len(x))
	for i := range x {
		points[i] = figure.Point{X: x[i], Y: math.NaN()}
		if i < len(y) {
			points[i].Y = float64(y[i])
		}
	}
	return points
}

// Confusion shows how many cases of each true class (row) were given each class (column), shaded by the share of the
// row.
func Confusion(l evaluate.LabelReport) *figure.Figure {
	n := len(l.ClassNames)
	p := figure.Panel{X: figure.Axis{Label: "predicted class", Min: -0.5, Max: float64(n) - 0.5, Bare: true},
		Y: figure.Axis{Label: "true class", Min: -0.5, Max: float64(n) - 0.5, Bare: true}}
	size := min(14, 90/float64(max(n, 1)))
	for row, counts := range l.Confusion {
		y := float64(n - 1 - row)
		p.X.Ticks = append(p.X.Ticks, figure.Tick{Value: float64(row), Label: l.ClassNames[row]})
		p.Y.Ticks = append(p.Y.Ticks, figure.Tick{Value: y, Label: l.ClassNames[row]})
		total := 0
		for _, count := range counts {
			total += count
		}
		for column, count := range counts {
			share := 0.0
			if total > 0 {
				share = float64(count) / float64(total)
			}
			x, words := float64(column), figure.Ink
			if share > 0.5 {
				words = figure.White
			}
			p.Marks = append(p.Marks,
				figure.Box{From: figure.Point{X: x - 0.48, Y: y - 0.48}, To: figure.Point{X: x + 0.48, Y: y + 0.48},
					Fill:  figure.Colour{0xf2, 0xf5, 0xf9}.Towards(figure.Series(0), share),
					Label: fmt.Sprintf("%d of %d cases of %s predicted as %s", count, total, l.ClassNames[row], l.ClassNames[column])},
				figure.Words{At: figure.Point{X: x, Y: y}, Text: fmt.Sprint(count), Size: size, Bold: true, Colour: words, Shift: -0.4 * size},
				figure.Words{At: figure.Point{X: x, Y: y}, Text: fmt.Sprintf("%.0f %%", 100*share), Size: 0.65 * size, Colour: words, Shift: 0.65 * size})
		}
	}
	return &figure.Figure{
		Title:       "Confusion matrix of " + l.Name,
		Description: "Cases by true class (row) and predicted class (column); the shade is the share of the row.",
		Panels:      []figure.Panel{p},
	}
}

// Training is what the epochs of a fold brought, one value each; NaN where an epoch was not measured.
type Training struct {
	Fold                    string
	TrainLoss, ValLoss, AUC []float64
}

// Trainings shows the losses of folds, and the areas under the ROC curve of their validation cases where they were
// measured. It is nil without epochs.
func Trainings(folds []Training) *figure.Figure {
	losses := figure.Panel{X: figure.Axis{Whole: true}, Y: figure.Axis{Label: "loss"}, Height: 180}
	areas := figure.Panel{X: figure.Axis{Label: "epoch", Whole: true}, Y: figure.Axis{Label: "AUC on validation cases"}, Height: 180}
	measured, epochs := false, 0
	for _, f := range folds {
		epochs = max(epochs, len(f.TrainLoss), len(f.ValLoss))
	}
	if epochs == 0 {
		return nil
	}
	for i, f := range folds {
		c := figure.Series(i)
		losses.Marks = append(losses.Marks,
			figure.Line{Points: series(f.TrainLoss), Colour: c, Width: 1, Pale: true},
			figure.Line{Points: series(f.ValLoss), Colour: c, Width: 1.2})
		areas.Marks = append(areas.Marks, figure.Line{Name: "fold " + f.Fold, Points: series(f.AUC), Colour: c, Width: 1.2})
		measured = measured || slices.ContainsFunc(f.AUC, func(v float64) bool { return !math.IsNaN(v) })
	}
	losses.Marks = append(losses.Marks, figure.Note{Text: "pale: training, full: validation", Colour: figure.Grey})
	f := &figure.Figure{
		Title:       "Course of the trainings",
		Description: "Loss on training cases (pale) and validation cases (full) after every epoch, per fold, and the area under the ROC curve on the validation cases.",
		Panels:      []figure.Panel{losses},
	}
	for _, p := range []*figure.Panel{&losses, &areas} {
		p.X.Min, p.X.Max = 1, max(2, float64(epochs))
	}
	if measured {
		f.Panels = append(f.Panels, areas)
	} else {
		losses.X.Label = "epoch"
		for i, t := range folds {
			losses.Marks = append(losses.Marks, figure.Line{Name: "fold " + t.Fold, Colour: figure.Series(i)})
		}
	}
	f.Panels[0] = losses
	return f
}

// series are values over their epoch, counted from 1.
func series(values []float64) []figure.Point {
	points := make([]figure.Point, len(values))
	for i, v := range values {
		points[i] = figure.Point{X: float64(i + 1), Y: v}
	}
	return points
}
