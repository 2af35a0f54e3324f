package task

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// withSubjects adds fields to the entries of the three cases.
func (f *fixture) withSubjects(a, b, c string) {
	text := f.json(true)
	for i, fields := range []string{a, b, c} {
		if fields != "" {
			entry := fmt.Sprintf(`"image": "./imagesTr/%s.nii.gz"`, fixtureCases[i])
			text = strings.Replace(text, entry, entry+", "+fields, 1)
		}
	}
	f.dataset(text)
}

func TestSubjects(t *testing.T) {
	f := newFixture(t, true)
	f.withSubjects(`"patient": "P1", "site": "A", "covariates": {"age": 63, "sex": "f", "smoker": true, "bmi": 21.5, "stage": null}`, `"patient": "P1"`, `"patient": "P2", "site": "B"`)
	d := f.mustLoad().Dataset
	a := d.Cases[0]
	if a.Patient != "P1" || a.Site != "A" || d.Cases[1].Patient != "P1" || d.Cases[1].Site != "" || d.Cases[2].Patient != "P2" {
		t.Errorf("cases %+v", d.Cases)
	}
	if want := map[string]any{"age": int64(63), "sex": "f", "smoker": true, "bmi": 21.5}; !reflect.DeepEqual(a.Covariates, want) {
		t.Errorf("covariates %v, want %v", a.Covariates, want)
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "1 of 3 cases name no site (b)") {
		t.Errorf("warnings %q", d.Warnings)
	}
	l, err := Listed(f.dir)
	if err != nil || l.Cases[2].Patient != "P2" || l.Cases[2].Site != "B" {
		t.Errorf("snapshot %+v (%v)", l, err)
	}
}

func TestBadSubjects(t *testing.T) {
	for name, c := range map[string]struct{ a, b, field, id, want string }{
		"number":           {`"patient": 7`, `"patient": "1"`, "patient", "a_1", `found 7, expected text; write "7"`},
		"list":             {`"patient": ["1"]`, `"patient": "1"`, "patient", "a_1", "found a list"},
		"null":             {`"patient": null`, `"patient": "1"`, "patient", "a_1", "found null"},
		"empty":            {`"patient": ""`, `"patient": "1"`, "patient", "a_1", `"" is empty`},
		"space":            {`"patient": "1 "`, `"patient": "1"`, "patient", "a_1", "begins or ends with a space"},
		"missing":          {`"patient": "1"`, ``, "patient", "b", "missing, while 2 of 3 cases have one"},
		"site":             {`"patient": "1", "site": true`, `"patient": "1"`, "site", "a_1", "found true"},
		"escape":           {`"patient": "1", "site": "\u001b[2J"`, `"patient": "1"`, "site", "a_1", "control character"},
		"covariates":       {`"patient": "1", "covariates": [63]`, `"patient": "1"`, "covariates", "a_1", "found a list"},
		"nested covariate": {`"patient": "1", "covariates": {"age": {"y": 1}}`, `"patient": "1"`, "covariates", "a_1", `"age" is an object`},
		"nameless":         {`"patient": "1", "covariates": {"": 1}`, `"patient": "1"`, "covariates", "a_1", `the name "" is empty`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, true)
			f.withSubjects(c.a, c.b, `"patient": "2"`)
			_, err := f.load()
			var invalid *ValidationError
			if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || !hasProblem(invalid.Problems, c.id, c.field, c.want) {
				t.Fatalf("got %v, want one problem of %s, field %s: %s", err, c.id, c.field, c.want)
			}
			_, err = Listed(f.dir)
			if wants := c.field != covariatesField; wants != (err != nil) {
				t.Errorf("the snapshot: %v", err)
			}
		})
	}
}

// A classification label that is called as one of the fields keeps it.
func TestLabelsOfTheSameName(t *testing.T) {
	f := newFixture(t, true)
	f.dataset(strings.NewReplacer(`"Tumour"`, `"site"`, `"Grade"`, `"patient"`).Replace(f.json(true)))
	d := f.mustLoad().Dataset
	if c := d.Cases[1]; c.Site != "" || c.Patient != "" || !reflect.DeepEqual(c.Targets, []int{1, 1}) || len(d.Warnings) > 0 {
		t.Errorf("case %+v, warnings %q", c, d.Warnings)
	}
}

func TestNamesThatAreNearlyAlike(t *testing.T) {
	f := newFixture(t, true)
	f.withSubjects(`"patient": "P-01"`, `"patient": "p01"`, `"patient": "P2"`)
	if w := f.mustLoad().Dataset.Warnings; len(w) != 1 || !strings.Contains(w[0], `"P-01" and "p01"`) {
		t.Errorf("warnings %q", w)
	}
}

// withTest puts entries into "test".
func (f *fixture) withTest(entries string) {
	f.dataset(strings.Replace(f.json(true), `"test": []`, `"test": [`+entries+`]`, 1))
}

func TestExternalTestSet(t *testing.T) {
	f := newFixture(t, true)
	for m := range 2 {
		f.image(fmt.Sprintf("imagesTs/x_%04d.nii.gz", m), nil)
	}
	f.image("labelsTs/x.nii.gz", nil)
	f.withTest(`"./imagesTs/y.nii.gz", {"image": "./imagesTs/z.nii.gz"}, {"image": "x.nii.gz", "label": "x.nii.gz", "Tumour": 1, "Grade": 2, "patient": "P9", "site": "C"}`)
	cases, err := f.mustLoad().Test()
	if err != nil {
		t.Fatal(err)
	}
	want := Case{ID: "x", Targets: []int{1, 2}, Patient: "P9", Site: "C", Mask: filepath.Join(f.dir, "labelsTs", "x.nii.gz"),
		Images: []string{filepath.Join(f.dir, "imagesTs", "x_0000.nii.gz"), filepath.Join(f.dir, "imagesTs", "x_0001.nii.gz")}}
	if len(cases) != 1 || !reflect.DeepEqual(cases[0], want) {
		t.Errorf("got %+v, want %+v", cases, want)
	}
}

// What is wrong with the test set is told when it is asked for, all at once, and keeps nobody from planning.
func TestBadTestSet(t *testing.T) {
	f := newFixture(t, true)
	f.image("labelsTs/x.nii.gz", nil)
	f.withTest(`{"image": "./imagesTs/x.nii.gz", "label": "./labelsTs/x.nii.gz", "Tumour": 1},
	 {"image": "../x.nii.gz", "Tumour": 0, "Grade": 1, "patient": 3}, {"image": "./imagesTs/x.nii.gz", "label": "./labelsTs/x.nii.gz", "Tumour": 5, "Grade": 1}`)
	task, err := f.load()
	if err != nil {
		t.Fatalf("planning is refused: %v", err)
	}
	_, err = task.Test()
	var invalid *ValidationError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v", err)
	}
	for _, want := range [][3]string{
		{"x", "Grade", "missing"}, {"x", "image", "imagesTs/x_0000.nii.gz not found"}, {"test[1]", "image", "leaves the task folder"},
		{"test 1 (line", "patient", "found 3"}, {"x", "image", "listed twice"}, {"x", "Tumour", "value 5 is out of range"}, {"test 1 (line", "label", "missing, while the training cases have masks"},
	} {
		found := false
		for _, p := range invalid.Problems {
			found = found || strings.HasPrefix(p.Case, want[0]) && p.Field == want[1] && strings.Contains(p.Message, want[2])
		}
		if !found {
			t.Errorf("no problem %q in\n%v", want, err)
		}
	}
	f.withTest("")
	if _, err := f.mustLoad().Test(); err == nil || !strings.Contains(err.Error(), "test lists no case with classes") {
		t.Errorf("an empty test set: %v", err)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "imagesTs")); err == nil {
		t.Error("imagesTs was made")
	}
}
