package task

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/volume"
)

func TestVerify(t *testing.T) {
	tests := []struct {
		name              string
		change            func(*fixture)
		caseID, field, in string // empty: no problem
	}{
		{name: "all is well", change: func(*fixture) {}},
		{name: "within the tolerance", change: func(f *fixture) {
			f.image("imagesTr/b_0001.nii.gz", func(im *volume.Image) { im.Spacing[1] += 5e-4; im.Origin[0] -= 5e-4 })
		}},
		{"size", func(f *fixture) {
			f.image("imagesTr/b_0001.nii.gz", func(im *volume.Image) { im.Size = [3]int{3, 5, 4} })
		}, "b", "imagesTr/b_0001.nii.gz", "size 4x5x3, but imagesTr/b_0000.nii.gz has 5x4x3"},
		{"spacing", func(f *fixture) { f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Spacing[0] = 2.01 }) }, "b", "labelsTr/b.nii.gz", "spacing"},
		{"origin", func(f *fixture) { f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Origin[2] = 4 }) }, "b", "labelsTr/b.nii.gz", "origin"},
		{"direction", func(f *fixture) {
			f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Direction = [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1} })
		}, "b", "labelsTr/b.nii.gz", "direction"},
		{"NaN", func(f *fixture) {
			f.image("imagesTr/b_0000.nii.gz", func(im *volume.Image) { im.Data[27] = float32(math.NaN()) })
		}, "b", "imagesTr/b_0000.nii.gz", "1 voxels are NaN or infinite, the first at index (2, 1, 1)"},
		{"infinity", func(f *fixture) {
			f.image("imagesTr/b_0000.nii.gz", func(im *volume.Image) { im.Data[0] = float32(math.Inf(1)) })
		}, "b", "imagesTr/b_0000.nii.gz", "NaN or infinite"},
		{"all zero", func(f *fixture) {
			for _, m := range []string{"0000", "0001"} {
				f.image("imagesTr/b_"+m+".nii.gz", func(im *volume.Image) { clear(im.Data) })
			}
		}, "b", "image", "every voxel is zero"},
		{name: "one modality all zero", change: func(f *fixture) {
			f.image("imagesTr/b_0001.nii.gz", func(im *volume.Image) { clear(im.Data) })
		}},
		{"undeclared mask value", func(f *fixture) { f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Data[5] = 2 }) }, "b", "labelsTr/b.nii.gz", "values 2, but labels declares 0 to 1"},
		{"negative mask value", func(f *fixture) { f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Data[5] = -1 }) }, "b", "labelsTr/b.nii.gz", "values -1"},
		{"fraction in a mask", func(f *fixture) { f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Data[5] = 0.5 }) }, "b", "labelsTr/b.nii.gz", "values 0.5"},
		{"empty mask", func(f *fixture) { f.image("labelsTr/b.nii.gz", func(im *volume.Image) { clear(im.Data) }) }, "b", "labelsTr/b.nii.gz", "mask is empty"},
		{"damaged image", func(f *fixture) {
			f.write("imagesTr/c_0000.nii.gz", f.read("imagesTr/c_0000.nii.gz")[:60])
		}, "c", "", "imagesTr/c_0000.nii.gz: the file ends"},
		{"straggling image", func(f *fixture) { f.image("imagesTr/d_0000.nii.gz", nil) }, "", "imagesTr/d_0000.nii.gz", "belongs to no case"},
		{"straggling modality", func(f *fixture) { f.image("imagesTr/b_0002.nii.gz", nil) }, "", "imagesTr/b_0002.nii.gz", "belongs to no case"},
		{"straggling mask", func(f *fixture) { f.image("labelsTr/d.nii.gz", nil) }, "", "labelsTr/d.nii.gz", "belongs to no case"},
		{name: "other files", change: func(f *fixture) { f.write("imagesTr/README.txt", "x"); f.write("labelsTr/.x.nii.gz", "x") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, true)
			test.change(f)
			r := &recorder{}
			err := f.mustLoad().Verify(context.Background(), 2, r)
			if r.items != 3 {
				t.Errorf("%d cases reported", r.items)
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
			if len(v.Problems) != 1 || !hasProblem(v.Problems, test.caseID, test.field, test.in) {
				t.Errorf("problems %q", v.Problems)
			}
		})
	}
}

func TestVerifyWarnsOfOrientation(t *testing.T) {
	f := newFixture(t, true)
	for _, rel := range []string{"imagesTr/c_0000.nii.gz", "imagesTr/c_0001.nii.gz", "labelsTr/c.nii.gz"} {
		f.image(rel, func(im *volume.Image) { im.Direction = [9]float64{-1, 0, 0, 0, -1, 0, 0, 0, 1} })
	}
	r := &recorder{}
	if err := f.mustLoad().Verify(context.Background(), 1, r); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.lines, func(s string) bool { return strings.Contains(s, "c RAS") && strings.Contains(s, "LPS") }) {
		t.Errorf("warnings %q", r.lines)
	}
}

func TestVerifyDoubtsGeneratedMasks(t *testing.T) {
	f := newFixture(t, false)
	if err := f.mustLoad().EnsureMasks(context.Background(), &recorder{}); err != nil {
		t.Fatal(err)
	}
	f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Data[0] = 0 })
	err := f.mustLoad().Verify(context.Background(), 1, &recorder{})
	if err == nil || !strings.Contains(err.Error(), OriginalFile) {
		t.Errorf("error %v", err)
	}
}
