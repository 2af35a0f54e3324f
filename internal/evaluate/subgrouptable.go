package evaluate

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// HasSubgroups reports whether the cases were measured by site or covariate.
func (r *Report) HasSubgroups() bool {
	for _, l := range r.Labels {
		if len(l.Subgroups) > 0 {
			return true
		}
	}
	return false
}

// subgroupTables prints the groups of every grouping and the tests of their differences.
func (l LabelReport) subgroupTables(b *strings.Builder) {
	for _, g := range l.Subgroups {
		fmt.Fprintf(b, "\n%s by %s (%s):\n", l.Name, g.Name, g.Rule)
		if len(g.Pooled) > 0 {
			fmt.Fprintf(b, "  pooled: %s\n", strings.Join(g.Pooled, ", "))
		}
		for at, v := range l.Values {
			if len(l.Values) > 1 {
				fmt.Fprintf(b, "  %s\n", v.Name)
			}
			align(b, g.rows(at))
		}
		for _, w := range g.Warnings {
			fmt.Fprintf(b, "  %s\n", w)
		}
		if len(g.Tests) > 0 {
			align(b, g.testRows(len(l.Values) > 1))
		}
	}
}

// rows is one row per group for the class at a place in LabelReport.Values.
func (g Grouping) rows(at int) [][]string {
	rows := [][]string{{g.Name, "cases", "positive", "AUC", "sensitivity", "specificity", "accuracy", "balanced accuracy"}}
	for _, s := range g.Groups {
		if s.TooFew != "" {
			rows = append(rows, []string{s.Name, strconv.Itoa(s.Cases), "", "not measured: " + s.TooFew})
			continue
		}
		v := s.Values[at]
		rows = append(rows, []string{s.Name, strconv.Itoa(s.Cases), strconv.Itoa(v.Positives), v.AUC.String(), v.Sensitivity.String(), v.Specificity.String(),
			v.Accuracy.String(), v.BalancedAccuracy.String()})
	}
	return rows
}

// testRows is one row per test.
func (g Grouping) testRows(classes bool) [][]string {
	header := []string{"do they differ?", "p", "p (Holm)", "difference", "test"}
	if classes {
		header = append([]string{"class"}, header...)
	}
	rows := [][]string{header}
	for _, t := range g.Tests {
		difference := "lowest: " + t.Lowest + ", highest: " + t.Highest
		switch {
		case t.Lowest == "":
			difference = "none"
		case t.Difference.Method != "":
			difference = fmt.Sprintf("%s (%s minus %s)", t.Difference, t.Groups[0], t.Groups[1])
		}
		row := []string{t.Measure, t.P.P(), t.PHolm.P(), difference, t.Method}
		if classes {
			class := t.Class
			if class == "" {
				class = "all"
			}
			row = append([]string{class}, row...)
		}
		rows = append(rows, row)
	}
	return rows
}

// P is a p value: three decimals, or "< 0.001".
func (n Number) P() string {
	if n.Defined() && n < 0.001 {
		return "< 0.001"
	}
	return n.String()
}

var subgroupHeader = []string{"label", "grouping", "group", "cases", "patients", "value", "value_name", "positives", "not_measured"}

// subgroupMeasures are the measures of a subgroup in SubgroupsCSV.
var subgroupMeasures = []struct {
	name string
	of   func(v SubgroupValue) Estimate
}{
	{"auc", func(v SubgroupValue) Estimate { return v.AUC }},
	{"average_precision", func(v SubgroupValue) Estimate { return v.AveragePrecision }},
	{"sensitivity", func(v SubgroupValue) Estimate { return v.Sensitivity }},
	{"specificity", func(v SubgroupValue) Estimate { return v.Specificity }},
	{"accuracy", func(v SubgroupValue) Estimate { return v.Accuracy }},
	{"balanced_accuracy", func(v SubgroupValue) Estimate { return v.BalancedAccuracy }},
	{"brier", func(v SubgroupValue) Estimate { return v.Brier }},
	{"ece", func(v SubgroupValue) Estimate { return v.ECE }},
}

// SubgroupsCSV writes one row per label, grouping, group and class. Undefined numbers are empty.
func (r *Report) SubgroupsCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	header := append([]string{}, subgroupHeader...)
	for _, m := range subgroupMeasures {
		header = append(header, m.name, m.name+"_low", m.name+"_high")
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for _, l := range r.Labels {
		for _, g := range l.Subgroups {
			for _, s := range g.Groups {
				start := []string{l.Name, g.Name, s.Name, strconv.Itoa(s.Cases), ""}
				if s.Patients > 0 {
					start[4] = strconv.Itoa(s.Patients)
				}
				if s.TooFew != "" {
					row := append(start, "", "", "", s.TooFew)
					if err := out.Write(append(row, make([]string, len(header)-len(row))...)); err != nil {
						return err
					}
				}
				for _, v := range s.Values {
					row := append(append([]string{}, start...), strconv.Itoa(v.Value), v.Name, strconv.Itoa(v.Positives), "")
					for _, m := range subgroupMeasures {
						e := m.of(v)
						row = append(row, plain(e.Value), plain(e.Low), plain(e.High))
					}
					if err := out.Write(row); err != nil {
						return err
					}
				}
			}
		}
	}
	out.Flush()
	return out.Error()
}

// stackedRows is one row per class: the network with the covariates next to the network alone; nil without it.
func stackedRows(l LabelReport) [][]string {
	for _, b := range l.Baselines {
		if !b.WithNetwork {
			continue
		}
		rows := [][]string{{"class", "", "AUC of network minus both", "p"}}
		for _, v := range b.Values {
			if v.Difference.Value.Defined() {
				rows = append(rows, []string{v.Name, b.Name, v.Difference.String(), v.P.String()})
			}
		}
		if len(rows) > 1 {
			return rows
		}
	}
	return nil
}
