package leak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// seen is a watcher that saw these scans; those of one seed are one picture, stretched by scale.
func seen(t *testing.T, scans ...scanOf) *Watcher {
	t.Helper()
	w := new(Watcher)
	for _, s := range scans {
		rng := rand.New(rand.NewPCG(s.seed, 1))
		g := volume.Geometry{Size: [3]int{20, 20, 20}, Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
		visit, done := w.Watch(task.Case{ID: s.id}, s.modality, s.test)
		values := make([]float32, g.Voxels())
		for i := range values {
			values[i] = float32(rng.NormFloat64()) * s.scale
		}
		visit(g, values)
		done()
	}
	return w
}

type scanOf struct {
	id       string
	modality int
	test     bool
	seed     uint64
	scale    float32
}

func TestDuplicatesNamePairs(t *testing.T) {
	w := seen(t, scanOf{"d", 0, false, 4, 1}, scanOf{"a", 0, false, 1, 1}, scanOf{"b", 0, false, 2, 1}, scanOf{"c", 0, false, 1, 1}, scanOf{"b", 1, false, 5, 1},
		scanOf{"x", 0, true, 2, 3}, scanOf{"d", 1, false, 4, 1}, scanOf{"c", 1, false, 6, 1}, scanOf{"a", 1, false, 6, 1})
	found, err := w.Duplicates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := Findings{Duplicates: found}
	for i, want := range []string{
		"case a and case c hold the same voxels; remove one of them, or give both one \"patient\"",
		"case b and test case x are nearly the same scan (similarity 1.00: another window, grid or position of one picture); a network that trained on one knows the other: remove it from the test set",
		"case d: two of its modalities hold the same voxels (modalities 0000 and 0001); export the missing one again",
	} {
		if len(f.Warnings()) != 3 || !strings.HasPrefix(f.Warnings()[i], want) {
			t.Errorf("got %q, want %q", f.Warnings(), want)
		}
	}
	if across := Across(found, []string{"c", "x"}, []string{"a", "b"}); len(across) != 1 || across[0].Cases != [2]string{"a", "c"} {
		t.Errorf("across %+v", across)
	}
	if across := Across(found, []string{"a", "c"}, []string{"b"}); len(across) != 0 {
		t.Errorf("across %+v", across)
	}
	dir := t.TempDir()
	if none, err := Read(dir); none != nil || err != nil {
		t.Errorf("nothing there: %v %v", none, err)
	}
	if err := Write(dir, &f); err != nil {
		t.Fatal(err)
	}
	if again, err := Read(dir); err != nil || !reflect.DeepEqual(again.Duplicates, found) {
		t.Errorf("%+v (%v)", again, err)
	}
	if err := os.WriteFile(filepath.Join(dir, File), []byte("["), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || len(remedy.Of(err)) == 0 {
		t.Errorf("a damaged file: %v", err)
	}
}

func mappingOf(t *testing.T, text string) (*Mapping, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mapping.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return ReadMapping(path)
}

func TestPatientsOfTheMapping(t *testing.T) {
	m, err := mappingOf(t, "case,image,patient_id,model\na,a_0000,77,X\na,a_0001,77,X\nb,b_0000,77,Y\nc,c_0000,78,Y\nd,d_0000,79,Y\n,,80,\n")
	if err != nil {
		t.Fatal(err)
	}
	cases := []task.Case{{ID: "a", Patient: "P1"}, {ID: "b", Patient: "P2"}, {ID: "c", Patient: "P3"}, {ID: "d", Patient: "P3"}, {ID: "e", Patient: "P4"}}
	f := Findings{Patients: m.Patients(cases)}
	if got := f.Warnings(); len(got) != 2 || !strings.HasPrefix(got[0], "cases a, b are of one patient in the mapping, but dataset.json calls it P1, P2") ||
		!strings.HasPrefix(got[1], `cases c, d are of different patients in the mapping, but dataset.json calls all of them "P3"`) {
		t.Errorf("got %q", got)
	}
	if strings.Contains(strings.Join(f.Warnings(), ""), "77") {
		t.Error("the true patient is shown")
	}
	if unknown := m.Unknown(cases); len(unknown) != 1 || unknown[0] != "e" {
		t.Errorf("unknown %v", unknown)
	}
	for i := range cases {
		cases[i].Patient = ""
	}
	if got := (&Findings{Patients: m.Patients(cases)}).Warnings(); len(got) != 1 || !strings.Contains(got[0], "a, b are of one patient in the mapping, but dataset.json names no patients") {
		t.Errorf("got %q", got)
	}
	if _, err := mappingOf(t, "case,name\na,x\n"); err == nil || !strings.Contains(err.Error(), `"patient_id"`) {
		t.Errorf("without the column: %v", err)
	}
	if _, err := mappingOf(t, "case,patient_id\na,1\na,2\n"); err == nil || !strings.Contains(err.Error(), "line 3: case a is of another patient") {
		t.Errorf("two patients: %v", err)
	}
}

// A spacing, a site and a scanner that follow a label are found, what does not is not.
func TestHeadersThatPredictALabel(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	d := &task.Dataset{Labels: []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}}}
	text := "case,patient_id,model\n"
	for i := range 60 {
		lesion, grade := i%2, rng.IntN(3)
		id := fmt.Sprintf("case_%02d", i)
		g := volume.Geometry{Size: [3]int{2, 2, 2 + rng.IntN(9)}, Spacing: [3]float64{1 + rng.Float64() - 0.4*float64(lesion), 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
		path := filepath.Join(dir, id+".nii")
		if err := nifti.WriteImage(path, &volume.Image{Geometry: g, Data: make([]float32, g.Voxels())}); err != nil {
			t.Fatal(err)
		}
		site := []string{"A", "B", "C"}[rng.IntN(3)]
		if grade == 2 {
			site = "D"
		}
		model := []string{"M1", "M2"}[rng.IntN(2)]
		d.Cases = append(d.Cases, task.Case{ID: id, Images: []string{path}, Targets: []int{lesion, grade}, Site: site})
		text += fmt.Sprintf("%s,%d,%s\n", id, i, model)
	}
	m, err := mappingOf(t, text)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	all := Headers(&task.Task{Dataset: d}, m)
	for _, h := range all {
		if h.Suspicious() {
			found[h.Field+"/"+h.Label+"/"+h.Class] = true
		}
		if h.Cases != 60 || !(h.AUC.Low <= h.AUC.Value) {
			t.Errorf("%+v", h)
		}
	}
	want := map[string]bool{"the spacing along z/Lesion/yes": true, "the extent along z/Lesion/yes": true, "the site/Grade/high": true}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
	for _, h := range all {
		if h.Field == "the spacing along x" || h.Field == "the orientation" {
			t.Errorf("measured %s, which is the same everywhere", h.Field)
		}
	}
}

// With labels drawn at random hardly any field is warned of.
func TestHeadersByChance(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	warned, measured := 0, 0
	for range 400 {
		var cases []task.Case
		f := field{name: "number", numbers: map[string]float64{}}
		g := field{name: "text", texts: map[string]string{}}
		for i := range 20 + rng.IntN(100) {
			id := fmt.Sprint(i)
			cases = append(cases, task.Case{ID: id, Targets: []int{rng.IntN(2)}})
			f.numbers[id], g.texts[id] = float64(rng.IntN(10)), fmt.Sprint(rng.IntN(4))
		}
		for _, f := range []field{f, g} {
			if h, ok := f.measure(cases, 0, 1); ok {
				measured++
				if h.Suspicious() {
					warned++
				}
			}
		}
	}
	if measured < 790 || warned > measured/100 {
		t.Errorf("%d of %d", warned, measured)
	}
	t.Logf("%d of %d fields without meaning are warned of", warned, measured)
}
