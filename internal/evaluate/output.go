package evaluate

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/universal-classifier/uc/internal/drift"
	"github.com/universal-classifier/uc/internal/jsonfile"
)

// JSON writes the whole report, with the points of the ROC curves.
func (r *Report) JSON(w io.Writer) error {
	b, err := jsonfile.Encode(r, jsonfile.Indent)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// csvHeader names the columns of CSV. A row without value is about the label as a whole.
var csvHeader = []string{"fold", "label", "value", "value_name", "cases", "positives",
	"auc", "auc_low", "auc_high", "auc_method", "average_precision", "accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy",
	"sensitivity", "sensitivity_low", "sensitivity_high", "specificity", "specificity_low", "specificity_high"}

// CSV writes one row per label and class, for all folds together ("pooled") and then for each fold. Undefined numbers
// are empty.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(slices.Concat(csvHeader, baselineColumns(), calibrationColumns())); err != nil {
		return err
	}
	if err := writeRows(out, "pooled", r.Labels); err != nil {
		return err
	}
	for _, f := range r.PerFold {
		if err := writeRows(out, f.Fold, f.Labels); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func writeRows(out *csv.Writer, fold string, labels []LabelReport) error {
	for _, l := range labels {
		if err := out.Write(slices.Concat([]string{fold, l.Name, "", "", strconv.Itoa(l.Cases), "",
			plain(l.MacroAUC), "", "", "", "", plain(l.Accuracy.Value), plain(l.Accuracy.Low), plain(l.Accuracy.High), plain(l.BalancedAccuracy),
			"", "", "", "", "", ""}, baselineCells(l, -1), calibrationCells(l, -1))); err != nil {
			return err
		}
		for at, v := range l.Values {
			if err := out.Write(slices.Concat([]string{fold, l.Name, strconv.Itoa(v.Value), v.Name, strconv.Itoa(l.Cases), strconv.Itoa(v.Positives),
				plain(v.AUC.Value), plain(v.AUC.Low), plain(v.AUC.High), v.AUC.Method, plain(v.AveragePrecision),
				plain(v.Accuracy.Value), plain(v.Accuracy.Low), plain(v.Accuracy.High), plain(v.BalancedAccuracy),
				plain(v.Sensitivity.Value), plain(v.Sensitivity.Low), plain(v.Sensitivity.High),
				plain(v.Specificity.Value), plain(v.Specificity.Low), plain(v.Specificity.High)}, baselineCells(l, at), calibrationCells(l, at))); err != nil {
				return err
			}
		}
	}
	return nil
}

func plain(n Number) string {
	if !n.Defined() {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'g', 8, 64)
}

// Table is the report for a terminal: warnings, then per label its classes, folds and confusion matrix, in aligned
// columns.
func (r *Report) Table() string {
	var b strings.Builder
	b.WriteString(r.count())
	if len(r.Folds) > 0 {
		fmt.Fprintf(&b, ", folds %s", strings.Join(r.Folds, " "))
	}
	if len(r.MissingFolds) > 0 {
		fmt.Fprintf(&b, " (missing: %s)", strings.Join(r.MissingFolds, " "))
	}
	b.WriteString("; in brackets: 95 % confidence intervals" + r.clustering() + "\n")
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, l := range r.Labels {
		fmt.Fprintf(&b, "\n%s: accuracy %s, balanced accuracy %s", l.Name, l.Accuracy, l.BalancedAccuracy)
		if len(l.Values) > 1 {
			fmt.Fprintf(&b, ", mean AUC %s", l.MacroAUC)
		}
		b.WriteString("\n")
		rows := [][]string{{"class", "cases", "AUC", "sensitivity", "specificity", "average precision"}}
		for _, v := range l.Values {
			rows = append(rows, []string{v.Name, fmt.Sprintf("%d of %d", v.Positives, l.Cases),
				v.AUC.String(), v.Sensitivity.String(), v.Specificity.String(), v.AveragePrecision.String()})
		}
		align(&b, rows)
		if len(l.Baselines) > 0 {
			b.WriteString("\n")
			align(&b, baselineRows(l))
			b.WriteString("\n")
			align(&b, bestRows(l))
			align(&b, stackedRows(l))
		}
		reliabilityTables(&b, l)
		if len(r.PerFold) > 1 {
			b.WriteString("\n")
			align(&b, foldRows(r.PerFold, l.Name))
		}
		b.WriteString("\n")
		align(&b, confusionRows(l))
		l.subgroupTables(&b)
	}
	if len(r.Drift) > 0 {
		b.WriteString("\nTest cases compared with training cases (mean +- SD):\n")
		align(&b, driftRows(r.Drift))
	}
	return b.String()
}

// count says how many cases the report is about, and of whom.
func (r *Report) count() string {
	if r.External {
		return "external test set: " + (&Report{Cases: r.Cases, Patients: r.Patients}).count()
	}
	if r.Patients == 0 {
		return fmt.Sprintf("%d cases", r.Cases)
	}
	return fmt.Sprintf("%d cases of %d patients", r.Cases, r.Patients)
}

// clustering says how intervals take account of several scans of a patient.
func (r *Report) clustering() string {
	if !r.Clustered {
		return ""
	}
	return ", clustered by patient (AUC: Obuchowski 1997; shares: Wilson on the effective number of cases, Rao and Scott 1992)"
}

// foldRows is one row per fold: cases, accuracy and the AUC of each class.
func foldRows(folds []FoldReport, label string) [][]string {
	var rows [][]string
	for _, f := range folds {
		for _, l := range f.Labels {
			if l.Name != label {
				continue
			}
			if rows == nil {
				header := []string{"fold", "cases", "accuracy"}
				for _, v := range l.Values {
					header = append(header, "AUC "+v.Name)
				}
				rows = append(rows, header)
			}
			row := []string{f.Fold, strconv.Itoa(f.Cases), l.Accuracy.Value.String()}
			for _, v := range l.Values {
				row = append(row, v.AUC.Value.String())
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func confusionRows(l LabelReport) [][]string {
	header := []string{"true \\ predicted"}
	header = append(header, l.ClassNames...)
	rows := [][]string{header}
	for t, counts := range l.Confusion {
		row := []string{l.ClassNames[t]}
		for _, n := range counts {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	return rows
}

// Align prints rows with columns of one width, two spaces apart, indented by two.
func Align(b *strings.Builder, rows [][]string) { align(b, rows) }

// align prints rows with columns of one width, two spaces apart, indented by two.
func align(b *strings.Builder, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString("  " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// String is the number with three decimals, "-" if it is not defined.
func (n Number) String() string {
	if !n.Defined() {
		return "-"
	}
	return strconv.FormatFloat(float64(n), 'f', 3, 64)
}

// String is the value with its interval: 0.912 [0.850, 0.974].
func (e Estimate) String() string {
	if !e.Value.Defined() {
		return "-"
	}
	return fmt.Sprintf("%s [%s, %s]", e.Value, e.Low, e.High)
}

// driftRows is one row per number in which the test cases may differ from the training cases.
func driftRows(all []drift.Difference) [][]string {
	rows := [][]string{{"", "test", "training", "standardised difference", "KS distance", "p", ""}}
	for _, d := range all {
		standardised, mark := "-", ""
		if d.Standardised != nil {
			standardised = fmt.Sprintf("%+.2f", *d.Standardised)
		}
		if d.Differs {
			mark = "differs"
		}
		rows = append(rows, []string{d.Name, fmt.Sprintf("%.4g +- %.3g", d.TestMean, d.TestSD), fmt.Sprintf("%.4g +- %.3g", d.TrainingMean, d.TrainingSD),
			standardised, fmt.Sprintf("%.2f", d.KS), fmt.Sprintf("%.2g", d.P), mark})
	}
	return rows
}
