package nifti

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckGeometry(t *testing.T) {
	good := Geometry{Size: [3]int{2, 3, 4}, Spacing: [3]float64{1, 2, 3}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(g *Geometry)
		want   string
	}{
		"empty axis":           {func(g *Geometry) { g.Size[1] = 0 }, "size [2 0 4]"},
		"negative axis":        {func(g *Geometry) { g.Size[2] = -4 }, "size [2 3 -4]"},
		"more than an int":     {func(g *Geometry) { g.Size = [3]int{math.MaxInt / 2, 3, 1} }, "at most"},
		"no spacing":           {func(g *Geometry) { g.Spacing = [3]float64{} }, "spacing [0 0 0]"},
		"spacing not a number": {func(g *Geometry) { g.Spacing[0] = math.NaN() }, "spacing [NaN 2 3]"},
		"infinite origin":      {func(g *Geometry) { g.Origin[2] = math.Inf(1) }, "origin"},
		"axis to nowhere":      {func(g *Geometry) { g.Direction = [9]float64{1, 0, 0, 0, 0, 0, 0, 0, 1} }, "direction"},
		"direction not finite": {func(g *Geometry) { g.Direction = [9]float64{1, 0, 0, 0, math.NaN(), 0, 0, 0, 1} }, "direction"},
	} {
		t.Run(name, func(t *testing.T) {
			g := good
			test.change(&g)
			path := filepath.Join(t.TempDir(), "x.nii")
			_, image := NewImage(g, nil)
			_, mask := NewMask(g, nil)
			for _, err := range []error{g.Check(), image, mask, WriteImage(path, &Image{Geometry: g})} {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one about %q", err, test.want)
				}
			}
		})
	}
}

func TestNewImage(t *testing.T) {
	g := Geometry{Size: [3]int{2, 3, 4}, Spacing: [3]float64{1, 2, 3}}
	im, err := NewImage(g, nil)
	if err != nil || len(im.Data) != 24 {
		t.Fatalf("%d voxels (%v)", len(im.Data), err)
	}
	data := make([]int16, 24)
	m, err := NewMask(g, data)
	if err != nil || &m.Data[0] != &data[0] {
		t.Fatalf("the labels were copied (%v)", err)
	}
	if _, err := NewMask(g, data[1:]); err == nil || !strings.Contains(err.Error(), "23 voxels, expected 24") {
		t.Errorf("error %v", err)
	}
}

func TestDatatype(t *testing.T) {
	for d, want := range map[Datatype]string{Uint8: "uint8", Int16: "int16", Float32: "float32", Uint64: "uint64", 32: "complex64", 4242: "code 4242"} {
		if d.String() != want {
			t.Errorf("%d is called %s, want %s", int32(d), d, want)
		}
		if known := types[d] != 0; known != (d.Bytes() > 0) || known != (d.check() == nil) {
			t.Errorf("%s: %d bytes, %v", d, d.Bytes(), d.check())
		}
	}
}
