package evaluate

import (
	"fmt"
	"strings"
)

// reliabilityTables are what a terminal shows of probabilities and doubt about a label.
func reliabilityTables(b *strings.Builder, l LabelReport) {
	if o := l.Ordinal; o != nil {
		fmt.Fprintf(b, "\nordinal: quadratic weighted kappa %s, mean absolute error %s classes\n", o.Kappa, o.MAE)
	}
	calibrationTable(b, l.Calibration)
	thresholdTable(b, l)
	doubtTable(b, l.Doubt)
}

func calibrationTable(b *strings.Builder, c *CalibrationReport) {
	if c == nil {
		return
	}
	b.WriteString("\n")
	header := []string{"calibration", "raw"}
	if c.After != nil {
		header = append(header, "calibrated")
	}
	rows := [][]string{header}
	add := func(name string, of func(m *CalibrationMeasures) string) {
		row := []string{name, of(&c.Before)}
		if c.After != nil {
			row = append(row, of(c.After))
		}
		rows = append(rows, row)
	}
	add("log loss", func(m *CalibrationMeasures) string { return m.LogLoss.String() })
	add("Brier score", func(m *CalibrationMeasures) string { return m.BrierScore.String() })
	add("  reliability (0 is best)", func(m *CalibrationMeasures) string { return m.Reliability.String() })
	add("  resolution (more is better)", func(m *CalibrationMeasures) string { return m.Resolution.String() })
	add("  uncertainty (of the classes)", func(m *CalibrationMeasures) string { return m.Uncertainty.String() })
	add("ECE, 10 equal bins", func(m *CalibrationMeasures) string { return m.ECE.String() })
	add("RMS calibration error, debiased", func(m *CalibrationMeasures) string { return m.DebiasedRMS.String() })
	for k, class := range c.Before.Classes {
		name := ""
		if len(c.Before.Classes) > 1 {
			name = " " + class.Name
		}
		add("slope"+name+" (1 is best)", func(m *CalibrationMeasures) string { return m.Classes[k].Slope.String() })
		add("intercept"+name+" (0 is best)", func(m *CalibrationMeasures) string { return m.Classes[k].Intercept.String() })
	}
	align(b, rows)
	switch {
	case c.Temperature != nil:
		fmt.Fprintf(b, "  temperature %s for new cases; those of each part of the %s:", c.Temperature.Value, c.Parts)
		for _, t := range c.Nested {
			fmt.Fprintf(b, " %s", t.Value)
		}
		b.WriteString("\n")
		if c.Temperature.Bound != "" {
			fmt.Fprintf(b, "  the temperature lies at the end of its range: %s\n", c.Temperature.Bound)
		}
	case c.Why != "" && c.After == nil:
		fmt.Fprintf(b, "  no calibrated probabilities: %s\n", c.Why)
	}
}

func thresholdTable(b *strings.Builder, l LabelReport) {
	rows := [][]string{{"class", "threshold by", "from", "sensitivity", "specificity", "prevalence", "PPV", "NPV"}}
	for _, v := range l.Values {
		for _, t := range v.Thresholds {
			rows = append(rows, []string{v.Name, t.Rule, t.Threshold.String(), t.Sensitivity.String(), t.Specificity.String(), t.Prevalence.String(), t.PPV.String(), t.NPV.String()})
		}
	}
	if len(rows) > 1 {
		b.WriteString("\n")
		align(b, rows)
	}
}

func doubtTable(b *strings.Builder, d *DoubtReport) {
	if d == nil {
		return
	}
	if d.Why == "" {
		rows := [][]string{{"prediction sets", fmt.Sprintf("hold the true class (target %.0f %%)", 100*d.Target), "mean size", "one class", "AUC of all", "AUC of the confident", "accuracy of the confident", "accuracy of the rest"}}
		rows = append(rows, []string{"all", d.Coverage.String(), d.MeanSize.String(), d.Single.String(), d.AUC.String(), fmt.Sprintf("%s (%d)", d.AUCConfident, d.Confident), d.AccuracyOf.String(), d.AccuracyRest.String()})
		for _, c := range d.PerClass {
			rows = append(rows, []string{c.Name, c.Coverage.String()})
		}
		b.WriteString("\n")
		align(b, rows)
	}
	var parts []string
	if d.Agreement.Value.Defined() {
		parts = append(parts, "members agree with the mean: "+d.Agreement.String())
	}
	if d.Unusual.Value.Defined() {
		parts = append(parts, "cases flagged as unusual: "+d.Unusual.String())
	}
	if len(parts) > 0 {
		fmt.Fprintf(b, "  %s\n", strings.Join(parts, "; "))
	}
}
