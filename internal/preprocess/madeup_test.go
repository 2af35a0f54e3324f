package preprocess

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
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// drawn is a case made up for a test.
type drawn struct {
	size    [3]int
	spacing [3]float64
	voxel   func(z, y, x int) float32
	label   func(z, y, x int) int16
}

func ball(size [3]int) func(z, y, x int) int16 {
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

func draw(rng *rand.Rand) drawn {
	d := drawn{size: [3]int{10 + rng.IntN(5), 12 + rng.IntN(5), 14 + rng.IntN(5)}}
	for i := range 3 {
		d.spacing[i] = 0.9 + 0.2*rng.Float64()
	}
	phase := rng.Float64()
	d.voxel = func(z, y, x int) float32 {
		return float32(math.Round(100 * (2 + math.Sin(phase+float64(z)/3) + math.Cos(float64(y)/4)*math.Sin(float64(x)/5))))
	}
	d.label = ball(d.size)
	return d
}

func (d drawn) write(t *testing.T, image, mask string) {
	t.Helper()
	g := volume.Geometry{Size: d.size, Spacing: d.spacing, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	im := &volume.Image{Geometry: g, Data: make([]float32, g.Voxels())}
	m := &volume.Mask{Geometry: g, Data: make([]int16, g.Voxels())}
	i := 0
	for z := range d.size[0] {
		for y := range d.size[1] {
			for x := range d.size[2] {
				im.Data[i], m.Data[i] = d.voxel(z, y, x), d.label(z, y, x)
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

const madeUp = "Task007_MadeUp"

func caseFiles(f task.Folders, i int) (image, mask string) {
	dir := f.RawTask(madeUp)
	return filepath.Join(dir, "imagesTr", fmt.Sprintf("c_%d_0000.nii.gz", i)), filepath.Join(dir, "labelsTr", fmt.Sprintf("c_%d.nii.gz", i))
}

// makeTask writes a raw task of the given cases.
func makeTask(t *testing.T, modality string, cases []drawn) task.Folders {
	t.Helper()
	f, err := task.ResolveFolders(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"imagesTr", "labelsTr"} {
		if err := os.MkdirAll(filepath.Join(f.RawTask(madeUp), dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range cases {
		image, mask := caseFiles(f, i)
		c.write(t, image, mask)
	}
	writeDataset(t, f, modality, len(cases), 0)
	return f
}

// writeDataset lists n cases; their classes alternate from first on.
func writeDataset(t *testing.T, f task.Folders, modality string, n, first int) {
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
	if err := os.WriteFile(filepath.Join(f.RawTask(madeUp), "dataset.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func cohortOf(n int) []drawn {
	rng := rand.New(rand.NewPCG(5, 6))
	var out []drawn
	for range n {
		out = append(out, draw(rng))
	}
	return out
}

func run(t *testing.T, f task.Folders, o Options) (*plan.Plans, error) {
	t.Helper()
	loaded, err := task.Load(f, madeUp)
	if err != nil {
		t.Fatal(err)
	}
	return Run(t.Context(), loaded, o, progress.Discard)
}

func mustRun(t *testing.T, f task.Folders, o Options) *plan.Plans {
	t.Helper()
	p, err := run(t, f, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// snapshot reads all files below dir but locks.
func snapshot(t *testing.T, dir string) map[string][]byte {
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

// age sets the times of all files below dir to an hour ago, and returns which were touched since.
func age(t *testing.T, dir string) (touched func() []string) {
	t.Helper()
	then := time.Now().Add(-time.Hour).Truncate(time.Second)
	for path := range snapshot(t, dir) {
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	return func() []string {
		var out []string
		for path := range snapshot(t, dir) {
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
