// Package cohorttest makes up small tasks for tests of what is done with preprocessed cases.
package cohorttest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Drawn is a case made up for a test.
type Drawn struct {
	Size    [3]int
	Spacing [3]float64
	Voxel   func(z, y, x int) float32
	Label   func(z, y, x int) int16
}

// Ball is a mask of two labels, one within the other, in the middle of an image of the given size.
func Ball(size [3]int) func(z, y, x int) int16 {
	return func(z, y, x int) int16 {
		r := 0.0
		for d, v := range [3]int{z, y, x} {
			c := float64(v)/float64(size[d]-1) - 0.5
			r += c * c
		}
		switch {
		case r < 0.03:
			return 2
		case r < 0.12:
			return 1
		}
		return 0
	}
}

func draw(rng *rand.Rand) Drawn {
	d := Drawn{Size: [3]int{10 + rng.IntN(5), 12 + rng.IntN(5), 14 + rng.IntN(5)}}
	for i := range 3 {
		d.Spacing[i] = 0.9 + 0.2*rng.Float64()
	}
	phase := rng.Float64()
	d.Voxel = func(z, y, x int) float32 {
		return float32(math.Round(100 * (2 + math.Sin(phase+float64(z)/3) + math.Cos(float64(y)/4)*math.Sin(float64(x)/5))))
	}
	d.Label = Ball(d.Size)
	return d
}

// Write writes the image and, unless its name is empty, the mask.
func (d Drawn) Write(t *testing.T, image, mask string) {
	t.Helper()
	g := volume.Geometry{Size: d.Size, Spacing: d.Spacing, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	im := &volume.Image{Geometry: g, Data: make([]float32, g.Voxels())}
	m := &volume.Mask{Geometry: g, Data: make([]int16, g.Voxels())}
	i := 0
	for z := range d.Size[0] {
		for y := range d.Size[1] {
			for x := range d.Size[2] {
				im.Data[i], m.Data[i] = d.Voxel(z, y, x), d.Label(z, y, x)
				i++
			}
		}
	}
	if err := nifti.WriteImage(image, im); err != nil {
		t.Fatal(err)
	}
	if mask == "" {
		return
	}
	if err := nifti.WriteMask(mask, m); err != nil {
		t.Fatal(err)
	}
}

// Task is the name of the tasks that MakeTask writes.
const Task = "Task007_MadeUp"

// CaseFiles are the files of case i, c_0, c_1, ..., of a made-up task.
func CaseFiles(f task.Folders, i int) (image, mask string) {
	dir := f.RawTask(Task)
	return filepath.Join(dir, "imagesTr", fmt.Sprintf("c_%d_0000.nii.gz", i)), filepath.Join(dir, "labelsTr", fmt.Sprintf("c_%d.nii.gz", i))
}

// MakeTask writes a raw task of the given cases.
func MakeTask(t *testing.T, modality string, cases []Drawn) task.Folders {
	t.Helper()
	f, err := task.ResolveFolders(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"imagesTr", "labelsTr"} {
		if err := os.MkdirAll(filepath.Join(f.RawTask(Task), dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range cases {
		image, mask := CaseFiles(f, i)
		c.Write(t, image, mask)
	}
	WriteDataset(t, f, modality, len(cases), 0)
	return f
}

// WriteDataset lists n cases; their classes alternate from first on.
func WriteDataset(t *testing.T, f task.Folders, modality string, n, first int) {
	t.Helper()
	var training []map[string]any
	for i := range n {
		training = append(training, map[string]any{
			"image": fmt.Sprintf("./imagesTr/c_%d.nii.gz", i), "label": fmt.Sprintf("./labelsTr/c_%d.nii.gz", i), "grade": (i + first) % 2,
		})
	}
	b, err := json.Marshal(map[string]any{
		"name": "made up", "modality": map[string]string{"0": modality},
		"labels":                map[string]string{"0": "background", "1": "organ", "2": "lesion"},
		"classification_labels": []any{map[string]any{"name": "grade", "ordinal": false, "values": map[string]string{"0": "low", "1": "high"}}},
		"training":              training, "numTraining": n, "test": []string{}, "numTest": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.RawTask(Task), "dataset.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Cases draws n cases, always the same.
func Cases(n int) []Drawn {
	rng := rand.New(rand.NewPCG(5, 6))
	var out []Drawn
	for range n {
		out = append(out, draw(rng))
	}
	return out
}

// Snapshot reads all files below dir but locks.
func Snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == lockfile.Name {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Age sets the times of all files below dir to an hour ago, and returns which were touched since.
func Age(t *testing.T, dir string) (touched func() []string) {
	t.Helper()
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	for path := range Snapshot(t, dir) {
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	return func() []string {
		var out []string
		for path := range Snapshot(t, dir) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if !info.ModTime().Equal(then) {
				out = append(out, filepath.Base(path))
			}
		}
		slices.Sort(out)
		return out
	}
}
