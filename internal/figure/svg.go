package figure

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// SVG writes the figure as SVG. Colours are presentation attributes and every group has a class (panel, grid, axis,
// legend, series), so that the style sheet of a page may change them. A panel says in data-x and data-y what its axes
// show and in data-area (left, top, width, height) where; a series has its name as title.
func (f *Figure) SVG(w io.Writer) error {
	panels, width, height, err := f.lay()
	if err != nil {
		return err
	}
	c := new(svg)
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" class="figure" role="img" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s"`,
		short(width), short(height))
	c.b.WriteString(` font-family="'Liberation Sans', Arial, Helvetica, sans-serif"`)
	if f.Title != "" {
		c.attribute("aria-label", f.Title)
	}
	c.b.WriteString(">\n")
	c.element("title", f.Title)
	c.element("desc", f.Description)
	fmt.Fprintf(&c.b, "<rect class=\"page\" width=\"%s\" height=\"%s\" fill=\"%s\"/>\n", short(width), short(height), White.Hex())
	draw(c, panels)
	c.b.WriteString("</svg>\n")
	_, err = w.Write(c.b.Bytes())
	return err
}

// svg is a canvas of SVG.
type svg struct {
	b bytes.Buffer
}

// short is a length with two decimals at most.
func short(v float64) string {
	text := strconv.FormatFloat(v, 'f', 2, 64)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" || text == "" {
		return "0"
	}
	return text
}

func (c *svg) escape(text string) { _ = xml.EscapeText(&c.b, []byte(visible(text))) } // a buffer takes everything

func (c *svg) attribute(name, value string) {
	c.b.WriteString(" " + name + `="`)
	c.escape(value)
	c.b.WriteString(`"`)
}

func (c *svg) element(name, text string) {
	if text == "" {
		return
	}
	c.b.WriteString("<" + name + ">")
	c.escape(text)
	c.b.WriteString("</" + name + ">\n")
}

func (c *svg) open(class, name string) {
	c.b.WriteString("<g")
	c.attribute("class", class)
	c.b.WriteString(">\n")
	c.element("title", name)
}

func (c *svg) close() { c.b.WriteString("</g>\n") }

func (c *svg) openPanel(a *area) {
	c.b.WriteString(`<g class="panel"`)
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }
	c.attribute("data-x", number(a.x.Low)+" "+number(a.x.High))
	c.attribute("data-y", number(a.y.Low)+" "+number(a.y.High))
	c.attribute("data-area", strings.Join([]string{short(a.left), short(a.top), short(a.width), short(a.height)}, " "))
	c.b.WriteString(">\n")
}

// A nested svg element clips without the id that a clipPath needs, which would clash where figures share a page.
func (c *svg) clip(a *area) {
	const air = 4 // for dots and lines on the edge
	x, y, w, h := short(a.left-air), short(a.top-air), short(a.width+2*air), short(a.height+2*air)
	fmt.Fprintf(&c.b, "<svg class=\"data\" x=\"%[1]s\" y=\"%[2]s\" width=\"%[3]s\" height=\"%[4]s\" viewBox=\"%[1]s %[2]s %[3]s %[4]s\" overflow=\"hidden\">\n", x, y, w, h)
}

func (c *svg) unclip() { c.b.WriteString("</svg>\n") }

func (c *svg) points(path []Point) {
	var b strings.Builder
	for i, p := range path {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(short(p.X) + "," + short(p.Y))
	}
	c.attribute("points", b.String())
}

func (c *svg) opacity(name string, share float64) {
	if share < 1 {
		c.attribute(name, short(share))
	}
}

func (c *svg) line(path []Point, s stroke) {
	c.b.WriteString("<polyline")
	c.points(path)
	c.attribute("fill", "none")
	c.attribute("stroke", s.colour.Hex())
	c.attribute("stroke-width", short(s.width))
	c.attribute("stroke-linejoin", "round")
	c.opacity("stroke-opacity", s.opacity)
	if s.dash > 0 {
		c.attribute("stroke-dasharray", short(s.dash)+" "+short(0.8*s.dash))
	}
	c.b.WriteString("/>\n")
}

func (c *svg) polygon(corners []Point, p paint, label string) {
	c.b.WriteString("<polygon")
	c.points(corners)
	c.paint(p)
	c.end("polygon", label)
}

func (c *svg) circle(at Point, radius float64, p paint, label string) {
	c.b.WriteString("<circle")
	c.attribute("cx", short(at.X))
	c.attribute("cy", short(at.Y))
	c.attribute("r", short(radius))
	c.paint(p)
	c.end("circle", label)
}

func (c *svg) paint(p paint) {
	fill := "none"
	if p.fill != nil {
		fill = p.fill.Hex()
	}
	c.attribute("fill", fill)
	c.opacity("fill-opacity", p.opacity)
	if p.line != nil {
		c.attribute("stroke", p.line.Hex())
		c.attribute("stroke-width", "1.25")
	}
}

// end closes an element that the pointer is told of.
func (c *svg) end(element, label string) {
	if label == "" {
		c.b.WriteString("/>\n")
		return
	}
	c.b.WriteString(">")
	c.element("title", label)
	c.b.WriteString("</" + element + ">\n")
}

func (c *svg) text(at Point, words string, l letters, class string) {
	c.b.WriteString("<text")
	c.attribute("class", class)
	c.attribute("x", short(at.X))
	c.attribute("y", short(at.Y))
	c.attribute("font-size", short(l.size))
	c.attribute("fill", l.colour.Hex())
	if l.bold {
		c.attribute("font-weight", "bold")
	}
	if l.align != start {
		c.attribute("text-anchor", map[alignment]string{middle: "middle", end: "end"}[l.align])
	}
	if l.upright {
		c.attribute("transform", fmt.Sprintf("rotate(-90 %s %s)", short(at.X), short(at.Y)))
	}
	c.b.WriteString(">")
	c.escape(words)
	c.b.WriteString("</text>\n")
}
