package convert

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/npz"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
)

// medmnist writes a file with n images per part, of channels colours; image k of a part is filled with numbers from k.
func medmnist(t *testing.T, name string, parts []string, n, channels, labels int) string {
	t.Helper()
	var arrays []npz.Array
	for _, part := range parts {
		shape := []int{n, 2, 3, 4}
		if channels > 1 {
			shape = append(shape, channels)
		}
		size := 24 * channels
		images := make([]uint8, n*size)
		for i := range images {
			images[i] = uint8(i%size + i/size + 1)
		}
		classes := make([]uint8, n*labels)
		for i := range classes {
			classes[i] = uint8(i % 2)
		}
		arrays = append(arrays, npz.Array{Name: part + "_images", Shape: shape, Data: images},
			npz.Array{Name: part + "_labels", Shape: []int{n, labels}, Data: classes})
	}
	path := filepath.Join(t.TempDir(), name)
	if err := npz.Write(path, arrays, true); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMedMNIST(t *testing.T) {
	c, err := MedMNIST(context.Background(), MedMNISTOptions{File: medmnist(t, "vesselmnist3d_64.npz", splitParts, 3, 2, 1)})
	if err != nil {
		t.Fatal(err)
	}
	made := write(t, c, t.TempDir())
	if got := made.Dataset.Labels; !reflect.DeepEqual(got, []task.Label{{Name: "Class", Values: []string{"vessel", "aneurysm"}}}) {
		t.Errorf("labels %+v", got)
	}
	if len(made.Dataset.Cases) != 6 || len(c.Test) != 3 {
		t.Fatalf("%d and %d cases", len(made.Dataset.Cases), len(c.Test))
	}
	for ch := range 2 {
		if v := first(t, made.Dataset.Cases[1].Images[ch]); v != float32(ch+2) {
			t.Errorf("channel %d of the second image begins with %v, want %d", ch, v, ch+2)
		}
		if v := first(t, filepath.Join(made.Dir, "imagesTs", fmt.Sprintf("test_00002_%04d.nii.gz", ch))); v != float32(ch+3) {
			t.Errorf("channel %d of the third test image begins with %v, want %d", ch, v, ch+3)
		}
	}
	split, err := split.ReadSplits(filepath.Join(made.Folders.PreprocessedTask(made.Name), split.SplitsFile), []string{"train_00000", "train_00001", "train_00002", "val_00000", "val_00001", "val_00002"})
	if err != nil || len(split) != 1 || !reflect.DeepEqual(split[0].Val, []string{"val_00000", "val_00001", "val_00002"}) || len(split[0].Train) != 3 {
		t.Errorf("%v, %v", split, err)
	}
	var d struct{ Test []map[string]any }
	b, _ := os.ReadFile(filepath.Join(made.Dir, task.DatasetFile))
	if err := json.Unmarshal(b, &d); err != nil || len(d.Test) != 3 || d.Test[1]["Class"] != 1.0 || d.Test[1]["image"] != "./imagesTs/test_00001.nii.gz" {
		t.Errorf("%v, %v", d, err)
	}
}

func TestMedMNISTLabels(t *testing.T) {
	path := medmnist(t, "own.npz", []string{"train"}, 4, 1, 2)
	c, err := MedMNIST(context.Background(), MedMNISTOptions{File: path, Labels: []string{"A", "B"}, Classes: []string{"B=x,y"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []task.Label{{Name: "A", Values: []string{"0", "1"}}, {Name: "B", Values: []string{"x", "y"}}}; !reflect.DeepEqual(c.Labels, want) {
		t.Errorf("%+v", c.Labels)
	}
	if want := []int{0, 1}; !reflect.DeepEqual(c.Training[1].Targets, want) {
		t.Errorf("classes %v, want %v", c.Training[1].Targets, want)
	}
}

func TestMedMNISTRefused(t *testing.T) {
	image := func(shape ...int) npz.Array {
		n := 1
		for _, s := range shape {
			n *= s
		}
		return npz.Array{Name: "train_images", Shape: shape, Data: make([]uint8, n)}
	}
	labels := func(data any, shape ...int) npz.Array {
		return npz.Array{Name: "train_labels", Shape: shape, Data: data}
	}
	for name, test := range map[string]struct {
		arrays []npz.Array
		want   string
	}{
		"flat":         {[]npz.Array{image(2, 28, 28), labels([]uint8{0, 1}, 2, 1)}, "are flat"},
		"flat, colour": {[]npz.Array{image(2, 28, 28, 3), labels([]uint8{0, 1}, 2, 1)}, "are flat"},
		"floats":       {[]npz.Array{{Name: "train_images", Shape: []int{2, 2, 2, 2}, Data: make([]float32, 16)}, labels([]uint8{0, 1}, 2, 1)}, "type f4, expected uint8"},
		"few labels":   {[]npz.Array{image(2, 2, 2, 2), labels([]uint8{0}, 1, 1)}, "1 labels for 2 images"},
		"float labels": {[]npz.Array{image(2, 2, 2, 2), labels([]float32{0, 1}, 2, 1)}, "labels of type f4"},
		"negative":     {[]npz.Array{image(2, 2, 2, 2), labels([]int64{0, -1}, 2, 1)}, "is -1, expected a class from 0"},
		"a huge class": {[]npz.Array{image(2, 2, 2, 2), labels([]int64{0, 1 << 40}, 2, 1)}, "expected a class from 0"},
		"no labels":    {[]npz.Array{image(2, 2, 2, 2)}, "both of them"},
		"no train":     {[]npz.Array{{Name: "val_images", Shape: []int{1}, Data: []uint8{0}}}, "train_images and train_labels are expected"},
		"another":      {[]npz.Array{image(2, 2, 2, 2), labels([]uint8{0, 1}, 2, 1), {Name: "extra", Shape: []int{1}, Data: []uint8{0}}}, "an array that MedMNIST does not have"},
		"empty":        {[]npz.Array{image(0, 2, 2, 2), labels([]uint8{}, 0, 1)}, "expected 1 to"},
		"other shapes": {[]npz.Array{image(2, 2, 2, 2), labels([]uint8{0, 1}, 2, 1), {Name: "val_images", Shape: []int{1, 3, 2, 2}, Data: make([]uint8, 12)},
			{Name: "val_labels", Shape: []int{1, 1}, Data: []uint8{0}}}, "do not go with those of train"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.npz")
			if err := npz.Write(path, test.arrays, true); err != nil {
				t.Fatal(err)
			}
			_, err := MedMNIST(context.Background(), MedMNISTOptions{File: path})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// What a header claims is judged before anything of its size is allocated.
func TestMedMNISTClaims(t *testing.T) {
	for _, shape := range [][]int{{1 << 30, 1 << 20, 1 << 10, 2}, {1 << 24, 4096, 4096, 4096}, {1, 1 << 40, 1, 1}, {-1, 2, 2, 2}} {
		p := medmnistPart{images: npz.Description{Shape: shape, Type: "u1"}, labels: npz.Description{Shape: []int{shape[0], 1}, Type: "u1"}}
		_, found := medmnistParts(map[string]npz.Description{"train_images": p.images, "train_labels": p.labels})
		if len(found) == 0 {
			t.Errorf("shape %v is believed", shape)
		}
	}
}

const datasetV2 = `{"channel_names": {"0": "T2", "1": "ADC"}, "labels": {"background": 0, "prostate": 1, "whole": [1, 2]}, "numTraining": 2, "file_ending": ".nii.gz"}`

func TestNNUNetV2(t *testing.T) {
	s := newSource(t)
	s.text("Dataset012_Prostate/dataset.json", datasetV2)
	for i, id := range []string{"a_1", "a_2"} {
		s.image("Dataset012_Prostate/imagesTr/"+id+"_0000.nii.gz", int16(10*i+1))
		s.image("Dataset012_Prostate/imagesTr/"+id+"_0001.nii.gz", int16(10*i+2))
		s.mask("Dataset012_Prostate/labelsTr/"+id+".nii.gz", int16(i+1))
	}
	for _, id := range []string{"t_1", "t_2"} {
		s.image("Dataset012_Prostate/imagesTs/"+id+"_0000.nii.gz", 1)
		s.image("Dataset012_Prostate/imagesTs/"+id+"_0001.nii.gz", 1)
		s.mask("Dataset012_Prostate/labelsTs/"+id+".nii.gz", 1)
	}
	o := TableOptions{Table: s.text("c.csv", "id,grade\na_1,low\na_2,high\nt_1,high\n")}
	c, err := NNUNetV2(context.Background(), s.path("Dataset012_Prostate"), o, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != 12 || c.Name != "Prostate" || !reflect.DeepEqual(c.ROILabels, []string{"background", "prostate", "region 2"}) || !reflect.DeepEqual(c.Modalities, []string{"T2", "ADC"}) {
		t.Errorf("%d %s %q %q", c.ID, c.Name, c.ROILabels, c.Modalities)
	}
	if len(c.Test) != 1 || c.Test[0].ID != "t_1" || c.Test[0].Mask.IsZero() {
		t.Errorf("test set %+v", c.Test)
	}
	made := write(t, c, t.TempDir())
	if v := first(t, made.Dataset.Cases[1].Images[1]); v != 12 {
		t.Errorf("the second modality of the second case begins with %v", v)
	}
	o.Masks = None
	if c, err = NNUNetV2(context.Background(), s.path("Dataset012_Prostate"), o, progress.Discard); err != nil || c.ROILabels != nil {
		t.Errorf("without masks: %v, %v", c, err)
	}
	o.Masks = ""
	for name, test := range map[string]struct{ json, want string }{
		"msd":     {`{"modality": {"0": "CT"}, "labels": {"0": "background"}}`, "Decathlon and nnU-Net v1 have it; convert it as such"},
		"png":     {strings.Replace(datasetV2, ".nii.gz", ".png", 1), "file_ending"},
		"names":   {strings.Replace(datasetV2, `"1": "ADC"`, `"2": "ADC"`, 1), `key "2", expected the numbers 0 to 1`},
		"values":  {strings.Replace(datasetV2, `"prostate": 1`, `"prostate": "x"`, 1), `"prostate" is "x"`},
		"large":   {strings.Replace(datasetV2, `"prostate": 1`, `"prostate": 100000000`, 1), "expected 0 to 31"},
		"no JSON": {"{", "line 1, column 2: the file ends too early"},
		"files":   {strings.Replace(datasetV2, `"numTraining"`, `"dataset": {}, "numTraining"`, 1), "the cases name their files"},
	} {
		s.text("Dataset012_Prostate/dataset.json", test.json)
		if _, err := NNUNetV2(context.Background(), s.path("Dataset012_Prostate"), o, progress.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// header is that of a NIfTI-1 file with four axes of uint8.
func header(volumes int) []byte {
	b := make([]byte, 352)
	le := binary.LittleEndian
	le.PutUint32(b, 348)
	for i, n := range []int{4, 6, 5, 4, volumes, 1, 1, 1} {
		le.PutUint16(b[40+2*i:], uint16(n))
		le.PutUint32(b[76+4*i:], math.Float32bits(1.5))
	}
	le.PutUint16(b[70:], 2)
	le.PutUint16(b[72:], 8)
	le.PutUint32(b[108:], math.Float32bits(352))
	copy(b[344:], "n+1\x00")
	return b
}

func TestDecathlon(t *testing.T) {
	s := newSource(t)
	const dataset = `{"name": "P", "modality": {"0": "T2", "1": "ADC"}, "labels": {"0": "background", "1": "PZ"}, "training": []}`
	s.text("Task05_Prostate/dataset.json", dataset)
	for i, id := range []string{"p_01", "p_02"} {
		b := header(2)
		for v := range 2 * geometry.Voxels() {
			b = append(b, byte(v/geometry.Voxels()*50+v%geometry.Voxels()/4+10*i+1))
		}
		s.text("Task05_Prostate/imagesTr/"+id+".nii", string(b))
		s.text("Task05_Prostate/imagesTr/._"+id+".nii", "of macOS")
		mask := header(1)
		binary.LittleEndian.PutUint16(mask[40:], 3)
		s.text("Task05_Prostate/labelsTr/"+id+".nii", string(mask)+strings.Repeat("\x00\x01", geometry.Voxels()/2))
	}
	o := TableOptions{Table: s.text("c.csv", "id,grade\np_01,1\np_02,2\n")}
	c, err := Decathlon(context.Background(), s.path("Task05_Prostate"), o, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	made := write(t, c, t.TempDir())
	for i, k := range made.Dataset.Cases {
		for m, path := range k.Images {
			if v := first(t, path); v != float32(50*m+10*i+1) {
				t.Errorf("%s begins with %v, want %d", path, v, 50*m+10*i+1)
			}
		}
	}
	s.text("Task05_Prostate/dataset.json", strings.Replace(dataset, `"1": "ADC"`, `"1": "ADC", "2": "b1000"`, 1))
	if _, err := Decathlon(context.Background(), s.path("Task05_Prostate"), o, progress.Discard); err == nil || !strings.Contains(err.Error(), "holds 2 volumes, expected 3") {
		t.Errorf("two volumes for three modalities: %v", err)
	}
}

func FuzzSeries(f *testing.F) {
	f.Add(append(header(2), make([]byte, 2*120)...), 2)
	f.Add(header(2)[:100], 1)
	big := make([]byte, 544)
	binary.BigEndian.PutUint32(big, 540)
	f.Add(big, 1)
	f.Fuzz(func(t *testing.T, b []byte, volume int) {
		path := filepath.Join(t.TempDir(), "x.nii")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if volume < 1 || volume > 1<<16 {
			return
		}
		out := filepath.Join(t.TempDir(), "y.nii.gz")
		if err := writeVolume(out, path, volume); err == nil {
			if n, err := volumesOf(out); err != nil || n != 1 {
				t.Errorf("wrote a file with %d volumes, %v", n, err)
			}
		}
	})
}

func TestFolders(t *testing.T) {
	for name, test := range map[string]struct {
		files, masks []string
		o            FoldersOptions
		ids          []string
		classes      []string
		test, val    int
		want         string // of the error
	}{
		"plain":    {files: []string{"no/a.nii.gz", "no/b.nii.gz", "yes/c/x.nii"}, ids: []string{"a", "b", "c"}, classes: []string{"no", "yes"}},
		"order":    {files: []string{"no/a.nii.gz", "yes/c.nii.gz"}, o: FoldersOptions{Classes: []string{"yes", "no"}}, ids: []string{"a", "c"}, classes: []string{"yes", "no"}},
		"numbers":  {files: []string{"10/a.nii.gz", "9/c.nii.gz"}, ids: []string{"a", "c"}, classes: []string{"9", "10"}},
		"one name": {files: []string{"no/1.nii.gz", "yes/1.nii.gz"}, ids: []string{"no_1", "yes_1"}, classes: []string{"no", "yes"}},
		"modalities": {files: []string{"no/a_t2.nii.gz", "no/a_adc.nii.gz", "yes/b/t2.nii.gz", "yes/b/adc.nii.gz"},
			o: FoldersOptions{Modalities: []Modality{{"T2", "_t2"}, {"ADC", "_adc"}}}, ids: []string{"a", "b"}, classes: []string{"no", "yes"}},
		"split":          {files: []string{"train/no/a.nii.gz", "train/yes/b.nii.gz", "val/no/c.nii.gz", "test/yes/d.nii.gz"}, ids: []string{"a", "b", "c", "d"}, classes: []string{"no", "yes"}, val: 1, test: 1},
		"masks":          {files: []string{"no/1.nii.gz", "yes/1.nii.gz"}, masks: []string{"no/1.nii.gz", "yes/1_seg.nii.gz"}, ids: []string{"no_1", "yes_1"}, classes: []string{"no", "yes"}},
		"flat masks":     {files: []string{"no/1.nii.gz", "yes/2.nii.gz"}, masks: []string{"1.nii.gz", "2.nii.gz"}, ids: []string{"1", "2"}, classes: []string{"no", "yes"}},
		"numbered cases": {files: []string{"no/s_0001.nii.gz", "no/s_0002.nii.gz", "yes/t_0000.nii.gz", "yes/t_0001.nii.gz"}, ids: []string{"s_0001", "s_0002", "t_0000", "t_0001"}, classes: []string{"no", "yes"}},
		"numbered modalities": {files: []string{"no/a_0000.nii.gz", "no/a_0001.nii.gz", "no/b_0000.nii.gz", "no/b_0001.nii.gz", "yes/c_0000.nii.gz", "yes/c_0001.nii.gz"},
			o: FoldersOptions{Modalities: []Modality{{"A", ""}, {"B", ""}}}, ids: []string{"a", "b", "c"}, classes: []string{"no", "yes"}},
		"many numbers": {files: []string{"no/a_0000.nii.gz", "no/a_0001.nii.gz", "no/a_0002.nii.gz", "no/a_0003.nii.gz", "no/a_0004.nii.gz", "no/b.nii.gz", "yes/c.nii.gz"}, want: "5 images by their numbers"},
		"outside":      {files: []string{"no/a.nii.gz", "yes/b.nii.gz", "c.nii.gz"}, want: "c.nii.gz: lies in"},
		"empty":        {files: []string{"no/a.nii.gz", "yes/b.txt"}, want: "yes: no images in this folder"},
		"one":          {files: []string{"no/a.nii.gz"}, want: "a classifier needs two"},
		"unread":       {files: []string{"no/a.nii.gz", "yes/b.nrrd"}, want: "yes/b.nrrd: in a format that is not read"},
		"no mask":      {files: []string{"no/1.nii.gz", "yes/2.nii.gz"}, masks: []string{"1.nii.gz"}, want: "case 2: mask: no mask"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			for i, f := range test.files {
				if strings.Contains(f, ".nii") {
					s.image("images/"+f, int16(10*i+1))
				} else {
					s.text("images/"+f, "x")
				}
			}
			for _, f := range test.masks {
				s.mask("masks/"+f, 1)
				test.o.Masks = s.path("masks")
			}
			test.o.Dir = s.path("images")
			c, err := Folders(context.Background(), test.o, progress.Discard)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, k := range c.cases() {
				ids = append(ids, k.ID)
				dir := filepath.Base(filepath.Dir(k.Images[0].Path))
				if filepath.Base(filepath.Dir(filepath.Dir(k.Images[0].Path))) != "images" && len(test.o.Modalities) == 0 && c.Labels[0].Values[k.Targets[0]] != dir {
					dir = filepath.Base(filepath.Dir(filepath.Dir(k.Images[0].Path)))
				}
				if got := c.Labels[0].Values[k.Targets[0]]; got != dir && len(test.o.Modalities) == 0 {
					t.Errorf("case %s of folder %s has the class %s", k.ID, dir, got)
				}
			}
			if !reflect.DeepEqual(ids, test.ids) && !strings.HasPrefix(name, "numbers") {
				t.Errorf("cases %v, want %v", ids, test.ids)
			}
			if !reflect.DeepEqual(c.Labels[0].Values, test.classes) || len(c.Test) != test.test || len(c.Validation) != test.val {
				t.Errorf("classes %v, %d for the test, %d for validation", c.Labels[0].Values, len(c.Test), len(c.Validation))
			}
			made := write(t, c, t.TempDir())
			if made.Dataset.HasMasks != (len(test.masks) > 0) {
				t.Errorf("masks: %v", made.Dataset.HasMasks)
			}
		})
	}
}
