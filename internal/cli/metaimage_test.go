package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"

	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// writeMetaImage writes a NIfTI image as MetaImage: .mhd with a data file, everything else compressed and in one file.
func writeMetaImage(t *testing.T, from, to string) {
	t.Helper()
	im, err := nifti.ReadImage(from)
	if err != nil {
		t.Fatal(err)
	}
	var data, file bytes.Buffer
	if err := binary.Write(&data, binary.BigEndian, im.Data); err != nil {
		t.Fatal(err)
	}
	s, p, d := im.Size, im.Spacing, im.Direction
	fmt.Fprintf(&file, "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = True\nDimSize = %d %d %d\nElementSpacing = %v %v %v\n", s[2], s[1], s[0], p[2], p[1], p[0])
	fmt.Fprintf(&file, "Offset = %v %v %v\nTransformMatrix = %v %v %v %v %v %v %v %v %v\nElementType = MET_FLOAT\n",
		im.Origin[0], im.Origin[1], im.Origin[2], d[0], d[3], d[6], d[1], d[4], d[7], d[2], d[5], d[8])
	if raw := strings.TrimSuffix(to, ".mhd"); raw != to {
		fmt.Fprintf(&file, "ElementDataFile = %s.raw\n", filepath.Base(raw))
		put(t, raw+".raw", data.Bytes())
	} else {
		fmt.Fprint(&file, "CompressedData = True\nElementDataFile = LOCAL\n")
		z := zlib.NewWriter(&file)
		z.Write(data.Bytes())
		z.Close()
	}
	put(t, to, file.Bytes())
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMetaImageCohort plans a cohort of NIfTI files, turns them into MetaImage, and wants the same arrays again; then a
// data file changes.
func TestMetaImageCohort(t *testing.T) {
	c := newCohort(t, 3)
	ids := []string{c.caseID(t, 0), c.caseID(t, 1), c.caseID(t, 2)}
	read := func() map[string]npz.Array {
		var plans []planned
		decode(t, ok(t, c.planArgs("--verify_dataset_integrity", "--json")...), &plans)
		got := map[string]npz.Array{}
		for _, id := range ids {
			a, err := npz.Read(filepath.Join(plans[0].Preprocessed, id+".npz"))
			if err != nil {
				t.Fatal(err)
			}
			got[id] = a["data"]
		}
		return got
	}
	want := read()
	for i, file := range []string{c.image(t, 0), c.image(t, 1), c.mask(t, 1), c.mask(t, 2)} {
		writeMetaImage(t, file, strings.TrimSuffix(file, ".nii.gz")+[]string{".mhd", ".mha", ".mha", ".mhd"}[i])
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	got := read()
	for _, id := range ids {
		if !slices.Equal(got[id].Shape, want[id].Shape) || !slices.Equal(got[id].Floats(), want[id].Floats()) {
			t.Errorf("case %s differs as MetaImage", id)
		}
	}
	raw := c.path("imagesTr", ids[0]+"_0000.raw")
	b, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(b); i += 8 { // every other voxel
		binary.BigEndian.PutUint32(b[i:], 0x42280000)
	}
	put(t, raw, b)
	if again := read(); slices.Equal(again[ids[0]].Floats(), want[ids[0]].Floats()) || !slices.Equal(again[ids[1]].Floats(), want[ids[1]].Floats()) {
		t.Error("a changed data file was not noticed, or more than it")
	}
}

// checkOneCase predicts one case of a trained cohort from files of any name, next to the results in the folder
// predictions (without mirroring, in fp32), and writes the network's input for it.
func checkOneCase(t *testing.T, c testCohort, predictions string) {
	const id = "phantom_test_001"
	dir := t.TempDir()
	image, mask := filepath.Join(dir, "ct, 2024"), filepath.Join(dir, "organ.mhd")
	writeMetaImage(t, c.path("imagesTs", id+"_0000.nii.gz"), image)
	writeMetaImage(t, c.path("labelsTs", id+".nii.gz"), mask)
	out := filepath.Join(dir, "out")
	ok(t, "predict", "--data-root", c.root, "-t", "1", "-i", image, "-s", mask, "-o", out, "--disable_tta", "--disable_mixed_precision")
	want, err := npz.Read(filepath.Join(predictions, id+".npz"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := npz.Read(filepath.Join(out, "ct, 2024.npz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"logits_0", "probabilities_1"} {
		if !slices.Equal(got[name].Float64s(), want[name].Float64s()) {
			t.Errorf("%s of one MetaImage case: %v, want %v", name, got[name].Data, want[name].Data)
		}
	}
	refused(t, ExitFailed, []string{"2 image files"}, "predict", "--data-root", c.root, "-t", "1", "-i", image, mask, "-s", mask, "-o", out)

	file := filepath.Join(dir, "case.npz")
	var done preprocessedCase
	decode(t, ok(t, "preprocess-case", "--data-root", c.root, "-t", "1", "-i", image, "-s", mask, "-o", file, "--json"), &done)
	arrays, err := npz.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	x := arrays["input"]
	if done.Case != "ct, 2024" || !slices.Equal(x.Shape, done.Shape) || len(x.Shape) != 5 || x.Shape[0] != 1 || x.Shape[1] != 2 {
		t.Errorf("preprocess-case: %+v, array %v", done, x.Shape)
	}
	values := x.Floats()
	for _, v := range values[len(values)/2:] { // the mask
		if v < 0 || v >= 1 {
			t.Fatalf("the mask holds %g", v)
		}
	}
	refused(t, ExitFailed, []string{"with ROI masks"}, "preprocess-case", "--data-root", c.root, "-t", "1", "-i", image, "-o", file)
	refused(t, ExitUsage, []string{".npz"}, "preprocess-case", "--data-root", c.root, "-t", "1", "-i", image, "-s", mask, "-o", dir)
	refused(t, ExitUsage, []string{"-i IMAGE"}, "preprocess-case", "--data-root", c.root, "-t", "1", "-o", file)

	onnx := filepath.Join(dir, "model.onnx")
	if listed := ok(t, "export", "--data-root", c.root, "-t", "1", "--format", "onnx", "--ensemble", "-o", onnx); strings.TrimSpace(listed) != onnx || !exists(filepath.Join(dir, "model.selftest.npz")) {
		t.Errorf("export printed %q", listed)
	}
}
