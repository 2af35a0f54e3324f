package task

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"
)

func (f *fixture) rename(from, to string) {
	f.t.Helper()
	if err := os.Rename(filepath.Join(f.dir, from), filepath.Join(f.dir, to)); err != nil {
		f.t.Fatal(err)
	}
}

// Every common mistake gets the line that helps.
func TestMessagesThatLead(t *testing.T) {
	encoded := func(text string, big bool, mark string) string {
		out := []byte(mark)
		for _, u := range utf16.Encode([]rune(text)) {
			if big {
				out = append(out, byte(u>>8), byte(u))
			} else {
				out = append(out, byte(u), byte(u>>8))
			}
		}
		return string(out)
	}
	replace := func(f *fixture, old, new string) { f.dataset(strings.ReplaceAll(f.json(true), old, new)) }
	for name, test := range map[string]struct {
		change func(f *fixture)
		want   []string
	}{
		"three digits": {func(f *fixture) { f.rename("imagesTr/b_0001.nii.gz", "imagesTr/b_001.nii.gz") },
			[]string{"b_001.nii.gz is there", "four digits", "rename it to b_0001.nii.gz"}},
		"one digit": {func(f *fixture) { f.rename("imagesTr/b_0001.nii.gz", "imagesTr/b_1.nii.gz") }, []string{"rename it to b_0001.nii.gz"}},
		"five digits": {func(f *fixture) { f.rename("imagesTr/b_0000.nii.gz", "imagesTr/b_00000.nii.gz") },
			[]string{"rename it to b_0000.nii.gz"}},
		"no suffix": {func(f *fixture) { f.rename("imagesTr/b_0001.nii.gz", "imagesTr/b.nii.gz") }, []string{"b.nii.gz has no modality suffix"}},
		"counted from 1": {func(f *fixture) {
			f.rename("imagesTr/b_0001.nii.gz", "imagesTr/b_0002.nii.gz")
			f.rename("imagesTr/b_0000.nii.gz", "imagesTr/b_0001.nii.gz")
		}, []string{"b_0002.nii.gz is there: modalities are counted from 0000"}},
		"a dash":       {func(f *fixture) { f.rename("imagesTr/b_0001.nii.gz", "imagesTr/b-0001.nii.gz") }, []string{"rename it to b_0001.nii.gz"}},
		"no separator": {func(f *fixture) { f.rename("imagesTr/b_0001.nii.gz", "imagesTr/b0001.nii.gz") }, []string{"rename it to b_0001.nii.gz"}},
		"a mask with suffix": {func(f *fixture) { f.rename("labelsTr/b.nii.gz", "labelsTr/b_0000.nii.gz") },
			[]string{"masks have no modality suffix, rename it to b.nii.gz"}},
		"small letters": {func(f *fixture) { f.rename("imagesTr/b_0001.nii.gz", "imagesTr/B_0001.nii.gz") },
			[]string{"B_0001.nii.gz is there: capital and small letters"}},
		"decomposed accents": {func(f *fixture) {
			f.rename("imagesTr/b_0000.nii.gz", "imagesTr/"+norm.NFD.String("müller_0000.nii.gz"))
			f.rename("imagesTr/b_0001.nii.gz", "imagesTr/"+norm.NFD.String("müller_0001.nii.gz"))
			replace(f, "imagesTr/b.nii.gz", "imagesTr/"+norm.NFC.String("müller.nii.gz"))
		}, []string{"accents are written in another way", "convmv"}},
		"composed accents": {func(f *fixture) {
			f.rename("imagesTr/b_0000.nii.gz", "imagesTr/"+norm.NFC.String("é_0000.nii.gz"))
			f.rename("imagesTr/b_0001.nii.gz", "imagesTr/"+norm.NFC.String("é_0001.nii.gz"))
			replace(f, "imagesTr/b.nii.gz", "imagesTr/"+norm.NFD.String("é.nii.gz"))
		}, []string{"accents are written in another way"}},
		"UTF-16": {func(f *fixture) { f.dataset(encoded(f.json(true), false, "\xff\xfe")) }, []string{"UTF-16", "save the file as UTF-8"}},
		"UTF-16, big-endian, no mark": {func(f *fixture) { f.dataset(encoded(f.json(true), true, "")) },
			[]string{"UTF-16"}},
		"UTF-16, no mark": {func(f *fixture) { f.dataset(encoded(f.json(true), false, "")) }, []string{"UTF-16"}},
		"a spreadsheet":   {func(f *fixture) { f.dataset("PK\x03\x04...") }, []string{"spreadsheet"}},
		"NaN":             {func(f *fixture) { replace(f, `"Grade": 1`, `"Grade": NaN`) }, []string{"line 12", "NaN is not a JSON value"}},
		"minus infinity":  {func(f *fixture) { replace(f, `"Grade": 1`, `"Grade": -Infinity`) }, []string{"-Infinity is not a JSON value"}},
		"True":            {func(f *fixture) { replace(f, `"ordinal": true`, `"ordinal": True`) }, []string{"True is Python, JSON writes true"}},
		"nnU-Net v2's dataset.json": {func(f *fixture) {
			f.dataset(`{"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1}, "numTraining": 3, "file_ending": ".nii.gz"}`)
		}, []string{"nnU-Net v2", "rename channel_names to modality"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, true)
			test.change(f)
			_, err := f.load()
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range test.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
		})
	}
}

// A case of which only the name is bad does not make the others look as if they lacked a mask.
func TestBadNameIsTheOnlyProblem(t *testing.T) {
	f := newFixture(t, false)
	f.dataset(strings.Replace(f.json(false), "imagesTr/b.nii", "imagesTr/.b.nii", 1))
	if _, err := f.load(); err == nil || !strings.Contains(err.Error(), "begins with a dot") || strings.Contains(err.Error(), "label: missing") || strings.Contains(err.Error(), "problems") {
		t.Errorf("got %v", err)
	}
}

func TestUnreadableFoldersSaySo(t *testing.T) {
	f := newFixture(t, true)
	for _, dir := range []string{"imagesTr", "labelsTr"} {
		path := filepath.Join(f.dir, dir)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := os.ReadDir(path); err == nil || runtime.GOOS == "windows" {
			os.Chmod(path, 0o755)
			t.Skip("this user may read everything")
		}
		_, err := f.load()
		os.Chmod(path, 0o755)
		if err == nil || !strings.Contains(err.Error(), dir+": the folder cannot be read: permission denied") || strings.Contains(err.Error(), "not found") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestModalityDoubts(t *testing.T) {
	for name, want := range map[string]string{
		"CT": "", "ct": "", "MRI": "", "T2": "", "OCT": "", "oct": "", "ADC": "", "noNorm": "", "PET": "", "US": "", "FLAIR": "", "ACT": `is not "CT"`,
		"CTA": `is not "CT"`, "CT ": `is not "CT"`, " ct": `is not "CT"`, "Ct": `is not "CT"`, "CBCT": `is not "CT"`, "CECT": `is not "CT"`, "CT_portal": `is not "CT"`,
		"computed tomography": `is not "CT"`, "positron emission tomography": "",
		"nonorm": `is not "noNorm"`, "MRI ": "space",
	} {
		if got := modalityDoubt(name); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	f := newFixture(t, true)
	f.dataset(strings.Replace(f.json(true), `"0": "CT"`, `"0": "CTA"`, 1))
	if w := strings.Join(f.mustLoad().Dataset.Warnings, "\n"); !strings.Contains(w, `"CTA" is not "CT"`) {
		t.Errorf("warnings %q", w)
	}
}

func TestNewerTaskNames(t *testing.T) {
	for _, at := range []string{"nnUNet_raw_data", "nnUNet_raw", "", "../nnUNet_raw"} {
		f, err := ResolveFolders(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(f.Raw, at, "Dataset007_Liver"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"7", "007", "Dataset007_Liver", "Task007_Liver"} {
			if _, err := FindName(f, id); err == nil || !strings.Contains(err.Error(), "nnU-Net v2") || !strings.Contains(err.Error(), "Task007_Liver") {
				t.Errorf("%s in %q: %v", id, at, err)
			}
		}
		if _, err := FindName(f, "8"); err == nil || strings.Contains(err.Error(), "v2") {
			t.Errorf("another task: %v", err)
		}
	}
}
