package figure

// canvas is a page; x to the right and y downwards, in points.
type canvas interface {
	// open begins a group with a class, which the pointer is told the name of; close ends it.
	open(class, name string)
	close()
	// openPanel begins the group of a panel; clip and unclip enclose what is not drawn outside its axes.
	openPanel(a *area)
	clip(a *area)
	unclip()
	line(path []Point, s stroke)
	polygon(corners []Point, p paint, label string)
	circle(at Point, radius float64, p paint, label string)
	text(at Point, words string, l letters, class string)
}

type stroke struct {
	colour  Colour
	width   float64
	dash    float64 // length; 0 for a line without gaps
	opacity float64
}

type paint struct {
	fill, line *Colour
	opacity    float64
}

type letters struct {
	size    float64
	bold    bool
	colour  Colour
	align   alignment
	upright bool // turned by a quarter to the left
}

type alignment int

const (
	start alignment = iota
	middle
	end
)

// draw puts the panels on a page.
func draw(c canvas, panels []placed) {
	for i := range panels {
		panels[i].draw(c)
	}
}

func (p *placed) draw(c canvas) {
	c.openPanel(&p.area)
	defer c.close()
	right, bottom := p.left+p.width, p.top+p.height
	if p.Title != "" {
		c.text(Point{p.left + p.width/2, p.top - gap - 2}, fit(p.Title, titleSize, p.width, true), letters{size: titleSize, bold: true, colour: Ink, align: middle}, "title")
	}
	c.open("grid", "")
	for _, t := range p.xs {
		if x := p.at(Point{t.Value, p.y.Low}).X; !p.X.Bare && x >= p.left-0.01 && x <= right+0.01 {
			c.line([]Point{{x, p.top}, {x, bottom}}, stroke{colour: Faint, width: 0.75, opacity: 1})
		}
	}
	for _, t := range p.ys {
		if y := p.at(Point{p.x.Low, t.Value}).Y; !p.Y.Bare && y >= p.top-0.01 && y <= bottom+0.01 {
			c.line([]Point{{p.left, y}, {right, y}}, stroke{colour: Faint, width: 0.75, opacity: 1})
		}
	}
	c.close()
	c.clip(&p.area)
	for _, m := range p.Marks {
		m.draw(c, &p.area)
	}
	c.unclip()
	p.axes(c)
	p.key(c)
}

// axes draws lines, ticks and labels.
func (p *placed) axes(c canvas) {
	right, bottom := p.left+p.width, p.top+p.height
	c.open("axis", "")
	line := stroke{colour: Grey, width: 1, opacity: 1}
	if !p.X.Bare {
		c.line([]Point{{p.left, bottom}, {right, bottom}}, line)
	}
	if !p.Y.Bare {
		c.line([]Point{{p.left, p.top}, {p.left, bottom}}, line)
	}
	words := letters{size: tickSize, colour: Ink, align: middle}
	room := p.width
	if len(p.xs) > 1 {
		room = 0.95 * p.width / float64(len(p.xs))
	}
	for _, t := range p.xs {
		x := p.at(Point{t.Value, p.y.Low}).X
		if x < p.left-0.01 || x > right+0.01 {
			continue
		}
		if !p.X.Bare {
			c.line([]Point{{x, bottom}, {x, bottom + tickLength}}, line)
		}
		c.text(Point{x, bottom + tickLength + tickSize}, fit(t.Label, tickSize, room, false), words, "tick")
	}
	words.align = end
	for _, t := range p.ys {
		y := p.at(Point{p.x.Low, t.Value}).Y
		if y < p.top-0.01 || y > bottom+0.01 {
			continue
		}
		if !p.Y.Bare {
			c.line([]Point{{p.left - tickLength, y}, {p.left, y}}, line)
		}
		c.text(Point{p.left - tickLength - 2, y + 0.35*tickSize}, fit(t.Label, tickSize, p.left-margin-labelSize-2*gap-tickLength, false), words, "tick")
	}
	label := letters{size: labelSize, colour: Ink, align: middle}
	if p.X.Label != "" {
		c.text(Point{p.left + p.width/2, bottom + tickLength + tickSize + gap + labelSize}, fit(p.X.Label, labelSize, p.width, false), label, "label")
	}
	if p.Y.Label != "" {
		label.upright = true
		c.text(Point{margin + labelSize - 2, p.top + p.height/2}, fit(p.Y.Label, labelSize, p.height, false), label, "label")
	}
	c.close()
}

// key draws the legend below the axes, where it hides nothing.
func (p *placed) key(c canvas) {
	if len(p.names) == 0 {
		return
	}
	c.open("legend", "")
	defer c.close()
	y := p.bottom - margin - legendRow*float64(len(p.names)) + legendRow/2
	i := 0
	for _, m := range p.Marks {
		if m.legend() == "" {
			continue
		}
		m.key(c, Point{p.left, y})
		c.text(Point{p.left + keyWidth + gap, y + 0.35*tickSize}, p.names[i], letters{size: tickSize, colour: Ink}, "entry")
		y += legendRow
		i++
	}
}
