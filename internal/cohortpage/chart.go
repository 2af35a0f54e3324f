package cohortpage

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Size of a chart, in the units of its view box.
const (
	chartWidth  = 340
	chartHeight = 190
	chartLeft   = 38
	chartRight  = 10
	chartTop    = 8
	chartBottom = 36
	maxBins     = 24
)

// chart is a histogram, stacked by class.
type chart struct {
	Title  string // what is counted
	Unit   string
	Same   string // the one value that all cases have; then there is no chart
	Bars   []bar
	XTicks []tick
	YTicks []tick
	Bins   []bin // as numbers
	Series []string
	YLabel string

	Width, Height            int
	Left, Right, Top, Bottom float64 // edges of the plot
	LabelX, LabelY           float64
}

type bar struct {
	X, Y, W, H float64
	Series     int // colour
	Text       string
}

type tick struct {
	At   float64
	Text string
}

// bin is one interval of a histogram.
type bin struct {
	Range  string
	Counts []string
}

// series are the values of one class.
type series struct {
	name   string
	values []float64
}

// histogram counts values by class. whole says that they are whole numbers; share that each series counts in percent of
// all values instead of cases.
func histogram(title, unit string, all []series, whole, share bool) *chart {
	var values []float64
	for _, s := range all {
		for _, v := range s.values {
			if numeric.Finite(v) {
				values = append(values, v)
			}
		}
	}
	c := &chart{Title: title, Unit: unit, YLabel: "cases", Width: chartWidth, Height: chartHeight, Left: chartLeft, Right: chartWidth - chartRight,
		Top: chartTop, Bottom: chartHeight - chartBottom, LabelX: (chartLeft + chartWidth - chartRight) / 2, LabelY: chartHeight - 4}
	if share {
		c.YLabel = "% of voxels"
	}
	if len(values) == 0 {
		c.Same = "-"
		return c
	}
	low, high := slices.Min(values), slices.Max(values)
	if high-low <= 1e-6*max(math.Abs(low), math.Abs(high)) {
		c.Same = text(low)
		return c
	}
	step := niceStep((high - low) / maxBins)
	if whole {
		step = max(step, 1)
	}
	first := math.Floor(low/step) * step
	n := int(math.Floor((high-first)/step)) + 1
	counts := make([][]float64, n)
	for i := range counts {
		counts[i] = make([]float64, len(all))
	}
	for s := range all {
		for _, v := range all[s].values {
			if numeric.Finite(v) {
				counts[clamp(int((v-first)/step+1e-9), 0, n-1)][s]++
			}
		}
		c.Series = append(c.Series, all[s].name)
	}
	if share {
		for i := range counts {
			for s := range all {
				counts[i][s] *= 100 / float64(len(values))
			}
		}
	}
	c.layOut(counts, first, step, whole && step == 1)
	return c
}

// layOut turns counts into bars, ticks and a table.
func (c *chart) layOut(counts [][]float64, first, step float64, single bool) {
	most := 0.0
	for _, of := range counts {
		sum := 0.0
		for _, v := range of {
			sum += v
		}
		most = max(most, sum)
	}
	x := func(v float64) float64 { return c.Left + (v-first)/(step*float64(len(counts)))*(c.Right-c.Left) }
	y := func(v float64) float64 { return c.Bottom - v/most*(c.Bottom-c.Top) }
	for i, of := range counts {
		from := first + float64(i)*step
		label := text(from) + " to " + text(from+step)
		if single {
			label = text(from)
		}
		row := bin{Range: label}
		base, total := 0.0, 0.0
		for s, n := range of {
			row.Counts = append(row.Counts, text(n))
			total += n
			if n == 0 {
				continue
			}
			word := label + ": " + text(n)
			if len(of) > 1 {
				word += " of " + c.Series[s]
			}
			c.Bars = append(c.Bars, bar{X: round(x(from) + 0.5), Y: round(y(base + n)), W: round(max(x(from+step)-x(from)-1, 0.5)), H: round(y(base) - y(base+n)), Series: s % colours, Text: word})
			base += n
		}
		if total > 0 {
			c.Bins = append(c.Bins, row)
		}
	}
	offset := 0.0
	if single {
		offset = 0.5 // in the middle of the bar
	}
	span := step * float64(len(counts))
	every := niceStep(span / 5)
	if single {
		every = max(every, 1)
	}
	for v := math.Ceil(first/every) * every; v <= first+span*1.0001-2*offset; v += every {
		c.XTicks = append(c.XTicks, tick{round(x(v + offset)), text(v)})
	}
	up := niceStep(most / 5)
	if c.YLabel == "cases" {
		up = max(up, 1)
	}
	for v := 0.0; v <= most*1.0001; v += up {
		c.YTicks = append(c.YTicks, tick{round(y(v)), text(v)})
	}
}

// colours is the number of colours for classes.
const colours = 6

// niceStep is 1, 2 or 5 times a power of ten, no less than v.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

func round(v float64) float64 { return math.Round(10*v) / 10 }

// text is a number with up to four digits that matter.
func text(v float64) string {
	if !numeric.Finite(v) {
		return "-"
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e7 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(mustParse(fmt.Sprintf("%.4g", v)), 'g', -1, 64)
}

func mustParse(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}
