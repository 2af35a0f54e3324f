package convert

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/fault"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// failing is what the file operations of a test do, by the hook that is installed once.
var failing struct {
	sync.Mutex
	at func(op fault.Op, path string) error
}

func TestMain(m *testing.M) {
	fault.Install(func(op fault.Op, path string) error {
		failing.Lock()
		defer failing.Unlock()
		if failing.at == nil {
			return nil
		}
		return failing.at(op, path)
	})
	os.Exit(m.Run())
}

var geometry = volume.Geometry{Size: [3]int{4, 5, 6}, Spacing: [3]float64{2, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}

// source is a folder with files of a hospital.
type source struct {
	t   *testing.T
	dir string
}

func newSource(t *testing.T) source { return source{t, t.TempDir()} }

func (s source) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s source) text(name, text string) string {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

// image writes an image whose voxels are 1, 2, ... from first.
func (s source) image(name string, first int16) {
	s.t.Helper()
	data := make([]int16, geometry.Voxels())
	for i := range data {
		data[i] = first + int16(i)
	}
	s.volume(name, data)
}

// mask writes a mask with a few voxels of a value.
func (s source) mask(name string, value int16) {
	s.t.Helper()
	data := make([]int16, geometry.Voxels())
	for i := 20; i < 50; i++ {
		data[i] = value
	}
	s.volume(name, data)
}

func (s source) volume(name string, data []int16) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := nifti.WriteInt16(s.path(name), geometry, data); err != nil {
		s.t.Fatal(err)
	}
}

// write makes a task of a cohort, and loads it.
func write(t *testing.T, c *Cohort, root string) *task.Task {
	t.Helper()
	folders, err := task.ResolveFolders(root)
	if err != nil {
		t.Fatal(err)
	}
	target, err := c.Target(folders, 1, "New", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(context.Background(), target, false, progress.Discard); err != nil {
		t.Fatal(err)
	}
	made, err := task.Load(folders, "1")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// table reads a cohort that must be whole.
func table(t *testing.T, o TableOptions) *Cohort {
	t.Helper()
	c, err := Table(context.Background(), o, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// first is the first voxel of a file, which tells the images of a test apart.
func first(t *testing.T, path string) float32 {
	t.Helper()
	im, err := imagefile.ReadImage(path)
	if err != nil {
		t.Fatal(err)
	}
	return im.Data[0]
}

// Every way in which the files of a case may be named leads to the same task.
func TestTableFindsFiles(t *testing.T) {
	for name, test := range map[string]struct {
		files      []string // of the cases A1 and A2, in the order of the modalities
		cells      [2]string
		modalities []string
	}{
		"flat":               {files: []string{"A1.nii.gz", "A2.nii.gz"}},
		"numbered":           {files: []string{"A1_0000.nii.gz", "A2_0000.nii.gz"}},
		"two modalities":     {files: []string{"A1_0000.nii.gz", "A1_0001.nii.gz", "A2_0000.nii.gz", "A2_0001.nii.gz"}},
		"not compressed":     {files: []string{"A1.nii", "A2.NII"}},
		"folders":            {files: []string{"A1/scan.nii.gz", "A2/whatever.nii"}},
		"deeper":             {files: []string{"site/A1/anat/T1w.nii.gz", "other/A2/anat/T1w.nii.gz"}},
		"folders, numbered":  {files: []string{"A1/x_0000.nii.gz", "A1/x_0001.nii.gz", "A2/A2_0000.nii.gz", "A2/A2_0001.nii.gz"}},
		"suffixes":           {files: []string{"A1_t2.nii.gz", "A1_adc.nii.gz", "A2-t2.nii.gz", "A2-adc.nii.gz"}, modalities: []string{"T2=_t2", "ADC=_adc"}},
		"suffixes, folders":  {files: []string{"A1/t2.nii.gz", "A1/adc.nii.gz", "A2/A2_t2.nii.gz", "A2/A2_adc.nii.gz"}, modalities: []string{"T2=t2", "ADC=adc"}},
		"paths":              {files: []string{"x/one.nii.gz", "y/two.nii.gz"}, cells: [2]string{"x/one.nii.gz", `y\two.nii.gz`}},
		"names of files":     {files: []string{"x/one.nii.gz", "y/two_0000.nii.gz"}, cells: [2]string{"one.nii.gz", "two_0000.nii.gz"}},
		"numbered files":     {files: []string{"scan_0000.nii.gz", "scan_0001.nii.gz"}, cells: [2]string{"scan_0000.nii.gz", "scan_0001.nii.gz"}},
		"a name of numbers":  {files: []string{"0007.nii.gz", "0008.nii.gz"}, cells: [2]string{"0007", "0008"}},
		"a name with spaces": {files: []string{"A 1.nii.gz", "A 2.nii.gz"}, cells: [2]string{"A 1", "A 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			for i, f := range test.files {
				s.image("images/"+f, int16(10*i+1))
			}
			s.text("images/notes.txt", "x")
			s.text("images/._A1.nii.gz", "of macOS")
			if test.cells[0] == "" {
				test.cells = [2]string{"A1", "A2"}
			}
			o := TableOptions{Images: s.path("images"), Table: s.text("l.csv", "scan,kind\n"+test.cells[0]+",yes\n"+test.cells[1]+",no\n")}
			var err error
			if o.Modalities, err = ParseModalities(test.modalities); err != nil {
				t.Fatal(err)
			}
			made := write(t, table(t, o), t.TempDir())
			k := 0
			for c, want := range []int{1, 0} {
				got := made.Dataset.Cases[c]
				if !reflect.DeepEqual(got.Targets, []int{want}) {
					t.Errorf("case %s has the classes %v, want %d", got.ID, got.Targets, want)
				}
				if len(got.Images) != len(test.files)/2 {
					t.Fatalf("case %s has %d images", got.ID, len(got.Images))
				}
				for _, path := range got.Images {
					if v := first(t, path); v != float32(10*k+1) {
						t.Errorf("%s begins with %v, want %d", path, v, 10*k+1)
					}
					k++
				}
			}
			if !reflect.DeepEqual(made.Dataset.Labels[0].Values, []string{"no", "yes"}) {
				t.Errorf("classes %v", made.Dataset.Labels[0].Values)
			}
		})
	}
}

// Masks are found by the names of their cases, among the images or elsewhere, and written with values that count from
// 1.
func TestTableMasks(t *testing.T) {
	for name, test := range map[string]struct {
		masks, suffix string
		files         [2]string
		value         int16
		labels        []string
		want          []string
	}{
		"plain":             {masks: "masks", files: [2]string{"masks/A1.nii.gz", "masks/A2.nii"}, value: 1, want: []string{"background", "region of interest"}},
		"word":              {masks: "masks", files: [2]string{"masks/A1_mask.nii.gz", "masks/A2-Seg.nii.gz"}, value: 2, want: []string{"background", "region 1", "region 2"}},
		"suffix":            {masks: "masks", suffix: "_x", files: [2]string{"masks/A1_x.nii.gz", "masks/deep/A2_x.nii.gz"}, value: 1, labels: []string{"liver"}, want: []string{"background", "liver"}},
		"255":               {masks: "masks", files: [2]string{"masks/A1.nii.gz", "masks/A2.nii.gz"}, value: 255, want: []string{"background", "region of interest"}},
		"255 with a name":   {masks: "masks", files: [2]string{"masks/A1.nii.gz", "masks/A2.nii.gz"}, value: 255, labels: []string{"liver"}, want: []string{"background", "liver"}},
		"negative":          {masks: "masks", files: [2]string{"masks/A1.nii.gz", "masks/A2.nii.gz"}, value: -3, want: []string{"background", "region of interest"}},
		"in folders":        {masks: "masks", files: [2]string{"masks/A1/m.nii.gz", "masks/A2/n.nii.gz"}, value: 1, want: []string{"background", "region of interest"}},
		"among the images":  {masks: "images", files: [2]string{"images/A1_seg.nii.gz", "images/A2_seg.nii.gz"}, value: 1, want: []string{"background", "region of interest"}},
		"below the images":  {masks: "images/masks", files: [2]string{"images/masks/A1.nii.gz", "images/masks/A2.nii.gz"}, value: 1, want: []string{"background", "region of interest"}},
		"above the images":  {masks: ".", suffix: "_roi", files: [2]string{"A1_roi.nii.gz", "A2_roi.nii.gz"}, value: 1, want: []string{"background", "region of interest"}},
		"the value 3 alone": {masks: "masks", files: [2]string{"masks/A1.nii.gz", "masks/A2.nii.gz"}, value: 3, want: []string{"background", "region 1", "region 2", "region 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			s.image("images/A1.nii.gz", 1)
			s.image("images/A2.nii.gz", 100)
			for _, f := range test.files {
				s.mask(f, test.value)
			}
			c := table(t, TableOptions{Table: s.text("l.csv", "id;kind\nA1;1\nA2;2\n"), Images: s.path("images"), Masks: s.path(test.masks), MaskSuffix: test.suffix, MaskLabels: test.labels})
			if !reflect.DeepEqual(c.ROILabels, test.want) {
				t.Errorf("values of masks are called %q, want %q", c.ROILabels, test.want)
			}
			made := write(t, c, t.TempDir())
			if !made.Dataset.HasMasks {
				t.Fatal("the task has no masks")
			}
			if err := made.Verify(context.Background(), 1, nil, progress.Discard); err != nil {
				t.Error(err)
			}
			for _, k := range made.Dataset.Cases {
				if v := first(t, k.Images[0]); v != 1 && v != 100 {
					t.Errorf("the image of %s begins with %v", k.ID, v)
				}
			}
		})
	}
}

// What a table says of patients, sites and covariates is kept, numbers as numbers.
func TestTableSubjects(t *testing.T) {
	s := newSource(t)
	s.image("A1.nii.gz", 1)
	s.image("A2.nii.gz", 1)
	c := table(t, TableOptions{Images: s.dir, Covariates: []string{"age", "sex", "bmi"}, Labels: []string{"grade"},
		Table: s.text("l.csv", "Table 1;;;;;;\ncase;Patient_ID;Hospital;age;sex;bmi;grade\nA1;7;Ulm;63,5;f;n/a;10\nA2;8;Bonn;70;m;22;9\n")})
	made := write(t, c, t.TempDir())
	b, err := os.ReadFile(filepath.Join(made.Dir, task.DatasetFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"patient": "7"`, `"site": "Ulm"`, `"age": 63.5`, `"age": 70`, `"sex": "f"`, `"bmi": 22`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("dataset.json lacks %s:\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "n/a") {
		t.Error("a missing value is kept")
	}
	if got := c.Labels[0].Values; !reflect.DeepEqual(got, []string{"9", "10"}) {
		t.Errorf("numbers are not in numerical order: %v", got)
	}
	c = table(t, TableOptions{Images: s.dir, Labels: []string{"grade"}, Patient: None, Site: None, Table: s.path("l.csv"), Classes: []string{"10", "9"}})
	if c.Training[0].Patient != "" || c.Training[0].Site != "" {
		t.Error("- does not turn the columns off")
	}
	if got := c.Training[0].Targets; got[0] != 0 {
		t.Errorf("--classes 10 9 gives class %v to the value 10", got)
	}
}

// All that is wrong comes in one error that names each case and what to do.
func TestTableProblems(t *testing.T) {
	s := newSource(t)
	for _, name := range []string{"A1", "A2", "A3", "A4", "A5/a", "A5/b", "stray", "007"} {
		s.image("images/"+name+".nii.gz", 1)
	}
	for _, name := range []string{"A1", "A2", "A4", "other"} {
		s.mask("masks/"+name+".nii.gz", 1)
	}
	o := TableOptions{ID: "case", Images: s.path("images"), Masks: s.path("masks"), Patient: "who", Labels: []string{"kind"},
		Table: s.text("l.csv", "case,kind,who\nA1,yes,p\nA2,,p\nA2,no,p\nA3,no,p\nA4,NA,\nA5,no,p\nA6,Yes,p\n7,no,p\n,no,p\n")}
	_, err := Table(context.Background(), o, progress.Discard)
	var v *task.ValidationError
	if !errors.As(err, &v) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"case A2: line 4: the case is named in line 3 already",
		"case A2: kind: the cell is empty",
		"case A3: mask: line 5: no mask; expected A3.nii.gz",
		`case A4: kind: "NA" reads as a missing value`,
		"case A4: who: line 6: the patient is missing",
		"case A5: image: line 7: 2 images (A5/a.nii.gz, A5/b.nii.gz)",
		"case A6: image: line 8: no image",
		`kind: the classes "Yes" (A6) and "yes" (A1) differ in spelling alone`,
		"case 7: image: line 9: no image; expected 7.nii.gz, 7_0000.nii.gz or a folder 7",
		"is it 007.nii.gz?",
		"case: line 10: the name of the case is missing",
		"stray.nii.gz: no row names its case",
		"other.nii.gz: a mask; no row names its case",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	o.Partial, o.Table = true, s.text("l.csv", "case,kind,who\nA1,yes,p\nA2,no,q\nA4,NA,p\nA6,no,p\n")
	c := table(t, o)
	if len(c.Training) != 2 || len(c.Warnings) < 5 {
		t.Errorf("with --partial: %d cases, warnings %q", len(c.Training), c.Warnings)
	}
}

// Tables that cannot be meant are refused with what to do.
func TestTableRefused(t *testing.T) {
	s := newSource(t)
	for _, name := range []string{"A1", "A2"} {
		s.image("images/"+name+".nii.gz", 1)
	}
	s.image("float.nii.gz", 1)
	for name, test := range map[string]struct {
		table string
		o     TableOptions
		want  string
	}{
		"one class":      {"case,kind\nA1,a\nA2,a\n", TableOptions{}, "a classifier needs two"},
		"no label":       {"case,age,kind\nA1,1,a\nA2,2,b\n", TableOptions{}, "Name them: age (2 values), kind (2 values)"},
		"no column":      {"case,kind\nA1,a\nA2,b\n", TableOptions{Labels: []string{"Kind2"}}, `no column "Kind2", which is named for labels; the columns are case, kind`},
		"no id":          {"x,kind\nB1,a\nB2,b\n", TableOptions{}, "no column (x, kind) names images"},
		"no header":      {"A1,a\nA2,b\n", TableOptions{}, "the first row is a case (A1)"},
		"no rows":        {"case,kind\n", TableOptions{}, "a header, but no rows"},
		"a formula":      {"case,kind\nA1,+a\nA2,b\n", TableOptions{}, "which a spreadsheet takes for a formula"},
		"a field":        {"case,site\nA1,a\nA2,b\n", TableOptions{Labels: []string{"site"}}, "the name of a field that every case may have"},
		"unknown class":  {"case,kind\nA1,a\nA2,b\n", TableOptions{Classes: []string{"a", "c"}}, `"b" (A2) is none of the classes`},
		"twice the same": {"case,kind\nA1,a\nA2,b\n", TableOptions{Labels: []string{"kind"}, Covariates: []string{"kind"}}, "is named for covariates and for labels"},
		"UTF-8":          {"case,kind\nA1,\xe4\nA2,b\n", TableOptions{}, "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			test.o.Table, test.o.Images = s.text("l.csv", test.table), s.path("images")
			_, err := Table(context.Background(), test.o, progress.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Images in Hounsfield units are CT, others are not; a cohort of both is refused.
func TestModalityIsFound(t *testing.T) {
	hounsfield := make([]int16, geometry.Voxels())
	for i := range hounsfield {
		hounsfield[i] = int16(i%3)*700 - 1000
	}
	for name, test := range map[string]struct{ a, b, want string }{
		"CT": {"ct", "ct", "CT"}, "other": {"mr", "mr", "unknown"}, "both": {"ct", "mr", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			for id, kind := range map[string]string{"A1": test.a, "A2": test.b} {
				if s.image(id+".nii.gz", 1); kind == "ct" {
					s.volume(id+".nii.gz", hounsfield)
				}
			}
			c, err := Table(context.Background(), TableOptions{Images: s.dir, Table: s.text("l.csv", "case,kind\nA1,a\nA2,b\n")}, progress.Discard)
			switch {
			case test.want == "" && (err == nil || !strings.Contains(err.Error(), "modalit")):
				t.Errorf("got %v", err)
			case test.want != "" && (err != nil || c.Modalities[0] != test.want):
				t.Errorf("got %v, %v, want %s", c, err, test.want)
			}
		})
	}
}

// snapshot is every file below a folder with its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".uc.lock" {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever file operation fails, the task is there whole or, as before, not at all; the source stays as it is; the next
// run succeeds.
func TestWholeOrNotAtAll(t *testing.T) {
	s := newSource(t)
	for _, name := range []string{"A1", "A2", "A3"} {
		s.image("images/"+name+".nii.gz", 1)
		s.mask("masks/"+name+".nii.gz", 255)
	}
	s.text("l.csv", "case,kind\nA1,a\nA2,b\nA3,b\n")
	s.text("m.csv", "case,kind\nA1,b\nA2,a\nA3,b\n")
	before := snapshot(t, s.dir)
	cohort := func(name string) *Cohort {
		c := table(t, TableOptions{Table: s.path(name), Images: s.path("images"), Masks: s.path("masks")})
		c.Validation = []string{"A3"}
		return c
	}
	root := t.TempDir()
	folders, _ := task.ResolveFolders(root)
	attempt := func(c *Cohort, overwrite bool) error {
		target, err := c.Target(folders, 1, "New", overwrite)
		if err != nil {
			return err
		}
		_, err = c.Write(context.Background(), target, true, progress.Discard)
		return err
	}
	for _, step := range []struct {
		table     string
		overwrite bool
	}{{"l.csv", false}, {"m.csv", true}} {
		c := cohort(step.table)
		old := snapshot(t, root)
		for n := 1; ; n++ {
			count := 0
			failing.Lock()
			failing.at = func(op fault.Op, path string) error {
				if op == fault.Open || op == fault.Read {
					return nil
				}
				if count++; count == n {
					return fmt.Errorf("no space left on device")
				}
				return nil
			}
			failing.Unlock()
			err := attempt(c, step.overwrite)
			failing.Lock()
			failing.at = nil
			failing.Unlock()
			if err == nil {
				if n < 10 {
					t.Errorf("only %d operations", n)
				}
				break
			}
			if now := snapshot(t, root); !reflect.DeepEqual(now, old) {
				t.Fatalf("operation %d failed (%v) and left %v, where %v was", n, err, keysOf(now), keysOf(old))
			}
		}
		made, err := task.Load(folders, "1")
		if err != nil || len(made.Dataset.Cases) != 3 {
			t.Fatalf("%v: %v", made, err)
		}
		if now := snapshot(t, s.dir); !reflect.DeepEqual(now, before) {
			t.Errorf("the source changed: %v", keysOf(now))
		}
	}
}

func keysOf(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// A task is replaced only if uc convert made it, and only when told; the same inputs change nothing.
func TestTarget(t *testing.T) {
	s := newSource(t)
	s.image("images/A1.nii.gz", 1)
	s.image("images/A2.nii.gz", 1)
	o := TableOptions{Table: s.text("My cohort.csv", "case,kind\nA1,a\nA2,b\n"), Images: s.path("images")}
	root := t.TempDir()
	folders, _ := task.ResolveFolders(root)
	c := table(t, o)
	target, err := c.Target(folders, -1, "", false)
	if err != nil || target.Name != "Task001_My_cohort" {
		t.Fatalf("%v, %v", target, err)
	}
	if _, err := c.Write(context.Background(), target, false, progress.Discard); err != nil {
		t.Fatal(err)
	}
	if again, err := table(t, o).Target(folders, -1, "", false); err != nil || !again.UpToDate || again.Name != target.Name {
		t.Errorf("the same inputs give %+v, %v", again, err)
	}
	s.text("My cohort.csv", "case,kind\nA1,b\nA2,a\n")
	other := table(t, o)
	if next, err := other.Target(folders, -1, "", false); err != nil || next.Name != "Task002_My_cohort" {
		t.Errorf("other inputs give %+v, %v", next, err)
	}
	if _, err := other.Target(folders, 1, "", false); err == nil || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.Overwrite})) {
		t.Errorf("another cohort in its place: %v", err)
	}
	if next, err := other.Target(folders, 1, "", true); err != nil || !next.Replaces {
		t.Errorf("--overwrite gives %+v, %v", next, err)
	}
	if _, err := other.Target(folders, 1, "Other", true); err == nil || !strings.Contains(err.Error(), "task id 1 is that of Task001_My_cohort") {
		t.Errorf("an id twice: %v", err)
	}
	if err := os.Remove(filepath.Join(target.Dir, RecordFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Target(folders, 1, "", true); err == nil || !strings.Contains(err.Error(), "was not converted") {
		t.Errorf("somebody else's task: %v", err)
	}
	for _, name := range []string{"../x", "a/b", "a b", ".x", "", strings.Repeat("x", 200)} {
		if _, err := other.Target(folders, 7, name, false); (err == nil) != (name == "") {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// A killed process leaves a task aside or half a task, which the next run clears away.
func TestRecovers(t *testing.T) {
	s := newSource(t)
	s.image("images/A1.nii.gz", 1)
	s.image("images/A2.nii.gz", 1)
	c := table(t, TableOptions{Table: s.text("l.csv", "case,kind\nA1,a\nA2,b\n"), Images: s.path("images")})
	root := t.TempDir()
	made := write(t, c, root)
	raw := filepath.Dir(made.Dir)
	for _, dir := range []string{replacedDir, filepath.Join(stagingDir, "nnUNet_raw_data", "Task001_New", "imagesTr")} {
		if err := os.MkdirAll(filepath.Join(raw, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(made.Dir, filepath.Join(raw, replacedDir, made.Name)); err != nil {
		t.Fatal(err)
	}
	target, err := c.Target(made.Folders, 2, "Next", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(context.Background(), target, false, progress.Discard); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(raw)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".uc.lock", "Task001_New", "Task002_Next"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// Files are hard links where that is possible, and copies when told.
func TestLinksAndCopies(t *testing.T) {
	s := newSource(t)
	s.image("images/A1.nii.gz", 1)
	s.image("elsewhere/x.nii.gz", 1)
	if err := os.Symlink(s.path("elsewhere/x.nii.gz"), s.path("images/A2.nii.gz")); err != nil {
		t.Skip("no symbolic links: ", err)
	}
	c := table(t, TableOptions{Table: s.text("l.csv", "case,kind\nA1,a\nA2,b\n"), Images: s.path("images")})
	root := t.TempDir()
	folders, _ := task.ResolveFolders(root)
	for id, copyAll := range []bool{false, true} {
		target, err := c.Target(folders, id, "X", false)
		if err != nil {
			t.Fatal(err)
		}
		w, err := c.Write(context.Background(), target, copyAll, progress.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for k, source := range []string{"images/A1.nii.gz", "elsewhere/x.nii.gz"} {
			path := filepath.Join(target.Dir, "imagesTr", fmt.Sprintf("A%d_0000.nii.gz", k+1))
			a, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := os.Stat(s.path(source))
			if !a.Mode().IsRegular() {
				t.Errorf("%s is not a regular file", path)
			}
			if copyAll && os.SameFile(a, b) || !copyAll && w.Linked == 2 && !os.SameFile(a, b) {
				t.Errorf("copy %v: %s is the same file as its source: %v", copyAll, path, os.SameFile(a, b))
			}
		}
		if copyAll && w.Copied != 2 {
			t.Errorf("%+v", w)
		}
	}
}

// A mask on another grid than its image is refused by the name of its case before anything appears.
func TestChecksGrids(t *testing.T) {
	s := newSource(t)
	s.image("images/A1.nii.gz", 1)
	s.image("images/A2.nii.gz", 1)
	s.mask("masks/A1.nii.gz", 1)
	other := geometry
	other.Size = [3]int{3, 5, 6}
	data := make([]int16, other.Voxels())
	data[7] = 1
	if err := nifti.WriteInt16(s.path("masks/A2.nii.gz"), other, data); err != nil {
		t.Fatal(err)
	}
	c := table(t, TableOptions{Table: s.text("l.csv", "case,kind\nA1,a\nA2,b\n"), Images: s.path("images"), Masks: s.path("masks")})
	root := t.TempDir()
	folders, _ := task.ResolveFolders(root)
	target, err := c.Target(folders, 1, "New", false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Write(context.Background(), target, false, progress.Discard)
	if err == nil || !strings.Contains(err.Error(), "case A2") || !strings.Contains(err.Error(), "6x5x3") || strings.Contains(err.Error(), stagingDir) {
		t.Errorf("got %v", err)
	}
	if now := snapshot(t, root); len(now) > 0 {
		t.Errorf("there is %v", keysOf(now))
	}
}
