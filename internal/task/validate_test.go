package task

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/testutil"
)

func TestGoodDataset(t *testing.T) {
	f := newFixture(t, true)
	task := f.mustLoad()
	d := task.Dataset
	if task.ID != 7 || task.Name != fixtureName || !d.HasMasks || len(d.Warnings) != 0 {
		t.Errorf("task %+v, dataset %+v", task, d)
	}
	if !slices.Equal(d.Modalities, []string{"CT", "MRI"}) || !slices.Equal(d.ROILabels, []string{"background", "organ"}) {
		t.Errorf("modalities %v, labels %v", d.Modalities, d.ROILabels)
	}
	if len(d.Labels) != 2 || d.Labels[0].Ordinal || !d.Labels[1].Ordinal || !slices.Equal(d.Labels[1].Values, []string{"low", "middle", "high"}) {
		t.Errorf("labels %+v", d.Labels)
	}
	want := Case{ID: "a_1", Targets: []int{0, 0}, Mask: filepath.Join(f.dir, "labelsTr", "a_1.nii.gz"),
		Images: []string{filepath.Join(f.dir, "imagesTr", "a_1_0000.nii.gz"), filepath.Join(f.dir, "imagesTr", "a_1_0001.nii.gz")}}
	if got := d.Cases[0]; got.ID != want.ID || got.Mask != want.Mask || !slices.Equal(got.Images, want.Images) || !slices.Equal(got.Targets, want.Targets) {
		t.Errorf("case %+v, want %+v", got, want)
	}
	if d.Raw["name"] != "Test" {
		t.Errorf("raw %v", d.Raw)
	}
}

func TestAcceptedVariants(t *testing.T) {
	tests := map[string]func(*fixture){
		"ImagesTr for imagesTr": func(f *fixture) {
			if err := os.Rename(filepath.Join(f.dir, "imagesTr"), filepath.Join(f.dir, "x")); err != nil {
				f.t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(f.dir, "x"), filepath.Join(f.dir, "ImagesTr")); err != nil {
				f.t.Fatal(err)
			}
		},
		".nii for .nii.gz": func(f *fixture) {
			f.remove("imagesTr/b_0001.nii.gz")
			f.image("imagesTr/b_0001.nii", nil)
			f.remove("labelsTr/b.nii.gz")
			f.image("labelsTr/b.nii", nil)
		},
		"paths without folder": func(f *fixture) {
			f.dataset(strings.NewReplacer("./imagesTr/", "", "./labelsTr/", "").Replace(f.json(true)))
		},
		"a detour that stays inside": func(f *fixture) {
			f.dataset(strings.Replace(f.json(true), "./imagesTr/b", "./x/../imagesTr/b", 1))
		},
		"no ordinal": func(f *fixture) {
			f.dataset(strings.Replace(f.json(true), `"ordinal": true, `, "", 1))
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, true)
			change(f)
			task := f.mustLoad()
			for _, c := range task.Dataset.Cases {
				for _, path := range append(slices.Clone(c.Images), c.Mask) {
					if _, err := os.Stat(path); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ name, from, to, want string }{
		{"trailing commas", `"test": []`, `"test": [],`, "trailing comma"},
		{"trailing comma in a list", "}\n  ],\n  \"test\"", "},\n  ],\n  \"test\"", "trailing comma"},
		{"wrong numTraining", `"numTraining": 3`, `"numTraining": 4`, "numTraining"},
		{"a class nobody has", `"Grade": 2`, `"Grade": 1`, "no case has the value 2"},
		{"field given twice", `"name": "Test",`, `"name": "X", "name": "Test",`, "twice"},
	}
	for _, test := range tests {
		f := newFixture(t, true)
		text := strings.Replace(f.json(true), test.from, test.to, 1)
		if text == f.json(true) {
			t.Fatalf("%s: nothing replaced", test.name)
		}
		f.dataset(text)
		task, err := f.load()
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if w := task.Dataset.Warnings; len(w) != 1 || !strings.Contains(w[0], test.want) || !strings.Contains(w[0], DatasetFile+": line") && !strings.Contains(w[0], "label") {
			t.Errorf("%s: warnings %q", test.name, w)
		}
	}
}

// TestEveryRule breaks each rule of the raw layout on its own.
func TestEveryRule(t *testing.T) {
	tests := []struct {
		name              string
		noMasks           bool
		from, to          string // in dataset.json
		change            func(*fixture)
		caseID, field, in string // of the problem expected
	}{
		{name: "no object", from: "{", to: "[1, {", field: "", in: "expected an object"},
		{name: "label out of range", from: `"Grade": 2`, to: `"Grade": 3`, caseID: "c", field: "Grade", in: "value 3 is out of range, expected 0 to 2"},
		{name: "negative label", from: `"Grade": 2`, to: `"Grade": -1`, caseID: "c", field: "Grade", in: "out of range"},
		{name: "class value missing", from: `, "Grade": 2`, to: "", caseID: "c", field: "Grade", in: "missing"},
		{name: "class value a string", from: `"Grade": 2`, to: `"Grade": "2"`, caseID: "c", field: "Grade", in: `found "2"`},
		{name: "class value a fraction", from: `"Grade": 2`, to: `"Grade": 1.5`, caseID: "c", field: "Grade", in: "found 1.5"},
		{name: "class value null", from: `"Grade": 2`, to: `"Grade": null`, caseID: "c", field: "Grade", in: "found null"},
		{name: "duplicate case", from: "imagesTr/c.nii", to: "imagesTr/b.nii", caseID: "b", field: "image", in: "listed twice"},
		{name: "some cases without label", from: `"label": "./labelsTr/b.nii.gz", `, to: "", caseID: "b", field: "label", in: "2 of 3 cases"},
		{name: "masks without labels", from: `"labels": {"0": "background", "1": "organ"},`, to: "", field: "labels", in: "3 cases have a mask"},
		{name: "labels without masks", noMasks: true, from: `"numTraining"`, to: `"labels": {"0": "background", "1": "organ"}, "numTraining"`, field: "labels", in: "no case has a label"},
		{name: "undeclared mask files", noMasks: true, change: func(f *fixture) { f.image("labelsTr/b.nii.gz", nil) }, caseID: "b", field: "label", in: "exists"},
		{name: "mask missing", change: func(f *fixture) { f.remove("labelsTr/b.nii.gz") }, caseID: "b", field: "label", in: "not found"},
		{name: "image missing", change: func(f *fixture) { f.remove("imagesTr/b_0000.nii.gz") }, caseID: "b", field: "image", in: "imagesTr/b_0000.nii.gz not found"},
		{name: "modality missing", change: func(f *fixture) { f.remove("imagesTr/b_0001.nii.gz") }, caseID: "b", field: "image", in: "modality 1 (MRI)"},
		{name: "image twice", change: func(f *fixture) { f.image("imagesTr/b_0001.nii", nil) }, caseID: "b", field: "image", in: "both exist"},
		{name: "modality suffix in image", from: "imagesTr/b.nii", to: "imagesTr/b_0000.nii", caseID: "b_0000", field: "image", in: "leave it out"},
		{name: "ROI labels with a gap", from: `"1": "organ"`, to: `"2": "organ"`, field: "labels", in: "consecutive"},
		{name: "ROI labels without background", from: `"0": "background", `, to: "", field: "labels", in: "consecutive"},
		{name: "ROI labels a list", from: `{"0": "background", "1": "organ"}`, to: `["background"]`, field: "labels", in: "found a list"},
		{name: "ROI labels with background only", from: `, "1": "organ"`, to: "", field: "labels", in: "expected 2 or more"},
		{name: "path up", from: "./imagesTr/b", to: "../imagesTr/b", field: "image", in: "leaves the task folder"},
		{name: "path up in the middle", from: "./imagesTr/b", to: "./imagesTr/../../x/b", field: "image", in: "leaves the task folder"},
		{name: "absolute path", from: "./imagesTr/b", to: "/etc/b", field: "image", in: "leaves the task folder"},
		{name: "mask path up", from: "./labelsTr/b", to: "../b", caseID: "b", field: "label", in: "leaves the task folder"},
		{name: "backslash", from: "./imagesTr/b", to: `imagesTr\\b`, field: "image", in: "backslash"},
		{name: "other format", from: "imagesTr/b.nii.gz", to: "imagesTr/b.nrrd", field: "image", in: "does not end in"},
		{name: "image no string", from: `"./imagesTr/b.nii.gz"`, to: "7", field: "image", in: "found 7"},
		{name: "image field missing", from: `"image": "./imagesTr/b.nii.gz", `, to: "", field: "image", in: "missing"},
		{name: "entry no object", from: `{"image": "./imagesTr/a_1.nii.gz", "label": "./labelsTr/a_1.nii.gz", "Tumour": 0, "Grade": 0}`, to: `"a_1"`, field: "training[0]", in: "found a string"},
		{name: "training missing", from: `"training"`, to: `"trainings"`, field: "training", in: "missing"},
		{name: "modality missing", from: `"modality"`, to: `"modalities"`, field: "modality", in: "missing"},
		{name: "modality with a gap", from: `"1": "MRI"`, to: `"3": "MRI"`, field: "modality", in: "consecutive"},
		{name: "modality no string", from: `"1": "MRI"`, to: `"1": ["MRI"]`, field: "modality", in: "a list"},
		{name: "no classification labels", from: `"classification_labels"`, to: `"classes"`, field: "classification_labels", in: "missing"},
		{name: "label without name", from: `"name": "Grade", `, to: "", field: "classification_labels[1].name", in: "missing"},
		{name: "two labels of one name", from: `"name": "Grade"`, to: `"name": "Tumour"`, field: "classification_labels[1].name", in: "two labels"},
		{name: "label named like a field", from: `"name": "Grade"`, to: `"name": "image"`, field: "classification_labels[1].name", in: "another name"},
		{name: "label named like a column", from: `"name": "Grade"`, to: `"name": "Case"`, field: "classification_labels[1].name", in: "name of a column"},
		{name: "label that makes another's column", from: `"name": "Grade"`, to: `"name": "Tumour value"`, field: "classification_labels[1].name", in: "same name as the label"},
		{name: "label that makes another's probability", from: `"name": "Grade"`, to: `"name": "Tumour P(yes)"`, field: "classification_labels[1].name", in: "same name as the label"},
		{name: "label with an escape", from: `"name": "Grade"`, to: `"name": "Gr\u001b[2Jade"`, field: "classification_labels[1].name", in: "control character"},
		{name: "label that is a formula", from: `"name": "Grade"`, to: `"name": "=1+1"`, field: "classification_labels[1].name", in: "formula"},
		{name: "class that is a formula", from: `"1": "yes"`, to: `"1": "@SUM(A1)"`, field: "values", in: "formula"},
		{name: "class with a minus", from: `"1": "yes"`, to: `"1": "-"`, field: "values", in: "formula"},
		{name: "class with a line break", from: `"1": "yes"`, to: `"1": "y\nes"`, field: "values", in: "control character"},
		{name: "class without a name", from: `"1": "yes"`, to: `"1": " "`, field: "values", in: "is empty"},
		{name: "two classes of one name", from: `"1": "yes"`, to: `"1": "no "`, field: "values", in: "name of class 0 already"},
		{name: "id with a dot first", from: "imagesTr/b.nii", to: "imagesTr/.b.nii", caseID: ".b", field: "image", in: "begins with a dot"},
		{name: "id that is a formula", from: "imagesTr/b.nii", to: "imagesTr/+b.nii", caseID: "+b", field: "image", in: "formula"},
		{name: "id with a line break", from: "imagesTr/b.nii", to: "imagesTr/b\\n1.nii", caseID: `"b\n1"`, field: "image", in: "control character"},
		{name: "id written right to left", from: "imagesTr/b.nii", to: "imagesTr/b\\u202egpj.nii", field: "image", in: "control character"},
		{name: "id of 201 bytes", from: "imagesTr/b.nii", to: "imagesTr/" + strings.Repeat("b", 201) + ".nii", field: "image", in: "201 bytes, expected at most 200"},
		{name: "values with a gap", from: `"2": "high"`, to: `"3": "high"`, field: "values", in: "consecutive"},
		{name: "values missing", from: `, "values": {"0": "no", "1": "yes"}`, to: "", field: "values", in: "missing"},
		{name: "one value only", from: `{"0": "no", "1": "yes"}`, to: `{"0": "no"}`, field: "values", in: "expected 2 or more"},
		{name: "ordinal no boolean", from: `"ordinal": true`, to: `"ordinal": 1`, field: "ordinal", in: "expected true or false"},
		{name: "label no object", from: `"classification_labels": [`, to: `"classification_labels": [1,`, field: "classification_labels[0]", in: "found a number"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, !test.noMasks)
			text := f.json(!test.noMasks)
			if test.from != "" {
				changed := strings.Replace(text, test.from, test.to, 1)
				if changed == text {
					t.Fatal("nothing replaced")
				}
				if strings.HasPrefix(test.to, "[") && strings.HasSuffix(test.to, "{") {
					changed += "]"
				}
				f.dataset(changed)
			}
			if test.change != nil {
				test.change(f)
			}
			_, err := f.load()
			var v *ValidationError
			if !errors.As(err, &v) {
				t.Fatalf("error %v, want a *ValidationError", err)
			}
			found := slices.ContainsFunc(v.Problems, func(p Problem) bool {
				return (test.caseID == "" || p.Case == test.caseID) && strings.Contains(p.Field, test.field) && strings.Contains(p.Message, test.in)
			})
			if !found {
				t.Errorf("problems %q, want case %q, field %q: %q", v.Problems, test.caseID, test.field, test.in)
			}
			if !strings.HasPrefix(err.Error(), filepath.Join(f.dir, DatasetFile)) {
				t.Errorf("error does not name the file: %v", err)
			}
		})
	}
}

// TestAllProblemsAtOnce breaks several rules together.
func TestAllProblemsAtOnce(t *testing.T) {
	f := newFixture(t, true)
	f.dataset(strings.NewReplacer(`"Grade": 2`, `"Grade": 9`, `"1": "organ"`, `"5": "organ"`, "./labelsTr/b", "../b", `"Tumour": 1, `, "").Replace(f.json(true)))
	f.remove("imagesTr/c_0001.nii.gz")
	_, err := f.load()
	var v *ValidationError
	if !errors.As(err, &v) {
		t.Fatal(err)
	}
	for _, want := range []Problem{{Case: "c", Field: "Grade", Message: "value 9"}, {Case: "", Field: "labels", Message: "consecutive"}, {Case: "b", Field: "label", Message: "leaves"}, {Case: "b", Field: "Tumour", Message: "missing"}, {Case: "c", Field: "image", Message: "modality 1"}} {
		if !hasProblem(v.Problems, want.Case, want.Field, want.Message) {
			t.Errorf("missing among the problems: %v\n%v", want, err)
		}
	}
	if len(v.Problems) != 5 || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("%d problems: %v", len(v.Problems), err)
	}
}

func TestBadJSON(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "line 1, column 1: the file ends"},
		{"{\n  \"name\" \"x\"\n}", "line 2, column 10: found '\"' where ':'"},
		{"{\n  name: 1\n}", "line 2, column 3: found 'n' where a field's name"},
		{"{\"a\": [1 2]}", "line 1, column 10: found '2' where ',' or ']'"},
		{"{\"a\": 1", "line 1, column 8: the file ends where ',' or '}'"},
		{"{\"a\": tru}", "line 1, column 7: found 't' where a value"},
		{"{\"a\": 01}", `line 1, column 7: "01" is not a number`},
		{"{\"ä\": 01}", "line 1, column 7"},
		{"{\"a\": \"x\n\"}", "line 1, column 9: the string is not closed"},
		{`{"a": "\x"}`, "bad escape"},
		{"{\"a\": \"\xff\"}", "not UTF-8"},
		{"{} x", "line 1, column 4: found 'x' after the end"},
		{"{,}", "line 1, column 2: found ','"},
		{strings.Repeat("[", 100000), "levels deep"},
	}
	for _, test := range tests {
		f := newFixture(t, true)
		f.dataset(test.text)
		_, err := f.load()
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), DatasetFile) {
			t.Errorf("%.20q: error %v, want %q", test.text, err, test.want)
		}
	}
}

func TestRealDatasets(t *testing.T) {
	folders := Folders{Raw: testutil.Shared(t, "data", "raw")}
	task, err := Load(folders, "4")
	if err != nil {
		t.Fatal(err)
	}
	if d := task.Dataset; len(d.Cases) != 100 || !d.HasMasks || len(d.ROILabels) != 3 || len(d.Labels) != 2 || len(d.Warnings) != 0 {
		t.Errorf("%d cases, masks %v, warnings %q", len(d.Cases), d.HasMasks, d.Warnings)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, -2.5e3, "\u00e4\ud83d\ude00\n", true, null, {},],}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, _, err := parseJSON(b)
		if err != nil {
			return
		}
		text := n.format()
		again, warnings, err := parseJSON(text)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%q was written as %q: %v %v", b, text, err, warnings)
		}
		if string(again.format()) != string(text) {
			t.Fatalf("%q is not stable: %q", text, again.format())
		}
	})
}
