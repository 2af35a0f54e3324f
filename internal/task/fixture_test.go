package task

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// fixture is a data root with one task of three cases and two modalities, written file by file.
type fixture struct {
	t    *testing.T
	root string
	dir  string // the raw task
}

const fixtureName = "Task007_Test"

var fixtureCases = []string{"a_1", "b", "c"}

// newFixture writes images and, if masks is set, masks. dataset.json is written by dataset.
func newFixture(t *testing.T, masks bool) *fixture {
	t.Helper()
	f := &fixture{t: t, root: t.TempDir()}
	folders, err := ResolveFolders(f.root)
	if err != nil {
		t.Fatal(err)
	}
	f.dir = folders.RawTask(fixtureName)
	for _, id := range fixtureCases {
		for m := range 2 {
			f.image(fmt.Sprintf("imagesTr/%s_%04d.nii.gz", id, m), nil)
		}
		if masks {
			f.image("labelsTr/"+id+".nii.gz", nil)
		}
	}
	f.dataset(f.json(masks))
	return f
}

func grid() volume.Geometry {
	return volume.Geometry{Size: [3]int{3, 4, 5}, Spacing: [3]float64{2, 1, 1}, Origin: [3]float64{1, 2, 3}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
}

// plainImage is the file of a volume of ones, written once: writing a file safely takes its time.
var plainImage = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "fixture")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	im := &volume.Image{Geometry: grid()}
	im.Data = slices.Repeat([]float32{1}, im.Voxels())
	path := filepath.Join(dir, "a.nii.gz")
	if err := nifti.WriteImage(path, im); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// image writes a volume of ones, changed by edit.
func (f *fixture) image(rel string, edit func(*volume.Image)) {
	f.t.Helper()
	if edit == nil && strings.HasSuffix(rel, ".nii.gz") {
		b, err := plainImage()
		if err != nil {
			f.t.Fatal(err)
		}
		f.write(rel, string(b))
		return
	}
	im := &volume.Image{Geometry: grid()}
	im.Data = make([]float32, im.Voxels())
	for i := range im.Data {
		im.Data[i] = 1
	}
	if edit != nil {
		edit(im)
	}
	path := filepath.Join(f.dir, rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := nifti.WriteImage(path, im); err != nil {
		f.t.Fatal(err)
	}
}

// json is a good dataset.json.
func (f *fixture) json(masks bool) string {
	var cases []string
	for i, id := range fixtureCases {
		label := ""
		if masks {
			label = fmt.Sprintf(`"label": "./labelsTr/%s.nii.gz", `, id)
		}
		cases = append(cases, fmt.Sprintf(`    {"image": "./imagesTr/%s.nii.gz", %s"Tumour": %d, "Grade": %d}`, id, label, i%2, i))
	}
	roi := ""
	if masks {
		roi = "\n" + `  "labels": {"0": "background", "1": "organ"},`
	}
	return `{
  "name": "Test",
  "modality": {"0": "CT", "1": "MRI"},
  "classification_labels": [
    {"name": "Tumour", "ordinal": false, "values": {"0": "no", "1": "yes"}},
    {"name": "Grade", "ordinal": true, "values": {"0": "low", "1": "middle", "2": "high"}}
  ],` + roi + `
  "numTraining": 3,
  "training": [
` + strings.Join(cases, ",\n") + `
  ],
  "test": []
}`
}

func (f *fixture) dataset(json string) { f.write(DatasetFile, json) }

func (f *fixture) write(rel, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) remove(rel string) {
	f.t.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, rel)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) read(rel string) string {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, rel))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func (f *fixture) load() (*Task, error) {
	folders, err := ResolveFolders(f.root)
	if err != nil {
		f.t.Fatal(err)
	}
	return Load(folders, "7")
}

func (f *fixture) mustLoad() *Task {
	f.t.Helper()
	t, err := f.load()
	if err != nil {
		f.t.Fatal(err)
	}
	return t
}

// recorder keeps what a job tells the user.
type recorder struct {
	mu    sync.Mutex
	lines []string
	items int
}

func (r *recorder) Stage(string, int) {}
func (r *recorder) Advance(string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items++
}
func (r *recorder) Note(format string, args ...any) { r.Warn(format, args...) }
func (r *recorder) Warn(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// hasProblem reports whether one problem concerns the case and field and says want.
func hasProblem(problems []Problem, caseID, field, want string) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool {
		return p.Case == caseID && strings.Contains(p.Field, field) && strings.Contains(p.Message, want)
	})
}
