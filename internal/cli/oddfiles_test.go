package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files that ITK reads and that hold every voxel are read, with a line that says what is odd about them.
func TestOddFilesLoseNothing(t *testing.T) {
	c := newCohort(t, 6)
	want := ok(t, c.planArgs()...)
	extend := func(path, tail string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(tail); err != nil {
			t.Fatal(err)
		}
	}
	extend(c.image(t, 0), "\n")
	extend(c.image(t, 1), "-- end of upload --")
	extend(c.mask(t, 2), strings.Repeat("x", 100_000))
	rewrite(t, c.image(t, 3), func(b []byte) []byte { put16(b, niftiDim, 4); put16(b, niftiDim+8, 0); return b })
	rewrite(t, c.image(t, 4), func(b []byte) []byte { put16(b, niftiBits, 8); return b })
	rewrite(t, c.mask(t, 5), func(b []byte) []byte { put16(b, niftiBits, 99); return b })
	if err := os.RemoveAll(filepath.Join(c.root, "preprocessed")); err != nil {
		t.Fatal(err)
	}
	r := uc(c.planArgs("--verify_dataset_integrity")...)
	if r.code != ExitOK || r.stdout != want {
		t.Fatalf("exit code %d, the plan of the same images differs:\n%s\n%s\n%s", r.code, want, r.stdout, r.stderr)
	}
	for i, says := range []string{"they are ignored", "they are ignored", "they are ignored", "", "8 bits per voxel", "99 bits per voxel"} {
		told := ""
		for line := range strings.Lines(r.stderr) {
			if strings.HasPrefix(line, "warning: case "+c.caseID(t, i)+": ") {
				told += line
			}
		}
		if (says == "") != (told == "") || !strings.Contains(told, says) {
			t.Errorf("case %d: told %q, want %q", i, told, says)
		}
	}
}
