package integrity

import (
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/volume"
)

func TestMaskMismatch(t *testing.T) {
	image := volume.Geometry{Size: [3]int{4, 5, 6}, Spacing: [3]float64{2, 1, 1}, Origin: [3]float64{10, -20, 5}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	for _, test := range []struct {
		name             string
		change           func(*volume.Geometry)
		wrong, elsewhere string // parts of what is said
	}{
		{"the same", func(*volume.Geometry) {}, "", ""},
		{"rounding", func(g *volume.Geometry) { g.Origin[0] += 5e-4 }, "", ""},
		{"half a voxel", func(g *volume.Geometry) { g.Origin[0] += 0.5 }, "", "origin [10.5 -20 5] mm, but i.nii.gz has [10 -20 5]"},
		{"far away", func(g *volume.Geometry) { g.Origin = [3]float64{300, 0, 0} }, "", "origin"},
		{"size", func(g *volume.Geometry) { g.Size[2]++; g.Origin[0]++ }, "size", ""},
		{"spacing", func(g *volume.Geometry) { g.Spacing[0] = 2.1; g.Origin[0]++ }, "spacing", ""},
		{"slices reversed", func(g *volume.Geometry) { g.Direction[8] = -1; g.Origin[2] += 6 }, "direction", ""},
	} {
		mask := image
		test.change(&mask)
		wrong, elsewhere := MaskMismatch(mask, "i.nii.gz", image)
		for _, said := range [][2]string{{wrong, test.wrong}, {elsewhere, test.elsewhere}} {
			if (said[0] == "") != (said[1] == "") || !strings.Contains(said[0], said[1]) {
				t.Errorf("%s: said %q and %q, want %q and %q", test.name, wrong, elsewhere, test.wrong, test.elsewhere)
			}
		}
	}
}
