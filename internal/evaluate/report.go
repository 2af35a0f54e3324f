// Package evaluate measures predictions against targets, with confidence intervals, for one fold or a cross-validation.
package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/universal-classifier/uc/internal/drift"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/task"
)

// Number is a measure that may be undefined (NaN), which JSON holds as null.
type Number float64

var undefined = Number(math.NaN())

// Undefined is a measure that has no value, and why.
func Undefined(why string) Estimate {
	return Estimate{Value: undefined, Low: undefined, High: undefined, Why: why}
}

// Defined reports whether the number has a value.
func (n Number) Defined() bool { return !math.IsNaN(float64(n)) }

// MarshalJSON writes null for an undefined number.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Defined() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as an undefined number.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = undefined
		return nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("found %s, expected a number or null", b)
	}
	*n = Number(v)
	return nil
}

// Estimate is a measure with its 95 % confidence interval and how that was computed. Why says in words why a measure
// is not defined.
type Estimate struct {
	Value  Number `json:"value"`
	Low    Number `json:"low"`
	High   Number `json:"high"`
	Method string `json:"method,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Report is the performance over a set of cases.
type Report struct {
	Task         string        `json:"task,omitempty"`
	Model        string        `json:"model,omitempty"`
	Cases        int           `json:"cases"`
	Patients     int           `json:"patients,omitempty"`  // whom they are of, where that is known
	Clustered    bool          `json:"clustered,omitempty"` // intervals take the cases of a patient together
	Folds        []string      `json:"folds,omitempty"`
	MissingFolds []string      `json:"missing_folds,omitempty"`
	Warnings     []string      `json:"warnings,omitempty"`
	Labels       []LabelReport `json:"labels"`
	PerFold      []FoldReport  `json:"per_fold,omitempty"`

	External bool               `json:"external,omitempty"` // the cases are those of an external test set
	Drift    []drift.Difference `json:"drift,omitempty"`    // of these from the training cases

	MadeFrom provenance.Sources `json:"made_from,omitempty"` // digests of the networks

	// Predictions are the cases the report is about, sorted by case id.
	Predictions []Prediction `json:"-"`
}

// FoldReport is the performance on the validation cases of one fold.
type FoldReport struct {
	Fold   string        `json:"fold"`
	Cases  int           `json:"cases"`
	Labels []LabelReport `json:"labels"`
}

// LabelReport is the performance on one classification label. The predicted class is the one of the highest
// probability.
type LabelReport struct {
	Name             string        `json:"name"`
	Cases            int           `json:"cases"`
	Accuracy         Estimate      `json:"accuracy"`
	BalancedAccuracy Number        `json:"balanced_accuracy"`
	MacroAUC         Number        `json:"macro_auc"` // one-versus-rest mean; not defined if a class has no case
	ClassNames       []string      `json:"class_names"`
	Confusion        [][]int       `json:"confusion"` // (true class, predicted class)
	Values           []ValueReport `json:"values"`

	// Baselines are what plain numbers of the cases reach on the label; none for a fold.
	Baselines []BaselineReport `json:"baselines,omitempty"`

	// Subgroups are the groups of cases by site and covariates; none for a fold.
	Subgroups []Grouping `json:"subgroups,omitempty"`

	// What the probabilities mean, and how well doubt is known; of all cases together, not of a fold.
	Calibration *CalibrationReport `json:"calibration,omitempty"`
	Ordinal     *OrdinalReport     `json:"ordinal,omitempty"` // of a label whose classes have an order
	Doubt       *DoubtReport       `json:"doubt,omitempty"`
}

// ValueReport is the performance on one class against all others. A label with two classes has one, of class 1: that of
// class 0 would be its mirror image.
type ValueReport struct {
	Value            int      `json:"value"`
	Name             string   `json:"name"`
	Positives        int      `json:"positives"`
	Negatives        int      `json:"negatives"`
	AUC              Estimate `json:"auc"`
	AveragePrecision Number   `json:"average_precision"`
	Accuracy         Estimate `json:"accuracy"`
	BalancedAccuracy Number   `json:"balanced_accuracy"`
	Sensitivity      Estimate `json:"sensitivity"`
	Specificity      Estimate `json:"specificity"`
	Confusion        [][]int  `json:"confusion"` // [[true negatives, false positives], [false negatives, true positives]]
	ROC              *Curve   `json:"roc,omitempty"`

	Thresholds    []ThresholdReport `json:"thresholds,omitempty"`
	DecisionCurve *DecisionCurve    `json:"decision_curve,omitempty"`
}

// Evaluate measures predictions of every label. Cases whose targets or probabilities are missing or broken are left out
// with a warning; nothing about the data makes it fail.
func Evaluate(labels []task.Label, predictions []Prediction) *Report {
	r := &Report{Labels: []LabelReport{}}
	for _, p := range predictions {
		if p.Probabilities == nil {
			for _, logits := range p.Logits {
				p.Probabilities = append(p.Probabilities, Softmax(logits))
			}
		}
		if err := p.check(labels); err != nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("case %s: %v; left out", p.Case, err))
			continue
		}
		r.Predictions = append(r.Predictions, p)
		if p.Fold != "" && !slices.Contains(r.Folds, p.Fold) {
			r.Folds = append(r.Folds, p.Fold)
		}
	}
	slices.SortStableFunc(r.Predictions, func(a, b Prediction) int { return compareNames(a.Case, b.Case) })
	slices.SortFunc(r.Folds, compareNames)
	r.Cases = len(r.Predictions)
	if patients := patientsOf(r.Predictions); slices.ContainsFunc(patients, func(p string) bool { return p != "" }) {
		r.Patients, r.Clustered = CountPatients(patients), Clustered(patients)
	}
	for at, label := range labels {
		l := evaluateLabel(label, at, r.Predictions)
		for _, v := range l.Values {
			if v.AUC.Why != "" {
				r.Warnings = append(r.Warnings, fmt.Sprintf("%s = %s: area under the ROC curve not defined: %s",
					label.Name, v.Name, v.AUC.Why))
			}
		}
		r.Labels = append(r.Labels, l)
	}
	return r
}

// check says what keeps a prediction from being measured.
func (p Prediction) check(labels []task.Label) error {
	if len(p.Targets) != len(labels) {
		return fmt.Errorf("%d targets, but there are %d classification labels", len(p.Targets), len(labels))
	}
	if len(p.Probabilities) != len(labels) {
		return fmt.Errorf("probabilities of %d labels, but there are %d classification labels", len(p.Probabilities), len(labels))
	}
	for i, label := range labels {
		classes := len(label.Values)
		if len(p.Probabilities[i]) != classes {
			return fmt.Errorf("label %s: %d probabilities, but it has %d classes", label.Name, len(p.Probabilities[i]), classes)
		}
		if t := p.Targets[i]; t < 0 || t >= classes {
			return fmt.Errorf("label %s: target %d, but its classes are 0 to %d", label.Name, t, classes-1)
		}
		for class, v := range p.Probabilities[i] {
			if !numeric.Finite(v) {
				return fmt.Errorf("label %s: the probability of class %d is %v", label.Name, class, v)
			}
		}
	}
	return nil
}

// patientsOf are the patients of predictions.
func patientsOf(predictions []Prediction) []string {
	patients := make([]string, len(predictions))
	for i, p := range predictions {
		patients[i] = p.Patient
	}
	return patients
}

// shareRight is the share of the cases whose class is predicted.
func shareRight(targets, predicted []int, patients []string) Estimate {
	right := make([]bool, len(targets))
	for i, t := range targets {
		right[i] = predicted[i] == t
	}
	return Share(right, patients)
}

func evaluateLabel(label task.Label, at int, predictions []Prediction) LabelReport {
	classes := len(label.Values)
	targets := make([]int, len(predictions))
	predicted := make([]int, len(predictions))
	probabilities := make([][]float64, len(predictions))
	patients := patientsOf(predictions)
	for i, p := range predictions {
		targets[i], probabilities[i] = p.Targets[at], p.Probabilities[at]
		predicted[i] = Argmax(probabilities[i])
	}
	confusion := Confusion(targets, predicted, classes)
	l := LabelReport{
		Name:             label.Name,
		Cases:            len(predictions),
		Accuracy:         shareRight(targets, predicted, patients),
		BalancedAccuracy: Number(BalancedAccuracy(confusion)),
		ClassNames:       label.Values,
		Confusion:        confusion,
	}
	first := 0
	if classes == 2 {
		first = 1
	}
	for class := first; class < classes; class++ {
		v := evaluateClass(class, targets, predicted, column(probabilities, class), patients)
		v.Name = label.Values[class]
		l.Values = append(l.Values, v)
	}
	macro, err := MacroAUC(targets, probabilities, classes)
	if err != nil {
		macro = math.NaN() // the classes say why
	}
	l.MacroAUC = Number(macro)
	return l
}

func evaluateClass(class int, targets, predicted []int, scores []float64, patients []string) ValueReport {
	truth := isClass(targets, class)
	confusion := [][]int{{0, 0}, {0, 0}}
	var right [3][]bool   // all cases, negative ones, positive ones
	var whose [3][]string // their patients
	for i, positive := range truth {
		confusion[index(positive)][index(predicted[i] == class)]++
		for _, k := range []int{0, 1 + index(positive)} {
			right[k], whose[k] = append(right[k], positive == (predicted[i] == class)), append(whose[k], patients[i])
		}
	}
	v := ValueReport{
		Value:            class,
		Positives:        sum(confusion[1]),
		Negatives:        sum(confusion[0]),
		AveragePrecision: undefined,
		Accuracy:         Share(right[0], whose[0]),
		BalancedAccuracy: Number(BalancedAccuracy(confusion)),
		Sensitivity:      Share(right[2], whose[2]),
		Specificity:      Share(right[1], whose[1]),
		Confusion:        confusion,
	}
	auc, err := ClusteredAUC(truth, scores, patients)
	v.AUC = auc
	switch {
	case err == nil:
	case len(truth) == 0:
		v.AUC.Why = "no cases"
	case errors.Is(err, ErrOneClass) && v.Positives == 0:
		v.AUC.Why = fmt.Sprintf("none of the %d cases is of this class", len(truth))
	case errors.Is(err, ErrOneClass):
		v.AUC.Why = fmt.Sprintf("all of the %d cases are of this class", len(truth))
	default:
		v.AUC.Why = err.Error()
	}
	if v.Positives > 0 {
		if ap, err := AveragePrecision(truth, scores); err == nil {
			v.AveragePrecision = Number(ap)
		}
	}
	if v.Positives > 0 && v.Negatives > 0 {
		if curve, err := ROC(truth, scores, true); err == nil {
			v.ROC = &curve
		}
	}
	return v
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}
