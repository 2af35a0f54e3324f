package preview

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
)

// Sizes of pictures in pixels.
const (
	thumbSide  = 150
	slicesSide = 190
	quality    = 76
)

// outlineColour is that of the edge of the region of interest.
var outlineColour = color.RGBA{0x2c, 0xc5, 0xe8, 0xff}

// plane is a slice of a preview: x runs to the right, y down.
type plane struct {
	width, height int
	mmX, mmY      float64
	at            func(x, y int) int // offset in the volume
}

// planes are the axial, the coronal and the sagittal slice through a voxel (z, y, x), as a radiologist looks at them:
// the patient's right, or front, on the left, and the front, or the head, on top.
func planes(size [3]int, mm [3]float64, p [3]int) [3]plane {
	offset := func(z, y, x int) int { return (z*size[1]+y)*size[2] + x }
	return [3]plane{
		{size[2], size[1], mm[2], mm[1], func(x, y int) int { return offset(p[0], y, x) }},
		{size[2], size[0], mm[2], mm[0], func(x, y int) int { return offset(size[0]-1-y, p[1], x) }},
		{size[1], size[0], mm[1], mm[0], func(x, y int) int { return offset(size[0]-1-y, x, p[2]) }},
	}
}

// pictures are the thumbnail and the slices of a preview, through the region of interest where that is widest, in at
// most so many bytes of base64: smaller ones where they would be more, and none where nothing fits.
func (r *raw) pictures(c *Case, bytes int) (thumb, slices []byte) {
	low, high := window(r.images[0])
	slope := (high - low) / 255
	if !(slope > 0) {
		slope = 1
	}
	grey := levels(r.images[0], low, slope)
	var roi []uint8
	if r.share != nil {
		roi = r.roi()
	}
	all := planes(r.size, c.Spacing, widest(roi, r.size))
	// Thick slices are looked at along their stack, whatever that is; other images from the feet.
	best := 0
	for d, mm := range c.Spacing {
		if mm > 1.5*min(c.Spacing[0], c.Spacing[1], c.Spacing[2]) && mm > c.Spacing[best] {
			best = d
		}
	}
	for _, scale := range []float64{1, 0.7, 0.5, 0.35, 0.25} {
		thumb = jpegOf(all[best].draw(grey, roi, int(scale*thumbSide)))
		slices = jpegOf(strip(all, grey, roi, int(scale*slicesSide)))
		if encoded(len(thumb))+encoded(len(slices)) <= bytes {
			return thumb, slices
		}
	}
	return []byte{}, nil
}

// strip is the slices side by side.
func strip(all [3]plane, grey, roi []uint8, side int) *image.RGBA {
	const gap = 4
	var parts []*image.RGBA
	width, height := 0, 0
	for _, p := range all {
		im := p.draw(grey, roi, side)
		parts = append(parts, im)
		width, height = width+im.Rect.Dx()+gap, max(height, im.Rect.Dy())
	}
	out := image.NewRGBA(image.Rect(0, 0, width-gap, height))
	for i := 3; i < len(out.Pix); i += 4 {
		out.Pix[i] = 0xff
	}
	x0 := 0
	for _, im := range parts {
		y0 := (height - im.Rect.Dy()) / 2
		for y := range im.Rect.Dy() {
			copy(out.Pix[out.PixOffset(x0, y0+y):], im.Pix[im.PixOffset(0, y):im.PixOffset(0, y)+4*im.Rect.Dx()])
		}
		x0 += im.Rect.Dx() + gap
	}
	return out
}

// widest is the voxel in the middle of a region, along each axis where most of it is; the middle of the volume for an
// empty one.
func widest(roi []uint8, size [3]int) [3]int {
	counts := [3][]int{make([]int, size[0]), make([]int, size[1]), make([]int, size[2])}
	found := false
	for i, v := range roi {
		if v > 0 {
			found = true
			counts[0][i/(size[1]*size[2])]++
			counts[1][i/size[2]%size[1]]++
			counts[2][i%size[2]]++
		}
	}
	at := [3]int{size[0] / 2, size[1] / 2, size[2] / 2}
	if found {
		for d := range 3 {
			for i, n := range counts[d] {
				if n > counts[d][at[d]] {
					at[d] = i
				}
			}
		}
	}
	return at
}

// draw makes a picture of a slice with the longer side so many pixels long and pixels that are square in mm, with the
// edge of the region.
func (p plane) draw(grey, roi []uint8, side int) *image.RGBA {
	wide, tall := float64(p.width)*p.mmX, float64(p.height)*p.mmY
	scale := float64(side) / max(wide, tall)
	w, h := max(1, int(math.Round(wide*scale))), max(1, int(math.Round(tall*scale)))
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	voxel := func(x, y int) int { return p.at(x*p.width/w, y*p.height/h) }
	for y := range h {
		for x := range w {
			v := p.smooth(grey, (float64(x)+0.5)*float64(p.width)/float64(w)-0.5, (float64(y)+0.5)*float64(p.height)/float64(h)-0.5)
			c := color.RGBA{v, v, v, 0xff}
			if roi != nil {
				in := roi[voxel(x, y)] > 0
				edge := in && (x == 0 || y == 0 || x == w-1 || y == h-1 || roi[voxel(x-1, y)] == 0 || roi[voxel(x+1, y)] == 0 ||
					roi[voxel(x, y-1)] == 0 || roi[voxel(x, y+1)] == 0)
				if edge {
					c = outlineColour
				}
			}
			im.SetRGBA(x, y, c)
		}
	}
	return im
}

// smooth is the grey at a position between voxels.
func (p plane) smooth(grey []uint8, x, y float64) uint8 {
	x, y = max(0, min(x, float64(p.width-1))), max(0, min(y, float64(p.height-1)))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, p.width-1), min(y0+1, p.height-1)
	fx, fy := x-float64(x0), y-float64(y0)
	v := func(x, y int) float64 { return float64(grey[p.at(x, y)]) }
	return uint8(math.Round((v(x0, y0)*(1-fx)+v(x1, y0)*fx)*(1-fy) + (v(x0, y1)*(1-fx)+v(x1, y1)*fx)*fy))
}

func jpegOf(im image.Image) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: quality}); err != nil { // a picture in memory of a size within bounds
		return nil
	}
	return b.Bytes()
}
