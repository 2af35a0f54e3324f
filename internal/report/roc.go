package report

import (
	"fmt"
	"path/filepath"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// ROCPlots draws roc_<label>.png for every label of a report into dir, and returns their paths.
func ROCPlots(dir string, r *evaluate.Report) ([]string, error) {
	var paths []string
	for i, name := range fileNames(r.Labels) {
		path := filepath.Join(dir, "roc_"+name+".png")
		if err := ROC(path, r.Labels[i]); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// ROC draws the curves of a label's classes to path (PNG), each with its area and 95 % interval, and the line of
// chance. Classes whose curve is not defined stand in the legend with the reason.
func ROC(path string, l evaluate.LabelReport) error {
	p := newPlot("ROC: "+l.Name, "1 - specificity", "sensitivity")
	unitAxes(p)
	addGrid(p)
	if err := addLine(p, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}}, grey, 1, "", vg.Points(5), vg.Points(4)); err != nil {
		return err
	}
	for i, v := range l.Values {
		name := fmt.Sprintf("%s: AUC %s, %d of %d cases", v.Name, v.AUC, v.Positives, l.Cases)
		points := plotter.XYs{}
		if v.ROC == nil {
			name = fmt.Sprintf("%s: no curve, %s", v.Name, v.AUC.Why)
			points = plotter.XYs{{X: 0, Y: 0}}
		} else {
			for k := range v.ROC.FPR {
				points = append(points, plotter.XY{X: v.ROC.FPR[k], Y: v.ROC.TPR[k]})
			}
		}
		if err := addLine(p, points, colour(i), 2.2, name); err != nil {
			return err
		}
	}
	p.Legend.Top, p.Legend.Left = false, false
	p.Legend.XOffs, p.Legend.YOffs = -10, 10
	return save(path, width, height, p.Draw)
}
