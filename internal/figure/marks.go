package figure

import (
	"slices"

	"github.com/universal-classifier/uc/internal/numeric"
)

const (
	lineWidth  = 1.5
	dotRadius  = 3.0
	keyWidth   = 20.0 // of a line in the legend
	bandShare  = 0.2  // of a band's colour
	paleShare  = 0.45 // of a pale line's
	dashLength = 4.0
)

func (l Line) extent(see func(Point)) {
	for _, p := range l.Points {
		see(p)
	}
}

func (l Line) style() stroke {
	s := stroke{colour: l.Colour, width: l.Width, opacity: 1}
	if s.width == 0 {
		s.width = lineWidth
	}
	if l.Dashed {
		s.dash = dashLength
	}
	if l.Pale {
		s.opacity = paleShare
	}
	return s
}

func (l Line) draw(c canvas, a *area) {
	c.open("series line", l.Name)
	defer c.close()
	for _, part := range stretches(l.Points) {
		if len(part) == 1 {
			c.circle(a.at(part[0]), l.style().width+0.5, paint{fill: &l.Colour, opacity: l.style().opacity}, "")
			continue
		}
		path := make([]Point, len(part))
		for i, p := range part {
			path[i] = a.at(p)
		}
		c.line(path, l.style())
	}
}

func (l Line) legend() string { return l.Name }

func (l Line) key(c canvas, at Point) {
	c.line([]Point{at, {at.X + keyWidth, at.Y}}, l.style())
}

// stretches cuts a line where its points are not finite.
func stretches(points []Point) [][]Point {
	var parts [][]Point
	for len(points) > 0 {
		n := slices.IndexFunc(points, func(p Point) bool { return !p.finite() })
		switch {
		case n < 0:
			return append(parts, points)
		case n > 0:
			parts = append(parts, points[:n])
		}
		points = points[n+1:]
	}
	return parts
}

func (b Band) extent(see func(Point)) {
	for i, x := range b.X {
		see(Point{x, b.Low[i]})
		see(Point{x, b.High[i]})
	}
}

func (b Band) draw(c canvas, a *area) {
	var upper, lower []Point
	for i, x := range b.X {
		low, high := Point{x, b.Low[i]}, Point{x, b.High[i]}
		if low.finite() && high.finite() {
			upper, lower = append(upper, a.at(high)), append(lower, a.at(low))
		}
	}
	if len(upper) < 2 {
		return
	}
	slices.Reverse(lower)
	c.open("series band", b.Name)
	defer c.close()
	c.polygon(append(upper, lower...), paint{fill: &b.Colour, opacity: bandShare}, "")
}

func (b Band) legend() string { return b.Name }

func (b Band) key(c canvas, at Point) {
	c.polygon([]Point{{at.X, at.Y - 4}, {at.X + keyWidth, at.Y - 4}, {at.X + keyWidth, at.Y + 4}, {at.X, at.Y + 4}},
		paint{fill: &b.Colour, opacity: bandShare}, "")
}

func (d Dots) extent(see func(Point)) {
	for i, p := range d.At {
		see(p)
		if i < len(d.X) {
			see(Point{d.X[i].Low, p.Y})
			see(Point{d.X[i].High, p.Y})
		}
		if i < len(d.Y) {
			see(Point{p.X, d.Y[i].Low})
			see(Point{p.X, d.Y[i].High})
		}
	}
}

func (d Dots) draw(c canvas, a *area) {
	c.open("series dots", d.Name)
	defer c.close()
	bar := stroke{colour: d.Colour, width: 1, opacity: 1}
	for i, p := range d.At {
		if !p.finite() {
			continue
		}
		if i < len(d.X) && numeric.Finite(d.X[i].Low) && numeric.Finite(d.X[i].High) {
			c.line([]Point{a.at(Point{d.X[i].Low, p.Y}), a.at(Point{d.X[i].High, p.Y})}, bar)
		}
		if i < len(d.Y) && numeric.Finite(d.Y[i].Low) && numeric.Finite(d.Y[i].High) {
			c.line([]Point{a.at(Point{p.X, d.Y[i].Low}), a.at(Point{p.X, d.Y[i].High})}, bar)
		}
		label := ""
		if i < len(d.Labels) {
			label = d.Labels[i]
		}
		d.dot(c, a.at(p), label)
	}
}

func (d Dots) dot(c canvas, at Point, label string) {
	r := d.Radius
	if r == 0 {
		r = dotRadius
	}
	if d.Ring {
		c.circle(at, r, paint{line: &d.Colour, opacity: 1}, label)
		return
	}
	c.circle(at, r, paint{fill: &d.Colour, opacity: 1}, label)
}

func (d Dots) legend() string { return d.Name }

func (d Dots) key(c canvas, at Point) { d.dot(c, Point{at.X + keyWidth/2, at.Y}, "") }

func (b Box) extent(see func(Point)) {
	see(b.From)
	see(b.To)
}

func (b Box) draw(c canvas, a *area) {
	from, to := a.at(b.From), a.at(b.To)
	c.polygon([]Point{from, {to.X, from.Y}, to, {from.X, to.Y}}, paint{fill: &b.Fill, opacity: 1}, b.Label)
}

func (b Box) legend() string    { return "" }
func (b Box) key(canvas, Point) {}

func (w Words) extent(func(Point)) {}

func (w Words) draw(c canvas, a *area) {
	at := a.at(w.At)
	at.Y += w.Shift + 0.35*w.Size // the middle of the letters, from their base line
	c.text(at, w.Text, letters{size: w.Size, bold: w.Bold, colour: w.Colour, align: middle}, "words")
}

func (w Words) legend() string    { return "" }
func (w Words) key(canvas, Point) {}

func (n Note) extent(func(Point))     {}
func (n Note) draw(canvas, *area)     {}
func (n Note) legend() string         { return n.Text }
func (n Note) key(c canvas, at Point) { Line{Colour: n.Colour, Dashed: true}.key(c, at) }
