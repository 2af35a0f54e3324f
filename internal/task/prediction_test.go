package task

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPredictionCases(t *testing.T) {
	one, two := []string{"x_1_0000.nii.gz", "y_0000.nii.gz"}, []string{"x_1_0000.nii.gz", "x_1_0001.nii"}
	tests := []struct {
		name       string
		images     []string
		masks      []string // nil: no -s
		modalities int
		want       bool // masks
		cases      []string
		in         string // of the error; empty: none
	}{
		{name: "ids with underscores", images: append(one, "notes.txt", "._y_0000.nii.gz", ".DS_Store", "y.json", "y_0000.png", "y_0000.bval"), modalities: 1, cases: []string{"x_1", "y"}},
		{name: "two modalities, .nii", images: two, modalities: 2, cases: []string{"x_1"}},
		{name: "with masks", images: one, masks: []string{"x_1.nii.gz", "y.nii"}, modalities: 1, want: true, cases: []string{"x_1", "y"}},
		{name: "masks wanted, none given", images: one, modalities: 1, want: true, in: "add a folder with one mask per case"},
		{name: "masks given, not wanted", images: one, masks: []string{"y.nii.gz"}, modalities: 1, in: "leave it out"},
		{name: "mask missing", images: one, masks: []string{"y.nii.gz"}, modalities: 1, want: true, cases: []string{"y"}, in: "case x_1: x_1.nii.gz: the ROI mask"},
		{name: "mask superfluous", images: one, masks: []string{"x_1.nii.gz", "y.nii.gz", "z.nii.gz"}, modalities: 1, want: true, cases: []string{"x_1", "y"}, in: "z.nii.gz: a mask without a case"},
		{name: "mask with modality suffix", images: one[:1], masks: []string{"x_1_0000.nii.gz"}, modalities: 1, want: true, in: "rename it to x_1.nii.gz"},
		{name: "mask twice", images: one[:1], masks: []string{"x_1.nii.gz", "x_1.nii"}, modalities: 1, want: true, cases: []string{"x_1"}, in: "same case"},
		{name: "modality missing", images: two[1:], modalities: 2, in: "case x_1: x_1_0000.nii.gz: modality 0 of 2 is missing"},
		{name: "modality too many", images: two, modalities: 1, cases: []string{"x_1"}, in: "x_1_0001.nii: modality 1"},
		{name: "modality twice", images: append(two, "x_1_0001.nii.gz"), modalities: 2, cases: []string{"x_1"}, in: "same modality"},
		{name: "straggler", images: append(one, "z.nii.gz"), modalities: 1, cases: []string{"x_1", "y"}, in: "z.nii.gz: expected <case>_XXXX.nii.gz"},
		{name: "id that is a formula", images: append(one, "=1_0000.nii.gz"), modalities: 1, cases: []string{"x_1", "y"}, in: "=1_0000.nii.gz: the case's name begins with ="},
		{name: "id with a dot first", images: append(one, ".z_0000.nii.gz"), modalities: 1, cases: []string{"x_1", "y"}, in: "begins with a dot"},
		{name: "id of 201 bytes", images: append(one, strings.Repeat("z", 201)+"_0000.nii.gz"), modalities: 1, cases: []string{"x_1", "y"}, in: "201 bytes"},
		{name: "nothing", images: []string{"notes.txt"}, modalities: 1, in: "no image"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			images, masks := t.TempDir(), ""
			touch(t, images, test.images)
			if test.masks != nil {
				masks = t.TempDir()
				touch(t, masks, test.masks)
			}
			cases, err := PredictionCases(images, masks, test.modalities, test.want, "")
			var ids []string
			for _, c := range cases {
				ids = append(ids, c.ID)
				if len(c.Images) != test.modalities || (c.Mask != "") != test.want {
					t.Errorf("case %+v", c)
				}
				for m, path := range c.Images {
					if !filepath.IsAbs(path) || !strings.Contains(filepath.Base(path), c.ID+"_000"+string(rune('0'+m))) {
						t.Errorf("modality %d is %s", m, path)
					}
				}
			}
			if !slices.Equal(ids, test.cases) {
				t.Errorf("cases %v, want %v", ids, test.cases)
			}
			if (err != nil) != (test.in != "") || err != nil && !strings.Contains(err.Error(), test.in) {
				t.Errorf("error %v, want %q", err, test.in)
			}
		})
	}
}

// Every image of the folders is used or named; what is none is nobody's business.
func TestEveryImageIsUsedOrNamed(t *testing.T) {
	root := t.TempDir()
	images, masks, out := filepath.Join(root, "i"), filepath.Join(root, "i", "masks"), filepath.Join(root, "i", "out")
	for _, dir := range []string{filepath.Join(images, "sub", "deeper"), filepath.Join(masks, "old"), out} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	touch(t, images, []string{
		"a_0000.nii.gz", "b_0000.NII.GZ", "c_0000.Nii", "d_0000.nrrd", "e_0000.nii.zip", "f_000.nii.gz", "g.nii.gz", ".h_0000.nii.gz", "i.dcm", "x_0000.png",
		"a_0000.png", "b_0000.jpg", "Thumbs.db", ".DS_Store", "._a_0000.nii.gz", "a.json", "README", "notes.docx", "a.bvec", "j_0000.nii.gz.123.tmp",
	})
	touch(t, filepath.Join(images, "sub"), []string{"k_0000.nii.gz", "k.json"})
	touch(t, filepath.Join(images, "sub", "deeper"), []string{"l.mgz"})
	touch(t, masks, []string{"a.nii.gz", "b.NII.gz", "c.nii", "m.nrrd"})
	touch(t, filepath.Join(masks, "old"), []string{"a.nii.gz"})
	if err := os.Mkdir(filepath.Join(images, "q_0000.nii.gz"), 0o755); err != nil {
		t.Fatal(err)
	}
	touch(t, out, []string{"roc.png", "a.npz"}) // of an earlier prediction
	dicom := make([]byte, 200)
	copy(dicom[128:], "DICM")
	if err := os.WriteFile(filepath.Join(images, "IM0001"), dicom, 0o644); err != nil {
		t.Fatal(err)
	}
	nifti := append([]byte{0x5c, 1, 0, 0}, make([]byte, 348)...)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(nifti)
	z.Close()
	if err := os.WriteFile(filepath.Join(images, "n_0000.nii.gz.bak"), packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(images, filepath.Join(images, "sub", "loop")); err != nil {
		t.Log(err) // not everywhere
	}
	cases, err := PredictionCases(images, masks, 1, true, out)
	var ids []string
	for _, c := range cases {
		ids = append(ids, c.ID)
		if _, err := os.Stat(c.Images[0]); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("cases %q", ids)
	}
	var invalid *ValidationError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v", err)
	}
	var named []string
	for _, p := range invalid.Problems {
		named = append(named, p.Field)
	}
	slices.Sort(named)
	want := []string{".h_0000.nii.gz", "IM0001", "d_0000.nrrd", "e_0000.nii.zip", "f_000.nii.gz", "g.nii.gz", "i.dcm", "m.nrrd", "n_0000.nii.gz.bak", "old/a.nii.gz", "q_0000.nii.gz",
		"sub/deeper/l.mgz", "sub/k_0000.nii.gz", "x_0000.png"}
	if !slices.Equal(named, want) {
		t.Errorf("named %q\nwant  %q", named, want)
	}
}

// One file in capital letters is the case it names.
func TestOneFileInCapitals(t *testing.T) {
	images := t.TempDir()
	touch(t, images, []string{"b_0000.NII.GZ", "b_0001.nii"})
	cases, err := PredictionCases(filepath.Join(images, "b_0000.NII.GZ"), "", 2, false, "")
	if err != nil || len(cases) != 1 || cases[0].ID != "b" || filepath.Base(cases[0].Images[0]) != "b_0000.NII.GZ" {
		t.Errorf("cases %+v, error %v", cases, err)
	}
}

func TestPredictionOfOneFile(t *testing.T) {
	images, masks := t.TempDir(), t.TempDir()
	touch(t, images, []string{"x_1_0000.nii.gz", "x_1_0001.nii.gz", "y_0000.nii.gz"})
	touch(t, masks, []string{"x_1.nii.gz", "y.nii.gz"})
	for _, m := range []string{masks, filepath.Join(masks, "x_1.nii.gz")} {
		cases, err := PredictionCases(filepath.Join(images, "x_1_0000.nii.gz"), m, 2, true, "")
		if err != nil || len(cases) != 1 || cases[0].ID != "x_1" || len(cases[0].Images) != 2 || cases[0].Mask != filepath.Join(masks, "x_1.nii.gz") {
			t.Errorf("cases %+v, error %v", cases, err)
		}
	}
	if _, err := PredictionCases(filepath.Join(masks, "y.nii.gz"), "", 1, false, ""); err == nil {
		t.Error("a file without modality suffix was accepted")
	}
	if _, err := PredictionCases(filepath.Join(images, "none"), "", 1, false, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

func touch(t *testing.T, dir string, names []string) {
	t.Helper()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPredictionInputs takes files of any name as one case.
func TestPredictionInputs(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, []string{"t2,w.mha", "adc", "x_0000.mhd", "x_0000.raw", "mask.mha"})
	at := func(name string) string { return filepath.Join(dir, name) }
	c, err := PredictionInputs([]string{at("t2,w.mha"), at("adc")}, at("mask.mha"), 2, true, "")
	if err != nil || len(c) != 1 || c[0].ID != "t2,w" || !slices.Equal(c[0].Images, []string{at("t2,w.mha"), at("adc")}) || c[0].Mask != at("mask.mha") {
		t.Errorf("cases %+v, %v", c, err)
	}
	if c, err = PredictionInputs([]string{at("x_0000.mhd")}, "", 1, false, ""); err != nil || c[0].ID != "x" || c[0].Images[0] != at("x_0000.mhd") {
		t.Errorf("cases %+v, %v", c, err)
	}
	for _, test := range []struct {
		images     []string
		mask       string
		modalities int
		want       bool
		in         string
	}{
		{[]string{at("adc")}, "", 2, false, "1 image files, but the model was trained with 2"},
		{[]string{at("adc"), at("mask.mha")}, "", 1, false, "2 image files"},
		{[]string{at("adc")}, at("mask.mha"), 1, false, "without ROI masks"},
		{[]string{at("adc")}, "", 1, true, "with ROI masks"},
		{[]string{at("adc")}, dir, 1, true, "a folder"},
		{[]string{at("adc"), at("none")}, "", 2, false, "none"},
		{[]string{at("none")}, "", 1, false, "none"},
	} {
		if c, err := PredictionInputs(test.images, test.mask, test.modalities, test.want, ""); err == nil || !strings.Contains(err.Error(), test.in) {
			t.Errorf("%v: %+v, %v; want %q", test.images, c, err, test.in)
		}
	}
}
