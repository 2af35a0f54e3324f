package evaluate

import (
	"fmt"
	"strings"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/weighted"
)

// Names of the baselines, in the order of the reports: what they know of a case.
const (
	BaselineFrequency   = "class frequency"
	BaselineROIVolume   = "ROI volume"
	BaselineImageVolume = "image volume"
	BaselineROIMean     = "ROI mean intensity"
	BaselineImageMean   = "image mean intensity"
	BaselineAll         = "all volumes and intensities"
	BaselineSite        = "site"
	BaselineCovariates  = "covariates"
	BaselineStacked     = "network plus covariates"
)

var baselineNames = []string{BaselineFrequency, BaselineROIVolume, BaselineImageVolume, BaselineROIMean, BaselineImageMean, BaselineAll,
	BaselineSite, BaselineCovariates, BaselineStacked}

// BaselineReport is the performance of a classifier that knows a few plain numbers of each case, on the cases of the
// report and for the same label: what a network must surpass to have learned more than these numbers.
type BaselineReport struct {
	Name             string          `json:"name"`
	Features         []string        `json:"features"`
	WithNetwork      bool            `json:"with_network,omitempty"` // it also knows the network's out-of-fold logits: no baseline for the network, but a rival
	Accuracy         Estimate        `json:"accuracy"`
	BalancedAccuracy Number          `json:"balanced_accuracy"`
	MacroAUC         Number          `json:"macro_auc"`
	Values           []BaselineValue `json:"values"` // parallel to LabelReport.Values
}

// BaselineValue is a baseline's performance on one class against all others, next to the network's.
type BaselineValue struct {
	Value      int      `json:"value"`
	Name       string   `json:"name"`
	AUC        Estimate `json:"auc"`
	Difference Estimate `json:"network_minus_baseline"` // of the areas
	P          Number   `json:"p"`                      // that they are equal, two-sided

	Bootstrap Estimate `json:"network_minus_baseline_bootstrap,omitzero"` // the difference with an interval over resampled patients
}

// AddBaseline measures a baseline on the cases of the report. probabilities are, for each of r.Predictions, (labels,
// classes).
func (r *Report) AddBaseline(name string, features []string, probabilities [][][]float64) error {
	if len(probabilities) != len(r.Predictions) {
		return fmt.Errorf("baseline %s: probabilities of %d cases, but the report is about %d", name, len(probabilities), len(r.Predictions))
	}
	patients := patientsOf(r.Predictions)
	for at := range r.Labels {
		l := &r.Labels[at]
		targets, of, network := make([]int, len(r.Predictions)), make([][]float64, len(r.Predictions)), make([][]float64, len(r.Predictions))
		predicted := make([]int, len(r.Predictions))
		for i, p := range r.Predictions {
			targets[i], of[i], network[i] = p.Targets[at], probabilities[i][at], p.Probabilities[at]
			predicted[i] = Argmax(of[i])
		}
		confusion := Confusion(targets, predicted, len(l.ClassNames))
		b := BaselineReport{Name: name, Features: features, WithNetwork: name == BaselineStacked, Accuracy: shareRight(targets, predicted, patients), BalancedAccuracy: Number(BalancedAccuracy(confusion)), MacroAUC: undefined}
		if macro, err := MacroAUC(targets, of, len(l.ClassNames)); err == nil {
			b.MacroAUC = Number(macro)
		}
		for _, v := range l.Values {
			truth, scores := isClass(targets, v.Value), column(of, v.Value)
			auc, _ := ClusteredAUC(truth, scores, patients) // the network's area says why it is not defined
			difference, p, _ := ClusteredCompareAUC(truth, column(network, v.Value), scores, patients)
			b.Values = append(b.Values, BaselineValue{Value: v.Value, Name: v.Name, AUC: auc, Difference: difference, P: p,
				Bootstrap: resampledDifference(truth, column(network, v.Value), scores, patients)})
		}
		l.Baselines = append(l.Baselines, b)
	}
	return nil
}

// resampledDifference is the difference between two areas, the first minus the second, with the interval of the
// bootstrap over patients.
func resampledDifference(truth []bool, first, second []float64, patients []string) Estimate {
	a, errA := ROCAUC(truth, first)
	b, errB := ROCAUC(truth, second)
	if errA != nil || errB != nil {
		return Undefined("")
	}
	x, y := weighted.NewScores(truth, first), weighted.NewScores(truth, second)
	samples := bootstrap.Run(len(truth), Clusters(patients), 1, func(weights, out []float64) { out[0] = x.AUC(weights) - y.AUC(weights) })
	low, high := samples.Percentile(0)
	return Estimate{Value: Number(a - b), Low: Number(low), High: Number(high), Method: bootstrap.Method}
}

// BestBaseline is the baseline with the largest area for l.Values[at], the first of equals, and what it reaches there;
// nil if there is none or no area is defined. What also knows the network is none.
func (l LabelReport) BestBaseline(at int) (*BaselineReport, *BaselineValue) {
	var best *BaselineReport
	for i := range l.Baselines {
		b := &l.Baselines[i]
		if !b.WithNetwork && b.Values[at].AUC.Value.Defined() && (best == nil || b.Values[at].AUC.Value > best.Values[at].AUC.Value) {
			best = b
		}
	}
	if best == nil {
		return nil, nil
	}
	return best, &best.Values[at]
}

// WarnOfBaselines adds a warning for every label on which the network is not better than the best baseline of a class,
// or not so that the interval of the difference excludes 0.
func (r *Report) WarnOfBaselines() {
	for _, l := range r.Labels {
		var worse, unclear []string
		for at, v := range l.Values {
			b, of := l.BestBaseline(at)
			if b == nil || !of.Difference.Value.Defined() || of.Difference.Low > 0 {
				continue
			}
			text := fmt.Sprintf("%s: AUC %s, %s alone %s, difference %s", v.Name, v.AUC.Value, b.Name, of.AUC.Value, of.Difference)
			if of.Difference.Value <= 0 {
				worse = append(worse, text)
			} else {
				unclear = append(unclear, text)
			}
		}
		if len(worse) > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: the network is no better than a few plain numbers of each case (%s)", l.Name, strings.Join(worse, "; ")))
		}
		if len(unclear) > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: these cases do not show that the network is better than a few plain numbers of each case (%s)", l.Name, strings.Join(unclear, "; ")))
		}
	}
}

// baselineRows is one row per baseline: accuracy and the area of each class, with its interval if there is but one.
func baselineRows(l LabelReport) [][]string {
	header := []string{"baseline", "accuracy"}
	for _, v := range l.Values {
		header = append(header, "AUC "+v.Name)
	}
	rows := [][]string{header}
	for _, b := range l.Baselines {
		row := []string{b.Name, b.Accuracy.Value.String()}
		for _, v := range b.Values {
			if len(b.Values) == 1 {
				row = append(row, v.AUC.String())
			} else {
				row = append(row, v.AUC.Value.String())
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Comparison is a network against the best baseline of a class.
type Comparison struct {
	Class, Baseline string
	Difference      Estimate // of the areas, network minus baseline
	P               Number
}

// Comparisons are those of every class for which they are defined.
func (l LabelReport) Comparisons() []Comparison {
	var all []Comparison
	for at, v := range l.Values {
		if b, of := l.BestBaseline(at); b != nil {
			all = append(all, Comparison{v.Name, b.Name, of.Difference, of.P})
		}
	}
	return all
}

// bestRows is one row per class: the best baseline and by how much the network surpasses it.
func bestRows(l LabelReport) [][]string {
	rows := [][]string{{"class", "best baseline", "AUC of network minus baseline", "p"}}
	for _, c := range l.Comparisons() {
		rows = append(rows, []string{c.Class, c.Baseline, c.Difference.String(), c.P.String()})
	}
	return rows
}

// baselineColumns name the columns that CSV has for baselines.
func baselineColumns() []string {
	var names []string
	for _, n := range baselineNames {
		names = append(names, "auc_"+strings.ToLower(strings.ReplaceAll(n, " ", "_")))
	}
	return append(names, "class_frequency_accuracy", "best_baseline", "auc_minus_best_baseline", "auc_minus_best_baseline_low", "auc_minus_best_baseline_high", "auc_minus_best_baseline_p")
}

// baselineCells are those columns for l.Values[at], or for the label as a whole (at < 0: mean areas); empty without
// baselines.
func baselineCells(l LabelReport, at int) []string {
	var cells []string
	accuracy := ""
	for _, name := range baselineNames {
		cell := ""
		for _, b := range l.Baselines {
			switch {
			case b.Name != name:
			case at < 0:
				cell = plain(b.MacroAUC)
			default:
				cell = plain(b.Values[at].AUC.Value)
			}
			if b.Name == BaselineFrequency && at < 0 {
				accuracy = plain(b.Accuracy.Value)
			}
		}
		cells = append(cells, cell)
	}
	cells = append(cells, accuracy)
	if at >= 0 {
		if b, of := l.BestBaseline(at); b != nil {
			return append(cells, b.Name, plain(of.Difference.Value), plain(of.Difference.Low), plain(of.Difference.High), plain(of.P))
		}
	}
	return append(cells, "", "", "", "", "")
}
