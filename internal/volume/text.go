package volume

import "fmt"

// SizeText writes the size (z, y, x) of an image as image viewers do, x first: 512x512x90.
func SizeText(size [3]int) string { return fmt.Sprintf("%dx%dx%d", size[2], size[1], size[0]) }

// SpacingText writes the spacing (z, y, x) of an image as image viewers do, x first: 0.5 x 0.5 x 2 mm.
func SpacingText(s [3]float64) string {
	return fmt.Sprintf("%.6g x %.6g x %.6g mm", s[2], s[1], s[0])
}

// ShapeText writes the shape of an array in the order of its axes, as plans.json does: 90 x 512 x 512. It is for what
// the network sees, whose axes the plans may have exchanged.
func ShapeText(shape [3]int) string {
	return fmt.Sprintf("%d x %d x %d", shape[0], shape[1], shape[2])
}
