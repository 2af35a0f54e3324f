package predict

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// A case in memory gets the bits that it gets from files, and is not changed.
func TestVolumesAsFiles(t *testing.T) {
	m := openModel(t, writeModel(t, toyPlans(), []string{""}, 1.6), Options{DisableTTA: true})
	c := writeCases(t, 1)[0]
	im, err := nifti.ReadImage(c.Images[0])
	if err != nil {
		t.Fatal(err)
	}
	mask, err := nifti.ReadMask(c.Mask)
	if err != nil {
		t.Fatal(err)
	}
	im.Data[1600], im.Data[1700] = float32(math.NaN()), float32(math.Inf(1))
	im.Direction, mask.Direction = [9]float64{}, [9]float64{}
	im.Spacing, mask.Spacing = [3]float64{1.5, 0.75, 1}, [3]float64{1.5, 0.75, 1}
	for x := range im.Data[:15*16*2] { // background to crop away
		im.Data[x], mask.Data[x] = 0, 0
	}
	dir := t.TempDir()
	c.Images, c.Mask = []string{filepath.Join(dir, "image.nii.gz")}, filepath.Join(dir, "mask.nii.gz")
	if err := errors.Join(nifti.WriteImage(c.Images[0], im), nifti.WriteMask(c.Mask, mask)); err != nil {
		t.Fatal(err)
	}
	want, err := m.Case(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	voxels, labels := slices.Clone(im.Data), slices.Clone(mask.Data)
	got, err := m.Volumes(t.Context(), c.ID, &preprocess.Volumes{Images: []*volume.Image{im}, Mask: mask})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Prediction, want.Prediction) || !slices.Equal(got.Categorical, want.Categorical) {
		t.Errorf("in memory %+v, from files %+v", got, want)
	}
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	if !slices.EqualFunc(voxels, im.Data, same) || !slices.Equal(labels, mask.Data) {
		t.Error("the images in memory were changed")
	}
}

func TestBrokenVolumes(t *testing.T) {
	m := openModel(t, writeModel(t, toyPlans(), []string{""}, 1.6), Options{DisableTTA: true})
	g := volume.Geometry{Size: [3]int{4, 4, 4}, Spacing: [3]float64{1, 1, 1}}
	image := func() *volume.Image {
		im := &volume.Image{Geometry: g, Data: make([]float32, 64)}
		for i := range im.Data {
			im.Data[i] = float32(i)
		}
		return im
	}
	mask := &volume.Mask{Geometry: g, Data: slices.Repeat([]int16{1}, 64)}
	if _, err := m.Volumes(t.Context(), "", &preprocess.Volumes{Images: []*volume.Image{image()}, Mask: mask}); err != nil {
		t.Errorf("a case without a name: %v", err)
	}
	short, flat := image(), image()
	short.Data = short.Data[1:]
	flat.Spacing[0] = 0
	longer := volume.Geometry{Size: [3]int{4, 4, 5}, Spacing: g.Spacing}
	for want, v := range map[string]*preprocess.Volumes{
		"0 images":        {Mask: mask},
		"nil":             {Images: []*volume.Image{nil}, Mask: mask},
		"63 voxels":       {Images: []*volume.Image{short}, Mask: mask},
		"spacing [0 1 1]": {Images: []*volume.Image{flat}, Mask: mask},
		"no mask":         {Images: []*volume.Image{image()}},
		"2 images":        {Images: []*volume.Image{image(), image()}, Mask: mask},
		"mask in memory":  {Images: []*volume.Image{image()}, Mask: &volume.Mask{Geometry: g, Data: make([]int16, 64)}},
		"5x4x4":           {Images: []*volume.Image{image()}, Mask: &volume.Mask{Geometry: longer, Data: make([]int16, 80)}},
	} {
		var input *InputError
		if _, err := m.Volumes(t.Context(), "x", v); err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &input) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
}
