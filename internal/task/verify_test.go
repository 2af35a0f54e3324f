package task

import (
	"context"
	"errors"
	"math"
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
		{name: "NaN", change: func(f *fixture) { // counts as 0, as in ITK
			f.image("imagesTr/b_0000.nii.gz", func(im *volume.Image) { im.Data[27] = float32(math.NaN()) })
		}},
		{"all NaN", func(f *fixture) {
			for _, m := range []string{"0000", "0001"} {
				f.image("imagesTr/b_"+m+".nii.gz", func(im *volume.Image) {
					for i := range im.Data {
						im.Data[i] = float32(math.NaN())
					}
				})
			}
		}, "b", "image", "every voxel is zero"},
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
		{"mask elsewhere", func(f *fixture) { f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Origin[0] += 0.5 }) }, "b", "labelsTr/b.nii.gz", "origin"},
		{"damaged image", func(f *fixture) {
			f.write("imagesTr/c_0000.nii.gz", f.read("imagesTr/c_0000.nii.gz")[:60])
		}, "c", "", "imagesTr/c_0000.nii.gz: the file ends"},
		{"straggling image", func(f *fixture) { f.image("imagesTr/d_0000.nii.gz", nil) }, "", "imagesTr/d_0000.nii.gz", "belongs to no case"},
		{"straggling modality", func(f *fixture) { f.image("imagesTr/b_0002.nii.gz", nil) }, "", "imagesTr/b_0002.nii.gz", "belongs to no case"},
		{"straggling mask", func(f *fixture) { f.image("labelsTr/d.nii.gz", nil) }, "", "labelsTr/d.nii.gz", "belongs to no case"},
		{name: "other files", change: func(f *fixture) {
			f.write("imagesTr/README.txt", "x")
			f.write("labelsTr/._x.nii.gz", "x")
			f.write("imagesTr/b_0000.png", "x")
		}},
		{"straggler in another format", func(f *fixture) { f.write("imagesTr/d_0000.nrrd", "x") }, "", "imagesTr/d_0000.nrrd", "belongs to no case"},
		{"straggler in a folder below", func(f *fixture) { f.image("imagesTr/more/d_0000.nii.gz", nil) }, "", "imagesTr/more/d_0000.nii.gz", "belongs to no case"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, true)
			test.change(f)
			r := &recorder{}
			err := f.mustLoad().Verify(context.Background(), 2, nil, r)
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

func TestVerifyDoubtsGeneratedMasks(t *testing.T) {
	f := newFixture(t, false)
	if err := f.mustLoad().EnsureMasks(context.Background(), &recorder{}); err != nil {
		t.Fatal(err)
	}
	f.image("labelsTr/b.nii.gz", func(im *volume.Image) { im.Data[0] = 0 })
	err := f.mustLoad().Verify(context.Background(), 1, nil, &recorder{})
	if err == nil || !strings.Contains(err.Error(), OriginalFile) {
		t.Errorf("error %v", err)
	}
}
