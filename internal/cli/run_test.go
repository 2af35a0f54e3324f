package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/phantom"
	"github.com/universal-classifier/uc/internal/progress"
)

// An outcome is what a command line left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// uc runs a command line within the test's process.
func uc(args ...string) outcome {
	var stdout, stderr strings.Builder
	code := execute(context.Background(), args, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// ok runs a command line that must succeed and returns what it printed.
func ok(t testing.TB, args ...string) string {
	t.Helper()
	r := uc(args...)
	if r.code != ExitOK {
		t.Fatalf("uc %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// refused runs a command line that must fail with the code and exactly one error line, which holds all of want.
func refused(t testing.TB, code int, want []string, args ...string) {
	t.Helper()
	r := uc(args...)
	if r.code != code {
		t.Errorf("uc %s: exit code %d, want %d\n%s", strings.Join(args, " "), r.code, code, r.stderr)
	}
	var lines []string
	for _, line := range strings.Split(r.stderr, "\n") {
		if strings.HasPrefix(line, "uc: ") && !strings.Contains(line, "has no effect") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.HasSuffix(strings.TrimSpace(r.stderr), lines[len(lines)-1]) {
		t.Errorf("uc %s: want one error line at the end, got\n%s", strings.Join(args, " "), r.stderr)
		return
	}
	for _, w := range want {
		if !strings.Contains(lines[0], w) {
			t.Errorf("uc %s: the error does not mention %q: %s", strings.Join(args, " "), w, lines[0])
		}
	}
	for _, bad := range []string{"panic", "goroutine", "runtime error"} {
		if strings.Contains(r.stderr, bad) {
			t.Errorf("uc %s: %s", strings.Join(args, " "), r.stderr)
		}
	}
}

// A cohort is a data root with one raw task of phantom scans.
type testCohort struct {
	root, dir, name string
}

// newCohort makes a cohort with masks and both labels of the phantoms.
func newCohort(t testing.TB, cases int) testCohort {
	t.Helper()
	root := t.TempDir()
	o := phantom.Options{Cases: cases, TestCases: 2, Seed: 1, TaskID: 1}
	if err := phantom.Generate(context.Background(), root, o, progress.Discard); err != nil {
		t.Fatal(err)
	}
	return testCohort{root, filepath.Join(root, "raw", "nnUNet_raw_data", o.TaskName()), o.TaskName()}
}

func (c testCohort) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// image is the file of the i-th training image in order of names.
func (c testCohort) image(t testing.TB, i int) string {
	t.Helper()
	files, err := filepath.Glob(c.path("imagesTr", "*.nii.gz"))
	if err != nil || len(files) <= i {
		t.Fatalf("no image %d in %s", i, c.dir)
	}
	return files[i]
}

// mask is the file of the mask that belongs to the i-th training image.
func (c testCohort) mask(t testing.TB, i int) string {
	return c.path("labelsTr", strings.Replace(filepath.Base(c.image(t, i)), "_0000.nii.gz", ".nii.gz", 1))
}

// caseID is the name of the i-th case.
func (c testCohort) caseID(t testing.TB, i int) string {
	return strings.TrimSuffix(filepath.Base(c.image(t, i)), "_0000.nii.gz")
}

// rewrite replaces the unpacked content of a .nii.gz file.
func rewrite(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(change(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// changeDataset edits dataset.json.
func (c testCohort) changeDataset(t testing.TB, change func(d map[string]any)) {
	t.Helper()
	b, err := os.ReadFile(c.path("dataset.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	change(d)
	if b, err = json.MarshalIndent(d, "", " "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("dataset.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// training is the i-th entry of the cases in dataset.json.
func training(d map[string]any, i int) map[string]any {
	return d["training"].([]any)[i].(map[string]any)
}

// withoutMasks takes the masks away, as in a task that came without.
func (c testCohort) withoutMasks(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(c.path("labelsTr")); err != nil {
		t.Fatal(err)
	}
	c.changeDataset(t, func(d map[string]any) {
		delete(d, "labels")
		for i := range d["training"].([]any) {
			delete(training(d, i), "label")
		}
	})
}

func (c testCohort) planArgs(more ...string) []string {
	return append([]string{"plan-and-preprocess", "--data-root", c.root, "-t", "1", "-tf", "2"}, more...)
}
