package universalclassifier

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/universal-classifier/uc/internal/covariate"
	"github.com/universal-classifier/uc/internal/crossvalidation"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/subgroup"
	"github.com/universal-classifier/uc/internal/task"
)

// EvaluateOptions say which folds are measured, and by what; the zero value is the default.
type EvaluateOptions struct {
	Folds []Fold // default: those of the task's splits and whichever others are trained, but not AllCases

	// Covariates is a CSV file with a column case, or patient, and one per covariate, in addition to what dataset.json
	// says of the cases. Groups say how covariates are cut into subgroups, where they are not cut as they are by default:
	// "age:50,70" (at these values), "age:q4" (four groups of about one size), "grade:category" or "grade:number".
	Covariates string
	Groups     []string

	Logger *slog.Logger
}

// Evaluation is how well cases were predicted. Numbers that are not defined, as an area under the curve where all cases
// are of one class, are NaN.
type Evaluation struct {
	Task         string
	Cases        int
	Patients     int  // whom the cases are of; 0 where dataset.json does not say
	Clustered    bool // intervals take the cases of a patient together
	Folds        []Fold
	MissingFolds []Fold // that have no validation, so that their cases are not in the results
	Warnings     []string
	Labels       []LabelEvaluation
	PerFold      []FoldEvaluation // of a cross-validation
}

// FoldEvaluation is how well the validation cases of one fold were predicted.
type FoldEvaluation struct {
	Fold   Fold
	Cases  int
	Labels []LabelEvaluation
}

// LabelEvaluation is how well a classification label was predicted. The predicted class is that of the highest
// probability.
type LabelEvaluation struct {
	Name             string
	Cases            int
	Accuracy         Estimate
	BalancedAccuracy float64
	MacroAUC         float64 // mean of the areas of each class against all others
	Classes          []string
	Confusion        [][]int // (true class, predicted class)
	Values           []ValueEvaluation
	Baselines        []BaselineEvaluation // of a cross-validation
	Groupings        []Grouping           // by site and covariate, where they are known; none in FoldEvaluation
}

// ValueEvaluation is how well one class was told from all others. A label with two classes has one, of class 1.
type ValueEvaluation struct {
	Class                    int
	Name                     string
	Positives, Negatives     int
	AUC                      Estimate // area under the ROC curve
	AveragePrecision         float64
	Accuracy                 Estimate
	BalancedAccuracy         float64
	Sensitivity, Specificity Estimate
}

// BaselineEvaluation is what a logistic regression on a few plain numbers of each case reaches, such as the volume of
// the region of interest: what a network must surpass to have learned more than these.
type BaselineEvaluation struct {
	Name             string
	Features         []string
	Accuracy         Estimate
	BalancedAccuracy float64
	MacroAUC         float64
	Values           []BaselineValue // parallel to those of the label
}

// BaselineValue is how well a baseline told one class from all others, next to the network.
type BaselineValue struct {
	Class      int
	Name       string
	AUC        Estimate
	Difference Estimate // area of the network minus that of the baseline
	P          float64  // that they are equal, two-sided
}

// Estimate is a measure with its 95 % confidence interval.
type Estimate struct {
	Value, Low, High float64
	Method           string // of the interval
	Why              string // why the measure is not defined
}

// Evaluate pools the validations of the trained folds of a task, given by id or full name: every case was predicted by
// a network that has not seen it. It is what the command evaluate shows; no file is written.
func (w *Workspace) Evaluate(ctx context.Context, taskName string, o EvaluateOptions) (*Evaluation, error) {
	name, err := task.FindName(w.folders, taskName)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, public(fmt.Errorf("%s: evaluation: %w", name, err))
	}
	rules, err := covariate.ParseRules(o.Groups)
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	known, err := crossvalidation.Covariates(w.folders, name, o.Covariates)
	if err != nil {
		return nil, err
	}
	r := reporter(nil, o.Logger, "task", name)
	result, err := crossvalidation.Measure(crossvalidation.Options{
		Folders: w.folders, Task: name, Trainer: task.DefaultTrainer, Plans: task.DefaultPlans, Folds: names(o.Folds), Covariates: known,
		Warn: func(err error) { r.Warn("the validations are not compared with the task of today: %v", err) },
	})
	if err != nil {
		return nil, public(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, public(fmt.Errorf("%s: evaluation: %w", name, err))
	}
	report := result.Report
	if result.NoBaselines != nil {
		report.Warnings = append(report.Warnings, fmt.Sprintf("no baselines: %v", result.NoBaselines))
	}
	if known == nil {
		if known, err = subgroup.Known(report, o.Covariates); err != nil {
			return nil, err
		}
	}
	for _, note := range known.Notes {
		r.Note("%s", note)
	}
	if err := subgroup.Add(report, known, rules); err != nil {
		return nil, err
	}
	return evaluation(report), nil
}

func evaluation(r *evaluate.Report) *Evaluation {
	e := &Evaluation{
		Task: r.Task, Cases: r.Cases, Patients: r.Patients, Clustered: r.Clustered,
		Folds: folds(r.Folds), MissingFolds: folds(r.MissingFolds), Warnings: r.Warnings, Labels: labelEvaluations(r.Labels),
	}
	for _, f := range r.PerFold {
		e.PerFold = append(e.PerFold, FoldEvaluation{folds([]string{f.Fold})[0], f.Cases, labelEvaluations(f.Labels)})
	}
	return e
}

func labelEvaluations(reports []evaluate.LabelReport) []LabelEvaluation {
	var out []LabelEvaluation
	for _, l := range reports {
		e := LabelEvaluation{
			Name: l.Name, Cases: l.Cases, Accuracy: estimate(l.Accuracy), BalancedAccuracy: float64(l.BalancedAccuracy), MacroAUC: float64(l.MacroAUC),
			Classes: l.ClassNames, Confusion: l.Confusion,
		}
		for _, v := range l.Values {
			e.Values = append(e.Values, ValueEvaluation{
				v.Value, v.Name, v.Positives, v.Negatives, estimate(v.AUC), float64(v.AveragePrecision),
				estimate(v.Accuracy), float64(v.BalancedAccuracy), estimate(v.Sensitivity), estimate(v.Specificity),
			})
		}
		for _, b := range l.Baselines {
			baseline := BaselineEvaluation{b.Name, b.Features, estimate(b.Accuracy), float64(b.BalancedAccuracy), float64(b.MacroAUC), nil}
			for _, v := range b.Values {
				baseline.Values = append(baseline.Values, BaselineValue{v.Value, v.Name, estimate(v.AUC), estimate(v.Difference), float64(v.P)})
			}
			e.Baselines = append(e.Baselines, baseline)
		}
		e.Groupings = groupings(l.Subgroups)
		out = append(out, e)
	}
	return out
}

func estimate(e evaluate.Estimate) Estimate {
	return Estimate{float64(e.Value), float64(e.Low), float64(e.High), e.Method, e.Why}
}
