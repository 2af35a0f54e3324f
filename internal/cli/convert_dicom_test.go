package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/dicom/dicomtest"
	"github.com/universal-classifier/uc/pkg/nifti"
)

func TestConvertDICOM(t *testing.T) {
	root := t.TempDir()
	source, out := filepath.Join(root, "export"), filepath.Join(root, "images")
	dicomtest.Series{UID: "1.1", Description: "venous"}.Write(t, filepath.Join(source, "DOE^JOHN", "1"))
	dicomtest.Series{UID: "1.2", Description: "arterial", Change: func(z int, e []dicomtest.Element) []dicomtest.Element {
		if z == 1 {
			return nil
		}
		return e
	}}.Write(t, filepath.Join(source, "DOE^JOHN", "2"))
	put(t, filepath.Join(source, "notes.txt"), []byte("nothing"))

	r := uc("convert", "dicom", source, "-o", out, "--dry-run")
	if r.code != ExitFailed || !strings.Contains(r.stdout, "planned   case0001  CT series 3 \"venous\", 5 images, 8 x 6 x 5 voxels of 0.8 x 0.7 x 2.5 mm") {
		t.Errorf("dry run: %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a dry run writes")
	}
	refused(t, ExitFailed, []string{"of 2 series 1 refused"}, "convert", "dicom", source, "-o", out)
	r = uc("convert", "dicom", source, "-o", out, "--json")
	var got convertedFolder
	decode(t, r.stdout, &got)
	if len(got.Series) != 2 || got.Series[0].Status != "kept" || got.Series[1].Reasons[0].Kind != "gap" || len(got.Series[1].Reasons[0].Files) != 2 ||
		len(got.Ignored) != 1 || got.Ignored[0].Kind != "not DICOM" || got.Images != 9 {
		t.Errorf("%+v", got)
	}
	if im, err := nifti.ReadImage(got.Series[0].Image); err != nil || im.Size != [3]int{5, 6, 8} {
		t.Errorf("%v", err)
	}
	out2 := filepath.Join(root, "venous")
	ok(t, "convert", "dicom", source, "-o", out2, "--series-description", "VEN", "--name-by", "PatientID", "--channel", "1", "--mapping", filepath.Join(root, "m.csv"))
	if _, err := os.Stat(filepath.Join(out2, "PAT-1_0001.nii.gz")); err != nil {
		t.Error(err)
	}

	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"convert", "dicom", source}, "missing -o"},
		{[]string{"convert", "dicom", "-o", out}, "missing argument SRC"},
		{[]string{"convert", "dicom", source, "-o", out, "--name-by", "PatientName"}, "PatientID"},
		{[]string{"convert", "dicom", source, "-o", out, "--channel", "1"}, "--name-by"},
		{[]string{"convert", "dicom", source, "-o", out, "--split", "colour"}, "orientation"},
		{[]string{"convert", "dicom", source, "-o", out, "--min-slices", "0"}, "less than 1"},
		{[]string{"convert", "dicom", source, "-o", out, "--memory", "much"}, "--memory"},
	} {
		refused(t, ExitUsage, []string{c.says}, c.args...)
	}
	empty := t.TempDir()
	refused(t, ExitFailed, []string{"no DICOM image"}, "convert", "dicom", empty, "-o", filepath.Join(root, "x"))
	refused(t, ExitFailed, []string{"none"}, "convert", "dicom", filepath.Join(root, "none"), "-o", filepath.Join(root, "x"))
	refused(t, ExitFailed, []string{"all 2 series were skipped"}, "convert", "dicom", source, "-o", filepath.Join(root, "x"), "--modality", "MR")
}

// A folder of DICOM series is predicted as it is; results say nothing of patients.
func TestPredictDICOM(t *testing.T) {
	artifact, _ := writeReferenceModel(t, "Task8080_Ill")
	root := t.TempDir()
	ok(t, "import-model", artifact, "-o", filepath.Join(root, "trained_models"), "--masks", "generated")
	source, out := filepath.Join(root, "export"), filepath.Join(root, "out")
	big := dicomtest.Series{UID: "1.1", Size: [3]int{16, 16, 16}, Spacing: [3]float64{1, 1, 1}}
	big.Write(t, filepath.Join(source, "DOE^JOHN", "1"))
	big.UID = "1.2"
	big.Write(t, filepath.Join(source, "DOE^JANE", "1"))
	args := []string{"predict", "--data-root", root, "-t", "8080", "-i", source, "-o", out, "--disable_tta", "--json"}
	var first, second predicted
	decode(t, ok(t, args...), &first)
	if first.Predicted != 2 || len(first.Unused)+len(first.Failed) != 0 {
		t.Errorf("%+v", first)
	}
	images := filepath.Join(out, "images")
	ok(t, "predict", "--data-root", root, "-t", "8080", "-i", images, "-o", filepath.Join(root, "again"), "--disable_tta")
	a, b := readCSV(t, filepath.Join(out, "predictions.csv")), readCSV(t, filepath.Join(root, "again", "predictions.csv"))
	if a != b || !strings.Contains(a, "case0001") || !strings.Contains(a, "case0002") {
		t.Errorf("predicted from DICOM:\n%s\nfrom the images:\n%s", a, b)
	}

	big.UID, big.Size = "1.3", [3]int{6, 16, 16}
	big.Change = func(z int, e []dicomtest.Element) []dicomtest.Element {
		if z == 1 {
			return nil
		}
		return e
	}
	big.Write(t, filepath.Join(source, "DOE^JIM", "1"))
	r := uc(args...)
	decode(t, r.stdout, &second)
	if r.code != ExitFailed || second.Kept != 2 || len(second.Unused) != 1 || !strings.Contains(second.Unused[0].Reason, "gap") || !strings.Contains(r.stderr, "DOE^JIM") {
		t.Errorf("exit code %d, %+v\n%s", r.code, second, r.stderr)
	}
	err := filepath.WalkDir(out, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, private := range []string{"DOE", "PAT-1", "Secret"} {
			if strings.Contains(string(b), private) || strings.Contains(path, private) {
				t.Errorf("%s tells of %s", path, private)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(source + "_mapping.csv"); err != nil {
		t.Error(err)
	}
	refused(t, ExitFailed, []string{"uc convert dicom"}, append(args, "-s", images)...)
}

func readCSV(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
