package cohort

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/plan"
)

// FuzzProperties reads any properties of a case.
func FuzzProperties(f *testing.F) {
	f.Add([]byte(`{"case":"c","targets":[1],"use_nonzero_mask_for_norm":{"0":false},"size after central pad":[2,2,2],"key":"k"}`))
	f.Add([]byte(`{"case":"c","targets":null,"use_nonzero_mask_for_norm":{"0":false,"7":true},"size after central pad":[9223372036854775807,2,-2]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(dataset.PropertiesFile(dir, "c"), b, 0o600); err != nil {
			t.Skip(err)
		}
		dataset.ReadProperties(dir, "c")
		removeStale(dir, nil)
	})
}

// FuzzRecords reads any records of a task with any fingerprint.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"version":1,"fingerprint":"x","cases":{"c":{"files":[{"path":"a","size":1,"modified":"2020-01-01T00:00:00Z","sha256":"x","hashed":"2020-01-01T00:00:10Z"}],"measured":{}}}}`), []byte(`{"all_sizes":[[1,2,3]],"all_spacings":[[1,1,1]],"modalities":{"0":"CT"}}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, records, described []byte) {
		path := filepath.Join(dir, "fingerprint.json")
		if os.WriteFile(filepath.Join(dir, manifestFile), records, 0o600) != nil || os.WriteFile(path, described, 0o600) != nil {
			t.Skip()
		}
		if r, err := loadManifest(dir); err == nil && r.Cases == nil {
			t.Error("records without a map")
		}
		if fp, err := fingerprint.Load(path); err == nil {
			plan.Make(fp, plan.Subject{})
		}
	})
}
