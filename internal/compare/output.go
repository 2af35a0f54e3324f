package compare

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/hypothesis"
	"github.com/universal-classifier/uc/internal/words"
)

// significant is the corrected p value below which a difference counts as shown.
const significant = 0.05

// correct sets the corrected p values, one family for each measure, and what follows from them.
func (r *Report) correct() {
	families := map[string][]*Measure{}
	for l := range r.Labels {
		for k := range r.Labels[l].Measures {
			m := &r.Labels[l].Measures[k]
			families[m.Name] = append(families[m.Name], m)
		}
	}
	for _, family := range families {
		p := make([]float64, len(family))
		for i, m := range family {
			p[i] = float64(m.P)
		}
		for i, v := range hypothesis.Holm(p) {
			family[i].PHolm = evaluate.Number(v)
			family[i].conclude(r.First.Name, r.Second.Name)
		}
	}
}

// conclude says in words which run is better.
func (m *Measure) conclude(first, second string) {
	what := m.Name
	if m.Class != "" {
		what += " of " + m.Class
	}
	d := m.Difference
	m.Better = "neither"
	secondHigher := d.Value < 0
	higher, lower := first, second
	if secondHigher {
		higher, lower = second, first
		d.Low, d.High = -d.High, -d.Low
	}
	if d.Value == 0 {
		m.Finding = fmt.Sprintf("%s: both have %s", what, m.First.Value)
		return
	}
	m.Finding = fmt.Sprintf("%s: %s is %s higher than %s [%s, %s]", what, higher, evaluate.Number(math.Abs(float64(d.Value))), lower, d.Low, d.High)
	if !(m.PHolm < significant) {
		m.Finding += "; these cases do not show a difference"
		if m.PHolm.Defined() {
			m.Finding += fmt.Sprintf(" (p = %s)", m.PHolm.P())
		}
		return
	}
	m.Better = "first"
	if secondHigher != m.LowerIsBetter {
		m.Better = "second"
	}
	better := first
	if m.Better == "second" {
		better = second
	}
	m.Finding += fmt.Sprintf("; %s is better (p %s)", better, equals(m.PHolm))
}

// equals is a p value behind the letter.
func equals(p evaluate.Number) string {
	if s := p.P(); strings.HasPrefix(s, "<") {
		return s
	}
	return "= " + p.P()
}

// JSON writes the whole comparison.
func (r *Report) JSON(w io.Writer) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// CSV writes one row per label, class and measure. Undefined numbers are empty.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"label", "value_name", "measure", "cases", "first", "first_low", "first_high", "second", "second_low", "second_high",
		"first_minus_second", "first_minus_second_low", "first_minus_second_high", "test", "p", "p_holm", "better"}); err != nil {
		return err
	}
	for _, l := range r.Labels {
		for _, m := range l.Measures {
			row := []string{l.Name, m.Class, m.Name, strconv.Itoa(l.Cases)}
			for _, e := range []evaluate.Estimate{m.First, m.Second, m.Difference} {
				row = append(row, plain(e.Value), plain(e.Low), plain(e.High))
			}
			if err := out.Write(append(row, m.Test, plain(m.P), plain(m.PHolm), m.Better)); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func plain(n evaluate.Number) string {
	if !n.Defined() {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'g', 8, 64)
}

// Table is the comparison for a terminal.
func (r *Report) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "first:  %s (%s, %d cases)\nsecond: %s (%s, %d cases)\n", r.First.Name, r.First.Kind, r.First.Cases, r.Second.Name, r.Second.Kind, r.Second.Cases)
	fmt.Fprintf(&b, "%d cases", r.Cases)
	if r.Patients > 0 {
		fmt.Fprintf(&b, " of %d patients", r.Patients)
	}
	b.WriteString(" are in both; in brackets: 95 % confidence intervals")
	if r.Clustered {
		b.WriteString(", clustered by patient")
	}
	b.WriteString("\n")
	for _, side := range []struct {
		which string
		of    Side
	}{{"first", r.First}, {"second", r.Second}} {
		if n := len(side.of.Only); n > 0 {
			fmt.Fprintf(&b, "warning: %d cases are in the %s only and left out: %s\n", n, side.which, words.Some(side.of.Only))
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, l := range r.Labels {
		fmt.Fprintf(&b, "\n%s (%d cases):\n", l.Name, l.Cases)
		for _, left := range l.Left {
			fmt.Fprintf(&b, "  %s\n", left)
		}
		rows := [][]string{{"measure", "class", "first", "second", "first minus second", "p", "p (Holm)", "test"}}
		for _, m := range l.Measures {
			rows = append(rows, []string{m.Name, m.Class, m.First.String(), m.Second.String(), signed(m.Difference), m.P.P(), m.PHolm.P(), m.Test})
		}
		if len(rows) > 1 {
			evaluate.Align(&b, rows)
			b.WriteString("\n")
		}
		for _, m := range l.Measures { // the others are in the table
			if m.Name == evaluate.MeasureAUC || m.Better != "neither" {
				fmt.Fprintf(&b, "  %s\n", m.Finding)
			}
		}
	}
	return b.String()
}

// signed is a difference with its sign.
func signed(e evaluate.Estimate) string {
	if e.Value > 0 {
		return "+" + e.String()
	}
	return e.String()
}
