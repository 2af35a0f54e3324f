package task

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzDataset loads any dataset.json: what is accepted names cases by plain names, stays within the task's folder and
// has a class for every label.
func FuzzDataset(f *testing.F) {
	f.Add([]byte(`{"name":"T","modality":{"0":"CT"},"classification_labels":[{"name":"L","ordinal":true,"values":{"0":"no","1":"yes"}}],"labels":{"0":"bg","1":"o"},"numTraining":1,"training":[{"image":"./imagesTr/a.nii.gz","label":"./labelsTr/a.nii.gz","L":0}]}`))
	f.Add([]byte(`{"modality":{"0":"CT","1":"MR"},"classification_labels":[{"name":"L","values":{"0":"no","1":"yes"}}],"training":[{"image":"../a.nii","L":1e0},{"image":"b.nii","L":true}]}`))
	f.Add([]byte(`{"channel_names":{"0":"CT"},"labels":{"background":0},"file_ending":".nii.gz"}`))
	root := f.TempDir()
	folders := Folders{Raw: root, Preprocessed: filepath.Join(root, "p"), Results: filepath.Join(root, "r")}
	dir := folders.RawTask("Task001_X")
	for _, name := range []string{"imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii", "labelsTr/a.nii.gz", "imagesTr/b_0000.nii"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, DatasetFile), b, 0o600); err != nil {
			t.Skip(err)
		}
		loaded, err := Load(folders, "1")
		if err != nil {
			return
		}
		for _, c := range loaded.Dataset.Cases {
			if c.ID == "" || strings.ContainsAny(c.ID, "/\\\x00") || !filepath.IsLocal(c.ID) {
				t.Errorf("case id %q", c.ID)
			}
			for _, path := range append(c.Images, c.Mask) {
				if path != "" && !strings.HasPrefix(path, dir+string(filepath.Separator)) {
					t.Errorf("%q leaves the task's folder", path)
				}
			}
			for k, l := range loaded.Dataset.Labels {
				if k >= len(c.Targets) || c.Targets[k] < 0 || c.Targets[k] >= len(l.Values) {
					t.Errorf("targets %v", c.Targets)
				}
			}
		}
	})
}
