package imagefile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

const header = "NDims = 3\nDimSize = 2 2 2\nElementSpacing = 1 2 3\nElementType = MET_UCHAR\nElementDataFile = "

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestByContent reads every format under names that say another one, or none.
func TestByContent(t *testing.T) {
	dir := t.TempDir()
	g := volume.Geometry{Size: [3]int{2, 2, 2}, Spacing: [3]float64{3, 2, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	data := []int16{1, 2, 3, 4, 5, 6, 7, 8}
	for _, name := range []string{"a.nii", "b.nii.gz"} {
		if err := nifti.WriteInt16(filepath.Join(dir, name), g, data); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, "c.mha"), header+"LOCAL\n\x01\x02\x03\x04\x05\x06\x07\x08")
	for _, file := range []string{"a.nii", "b.nii.gz", "c.mha"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"x", "x.mha", "x.nii", "x.nii.gz", "x.MHD", "2024.10"} {
			path := put(t, filepath.Join(t.TempDir(), name), string(b))
			im, err := ReadImage(path)
			if err != nil {
				t.Errorf("%s as %s: %v", file, name, err)
				continue
			}
			m, err := ReadMask(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ReadGeometry(path)
			if err != nil || got != im.Geometry || im.Size != g.Size || im.Spacing != g.Spacing {
				t.Errorf("%s as %s: geometry %+v, %v", file, name, got, err)
			}
			var scanned []float32
			err = Scan(path, func(_ volume.Geometry, values []float32) error {
				scanned = append(scanned, values...)
				return ErrStop
			})
			if err != nil || !slices.Equal(scanned, im.Data) || !slices.Equal(m.Data, data) || im.Data[7] != 8 {
				t.Errorf("%s as %s: image %v, mask %v, scan %v, %v", file, name, im.Data, m.Data, scanned, err)
			}
			if files, err := Files(path); err != nil || !slices.Equal(files, []string{path}) {
				t.Errorf("%s as %s: files %v, %v", file, name, files, err)
			}
		}
	}
}

func TestMessages(t *testing.T) {
	dir := t.TempDir()
	for name, in := range map[string]string{"a.mha": "MetaImage", "a.nii.gz": "NIfTI", "a": "NIfTI"} {
		path := put(t, filepath.Join(dir, name), "nothing of the kind")
		if _, err := ReadImage(path); err == nil || !strings.Contains(err.Error(), in) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadImage(dir); !errors.Is(err, infile.ErrNotRegular) {
		t.Errorf("folder: %v", err)
	}
	path := put(t, filepath.Join(dir, "b.mhd"), header+"b.raw\n")
	raw := put(t, filepath.Join(dir, "b.raw"), "\x01\x02\x03\x04\x05\x06\x07\x08")
	if files, err := Files(path); err != nil || !slices.Equal(files, []string{path, raw}) {
		t.Errorf("files %v, %v", files, err)
	}
}
