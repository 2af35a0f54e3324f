package figure

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Sizes in points.
const (
	defaultWidth  = 400.0
	defaultHeight = 300.0
	margin        = 10.0
	titleSize     = 11.0
	labelSize     = 10.0
	tickSize      = 9.0
	tickLength    = 3.0
	legendRow     = 15.0
	gap           = 5.0
)

// area is where a panel's data lie on the page, y downwards.
type area struct {
	left, top, width, height float64
	x, y                     Range
}

// at is the place of a point on the page. What lies far outside the axes stays near them.
func (a *area) at(p Point) Point {
	share := func(v float64, r Range) float64 { return min(max((v-r.Low)/(r.High-r.Low), -1), 2) }
	return Point{a.left + a.width*share(p.X, a.x), a.top + a.height*(1-share(p.Y, a.y))}
}

// placed is a panel with its place.
type placed struct {
	*Panel
	area
	xs, ys []Tick
	names  []string // of the legend, cut to the width
	bottom float64
}

// lay finds where everything is drawn. It returns the size of the page.
func (f *Figure) lay() (panels []placed, width, height float64, err error) {
	if len(f.Panels) == 0 {
		return nil, 0, 0, errors.New("a figure without panels")
	}
	if width = f.Width; width == 0 {
		width = defaultWidth
	}
	left := 0.0
	for i := range f.Panels {
		p := placed{Panel: &f.Panels[i]}
		for _, m := range p.Marks {
			if b, ok := m.(Band); ok && (len(b.Low) != len(b.X) || len(b.High) != len(b.X)) {
				return nil, 0, 0, fmt.Errorf("a band of %d places with %d low and %d high values", len(b.X), len(b.Low), len(b.High))
			}
		}
		p.x, p.y = p.ranges()
		p.xs, p.ys = p.X.ticks(p.x), p.Y.ticks(p.y)
		for _, t := range p.ys {
			left = max(left, textWidth(t.Label, tickSize, false))
		}
		panels = append(panels, p)
	}
	// Long names of classes may take a third of the width and are cut beyond.
	left = margin + labelSize + 2*gap + min(left, width/3) + tickLength
	y := margin
	for i := range panels {
		p := &panels[i]
		if p.Title != "" {
			y += titleSize + gap
		}
		p.left, p.top, p.width, p.height = left, y+2, width-left-margin-4, p.Height
		if p.height == 0 {
			p.height = defaultHeight
		}
		y = p.top + p.height + tickLength + tickSize + gap
		if p.X.Label != "" {
			y += labelSize + gap
		}
		for _, m := range p.Marks {
			if name := m.legend(); name != "" {
				p.names = append(p.names, fit(name, tickSize, width-left-margin-keyWidth-gap, false))
				y += legendRow
			}
		}
		y += margin
		p.bottom = y
	}
	return panels, width, y, nil
}

// ranges are what the axes show.
func (p *Panel) ranges() (x, y Range) {
	x, y = Range{math.Inf(1), math.Inf(-1)}, Range{math.Inf(1), math.Inf(-1)}
	for _, m := range p.Marks {
		m.extent(func(at Point) {
			if at.finite() {
				x = Range{min(x.Low, at.X), max(x.High, at.X)}
				y = Range{min(y.Low, at.Y), max(y.High, at.Y)}
			}
		})
	}
	return p.X.shown(x), p.Y.shown(y)
}

// shown is the range of the axis for data of an extent.
func (a *Axis) shown(data Range) Range {
	if a.Min != a.Max && numeric.Finite(a.Min) && numeric.Finite(a.Max) {
		return Range{min(a.Min, a.Max), max(a.Min, a.Max)}
	}
	if data.Low > data.High {
		return Range{0, 1}
	}
	air := 0.05 * (data.High - data.Low)
	if air == 0 || !numeric.Finite(air) {
		air = max(1e-6, 0.1*math.Abs(data.High))
	}
	if r := (Range{data.Low - air, data.High + air}); numeric.Finite(r.High-r.Low) && r.High > r.Low {
		return r
	}
	return Range{0, 1}
}

// ticks are the marked values within the range.
func (a *Axis) ticks(r Range) []Tick {
	if a.Ticks != nil {
		return a.Ticks
	}
	return RoundTicks(r.Low, r.High, a.Whole)
}

// RoundTicks are about six values between low and high, one, two or five times a power of ten apart, at least one apart
// if they are to be whole.
func RoundTicks(low, high float64, whole bool) []Tick {
	if !(high > low) || !numeric.Finite(high-low) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/6)))
	for _, factor := range []float64{2, 2.5, 2} {
		if (high-low)/step > 8 {
			step *= factor
		}
	}
	if whole {
		step = max(1, step)
	}
	if step == 0 || low+step == low || high+step == high {
		return nil
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	var ticks []Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+1e-9*step; i++ {
		v := i * step
		text := strconv.FormatFloat(v, 'f', decimals, 64)
		if math.Abs(v) >= 1e6 || decimals > 5 {
			text = strconv.FormatFloat(v, 'g', 6, 64)
		}
		if i == 0 {
			v, text = 0, strconv.FormatFloat(0, 'f', min(decimals, 5), 64)
		}
		ticks = append(ticks, Tick{v, text})
	}
	return ticks
}

// Unit is an axis from 0 to 1, marked every 0.2.
func Unit(label string) Axis {
	a := Axis{Label: label, Min: 0, Max: 1}
	for i := 0; i <= 10; i += 2 {
		a.Ticks = append(a.Ticks, Tick{float64(i) / 10, strconv.FormatFloat(float64(i)/10, 'f', 1, 64)})
	}
	return a
}
