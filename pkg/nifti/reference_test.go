package nifti

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	gonii "github.com/okieraised/gonii/pkg/nifti"

	"github.com/universal-classifier/uc/internal/testutil"
)

// TestRealFiles compares every image and mask of the reference cases with a plain reading of their bytes.
func TestRealFiles(t *testing.T) {
	root := testutil.Shared(t, "reference", "preprocessing")
	var files []string
	for _, pattern := range []string{"*/raw/imagesTr/*.nii.gz", "*/raw/labelsTr/*.nii.gz", "*/expected_label_*.nii.gz"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 60 {
		t.Fatalf("only %d files found", len(files))
	}
	scaled := 0
	for _, path := range files {
		im, err := ReadImage(path)
		if err != nil {
			t.Error(err)
			continue
		}
		h, want := plainly(t, path)
		for i := range 3 {
			if im.Size[2-i] != int(h.Dim[i+1]) || im.Spacing[2-i] != float64(h.Pixdim[i+1]) {
				t.Errorf("%s: size %v, spacing %v, want %v, %v", path, im.Size, im.Spacing, h.Dim, h.Pixdim)
			}
		}
		if len(want) != len(im.Data) {
			t.Errorf("%s: %d voxels, want %d", path, len(im.Data), len(want))
			continue
		}
		for i, v := range want {
			if v-v != 0 {
				v = 0 // as ITK reads what is not finite
			}
			if got := im.Data[i]; got != v {
				t.Errorf("%s: voxel %d is %g, want %g", path, i, got, v)
				break
			}
		}
		if h.SclSlope != 0 && h.SclSlope == h.SclSlope && (h.SclSlope != 1 || h.SclInter != 0) {
			scaled++
		}
	}
	if scaled == 0 {
		t.Error("no file with scl_slope among them")
	}
}

// plainly decodes a little-endian NIfTI-1 file as its standard describes it.
func plainly(t *testing.T, path string) (gonii.Nii1Header, []float32) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(z)
	var h gonii.Nii1Header
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Discard(int(h.VoxOffset) - 348); err != nil {
		t.Fatal(err)
	}
	n := int(h.Dim[1]) * int(h.Dim[2]) * int(h.Dim[3])
	out := make([]float32, n)
	slope, inter := float64(h.SclSlope), float64(h.SclInter)
	if slope == 0 || slope != slope {
		slope, inter = 1, 0
	}
	read := func(value any) {
		if err := binary.Read(r, binary.LittleEndian, value); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
	switch int32(h.Datatype) {
	case gonii.DT_UINT8:
		raw := make([]uint8, n)
		read(raw)
		for i, v := range raw {
			out[i] = float32(float64(v)*slope + inter)
		}
	case gonii.DT_INT16:
		raw := make([]int16, n)
		read(raw)
		for i, v := range raw {
			out[i] = float32(float64(v)*slope + inter)
		}
	case gonii.DT_FLOAT32:
		raw := make([]float32, n)
		read(raw)
		for i, v := range raw {
			out[i] = float32(float64(v)*slope + inter)
		}
	default:
		t.Fatalf("%s: datatype %d", path, h.Datatype)
	}
	return h, out
}
