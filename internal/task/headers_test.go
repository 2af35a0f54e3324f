package task

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/volume"
)

// turned is a rotation by so many degrees about z.
func turned(degrees float64) [9]float64 {
	s, c := math.Sincos(degrees * math.Pi / 180)
	return [9]float64{c, -s, 0, s, c, 0, 0, 0, 1}
}

func TestCheckHeaders(t *testing.T) {
	mask := func(edit func(*volume.Image)) func(*fixture) {
		return func(f *fixture) { f.image("labelsTr/b.nii.gz", edit) }
	}
	modality := func(edit func(*volume.Image)) func(*fixture) {
		return func(f *fixture) { f.image("imagesTr/b_0001.nii.gz", edit) }
	}
	whole := func(edit func(*volume.Image)) func(*fixture) {
		return func(f *fixture) {
			for _, rel := range []string{"imagesTr/b_0000.nii.gz", "imagesTr/b_0001.nii.gz", "labelsTr/b.nii.gz"} {
				f.image(rel, edit)
			}
		}
	}
	all := func(edit func(*volume.Image)) func(*fixture) {
		return func(f *fixture) {
			for _, id := range fixtureCases {
				for _, rel := range []string{"imagesTr/" + id + "_0000.nii.gz", "imagesTr/" + id + "_0001.nii.gz", "labelsTr/" + id + ".nii.gz"} {
					f.image(rel, edit)
				}
			}
		}
	}
	tests := []struct {
		name      string
		change    func(*fixture)
		field, in string // empty: no problem
		allow     []string
	}{
		{name: "all is well", change: func(*fixture) {}},
		{name: "rounding", change: mask(func(im *volume.Image) { im.Spacing[1] *= 1 + 5e-4; im.Origin[0] -= 5e-4; im.Direction = turned(0.03) })},
		{name: "size", change: modality(func(im *volume.Image) { im.Size = [3]int{3, 5, 4} }), field: "imagesTr/b_0001.nii.gz", in: "size 4x5x3, but imagesTr/b_0000.nii.gz has 5x4x3"},
		{name: "spacing of the mask", change: mask(func(im *volume.Image) { im.Spacing[0] = 2.01 }), field: "labelsTr/b.nii.gz", in: "spacing 1 x 1 x 2.01 mm, but imagesTr/b_0000.nii.gz has 1 x 1 x 2 mm"},
		{name: "shifted modality", change: modality(func(im *volume.Image) { im.Origin[2] = 4 }), field: "imagesTr/b_0001.nii.gz", in: "origin"},
		{name: "modality shifted by half a voxel", change: modality(func(im *volume.Image) { im.Origin[0] += 0.5 }), field: "imagesTr/b_0001.nii.gz", in: "origin"},
		{name: "modality shifted along a turned axis", change: func(f *fixture) {
			whole(func(im *volume.Image) { im.Direction = turned(45) })(f)
			modality(func(im *volume.Image) { im.Direction = turned(45); im.Origin[0] += 0.01; im.Origin[1] += 0.01 })(f)
		}, field: "imagesTr/b_0001.nii.gz", in: "origin"},
		{name: "turned modality", change: modality(func(im *volume.Image) { im.Direction = turned(0.2) }), field: "imagesTr/b_0001.nii.gz", in: "direction"},
		{name: "mirrored mask", change: mask(func(im *volume.Image) { im.Direction = [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1} }), field: "labelsTr/b.nii.gz", in: "direction"},
		{name: "micrometres: a shift of one voxel", change: func(f *fixture) {
			all(func(im *volume.Image) { im.Spacing = [3]float64{1e-3, 1e-3, 1e-3}; im.Origin = [3]float64{} })(f)
			modality(func(im *volume.Image) { im.Spacing = [3]float64{1e-3, 1e-3, 1e-3}; im.Origin = [3]float64{0, 0, 1e-3} })(f)
		}, field: "imagesTr/b_0001.nii.gz", in: "origin"},
		{name: "far from the isocentre: a float32's rounding", change: func(f *fixture) {
			all(func(im *volume.Image) {
				im.Spacing = [3]float64{1e-3, 1e-3, 1e-3}
				im.Origin = [3]float64{900, 900, 900}
			})(f)
			mask(func(im *volume.Image) {
				im.Spacing = [3]float64{1e-3, 1e-3, 1e-3}
				im.Origin = [3]float64{900, 900, 900 + 6e-5}
			})(f)
		}},
		{name: "spacing ten times the cohort's", change: whole(func(im *volume.Image) { im.Spacing[0] = 20 }), field: "imagesTr/b_0000.nii.gz", in: "spacing 1 x 1 x 20 mm, but the median of the cohort is 1 x 1 x 2 mm; correct the header, or allow it as an outlier if it is right"},
		{name: "spacing a tenth of the cohort's", change: whole(func(im *volume.Image) { im.Spacing[2] = 0.1 }), field: "imagesTr/b_0000.nii.gz", in: "median of the cohort"},
		{name: "an unusual spacing", change: whole(func(im *volume.Image) { im.Spacing[0] = 19 })},
		{name: "an outlier that is allowed", change: whole(func(im *volume.Image) { im.Spacing[0] = 2000 }), allow: []string{"b"}},
		{name: "all outliers are allowed", change: whole(func(im *volume.Image) { im.Spacing[0] = 2000 }), allow: []string{AllowAll}},
		{name: "another outlier is allowed", change: whole(func(im *volume.Image) { im.Spacing[0] = 2000 }), allow: []string{"c"}, field: "imagesTr/b_0000.nii.gz", in: "2000"},
		{name: "a mask elsewhere, told of when it is read", change: mask(func(im *volume.Image) { im.Origin[2] = 4 })},
		{name: "a modality elsewhere is no outlier that could be allowed", change: modality(func(im *volume.Image) { im.Origin[2] = 4 }), allow: []string{"b"}, field: "imagesTr/b_0001.nii.gz", in: "origin"},
		{name: "damaged", change: func(f *fixture) { f.write("imagesTr/b_0001.nii.gz", f.read("imagesTr/b_0001.nii.gz")[:40]) }, in: "imagesTr/b_0001.nii.gz: the file ends"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, true)
			test.change(f)
			r := &recorder{}
			err := f.mustLoad().CheckHeaders(t.Context(), test.allow, r)
			if r.items != len(fixtureCases) {
				t.Errorf("%d cases reported", r.items)
			}
			if len(test.allow) > 0 && test.in == "" && !slices.ContainsFunc(r.lines, func(s string) bool { return strings.Contains(s, "case b: imagesTr/b_0000.nii.gz: spacing") }) {
				t.Errorf("nothing is said of the outlier that is allowed: %q", r.lines)
			}
			if test.in == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var v *ValidationError
			if !errors.As(err, &v) {
				t.Fatalf("error %v", err)
			}
			if len(v.Problems) != 1 || !hasProblem(v.Problems, "b", test.field, test.in) {
				t.Errorf("problems %q", v.Problems)
			}
		})
	}
}

func TestHeadersWarnOfOrientation(t *testing.T) {
	f := newFixture(t, true)
	for _, rel := range []string{"imagesTr/c_0000.nii.gz", "imagesTr/c_0001.nii.gz", "labelsTr/c.nii.gz"} {
		f.image(rel, func(im *volume.Image) { im.Direction = [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1} })
	}
	r := &recorder{}
	if err := f.mustLoad().CheckHeaders(t.Context(), nil, r); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.lines, func(s string) bool { return strings.Contains(s, "c RAS") && strings.Contains(s, "LPS") }) {
		t.Errorf("warnings %q", r.lines)
	}
}

// Masks that were generated follow an image that is exported again with another grid.
func TestGeneratedMasksFollowTheirImage(t *testing.T) {
	f := newFixture(t, false)
	if err := f.mustLoad().EnsureMasks(t.Context(), &recorder{}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"0000", "0001"} {
		f.image("imagesTr/b_"+m+".nii.gz", func(im *volume.Image) {
			im.Size, im.Spacing[0] = [3]int{5, 4, 3}, 1.5
		})
	}
	loaded := f.mustLoad()
	if err := loaded.CheckHeaders(t.Context(), nil, &recorder{}); err != nil {
		t.Fatal(err)
	}
	if err := loaded.EnsureMasks(t.Context(), &recorder{}); err != nil {
		t.Fatal(err)
	}
	if todo := loaded.withoutMask(); len(todo) > 0 {
		t.Errorf("masks of %v still lie elsewhere", todo)
	}
}
