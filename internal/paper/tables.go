package paper

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// table is a table with the name of its files and a caption. The first row is its head.
type table struct {
	name, caption string
	rows          [][]string
	words         int // columns from the left that hold words; the others hold numbers
}

// csv writes the table as CSV.
func (t table) csv() (string, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = spreadsheet(plain(cell))
		}
		if err := w.Write(cells); err != nil {
			return "", err
		}
	}
	w.Flush()
	return b.String(), w.Error()
}

// spreadsheet keeps spreadsheets from taking a name for a formula.
func spreadsheet(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
		if _, err := strconv.ParseFloat(cell, 64); err != nil && cell != "-" {
			return "'" + cell
		}
	}
	return cell
}

// latex writes the table with the rules of the package booktabs; wide ones also need graphicx.
func (t table) latex() string {
	var b strings.Builder
	columns := strings.Repeat("l", t.words) + strings.Repeat("r", len(t.rows[0])-t.words)
	const wide = 6 // columns; more are scaled to the width of the text
	begin, end := "", ""
	if len(t.rows[0]) > wide {
		begin, end = "\\resizebox{\\textwidth}{!}{%\n", "}"
	}
	fmt.Fprintf(&b, "\\begin{table}[htbp]\n\\centering\\small\n\\caption{%s}\n\\label{tab:%s}\n%s\\begin{tabular}{%s}\n\\toprule\n", tex(t.caption), t.name, begin, columns)
	for i, row := range t.rows {
		cells := make([]string, len(row))
		for k, cell := range row {
			cells[k] = tex(cell)
		}
		b.WriteString(strings.Join(cells, " & ") + " \\\\\n")
		if i == 0 {
			b.WriteString("\\midrule\n")
		}
	}
	b.WriteString("\\bottomrule\n\\end{tabular}" + end + "\n\\end{table}\n")
	return b.String()
}

// tables are all tables that have rows.
func (f *Facts) tables() []table {
	var all []table
	for _, t := range []table{f.cohortTable(), f.performanceTable(), f.foldTable(), f.confusionTable(), f.baselineTable(), f.calibrationTable(), f.thresholdTable(), f.subgroupTable(), f.settingsTable()} {
		if len(t.rows) > 1 {
			all = append(all, t)
		}
	}
	return all
}

func (f *Facts) cohortTable() table {
	t := table{name: "cohort", caption: "Cases by label, class and fold that held them out.", words: 2, rows: [][]string{{"label", "class", "all"}}}
	for _, fold := range f.Report.PerFold {
		t.rows[0] = append(t.rows[0], "fold "+fold.Fold)
	}
	total := func(row []int) (n int) {
		for _, v := range row {
			n += v
		}
		return n
	}
	for at, l := range f.Report.Labels {
		for class, name := range l.ClassNames {
			row := []string{l.Name, name, strconv.Itoa(total(l.Confusion[class]))}
			for _, fold := range f.Report.PerFold {
				row = append(row, strconv.Itoa(total(fold.Labels[at].Confusion[class])))
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

func (f *Facts) performanceTable() table {
	t := table{name: "performance", caption: "Performance of the pooled cross-validation, with 95 % confidence intervals in brackets.", words: 2,
		rows: [][]string{{"label", "class", "cases", "AUC", "sensitivity", "specificity", "average precision", "accuracy"}}}
	for _, l := range f.Report.Labels {
		for _, v := range l.Values {
			t.rows = append(t.rows, []string{l.Name, v.Name, fmt.Sprintf("%d of %d", v.Positives, l.Cases),
				v.AUC.String(), v.Sensitivity.String(), v.Specificity.String(), v.AveragePrecision.String(), l.Accuracy.String()})
		}
	}
	return t
}

func (f *Facts) foldTable() table {
	t := table{name: "folds", caption: "Performance by fold, with 95 % confidence intervals in brackets.", words: 3, rows: [][]string{{"fold", "label", "class", "cases", "AUC", "accuracy"}}}
	for _, fold := range f.Report.PerFold {
		for _, l := range fold.Labels {
			for _, v := range l.Values {
				t.rows = append(t.rows, []string{fold.Fold, l.Name, v.Name, fmt.Sprintf("%d of %d", v.Positives, l.Cases), v.AUC.String(), l.Accuracy.String()})
			}
		}
	}
	return t
}

func (f *Facts) confusionTable() table {
	t := table{name: "confusion", caption: "Confusion: cases by true class and predicted class.", words: 3, rows: [][]string{{"label", "true class", "predicted class", "cases"}}}
	for _, l := range f.Report.Labels {
		for i, counts := range l.Confusion {
			for k, n := range counts {
				t.rows = append(t.rows, []string{l.Name, l.ClassNames[i], l.ClassNames[k], strconv.Itoa(n)})
			}
		}
	}
	return t
}

func (f *Facts) baselineTable() table {
	t := table{name: "baselines", caption: "Baselines on the same cases and folds: area under the ROC curve, and that of the network minus it, with 95 % confidence intervals.", words: 3,
		rows: [][]string{{"label", "class", "baseline", "AUC", "network minus baseline", "p"}}}
	for _, l := range f.Report.Labels {
		for _, b := range l.Baselines {
			for _, v := range b.Values {
				t.rows = append(t.rows, []string{l.Name, v.Name, b.Name, v.AUC.String(), v.Difference.String(), pValue(v.P)})
			}
		}
	}
	return t
}

// pValue is a p value as journals print it.
func pValue(p evaluate.Number) string {
	switch {
	case !p.Defined():
		return "-"
	case p < 0.001:
		return "<0.001"
	}
	return p.String()
}

func (f *Facts) calibrationTable() table {
	t := table{name: "calibration", caption: "Calibration of the probabilities, with 95 % confidence intervals in brackets.", words: 2,
		rows: [][]string{{"label", "probabilities", "Brier score", "expected calibration error", "log loss"}}}
	for _, l := range f.Report.Labels {
		if l.Calibration == nil {
			continue
		}
		row := func(name string, m *evaluate.CalibrationMeasures) {
			t.rows = append(t.rows, []string{l.Name, name, m.BrierScore.String(), m.ECE.String(), m.LogLoss.String()})
		}
		row("as predicted", &l.Calibration.Before)
		if l.Calibration.After != nil {
			row("temperature scaling", l.Calibration.After)
		}
	}
	return t
}

func (f *Facts) thresholdTable() table {
	t := table{name: "thresholds", caption: "Thresholds of the probability by rule, each chosen on other folds than those it was applied to; predictive values at the prevalence given.", words: 3,
		rows: [][]string{{"label", "class", "rule", "threshold", "sensitivity", "specificity", "prevalence", "PPV", "NPV"}}}
	for _, l := range f.Report.Labels {
		for _, v := range l.Values {
			for _, h := range v.Thresholds {
				t.rows = append(t.rows, []string{l.Name, v.Name, h.Rule, h.Threshold.String(), h.Sensitivity.String(), h.Specificity.String(), h.Prevalence.String(), h.PPV.String(), h.NPV.String()})
			}
		}
	}
	return t
}

func (f *Facts) subgroupTable() table {
	t := table{name: "subgroups", caption: "Performance by subgroup, with 95 % confidence intervals in brackets.", words: 4,
		rows: [][]string{{"label", "class", "grouping", "group", "cases", "AUC", "sensitivity", "specificity"}}}
	for _, l := range f.Report.Labels {
		for _, g := range l.Subgroups {
			for _, s := range g.Groups {
				if len(s.Values) == 0 {
					t.rows = append(t.rows, []string{l.Name, "", g.Name, s.Name, strconv.Itoa(s.Cases), "-", "-", "-"})
				}
				for _, v := range s.Values {
					t.rows = append(t.rows, []string{l.Name, v.Name, g.Name, s.Name, fmt.Sprintf("%d of %d", v.Positives, s.Cases), v.AUC.String(), v.Sensitivity.String(), v.Specificity.String()})
				}
			}
		}
	}
	return t
}

// settingsTable lists plans and recipe.
func (f *Facts) settingsTable() table {
	t := table{name: "settings", caption: "Plans and recipe.", words: 2, rows: [][]string{{"setting", "value"}}}
	stage := f.Plans.Stage()
	add := func(name, value string) { t.rows = append(t.rows, []string{name, value}) }
	add("trainer", f.Lock.Trainer)
	add("image size", fmt.Sprintf("%d x %d x %d", stage.ImageSize[0], stage.ImageSize[1], stage.ImageSize[2]))
	add("spacing (mm)", fmt.Sprintf("%.4g x %.4g x %.4g", stage.CurrentSpacing[0], stage.CurrentSpacing[1], stage.CurrentSpacing[2]))
	for m, name := range f.Plans.Modalities {
		add("normalisation of "+name, f.Plans.NormalizationSchemes[m])
	}
	var fields map[string]any
	if json.Unmarshal(f.Lock.Folds[0].Recipe, &fields) == nil {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if name == "seed" {
				continue
			}
			add(strings.ReplaceAll(name, "_", " "), fmt.Sprint(fields[name]))
		}
	}
	add("seeds", strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(f.seeds(), "seeds "), "seed "), ", by fold"))
	return t
}
