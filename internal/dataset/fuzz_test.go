package dataset

import (
	"os"
	"testing"
)

// FuzzProperties reads any properties of a case.
func FuzzProperties(f *testing.F) {
	f.Add([]byte(`{"case":"c","targets":[1],"use_nonzero_mask_for_norm":{"0":false},"size after central pad":[2,2,2],"key":"k"}`))
	f.Add([]byte(`{"case":"c","targets":null,"use_nonzero_mask_for_norm":{"0":false,"7":true},"size after central pad":[9223372036854775807,2,-2]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(PropertiesFile(dir, "c"), b, 0o600); err != nil {
			t.Skip(err)
		}
		ReadProperties(dir, "c")
	})
}
