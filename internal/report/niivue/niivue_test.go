package niivue

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"
)

func TestTheBundleIsThePinnedOne(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(Bundle))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if want, _, _ := strings.Cut(string(sums), " "); hex.EncodeToString(sum[:]) != want {
		t.Errorf("SHA-256 %x, but SHA256SUMS says %s", sum, want)
	}
	if !bytes.Contains(b, []byte(`"`+Version+`"`)) {
		t.Errorf("the bundle does not name version %s", Version)
	}
}

func TestTheLicencesAreThere(t *testing.T) {
	for _, want := range []string{"NiiVue " + Version, "BSD 2-Clause License", "gl-matrix", "fflate", "nifti-reader-js", "numcodecs", "zarrita", "@ungap/structured-clone", "@lukeed/uuid", "array-equal"} {
		if !strings.Contains(License, want) {
			t.Errorf("the licences lack %q", want)
		}
	}
}
