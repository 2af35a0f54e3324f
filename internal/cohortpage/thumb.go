package cohortpage

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/planes"
	"github.com/universal-classifier/uc/internal/volume"
)

// thickSlices is from how many times the smallest spacing on an axis is that of slices.
const thickSlices = 1.5

// viewOf chooses the axis with the largest spacing or, if the spacings are nearly alike, the one from feet to head.
func viewOf(g volume.Geometry) planes.View {
	normal := 0
	for d := 1; d < 3; d++ {
		if g.Spacing[d] > g.Spacing[normal] {
			normal = d
		}
	}
	if g.Spacing[normal] < thickSlices*min(g.Spacing[0], g.Spacing[1], g.Spacing[2]) {
		normal = 0
		for d := range 3 {
			if toward, _ := planes.Body(g, d); toward == 2 {
				normal = d
			}
		}
	}
	return planes.Along(g, normal)
}

// thumb is a slice as the page shows it.
type thumb struct {
	Width, Height int
	Source        template.URL
	Outline       string // path of the region's edge, in pixels; "" for none
	View          string
	Small         bool // of few voxels, which are to stay visible
}

// draw makes a thumbnail of a slice, no longer than side, with its pixels square in mm.
func draw(plane []float32, inside []uint8, g volume.Geometry, v planes.View, side int) *thumb {
	rows, cols := g.Size[v.Row], g.Size[v.Col]
	tall, wide := float64(rows)*g.Spacing[v.Row], float64(cols)*g.Spacing[v.Col]
	scale := min(float64(side)/max(tall, wide), 1/min(g.Spacing[v.Row], g.Spacing[v.Col]))
	t := &thumb{Width: clamp(int(math.Round(wide*scale)), 1, side), Height: clamp(int(math.Round(tall*scale)), 1, side), View: v.Name}
	t.Small = max(t.Width, t.Height) < side/2
	at := func(r, c int) int { // in the plane, whose axes are in the order of the volume's
		if v.FlipRow {
			r = rows - 1 - r
		}
		if v.FlipCol {
			c = cols - 1 - c
		}
		if v.Row < v.Col {
			return r*cols + c
		}
		return c*rows + r
	}
	sorted := slices.Sorted(slices.Values(plane))
	low, high := sorted[len(sorted)/100], sorted[len(sorted)-1-len(sorted)/100]
	if !(high > low) {
		low, high = sorted[0], sorted[len(sorted)-1]
	}
	im := image.NewGray(image.Rect(0, 0, t.Width, t.Height))
	region := make([]bool, t.Width*t.Height)
	for y := range t.Height {
		for x := range t.Width {
			r0, r1 := span(y, t.Height, rows)
			c0, c1 := span(x, t.Width, cols)
			sum := 0.0
			in := 0
			for r := r0; r < r1; r++ {
				for c := c0; c < c1; c++ {
					sum += float64(plane[at(r, c)])
					if inside != nil && inside[at(r, c)] != 0 {
						in++
					}
				}
			}
			n := (r1 - r0) * (c1 - c0)
			grey := 0.0
			if high > low {
				grey = (sum/float64(n) - float64(low)) / float64(high-low) * 255
			}
			im.SetGray(x, y, color.Gray{Y: uint8(clamp(int(math.Round(grey)), 0, 255))})
			region[y*t.Width+x] = 2*in > n || in > 0 && n > 4
		}
	}
	t.Source = encode(im, t.Small)
	t.Outline = outline(region, t.Width, t.Height)
	return t
}

// span is what pixel i of n covers of m voxels: at least one.
func span(i, n, m int) (from, to int) {
	from = i * m / n
	return from, max(from+1, (i+1)*m/n)
}

func clamp(v, low, high int) int { return min(max(v, low), high) }

func encode(im image.Image, exact bool) template.URL {
	var b bytes.Buffer
	kind := "jpeg"
	var err error
	if exact {
		kind, err = "png", png.Encode(&b, im)
	} else {
		err = jpeg.Encode(&b, im, &jpeg.Options{Quality: 78})
	}
	if err != nil { // neither fails for a grey image in memory
		return ""
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

// maxOutline bounds the path of one outline, in bytes: a region of scattered pixels is not drawn further.
const maxOutline = 6 << 10

// outline is the edge of a region as an SVG path of horizontal and vertical lines.
func outline(region []bool, width, height int) string {
	in := func(x, y int) bool { return x >= 0 && y >= 0 && x < width && y < height && region[y*width+x] }
	var b strings.Builder
	line := func(x, y int, step byte, n int) {
		if n > 0 && b.Len() < maxOutline {
			fmt.Fprintf(&b, "M%d %d%c%d", x, y, step, n)
		}
	}
	for y := range height + 1 {
		from := 0
		for x := range width + 1 {
			if x < width && in(x, y) != in(x, y-1) {
				continue
			}
			line(from, y, 'h', x-from)
			from = x + 1
		}
	}
	for x := range width + 1 {
		from := 0
		for y := range height + 1 {
			if y < height && in(x, y) != in(x-1, y) {
				continue
			}
			line(x, from, 'v', y-from)
			from = y + 1
		}
	}
	return b.String()
}
