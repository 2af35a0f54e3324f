package preprocess

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/npz"
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

// snapshot reads all files below dir.
func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
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

func TestAnyNumberOfThreadsGivesTheSameFiles(t *testing.T) {
	for _, modality := range []string{"MRI", "CT"} {
		var first map[string][]byte
		for _, o := range []Options{{Threads: 1}, {Threads: 3}, {Threads: 8}, {Threads: 8, Memory: 300 << 10}} { // the last reads cases twice
			f := makeTask(t, modality, cohortOf(6))
			mustRun(t, f, o)
			now := map[string][]byte{}
			for path, b := range snapshot(t, f.PreprocessedTask(madeUp)) {
				if rel, _ := filepath.Rel(f.Preprocessed, path); filepath.Base(rel) != recordsFile {
					now[rel] = b
				}
			}
			if first == nil {
				first = now
			}
			if len(now) != len(first) || len(now) < 15 {
				t.Errorf("%d files, then %d", len(first), len(now))
			}
			for name, b := range now {
				if !bytes.Equal(b, first[name]) {
					t.Errorf("%s, %+v: %s differs", modality, o, name)
				}
			}
		}
	}
}

func TestNothingChangedNothingDone(t *testing.T) {
	for _, modality := range []string{"CT", "MRI"} {
		f := makeTask(t, modality, cohortOf(4))
		mustRun(t, f, Options{KeepCropped: true})
		stage := f.Stage(madeUp, plan.DataIdentifier)
		killed := filepath.Join(stage, ".c_1.npz.123.tmp")
		if err := os.WriteFile(killed, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
		touched, touchedCropped := age(t, f.PreprocessedTask(madeUp)), age(t, f.CroppedTask(madeUp))
		mustRun(t, f, Options{Threads: 1, KeepCropped: true})
		if got := append(touched(), touchedCropped()...); len(got) > 0 {
			t.Errorf("%s: written again: %v", modality, got)
		}
		if exists(killed) {
			t.Error("what a killed run had begun is still there")
		}
		if err := os.Remove(arraysFile(f.CroppedTask(madeUp), "c_2")); err != nil {
			t.Fatal(err)
		}
		mustRun(t, f, Options{KeepCropped: true})
		got := slices.DeleteFunc(touched(), func(s string) bool { return s == recordsFile })
		if len(got) > 0 || !exists(arraysFile(f.CroppedTask(madeUp), "c_2")) {
			t.Errorf("%s: after the loss of a cropped case these were written: %v", modality, got)
		}
	}
}

func TestOneChangedCaseIsRedoneAlone(t *testing.T) {
	cases := cohortOf(4)
	f := makeTask(t, "MRI", cases)
	mustRun(t, f, Options{})
	was := cases[1].voxel
	cases[1].voxel = func(z, y, x int) float32 { return was(z, y, x) + float32(x) }
	image, mask := caseFiles(f, 1)
	cases[1].write(t, image, mask)
	touched := age(t, f.PreprocessedTask(madeUp))
	mustRun(t, f, Options{})
	if got, want := touched(), []string{"c_1.json", "c_1.npz", recordsFile}; !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("written again: %v, want %v", got, want)
	}
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestChangedTargetsAndLostCases(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(4))
	p := mustRun(t, f, Options{})
	stage := f.Stage(madeUp, p.DataIdentifier)
	writeDataset(t, f, "MRI", 4, 1)
	touched := age(t, f.PreprocessedTask(madeUp))
	mustRun(t, f, Options{})
	if got := touched(); slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, ".npz") }) || !slices.Contains(got, "c_0.json") {
		t.Errorf("after a change of targets these were written: %v", got)
	}
	d, err := OpenDataset(t.Context(), stage, []string{"c_0", "c_1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !slices.Equal(d.Targets(0), []int{1}) || !slices.Equal(d.Targets(1), []int{0}) {
		t.Errorf("targets %v %v", d.Targets(0), d.Targets(1))
	}
	foreign := filepath.Join(stage, "notes.json")
	if err := os.WriteFile(foreign, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	writeDataset(t, f, "MRI", 3, 0)
	mustRun(t, f, Options{})
	ids, err := Cases(stage)
	if err != nil || !slices.Equal(ids, []string{"c_0", "c_1", "c_2"}) {
		t.Errorf("cases left: %v (%v)", ids, err)
	}
	if !exists(foreign) {
		t.Error("a file of someone else's was removed")
	}
}

func TestPlansOnly(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(3))
	p := mustRun(t, f, Options{NoPreprocess: true})
	if exists(f.Stage(madeUp, p.DataIdentifier)) {
		t.Error("-no_pp wrote cases")
	}
	for _, name := range []string{plan.File(plan.Identifier), plan.FingerprintFile, "dataset.json"} {
		if !exists(filepath.Join(f.PreprocessedTask(madeUp), name)) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestFollowedPlans(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(3))
	own := mustRun(t, f, Options{NoPreprocess: true})
	given := *own
	stage := own.Stage()
	stage.ImageSize, stage.CurrentSpacing = [3]int{20, 20, 20}, [3]float64{1.3, 1.3, 1.3}
	given.PlansPerStage = plan.Indexed[plan.StagePlan]{stage}
	file := filepath.Join(t.TempDir(), "given.json")
	if err := given.Save(file); err != nil {
		t.Fatal(err)
	}
	p := mustRun(t, f, Options{OverwritePlans: file, OverwriteIdentifier: "MINE"})
	if p.Stage() != stage {
		t.Errorf("stage %+v, want %+v", p.Stage(), stage)
	}
	if _, err := plan.Load(filepath.Join(f.PreprocessedTask(madeUp), "nnUNetPlans_pretrained_MINE_plans_3D.json")); err != nil {
		t.Error(err)
	}
	a := readData(t, arraysFile(filepath.Join(f.PreprocessedTask(madeUp), "nnUNetData_pretrained_MINE_stage0"), "c_2"))
	if !slices.Equal(a.Shape, []int{2, 20, 20, 20}) {
		t.Errorf("shape %v", a.Shape)
	}
	stage.ImageSize = [3]int{2, 20, 20}
	given.PlansPerStage = plan.Indexed[plan.StagePlan]{stage}
	if err := given.Save(file); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, f, Options{OverwritePlans: file, OverwriteIdentifier: "SMALL"}); err == nil || !strings.Contains(err.Error(), "case c_0") {
		t.Errorf("cases larger than the followed plans: %v", err)
	}
}

func TestPredictionUsesTheSameCode(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(3))
	p := mustRun(t, f, Options{})
	image, mask := caseFiles(f, 2)
	out, err := Case(t.Context(), task.Case{ID: "x", Images: []string{image}, Mask: mask}, p)
	if err != nil {
		t.Fatal(err)
	}
	want := readData(t, arraysFile(f.Stage(madeUp, p.DataIdentifier), "c_2"))
	if !slices.Equal(out.Shape[:], want.Shape) || !slices.Equal(out.Data, want.Floats()) {
		t.Error("the case differs from what training saw")
	}
	// Larger than the plans on one axis only.
	small := *p
	stage := p.Stage()
	stage.ImageSize[1] = 3
	small.PlansPerStage = plan.Indexed[plan.StagePlan]{stage}
	larger, err := Case(t.Context(), task.Case{ID: "x", Images: []string{image}, Mask: mask}, &small)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := larger.Shape, [4]int{2, stage.ImageSize[0], out.Properties.SizeAfterResampling[1], stage.ImageSize[2]}; got != want {
		t.Errorf("shape %v, want %v", got, want)
	}
	input := make([]float32, len(out.Data))
	NetworkInput(input, out.Data, out.Shape, 2)
	n := len(input) / 2
	if !slices.Equal(input[:n], out.Data[:n]) {
		t.Error("the modalities changed on their way to the network")
	}
	for i, v := range input[n:] {
		if w := max(out.Data[n+i], 0) / 3; v != w {
			t.Fatalf("mask voxel %g became %g, want %g", out.Data[n+i], v, w)
		}
	}
}

func TestDataset(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(3))
	p := mustRun(t, f, Options{})
	stage := f.Stage(madeUp, p.DataIdentifier)
	for _, compressed := range []bool{true, false, false} {
		d, err := OpenDataset(t.Context(), stage, []string{"c_2", "c_0"}, compressed)
		if err != nil {
			t.Fatal(err)
		}
		if exists(unpackedFile(stage, "c_2")) == compressed {
			t.Errorf("compressed %v: unpacked file there: %v", compressed, !compressed)
		}
		want := readData(t, arraysFile(stage, "c_2")).Floats()
		got := make([]float32, len(want))
		if err := d.Read(0, got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) || d.ID(0) != "c_2" || d.Len() != 2 {
			t.Errorf("compressed %v: case 0 is %s and differs from its file", compressed, d.ID(0))
		}
		if err := d.Read(0, got[1:]); err == nil {
			t.Error("read into a buffer that is too small")
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// An unpacked file that is older than its case, or damaged, is made again.
	if err := os.WriteFile(unpackedFile(stage, "c_0"), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDataset(t.Context(), stage, []string{"c_0"}, false)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := OpenDataset(t.Context(), stage, []string{"c_9"}, false); err == nil || !strings.Contains(err.Error(), "plan-and-preprocess") {
		t.Errorf("a case that is not there: %v", err)
	}
	if err := npz.Write(arraysFile(stage, "c_0"), []npz.Array{{Name: "data", Shape: []int{1}, Data: []float32{1}}}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDataset(t.Context(), stage, []string{"c_0"}, false); err == nil {
		t.Error("a file of another shape was taken")
	}
}

func TestBadCasesAreNamed(t *testing.T) {
	zero := func(int, int, int) float32 { return 0 }
	none := func(int, int, int) int16 { return 0 }
	for name, c := range map[string]struct {
		spoil func(d *drawn)
		other bool // write the mask on another grid
		want  []string
	}{
		"all zero":   {spoil: func(d *drawn) { d.voxel = zero }, want: []string{"case c_1", "c_1_0000.nii.gz", "every voxel is 0"}},
		"empty mask": {spoil: func(d *drawn) { d.label = none }, want: []string{"case c_1", "labelsTr", "no voxel is labelled"}},
		"infinite": {spoil: func(d *drawn) {
			d.voxel = func(z, y, x int) float32 { return float32(math.Inf(z - 5)) }
		}, want: []string{"case c_1", "infinite"}},
		"elsewhere": {spoil: func(d *drawn) {
			d.voxel = func(z, y, x int) float32 { return float32(1 - min(z, 1)) }
			d.label = func(z, y, x int) int16 { return int16(z / (d.size[0] - 1)) }
		}, want: []string{"case c_1", "region of interest lies where the image"}},
		"other size": {other: true, want: []string{"case c_1", "labelsTr", "3x3x3", "grid"}},
	} {
		cases := cohortOf(3)
		if c.spoil != nil {
			c.spoil(&cases[1])
		}
		f := makeTask(t, "CT", cases)
		if c.other {
			_, mask := caseFiles(f, 1)
			drawn{[3]int{3, 3, 3}, [3]float64{1, 1, 1}, zero, func(int, int, int) int16 { return 1 }}.write(t, filepath.Join(t.TempDir(), "x.nii"), mask)
		}
		_, err := run(t, f, Options{})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", name, err, w)
			}
		}
		if strings.Contains(err.Error(), "c_0") || strings.Contains(err.Error(), "c_2") {
			t.Errorf("%s: error %q names a case that is fine", name, err)
		}
	}
}

func TestMemory(t *testing.T) {
	cases := cohortOf(3)
	cases[2] = drawn{[3]int{60, 60, 60}, [3]float64{1, 1, 1}, func(z, y, x int) float32 { return float32(z + 1) }, ball([3]int{60, 60, 60})}
	f := makeTask(t, "MRI", cases)
	_, err := run(t, f, Options{Memory: 1 << 20, Threads: 8})
	var large *memory.TooLargeError
	if !errors.As(err, &large) || !strings.Contains(err.Error(), "case c_2") || strings.Contains(err.Error(), "case c_0") {
		t.Errorf("a case larger than the budget: %v", err)
	}
	if large == nil {
		t.FailNow()
	}
	// What the error says is enough is enough.
	var need int64
	for need = large.Need; ; need += 1 << 20 {
		if _, err = run(t, f, Options{Memory: need, Threads: 8, NoPreprocess: true}); err == nil || need > 1<<30 {
			break
		}
	}
	if err != nil || need != large.Need {
		t.Errorf("the error asked for %d bytes; it took %d (%v)", large.Need, need, err)
	}
}

func TestCancel(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(3))
	loaded, err := task.Load(f, madeUp)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, loaded, Options{}, progress.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
}

func TestUnwritableOutput(t *testing.T) {
	f := makeTask(t, "MRI", cohortOf(2))
	if err := os.MkdirAll(f.Preprocessed, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.PreprocessedTask(madeUp), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, f, Options{}); err == nil || !strings.Contains(err.Error(), f.PreprocessedTask(madeUp)) {
		t.Errorf("a file where the output folder should be: %v", err)
	}
}
