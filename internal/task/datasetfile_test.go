package task

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestReadListingNeedsNoImages(t *testing.T) {
	const labels = `"classification_labels": [{"name": "A", "values": {"0": "no", "1": "yes"}}], `
	const masked = `"training": [{"image": "./imagesTr/c_1.nii.gz", "label": "labelsTr/c_1.nii.gz", "A": 1}]`
	tests := map[string]struct {
		dataset, original string
		masks             MaskOrigin
		problem           string
	}{
		"real":           {dataset: labels + `"labels": {"0": "background", "1": "liver"}, ` + masked, masks: MasksReal},
		"generated":      {dataset: labels + `"labels": {"0": "background", "1": "foreground"}, ` + masked, original: labels + `"training": [{"image": "c_1.nii.gz", "A": 1}]`, masks: MasksGenerated},
		"undecided":      {dataset: labels + `"labels": {"0": "background", "1": "foreground"}, ` + masked, masks: MasksUnknown},
		"never had any":  {dataset: labels + `"training": [{"image": "c_1.nii.gz", "A": 1}]`, masks: MasksGenerated},
		"wrong class":    {dataset: labels + `"training": [{"image": "c_1.nii.gz", "A": 2}]`, problem: "out of range"},
		"without labels": {dataset: masked, problem: "classification_labels"},
	}
	for name, test := range tests {
		dir, raw := t.TempDir(), t.TempDir()
		file := filepath.Join(dir, DatasetFile)
		if err := os.WriteFile(file, []byte("{"+test.dataset+"}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if test.original != "" {
			if err := os.WriteFile(filepath.Join(raw, OriginalFile), []byte("{"+test.original+"}"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l, err := ReadListing(file, raw)
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s: got %v, want an error with %q", name, err, test.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.Masks != test.masks || !reflect.DeepEqual(l.Targets, map[string][]int{"c_1": {1}}) || l.Labels[0].Name != "A" {
			t.Errorf("%s: got %+v", name, l)
		}
	}
}
