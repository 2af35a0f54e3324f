package figure

import (
	"io"
	"time"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"codeberg.org/go-pdf/fpdf"
)

// PDF writes the figure as a PDF of one page of its size, with the font embedded. The same figure gives the same bytes.
// Characters that the font lacks appear as "?" (see Printable).
func (f *Figure) PDF(w io.Writer) error {
	panels, width, height, err := f.lay()
	if err != nil {
		return err
	}
	doc := fpdf.NewCustom(&fpdf.InitType{UnitStr: "pt", Size: fpdf.SizeType{Wd: width, Ht: height}, OrientationStr: orientation(width, height)})
	doc.SetCatalogSort(true)
	epoch := time.Unix(0, 0).UTC() // a figure is what it shows, whenever it was drawn
	doc.SetCreationDate(epoch)
	doc.SetModificationDate(epoch)
	doc.SetMargins(0, 0, 0)
	doc.SetAutoPageBreak(false, 0)
	doc.SetTitle(printable(f.Title), true)
	doc.SetSubject(printable(f.Description), true)
	doc.AddUTF8FontFromBytes(family, "", liberationsansregular.TTF)
	doc.AddUTF8FontFromBytes(family, "B", liberationsansbold.TTF)
	doc.AddPage()
	draw(&pdf{doc}, panels)
	return doc.Output(w)
}

const family = "LiberationSans"

// orientation is what fpdf wants to know to leave width and height as they are.
func orientation(width, height float64) string {
	if width > height {
		return "L"
	}
	return "P"
}

// pdf is a canvas of a PDF.
type pdf struct {
	doc *fpdf.Fpdf
}

func (c *pdf) open(string, string) {}
func (c *pdf) close()              {}
func (c *pdf) openPanel(*area)     {}

func (c *pdf) clip(a *area) {
	const air = 4
	c.doc.ClipRect(a.left-air, a.top-air, a.width+2*air, a.height+2*air, false)
}

func (c *pdf) unclip() { c.doc.ClipEnd() }

func (c *pdf) line(path []Point, s stroke) {
	d := c.doc
	d.SetDrawColor(int(s.colour[0]), int(s.colour[1]), int(s.colour[2]))
	d.SetLineWidth(s.width)
	d.SetLineJoinStyle("round")
	d.SetAlpha(s.opacity, "Normal")
	d.SetDashPattern(nil, 0)
	if s.dash > 0 {
		d.SetDashPattern([]float64{s.dash, 0.8 * s.dash}, 0)
	}
	d.MoveTo(path[0].X, path[0].Y)
	for _, p := range path[1:] {
		d.LineTo(p.X, p.Y)
	}
	d.DrawPath("D")
}

// paint sets the colours and returns how fpdf calls what is to be painted.
func (c *pdf) paint(p paint) string {
	how := ""
	if p.fill != nil {
		c.doc.SetFillColor(int(p.fill[0]), int(p.fill[1]), int(p.fill[2]))
		how = "F"
	}
	if p.line != nil {
		c.doc.SetDrawColor(int(p.line[0]), int(p.line[1]), int(p.line[2]))
		c.doc.SetLineWidth(1.25)
		c.doc.SetDashPattern(nil, 0)
		how += "D"
	}
	c.doc.SetAlpha(p.opacity, "Normal")
	return how
}

func (c *pdf) polygon(corners []Point, p paint, _ string) {
	points := make([]fpdf.PointType, len(corners))
	for i, corner := range corners {
		points[i] = fpdf.PointType{X: corner.X, Y: corner.Y}
	}
	c.doc.Polygon(points, c.paint(p))
}

func (c *pdf) circle(at Point, radius float64, p paint, _ string) {
	c.doc.Circle(at.X, at.Y, radius, c.paint(p))
}

func (c *pdf) text(at Point, words string, l letters, _ string) {
	d, style := c.doc, ""
	if l.bold {
		style = "B"
	}
	words = printable(visible(words))
	d.SetFont(family, style, l.size)
	d.SetTextColor(int(l.colour[0]), int(l.colour[1]), int(l.colour[2]))
	d.SetAlpha(1, "Normal")
	x := at.X
	switch width := d.GetStringWidth(words); l.align {
	case middle:
		x -= width / 2
	case end:
		x -= width
	}
	if l.upright {
		d.TransformBegin()
		d.TransformRotate(90, at.X, at.Y)
		defer d.TransformEnd()
	}
	d.Text(x, at.Y, words)
}
