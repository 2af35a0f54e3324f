package convert

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/dicom/dicomtest"
	"github.com/universal-classifier/uc/internal/progress"
)

func (s source) dicom(dir, uid string) {
	s.t.Helper()
	if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
		s.t.Fatal(err)
	}
	dicomtest.Series{UID: uid, Description: "series " + uid}.Write(s.t, s.path(dir))
}

// Cases may be folders with a DICOM series, which becomes NIfTI; the modality is DICOM's.
func TestTableOfDICOM(t *testing.T) {
	s := newSource(t)
	s.dicom("images/A1/study/ser1", "1.1")
	s.dicom("images/x/A2", "1.2")
	s.image("images/A3.nii.gz", 1)
	table3 := s.text("l.csv", "case,kind\nA1,a\nA2,b\nA3,b\n")
	if _, err := Table(context.Background(), TableOptions{Table: table3, Images: s.path("images")}, progress.Discard); err == nil || !strings.Contains(err.Error(), "modalit") {
		t.Errorf("CT beside an image that is none: %v", err)
	}
	if err := os.Remove(s.path("images/A3.nii.gz")); err != nil {
		t.Fatal(err)
	}
	o := TableOptions{Table: s.text("l.csv", "case,kind\nA1,a\nA2,b\n"), Images: s.path("images")}
	c := table(t, o)
	if !reflect.DeepEqual(c.Modalities, []string{"CT"}) {
		t.Errorf("modalities %q", c.Modalities)
	}
	root := t.TempDir()
	made := write(t, c, root)
	for _, k := range made.Dataset.Cases {
		if got, want := first(t, k.Images[0]), float32(dicomtest.Stored(0, 0, 0))-1024; got != want {
			t.Errorf("%s begins with %v, want %v", k.ID, got, want)
		}
	}
	b, err := os.ReadFile(filepath.Join(made.Dir, RecordFile))
	if err != nil || strings.Contains(string(b), "study") {
		t.Errorf("%v, the record names a folder of DICOM: %s", err, b)
	}
	target, err := table(t, o).Target(made.Folders, 1, "New", false)
	if err != nil || !target.UpToDate {
		t.Errorf("the same series give %+v, %v", target, err)
	}
	s.dicom("images/A1/study/ser2", "1.3")
	s.dicom("images/A4", "1.4")
	_, err = Table(context.Background(), o, progress.Discard)
	for _, want := range []string{"case A1: image: line 2: A1 holds 2 DICOM series", "series 1.1", "A4: a folder with DICOM files; no row names its case"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	o.Partial, o.Modalities = true, []Modality{{"early", "ser1"}, {"late", "ser2"}}
	s.dicom("images/x/A2/ser1", "1.5")
	s.dicom("images/x/A2/ser2", "1.6")
	if c = table(t, o); len(c.Training) != 2 || len(c.Training[0].Images) != 2 || filepath.Base(c.Training[1].Images[1].Path) != "ser2" {
		t.Errorf("modalities in folders: %+v", c.Training)
	}
}

func TestFoldersOfDICOM(t *testing.T) {
	s := newSource(t)
	s.dicom("images/no/A1", "1.1")
	s.dicom("images/yes/A2/deeper", "1.2")
	c, err := Folders(context.Background(), FoldersOptions{Dir: s.path("images")}, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Training) != 2 || c.Training[1].ID != "A2" || c.Training[1].Targets[0] != 1 {
		t.Errorf("%+v", c.Training)
	}
	write(t, c, t.TempDir())
	s.dicom("images/yes", "1.3")
	if _, err := Folders(context.Background(), FoldersOptions{Dir: s.path("images")}, progress.Discard); err == nil || !strings.Contains(err.Error(), "give every case a folder of its own") {
		t.Errorf("loose files: %v", err)
	}
}
