package paper

import (
	"fmt"

	"github.com/universal-classifier/uc/internal/chart"
	"github.com/universal-classifier/uc/internal/figure"
	"github.com/universal-classifier/uc/internal/report"
)

// drawing is a figure with the name of its files and a caption.
type drawing struct {
	name, caption string
	figure        *figure.Figure
}

// figures are those of every label, and the course of the trainings.
func (f *Facts) figures() []drawing {
	var all []drawing
	names := report.FileNames(f.Report.Labels)
	for at, l := range f.Report.Labels {
		for _, d := range []drawing{
			{"roc_" + names[at], fmt.Sprintf("ROC curves of %s with pointwise 95 %% bootstrap bands. The dot marks the sensitivity and specificity of the predicted classes with 95 %% intervals.", l.Name),
				chart.ROC(l, at, f.Report.Predictions)},
			{"confusion_" + names[at], fmt.Sprintf("Confusion matrix of %s: cases by true class (rows) and predicted class (columns), with the share of the row.", l.Name), chart.Confusion(l)},
			{"calibration_" + names[at], fmt.Sprintf("Calibration of %s: share of cases of the class by predicted probability, with 95 %% intervals.", l.Name), chart.Calibration(l)},
			{"decision_" + names[at], fmt.Sprintf("Decision curve of %s: net benefit by threshold of the probability.", l.Name), chart.DecisionCurve(l)},
		} {
			if d.figure != nil {
				all = append(all, d)
			}
		}
	}
	if course := chart.Trainings(f.Trainings); course != nil {
		all = append(all, drawing{"training", "Course of the trainings: losses on training (pale) and validation cases by epoch, and area under the ROC curve on the validation cases.", course})
	}
	return all
}
