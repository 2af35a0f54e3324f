package cli

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Offsets in a NIfTI-1 header.
const (
	niftiDim      = 40
	niftiDataType = 70
	niftiBits     = 72
	niftiPixdim   = 76
	niftiOffset   = 108
	niftiSlope    = 112
	niftiUnits    = 123
	niftiHeader   = 352
)

func put16(b []byte, at int, v uint16) { binary.LittleEndian.PutUint16(b[at:], v) }

// Every broken input fails with one line that names the case and the file, and what is wrong.
func TestBrokenImages(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, c testCohort)
		want  []string // next to the case's name
		more  []string // further arguments
	}{
		{"truncated gzip", func(t *testing.T, c testCohort) {
			b, err := os.ReadFile(c.image(t, 1))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.image(t, 1), b[:len(b)/2], 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"_0000.nii.gz"}, nil},
		{"10^12 voxels", func(t *testing.T, c testCohort) {
			rewrite(t, c.image(t, 1), func(b []byte) []byte {
				for axis := 1; axis <= 3; axis++ {
					put16(b, niftiDim+2*axis, 10000)
				}
				return b
			})
		}, []string{"_0000.nii.gz"}, nil},
		{"complex voxels", func(t *testing.T, c testCohort) {
			rewrite(t, c.image(t, 1), func(b []byte) []byte {
				put16(b, niftiDataType, 32)
				put16(b, niftiBits, 64)
				return append(b, make([]byte, 3*(len(b)-niftiHeader))...)
			})
		}, []string{"_0000.nii.gz", "complex"}, nil},
		{"RGB voxels", func(t *testing.T, c testCohort) {
			rewrite(t, c.image(t, 1), func(b []byte) []byte {
				put16(b, niftiDataType, 128)
				put16(b, niftiBits, 24)
				return append(b, make([]byte, (len(b)-niftiHeader)/2)...)
			})
		}, []string{"_0000.nii.gz", "RGB"}, nil},
		{"four axes", func(t *testing.T, c testCohort) {
			rewrite(t, c.image(t, 1), func(b []byte) []byte {
				put16(b, niftiDim, 4)
				put16(b, niftiDim+8, 2)
				return append(b, b[niftiHeader:]...)
			})
		}, []string{"_0000.nii.gz"}, nil},
		{"not NIfTI at all", func(t *testing.T, c testCohort) {
			if err := os.WriteFile(c.image(t, 1), []byte("hello"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"_0000.nii.gz"}, nil},
		{"huge voxels", func(t *testing.T, c testCohort) {
			rewrite(t, c.image(t, 1), func(b []byte) []byte {
				binary.LittleEndian.PutUint32(b[niftiSlope:], math.Float32bits(1e30))
				return b
			})
		}, []string{"_0000.nii.gz", "too large to be resampled"}, nil},
		{"spacing in metres", func(t *testing.T, c testCohort) {
			rewrite(t, c.image(t, 1), func(b []byte) []byte { b[niftiUnits] = 1; return b })
			rewrite(t, c.mask(t, 1), func(b []byte) []byte { b[niftiUnits] = 1; return b })
		}, []string{"_0000.nii.gz", "median of the cohort", "--allow-outliers"}, nil},
		{"pixdim that the sform contradicts", func(t *testing.T, c testCohort) {
			for _, path := range []string{c.image(t, 1), c.mask(t, 1)} {
				rewrite(t, path, func(b []byte) []byte {
					for axis := range 3 {
						binary.LittleEndian.PutUint32(b[niftiPixdim+4+4*axis:], math.Float32bits(3))
					}
					return b
				})
			}
		}, []string{"_0000.nii.gz", "pixdim says 3 x 3 x 3 mm, but the sform", "--allow-outliers"}, nil},
		{"mask elsewhere", func(t *testing.T, c testCohort) {
			rewrite(t, c.mask(t, 1), func(b []byte) []byte {
				for _, at := range []int{268, 292} { // qoffset_x, srow_x[3]
					binary.LittleEndian.PutUint32(b[at:], math.Float32bits(77))
				}
				return b
			})
		}, []string{"labelsTr", "origin"}, []string{"--verify_dataset_integrity"}},
		{"all-zero image", func(t *testing.T, c testCohort) {
			rewrite(t, c.image(t, 1), func(b []byte) []byte { clear(b[niftiHeader:]); return b })
		}, []string{"zero"}, nil},
		{"empty mask", func(t *testing.T, c testCohort) {
			rewrite(t, c.mask(t, 1), func(b []byte) []byte { clear(b[niftiHeader:]); return b })
		}, []string{"mask"}, nil},
		{"mask of another size", func(t *testing.T, c testCohort) {
			m, err := nifti.ReadMask(c.mask(t, 1))
			if err != nil {
				t.Fatal(err)
			}
			m.Size[0]--
			m.Data = m.Data[:m.Voxels()]
			if err := nifti.WriteMask(c.mask(t, 1), m); err != nil {
				t.Fatal(err)
			}
		}, []string{"size"}, nil},
		{"undeclared mask value", func(t *testing.T, c testCohort) {
			m, err := nifti.ReadMask(c.mask(t, 1))
			if err != nil {
				t.Fatal(err)
			}
			m.Data[len(m.Data)/2] = 7
			if err := nifti.WriteMask(c.mask(t, 1), m); err != nil {
				t.Fatal(err)
			}
		}, []string{"values 7"}, nil},
		{"missing modality", func(t *testing.T, c testCohort) {
			if err := os.Remove(c.image(t, 1)); err != nil {
				t.Fatal(err)
			}
		}, []string{"_0000.nii.gz"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCohort(t, 5)
			id := c.caseID(t, 1)
			test.spoil(t, c)
			refused(t, ExitFailed, append(test.want, id), c.planArgs(test.more...)...)
		})
	}
}

// Odd but valid files are read: NIfTI-2, big-endian, slope 0 (which means 1), .nii without compression.
func TestOddImagesAreRead(t *testing.T) {
	c := newCohort(t, 5)
	want := ok(t, c.planArgs()...)
	rewrite(t, c.image(t, 0), func(b []byte) []byte { put16(b, niftiSlope, 0); put16(b, niftiSlope+2, 0); return b })
	rewrite(t, c.image(t, 1), bigEndian)
	rewrite(t, c.image(t, 2), nifti2)
	rewrite(t, c.image(t, 3), func(b []byte) []byte { // uncompressed
		if err := os.WriteFile(strings.TrimSuffix(c.image(t, 3), ".gz"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		return b
	})
	if err := os.Remove(c.image(t, 3)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(c.root, "preprocessed")); err != nil {
		t.Fatal(err)
	}
	if got := ok(t, c.planArgs("--verify_dataset_integrity")...); got != want {
		t.Errorf("the plan of the same images in other files differs:\n%s\n%s", got, want)
	}
}

// bigEndian turns a little-endian NIfTI-1 file of int16 voxels around.
func bigEndian(b []byte) []byte {
	out := append([]byte{}, b...)
	swap := func(at, size, count int) {
		for i := range count {
			p := out[at+i*size : at+(i+1)*size]
			for l, r := 0, size-1; l < r; l, r = l+1, r-1 {
				p[l], p[r] = p[r], p[l]
			}
		}
	}
	swap(0, 4, 1)
	swap(32, 4, 1)
	swap(36, 2, 1)
	swap(niftiDim, 2, 8)
	swap(56, 4, 3)
	swap(68, 2, 4)
	swap(76, 4, 8)
	swap(niftiOffset, 4, 3)
	swap(120, 2, 1)
	swap(124, 4, 6)
	swap(252, 2, 2)
	swap(256, 4, 18)
	swap(niftiHeader, 2, (len(b)-niftiHeader)/2)
	return out
}

// nifti2 turns a little-endian NIfTI-1 file into NIfTI-2.
func nifti2(b []byte) []byte {
	le := binary.LittleEndian
	f32 := func(at int) float64 { return float64(math.Float32frombits(le.Uint32(b[at:]))) }
	h := make([]byte, 544)
	le.PutUint32(h, 540)
	copy(h[4:], "n+2\x00\r\n\x1a\n")
	copy(h[12:16], b[niftiDataType:niftiDataType+4])
	f64 := func(at int, v float64) { le.PutUint64(h[at:], math.Float64bits(v)) }
	for i := range 8 {
		le.PutUint64(h[16+8*i:], uint64(le.Uint16(b[niftiDim+2*i:])))
		f64(104+8*i, f32(76+4*i))
	}
	le.PutUint64(h[168:], 544)
	f64(176, f32(niftiSlope))
	f64(184, f32(niftiSlope+4))
	le.PutUint32(h[344:], uint32(le.Uint16(b[252:])))
	le.PutUint32(h[348:], uint32(le.Uint16(b[254:])))
	for i := range 6 { // quaternion and offset
		f64(352+8*i, f32(256+4*i))
	}
	for i := range 12 {
		f64(400+8*i, f32(280+4*i))
	}
	le.PutUint32(h[500:], uint32(b[123]))
	return append(h, b[niftiHeader:]...)
}

// Every rule of dataset.json, broken one at a time.
func TestBrokenDataset(t *testing.T) {
	c := newCohort(t, 5)
	good, err := os.ReadFile(c.path("dataset.json"))
	if err != nil {
		t.Fatal(err)
	}
	id := c.caseID(t, 0)
	for _, test := range []struct {
		name   string
		change func(d map[string]any)
		want   []string
	}{
		{"no modality", func(d map[string]any) { delete(d, "modality") }, []string{"modality"}},
		{"no classification labels", func(d map[string]any) { delete(d, "classification_labels") }, []string{"classification_labels"}},
		{"no cases", func(d map[string]any) { d["training"] = []any{} }, []string{"training"}},
		{"label out of range", func(d map[string]any) { training(d, 0)["Lesion"] = 2 }, []string{"Lesion", "2"}},
		{"label is no integer", func(d map[string]any) { training(d, 0)["Lesion"] = 0.5 }, []string{"Lesion"}},
		{"label missing", func(d map[string]any) { delete(training(d, 0), "Size") }, []string{"Size"}},
		{"values not consecutive", func(d map[string]any) {
			d["classification_labels"].([]any)[0].(map[string]any)["values"] = map[string]any{"0": "no", "2": "yes"}
		}, []string{"values"}},
		{"duplicate case", func(d map[string]any) { d["training"] = append(d["training"].([]any), training(d, 0)) }, []string{id}},
		{"some cases without mask", func(d map[string]any) { delete(training(d, 0), "label") }, []string{"label"}},
		{"masks without labels", func(d map[string]any) { delete(d, "labels") }, []string{"labels"}},
		{"ROI labels not consecutive", func(d map[string]any) {
			d["labels"] = map[string]any{"0": "background", "1": "a", "3": "b"}
		}, []string{"labels"}},
		{"image missing", func(d map[string]any) { training(d, 0)["image"] = "./imagesTr/nobody.nii.gz" }, []string{"nobody"}},
		{"path leaves the folder", func(d map[string]any) { training(d, 0)["image"] = "../../secret.nii.gz" }, []string{"secret"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer os.WriteFile(c.path("dataset.json"), good, 0o644)
			c.changeDataset(t, test.change)
			refused(t, ExitFailed, append(test.want, "dataset.json"), c.planArgs("-no_pp")...)
		})
	}
	t.Run("all of it in one run", func(t *testing.T) {
		defer os.WriteFile(c.path("dataset.json"), good, 0o644)
		c.changeDataset(t, func(d map[string]any) {
			training(d, 0)["Lesion"] = 9
			delete(training(d, 1), "Size")
			training(d, 2)["image"] = "./imagesTr/nobody.nii.gz"
		})
		r := uc(c.planArgs("-no_pp")...)
		for _, w := range []string{"Lesion", "Size", "nobody"} {
			if r.code != ExitFailed || !strings.Contains(r.stderr, w) {
				t.Errorf("exit code %d, %s not reported:\n%s", r.code, w, r.stderr)
			}
		}
	})
	t.Run("bad JSON", func(t *testing.T) {
		defer os.WriteFile(c.path("dataset.json"), good, 0o644)
		if err := os.WriteFile(c.path("dataset.json"), []byte("{\n  \"name\": nope\n}"), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, ExitFailed, []string{"dataset.json", "line 2"}, c.planArgs("-no_pp")...)
	})
	t.Run("trailing commas are accepted", func(t *testing.T) {
		defer os.WriteFile(c.path("dataset.json"), good, 0o644)
		s := strings.TrimRight(string(good), " \n")
		if err := os.WriteFile(c.path("dataset.json"), []byte(strings.TrimSuffix(s, "}")+",\n}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := uc(c.planArgs("-no_pp")...); r.code != ExitOK || !strings.Contains(r.stderr, "warning: ") {
			t.Errorf("exit code %d, %s", r.code, r.stderr)
		}
	})
}

func TestWrongTask(t *testing.T) {
	c := newCohort(t, 5)
	refused(t, ExitFailed, []string{`"7"`, c.name}, "plan-and-preprocess", "--data-root", c.root, "-t", "7")
	refused(t, ExitFailed, []string{`"Task001_Other"`}, "train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", "Task001_Other", "0")
	refused(t, ExitFailed, []string{`"7"`}, "predict", "--data-root", c.root, "-i", "in", "-o", "out", "-t", "7")
	refused(t, ExitFailed, []string{`"7"`}, "evaluate", "--data-root", c.root, "7")
	if err := os.Mkdir(filepath.Join(filepath.Dir(c.dir), "Task001_Twin"), 0o755); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{c.name, "Task001_Twin"}, c.planArgs()...)
}

func TestUnwritableOutput(t *testing.T) {
	c := newCohort(t, 5)
	// A file where the folder should be stops even a user who may write everywhere.
	blocked := filepath.Join(c.root, "preprocessed")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{blocked}, c.planArgs()...)
	refused(t, ExitFailed, []string{blocked}, "demo", filepath.Join(blocked, "below"))
	if runtime.GOOS == "linux" {
		refused(t, ExitFailed, []string{"/proc"}, "demo", "/proc/uc-demo")
	}
}

func TestNothingTrainedYet(t *testing.T) {
	c := newCohort(t, 5)
	refused(t, ExitFailed, []string{"plan-and-preprocess"}, "train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", "1", "0")
	ok(t, c.planArgs("-no_pp")...)
	refused(t, ExitFailed, []string{"plan-and-preprocess"}, "train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", "1", "0")
	refused(t, ExitFailed, []string{"uc train"}, "evaluate", "--data-root", c.root, "1")
	refused(t, ExitFailed, []string{"train"}, "predict", "--data-root", c.root, "-i", c.path("imagesTs"), "-s", c.path("labelsTs"), "-o", t.TempDir(), "-t", "1")
}

func TestPlansOfAnotherTask(t *testing.T) {
	c := newCohort(t, 5)
	ok(t, c.planArgs("-no_pp")...)
	path := filepath.Join(c.root, "preprocessed", c.name, plan.File(plan.Identifier))
	p, err := plan.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	p.TaskName = "Task002_Other"
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{"Task002_Other", c.name}, "train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", "1", "0")
	if err := os.WriteFile(path, []byte(`{"plans_per_stage": {}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, ExitFailed, []string{path}, "train", "--data-root", c.root, "3d_fullres", "ClassifierTrainer", "1", "0")
}
