package dicom

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/csvfile"
	"github.com/universal-classifier/uc/internal/dicom/dicomtest"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/pkg/nifti"
)

func convert(t *testing.T, o Options, sources ...string) *Result {
	t.Helper()
	if o.NameBy == "" {
		o.NameBy = Counter
	}
	r, err := Convert(context.Background(), sources, o, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out
}

func column(t *testing.T, path, name string) []string {
	t.Helper()
	table, err := csvfile.Read(path, "case")
	if err != nil {
		t.Fatal(err)
	}
	c, err := table.Column(name)
	if err != nil || c < 0 {
		t.Fatalf("column %s: %d, %v", name, c, err)
	}
	var out []string
	for _, row := range table.Rows {
		out = append(out, row[c])
	}
	return out
}

// Images hold the voxels and no word of the patient; the table next to the source links them.
func TestConvert(t *testing.T) {
	root := t.TempDir()
	source, out := filepath.Join(root, "export"), filepath.Join(root, "images")
	dicomtest.Series{UID: "1.2.3", Patient: "PAT-1"}.Write(t, filepath.Join(source, "a"))
	dicomtest.Series{UID: "1.2.4", Patient: "=PAT-2", Description: "other"}.Write(t, filepath.Join(source, "b"))
	r := convert(t, Options{Out: out}, source)
	if r.Count(Converted) != 2 || r.Mapping != source+"_mapping.csv" {
		t.Fatalf("%d converted, mapping %s", r.Count(Converted), r.Mapping)
	}
	if got, want := names(t, out), []string{"case0001_0000.nii.gz", "case0002_0000.nii.gz"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	im, err := nifti.ReadImage(filepath.Join(out, "case0001_0000.nii.gz"))
	if err != nil || im.Size != [3]int{5, 6, 8} || im.Data[8*6*3+8*2+1] != float32(dicomtest.Stored(3, 2, 1))-1024 {
		t.Errorf("%v, %+v", err, im.Geometry)
	}
	for _, name := range names(t, out) {
		b, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil || z.Name != "" || z.Comment != "" {
			t.Errorf("%v, gzip names %q, %q", err, z.Name, z.Comment)
		}
		raw, err := io.ReadAll(z)
		const descrip, intent = 148, 328
		if err != nil || len(bytes.Trim(raw[descrip:252], "\x00")) > 0 || len(bytes.Trim(raw[intent:344], "\x00")) > 0 || bytes.Contains(raw, []byte("PAT-")) {
			t.Errorf("%s: %v, the header holds text: %q", name, err, raw[descrip:252])
		}
	}
	if got := column(t, r.Mapping, "patient_id"); !slices.Equal(got, []string{"PAT-1", "'=PAT-2"}) {
		t.Errorf("patients %q", got)
	}
	if got := column(t, r.Mapping, "patient"); !slices.Equal(got, []string{"P0001", "P0002"}) {
		t.Errorf("pseudonyms %q", got)
	}
	dicomtest.Series{UID: "1.2.2", Patient: "PAT-3"}.Write(t, filepath.Join(source, "A"))
	dicomtest.Series{UID: "1.2.5", Patient: "=PAT-2"}.Write(t, filepath.Join(source, "c"))
	convert(t, Options{Out: out}, source)
	if got := column(t, r.Mapping, "patient"); !slices.Equal(got, []string{"P0001", "P0002", "P0003", "P0002"}) {
		t.Errorf("pseudonyms of a second conversion %q", got)
	}
	if b, _ := os.ReadFile(r.Mapping); bytes.Contains(b, []byte("Secret")) || bytes.Contains(b, []byte("19700101")) {
		t.Error("the mapping names patients")
	}
}

// A second conversion keeps images of unchanged files, makes those of changed ones again, and gives new series new
// names.
func TestConvertAgain(t *testing.T) {
	root := t.TempDir()
	source, out := filepath.Join(root, "export"), filepath.Join(root, "images")
	dicomtest.Series{UID: "1.2.5"}.Write(t, filepath.Join(source, "m"))
	dicomtest.Series{UID: "1.2.6"}.Write(t, filepath.Join(source, "n"))
	convert(t, Options{Out: out}, source)
	dicomtest.Series{UID: "1.2.4"}.Write(t, filepath.Join(source, "a"))
	dicomtest.Series{UID: "1.2.6", Size: [3]int{6, 6, 8}}.Write(t, filepath.Join(source, "n"))
	r := convert(t, Options{Out: out}, source)
	got := map[string]string{}
	for _, o := range r.Outcomes {
		got[o.Series.SeriesUID] = o.Case + " " + string(o.Status)
	}
	if got["1.2.4"] != "case0003 converted" || got["1.2.5"] != "case0001 kept" || got["1.2.6"] != "case0002 converted" {
		t.Errorf("%v", got)
	}
	if got := column(t, r.Mapping, "series_uid"); !slices.Equal(got, []string{"1.2.5", "1.2.6", "1.2.4"}) {
		t.Errorf("%q", got)
	}
	if h, err := nifti.ReadHeader(filepath.Join(out, "case0002_0000.nii.gz")); err != nil || h.Size[0] != 6 {
		t.Errorf("%v %v", h, err)
	}
	// Another source with the same output must not take names that are taken.
	dicomtest.Series{UID: "1.2.9"}.Write(t, filepath.Join(root, "second"))
	if r := convert(t, Options{Out: out}, filepath.Join(root, "second")); r.Outcomes[0].Case != "case0004" {
		t.Errorf("%s", r.Outcomes[0].Case)
	}
}

func TestNames(t *testing.T) {
	root := t.TempDir()
	source := filepath.Join(root, "export")
	dicomtest.Series{UID: "1.2.3", Patient: `A/B^../C é`}.Write(t, filepath.Join(source, "a"))
	dicomtest.Series{UID: "1.2.4", Patient: `A/B^../C é`}.Write(t, filepath.Join(source, "b"))
	dicomtest.Series{UID: "1.2.5", Patient: `^^`}.Write(t, filepath.Join(source, "c"))
	r := convert(t, Options{Out: filepath.Join(root, "o"), NameBy: "PatientID", Channel: 1}, source)
	if got := names(t, filepath.Join(root, "o")); !slices.Equal(got, []string{"A-B-..-C-2_0001.nii.gz", "A-B-..-C_0001.nii.gz"}) {
		t.Errorf("%q", got)
	}
	if r.Count(Failed) != 1 || !strings.Contains(r.Outcomes[2].Reason, "no PatientID") {
		t.Errorf("%+v", r.Outcomes[2])
	}
	// The same names come again, whatever the order.
	again := convert(t, Options{Out: filepath.Join(root, "o"), NameBy: "PatientID", Channel: 1}, source)
	if again.Count(Kept) != 2 {
		t.Errorf("%d kept", again.Count(Kept))
	}
	// Another modality of the same patients has the same names.
	other := convert(t, Options{Out: filepath.Join(root, "o"), NameBy: "PatientID", Channel: 0}, source)
	if other.Outcomes[0].Case != r.Outcomes[0].Case || other.Count(Converted) != 2 {
		t.Errorf("%q and %q", other.Outcomes[0].Case, r.Outcomes[0].Case)
	}
	// An image of unknown origin is not overwritten.
	if err := os.WriteFile(filepath.Join(root, "o", "1.2.3_0000.nii.gz"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = convert(t, Options{Out: filepath.Join(root, "o"), NameBy: "SeriesInstanceUID"}, source)
	if b, _ := os.ReadFile(filepath.Join(root, "o", "1.2.3_0000.nii.gz")); string(b) != "precious" || r.Outcomes[0].Status != Failed {
		t.Errorf("%q, %+v", b, r.Outcomes[0])
	}
}

func TestSelection(t *testing.T) {
	root := t.TempDir()
	source := filepath.Join(root, "export")
	mr := func(z int, e []dicomtest.Element) []dicomtest.Element {
		return dicomtest.Set(e, 0x00080060, "CS", "MR")
	}
	scout := func(z int, e []dicomtest.Element) []dicomtest.Element {
		return dicomtest.Set(e, 0x00080008, "CS", `ORIGINAL\PRIMARY\LOCALIZER`)
	}
	gap := func(z int, e []dicomtest.Element) []dicomtest.Element {
		if z == 2 {
			return nil
		}
		return e
	}
	dicomtest.Series{UID: "1.1", Description: "Abdomen Venous"}.Write(t, filepath.Join(source, "1"))
	dicomtest.Series{UID: "1.2", Description: "venous", Change: mr}.Write(t, filepath.Join(source, "2"))
	dicomtest.Series{UID: "1.3", Description: "venous", Size: [3]int{3, 6, 8}}.Write(t, filepath.Join(source, "3"))
	dicomtest.Series{UID: "1.4", Description: "venous", Change: scout}.Write(t, filepath.Join(source, "4"))
	dicomtest.Series{UID: "1.5", Description: "arterial"}.Write(t, filepath.Join(source, "5"))
	dicomtest.Series{UID: "1.6", Description: "VENOUS", Change: gap}.Write(t, filepath.Join(source, "6"))
	o := Options{Out: filepath.Join(root, "o"), Modalities: []string{"ct"}, Description: "venous", MinSlices: 4, DryRun: true}
	r := convert(t, o, source)
	var got []string
	for _, x := range r.Outcomes {
		got = append(got, string(x.Status))
	}
	if want := []string{"planned", "skipped", "skipped", "skipped", "skipped", "refused"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if _, err := os.Stat(o.Out); err == nil {
		t.Error("a dry run writes")
	}
	if _, err := os.Stat(source + "_mapping.csv"); err == nil {
		t.Error("a dry run writes a mapping")
	}
}

func TestMappingStaysPrivate(t *testing.T) {
	root := t.TempDir()
	dicomtest.Series{}.Write(t, filepath.Join(root, "export"))
	_, err := Convert(context.Background(), []string{filepath.Join(root, "export")}, Options{Out: root, NameBy: Counter}, progress.Discard)
	if err == nil || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.Mapping})) {
		t.Errorf("a mapping among the images: %v", err)
	}
	foreign := filepath.Join(root, "table.csv")
	if err := os.WriteFile(foreign, []byte("case,label\nx,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Convert(context.Background(), []string{filepath.Join(root, "export")}, Options{Out: filepath.Join(root, "o"), NameBy: Counter, Mapping: foreign}, progress.Discard)
	if b, _ := os.ReadFile(foreign); err == nil || string(b) != "case,label\nx,1\n" {
		t.Errorf("another table is overwritten: %v, %q", err, b)
	}
	_, err = Convert(context.Background(), []string{filepath.Join(root, "export")}, Options{Out: filepath.Join(root, "o"), NameBy: Counter, Mapping: filepath.Join(root, "none", "m.csv")}, progress.Discard)
	if err == nil || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.Mapping})) || len(names(t, filepath.Join(root, "o"))) > 0 {
		t.Errorf("no mapping can be written: %v, %v", err, names(t, filepath.Join(root, "o")))
	}
}

func TestInterruptedConversion(t *testing.T) {
	root := t.TempDir()
	for _, uid := range []string{"1.1", "1.2", "1.3"} {
		dicomtest.Series{UID: uid}.Write(t, filepath.Join(root, "export", uid))
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Out: filepath.Join(root, "o"), NameBy: Counter, Workers: 1}
	_, err := Convert(ctx, []string{filepath.Join(root, "export")}, o, &cancelling{Reporter: progress.Discard, cancel: cancel})
	if err == nil || !strings.Contains(err.Error(), "interrupted after") {
		t.Fatalf("%v", err)
	}
	before := len(names(t, o.Out))
	if before == 0 || before == 3 {
		t.Fatalf("%d images", before)
	}
	if r := convert(t, o, filepath.Join(root, "export")); r.Count(Kept) != before || r.Count(Converted) != 3-before {
		t.Errorf("%d kept, %d converted", r.Count(Kept), r.Count(Converted))
	}
}

// cancelling ends the job after the first image.
type cancelling struct {
	progress.Reporter
	converting bool
	cancel     func()
}

func (c *cancelling) Stage(name string, _ int) { c.converting = name == "conversion" }
func (c *cancelling) Advance(string) {
	if c.converting {
		c.cancel()
	}
}

func TestTooLittleMemory(t *testing.T) {
	root := t.TempDir()
	dicomtest.Series{}.Write(t, filepath.Join(root, "export"))
	r := convert(t, Options{Out: filepath.Join(root, "o"), Memory: 300}, filepath.Join(root, "export"))
	if r.Count(Failed) != 1 || len(r.Outcomes[0].For) != 1 || len(column(t, r.Mapping, "case")) != 0 {
		t.Errorf("%+v", r.Outcomes[0])
	}
}
