package explain

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/weights"
	"github.com/universal-classifier/uc/pkg/nifti"
)

var toyConfig = i3d.Config{InChannels: 2, Outputs: []int{2, 3}}

// toyPlans are those of a task with one modality, masks and two labels, on a grid with other spacings and another order
// of axes than the images of toyCase.
func toyPlans() *plan.Plans {
	return &plan.Plans{
		NumStages: 1, NumModalities: 1, Modalities: indexed.List[string]{"MRI"}, NormalizationSchemes: indexed.List[string]{plan.NormNonCT},
		NumClasses: 1, AllClasses: []int{1}, UseMaskForNorm: indexed.List[bool]{false}, TransposeForward: [3]int{1, 2, 0}, TransposeBackward: [3]int{2, 0, 1},
		DataIdentifier: plan.DataIdentifier, TaskName: "Task902_Toy", RealMasks: true,
		Labels:        []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}},
		PlansPerStage: indexed.List[plan.StagePlan]{{BatchSize: 2, ImageSize: [3]int{16, 22, 20}, CurrentSpacing: [3]float64{1.1, 0.8, 0.9}, OriginalSpacing: [3]float64{1.1, 0.8, 0.9}}},
	}
}

// toyModel writes the folder of a model with made-up weights, one fold per salt.
func toyModel(t *testing.T, salts ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := toyPlans().Save(filepath.Join(dir, checkpoint.PlansFile)); err != nil {
		t.Fatal(err)
	}
	for i, salt := range salts {
		sd := i3d.EmptyStateDict(toyConfig)
		weights.Formula(sd, salt, 1.6)
		fold := filepath.Join(dir, task.FoldDir(fmt.Sprint(i)))
		if err := os.MkdirAll(fold, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := weights.WriteSafetensors(checkpoint.Path(fold, checkpoint.Final), sd, nil); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// toyCase writes an image with smooth structure on a turned grid, and a mask of a ball in it.
func toyCase(t *testing.T, seed uint64) task.Case {
	t.Helper()
	dir := t.TempDir()
	g := volume.Geometry{Size: [3]int{18, 15, 22}, Spacing: [3]float64{1, 1.2, 0.7}, Origin: [3]float64{3, -7, 20}, Direction: [9]float64{0, 1, 0, -1, 0, 0, 0, 0, 1}}
	rng := rand.New(rand.NewPCG(seed, 1))
	image := &volume.Image{Geometry: g, Data: make([]float32, g.Voxels())}
	mask := &volume.Mask{Geometry: g, Data: make([]int16, g.Voxels())}
	phase := 6 * rng.Float64()
	i := 0
	for z := range g.Size[0] {
		for y := range g.Size[1] {
			for x := range g.Size[2] {
				if z > 0 && x > 1 { // the rest is cropped away
					image.Data[i] = float32(200 + 60*math.Sin(0.5*float64(z)+phase) + 30*math.Cos(0.4*float64(y)) + 10*float64(x) + 4*rng.NormFloat64())
				}
				if dz, dy, dx := float64(z)-9, float64(y)-7, float64(x)-12; dz*dz/49+dy*dy/36+dx*dx/60 < 1 {
					mask.Data[i] = 1
				}
				i++
			}
		}
	}
	id := fmt.Sprintf("case_%d", seed)
	c := task.Case{ID: id, Images: []string{filepath.Join(dir, id+"_0000.nii.gz")}, Mask: filepath.Join(dir, id+".nii.gz")}
	if err := errors.Join(nifti.WriteImage(c.Images[0], image), nifti.WriteMask(c.Mask, mask)); err != nil {
		t.Fatal(err)
	}
	return c
}

func openToy(t *testing.T, dir string, o Options) *Model {
	t.Helper()
	o.Device = "cpu"
	m, err := Open(dir, o, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestCAMPlusPlus compares the map with numbers worked out by hand: two channels at two positions.
func TestCAMPlusPlus(t *testing.T) {
	a := []float32{1, 3, 2, 0}        // sums 4 and 2
	g := []float32{0.5, -1, 1, 2}     // of which the positive ones count
	first := 0.5 / (2 + 4*0.5)        // alpha g = g / (2 + sum g)
	second := 1/(2+2*1.) + 2/(2+2*2.) // of the second channel
	want := []float64{first*1 + second*2, first * 3}
	for i, v := range camPlusPlus(a, g, 2) {
		if math.Abs(float64(v)-want[i]) > 1e-6 {
			t.Errorf("position %d: %g, want %g", i, v, want[i])
		}
	}
	if v := camPlusPlus(a, []float32{0, 0, 0, -1}, 2); v[0] != 0 || v[1] != 0 {
		t.Errorf("without a positive gradient the map is %v", v)
	}
}

// TestOriginal takes what the network sees of a case for a map and brings it back: within the crop it must be the
// original image but for its scale, and nothing outside.
func TestOriginal(t *testing.T) {
	c := toyCase(t, 1)
	p, err := preprocess.Case(t.Context(), c, toyPlans())
	if err != nil {
		t.Fatal(err)
	}
	original, err := nifti.ReadImage(c.Images[0])
	if err != nil {
		t.Fatal(err)
	}
	done := &Case{Properties: p.Properties, Shape: [3]int(p.Shape[1:]), Transpose: toyPlans().TransposeForward}
	voxels := done.Shape[0] * done.Shape[1] * done.Shape[2]
	h := &Map{Heat: p.Data[:voxels]}
	back := done.Original(h)
	if back.Geometry != original.Geometry {
		t.Errorf("geometry %+v, want %+v", back.Geometry, original.Geometry)
	}
	box := done.cropBox()
	var a, b []float64
	for i, v := range back.Data {
		at := [3]int{i / (back.Size[1] * back.Size[2]), i / back.Size[2] % back.Size[1], i % back.Size[2]}
		inside := true
		for d := range 3 {
			inside = inside && at[d] >= box.Min[d] && at[d] < box.Max[d]
		}
		if !inside {
			if v != 0 {
				t.Fatalf("voxel %v outside of the crop %v is %g", at, box, v)
			}
			continue
		}
		a, b = append(a, float64(v)), append(b, float64(original.Data[i]))
	}
	if r := correlation(a, b); r < 0.99 {
		t.Errorf("the image brought back correlates with the original by %.4f", r)
	}
	// A voxel goes where its heat goes.
	for _, at := range [][3]int{{8, 11, 10}, {6, 9, 13}, {10, 12, 8}} {
		one := make([]float32, voxels)
		one[(at[0]*done.Shape[1]+at[1])*done.Shape[2]+at[2]] = 1
		spot := done.Original(&Map{Heat: one})
		var sum float64
		var centre [3]float64
		for i, v := range spot.Data {
			sum += float64(v)
			for d, x := range [3]int{i / (back.Size[1] * back.Size[2]), i / back.Size[2] % back.Size[1], i % back.Size[2]} {
				centre[d] += float64(v) * float64(x)
			}
		}
		got := done.toOriginal(at)
		for d := range 3 {
			if math.Abs(centre[d]/sum-float64(got[d])) > 1 {
				t.Errorf("voxel %v goes to %v, its heat to %.1f on axis %d", at, got, centre[d]/sum, d)
			}
		}
	}
}

func correlation(a, b []float64) float64 {
	var ma, mb, ab, aa, bb float64
	for i := range a {
		ma, mb = ma+a[i]/float64(len(a)), mb+b[i]/float64(len(a))
	}
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
		aa += (a[i] - ma) * (a[i] - ma)
		bb += (b[i] - mb) * (b[i] - mb)
	}
	return ab / math.Sqrt(aa*bb)
}

// ranks are the places of values in their order, equal values sharing the mean.
func ranks(values []float32) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to-1) / 2
		}
		from = to
	}
	return out
}

// TestMethods explains a case by every method: both labels' predicted classes, finite maps, and numbers that fit.
func TestMethods(t *testing.T) {
	dir := toyModel(t, "")
	c := toyCase(t, 1)
	for _, method := range Methods {
		o := Options{Method: method, DisableTTA: true, CurveSteps: 3}
		if method != HiResCAM {
			o.Classes = []Class{{1, 1}}
		}
		m := openToy(t, dir, o)
		r, err := m.Case(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if method == HiResCAM && (len(r.Maps) != 2 || !r.Maps[0].Predicted || r.Maps[0].Label != 0 || r.Maps[1].Label != 1) ||
			method != HiResCAM && (len(r.Maps) != 1 || r.Maps[0].Label != 1 || r.Maps[0].Class != 1) {
			t.Fatalf("%s: maps %+v", method, r.Maps)
		}
		for _, h := range r.Maps {
			least, most := limits(h.Heat)
			if !(most > 0) || least == most || method == GradCAM && least < 0 {
				t.Errorf("%s: heat from %g to %g", method, least, most)
			}
			if h.ROIShare == nil || *h.ROIShare <= 0 || *h.ROIShare > 1 || *h.ROIVolume <= 0 || *h.ROIVolume >= 1 {
				t.Errorf("%s: shares %v, %v", method, h.ROIShare, h.ROIVolume)
			}
			// Both curves run between the case and a blank one, the one forth, the other back.
			del, ins := h.Deletion.Probabilities, h.Insertion.Probabilities
			if len(del) != 4 || len(ins) != 4 || math.Abs(del[0]-r.Probabilities[h.Label][h.Class]) > 1e-4 || math.Abs(del[3]-ins[0]) > 1e-4 || math.Abs(ins[3]-del[0]) > 1e-4 {
				t.Errorf("%s: deletion %v, insertion %v, probability %g", method, del, ins, r.Probabilities[h.Label][h.Class])
			}
			if (method == Gradients) != (h.Score != nil) {
				t.Errorf("%s: score %v", method, h.Score)
			}
			if h.Score != nil {
				total := 0.0
				for _, v := range h.Heat {
					total += float64(v)
				}
				if !complete(*h.Sum, *h.Score) || math.Abs(total-*h.Sum) > 1e-3 {
					t.Errorf("attributions add up to %g, smoothed to %g, the score differs by %g", *h.Sum, total, *h.Score)
				}
			}
		}
	}
}

// TestRandomWeightsGiveOtherMaps is the sanity check of Adebayo et al. (2018): the maps of a network with other weights
// are unrelated. Maps that showed bright places of the image, or the mask, would stay alike, as those of Grad-CAM++ do,
// which is why it is not the default.
func TestRandomWeightsGiveOtherMaps(t *testing.T) {
	const networks = 3
	c := toyCase(t, 2)
	dir := toyModel(t, "a", "b", "c")
	for _, method := range []Method{HiResCAM, Gradients, GradCAM} {
		var all [][]float64
		for fold := range networks {
			m := openToy(t, dir, Options{Method: method, DisableTTA: true, Folds: []string{fmt.Sprint(fold)}, Classes: []Class{{0, 1}}})
			r, err := m.Case(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			var inside []float32
			for i, v := range r.Maps[0].Heat {
				if r.roi[i] > 0 {
					inside = append(inside, v)
				}
			}
			all = append(all, ranks(inside))
		}
		mean := 0.0
		for i := range networks {
			for k := range i {
				mean += correlation(all[i], all[k]) / (networks * (networks - 1) / 2)
			}
		}
		t.Logf("%s: mean rank correlation %.3f", method, mean)
		if method == GradCAM && mean < 0.5 {
			t.Errorf("the mean rank correlation of Grad-CAM++ is only %.3f: the documentation says otherwise", mean)
		}
		if method != GradCAM && math.Abs(mean) > 0.3 {
			t.Errorf("%s: maps of networks with unrelated weights have a mean rank correlation of %.3f", method, mean)
		}
	}
}

// TestFolder checks what lies in the folder afterwards: a broken case loses none of the others, results that hold are
// kept, and those of other settings are not mixed with.
func TestFolder(t *testing.T) {
	dir := toyModel(t, "")
	o := Options{DisableTTA: true, Layer: "mixed_3c"}
	m := openToy(t, dir, o)
	cases := []task.Case{toyCase(t, 1), toyCase(t, 2), toyCase(t, 3)}
	if err := os.WriteFile(cases[1].Images[0], []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, targets := filepath.Join(t.TempDir(), "out"), filepath.Dir(cases[2].Mask) // its own mask is the target
	s, err := m.Folder(t.Context(), cases, nil, targets, out, false, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if s.Explained != 2 || s.Kept != 0 || len(s.Failed) != 1 || s.Failed[0].Case != "case_2" || s.Targets != 2 {
		t.Fatalf("summary %+v", s)
	}
	var table Table
	b, err := os.ReadFile(s.JSON)
	if err == nil {
		err = json.Unmarshal(b, &table)
	}
	if err != nil || len(table.Cases) != 2 || len(table.Failed) != 1 || len(table.Cases[1].Maps) != 2 {
		t.Fatalf("%s: %+v (%v)", JSONFile, table, err)
	}
	b, err = os.ReadFile(s.CSV)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil || len(rows) != 5 || rows[1][0] != "case_1" || rows[4][0] != "case_3" {
		t.Fatalf("%s: %v (%v)", CSVFile, rows, err)
	}
	for _, h := range table.Cases[1].Maps {
		im, err := nifti.ReadImage(filepath.Join(out, h.Heat))
		if err != nil {
			t.Fatal(err)
		}
		at := peak(im.Data, im.Size, im.Size)
		for d := range 3 {
			if far := at[d] - h.Peak[2-d]; far < -1 || far > 1 {
				t.Errorf("%s: the maximum is at %v (z, y, x), and said to be at %v (x, y, z)", h.Heat, at, h.Peak)
			}
		}
		if h.Pointing == nil || h.Pointing.Hit != (h.Pointing.Distance <= PointingTolerance) {
			t.Errorf("%s: pointing game %+v", h.Heat, h.Pointing)
		}
	}
	// A picture that is gone, and a map that was changed, are made again; the rest is kept.
	first := filepath.Join(out, table.Cases[0].Maps[0].Heat)
	if err := os.WriteFile(first, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err = m.Folder(t.Context(), cases, nil, targets, out, false, progress.Discard); err != nil || s.Explained != 1 || s.Kept != 1 {
		t.Fatalf("again: %+v (%v)", s, err)
	}
	if _, err := nifti.ReadImage(first); err != nil {
		t.Error(err)
	}
	// Other settings.
	o.Layer = "mixed_3b"
	other := openToy(t, dir, o)
	_, err = other.Folder(t.Context(), cases, nil, "", out, false, progress.Discard)
	var refused *OtherSettingsError
	if !errors.As(err, &refused) || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.Overwrite})) {
		t.Fatalf("other settings: %v", err)
	}
	o.Classes = []Class{{1, 2}}
	other = openToy(t, dir, o)
	if s, err = other.Folder(t.Context(), cases, nil, "", out, true, progress.Discard); err != nil || s.Explained != 2 {
		t.Fatalf("overwritten: %+v (%v)", s, err)
	}
	if left, _ := filepath.Glob(filepath.Join(out, "case_1", "*.nii.gz")); len(left) != 1 || filepath.Base(left[0]) != "hirescam_Grade_2.nii.gz" {
		t.Errorf("files left: %v", left)
	}
	// An interruption before the end leaves the tables of what is there.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := other.Folder(ctx, cases, nil, "", filepath.Join(t.TempDir(), "new"), false, progress.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestPrepared explains a case as it is stored after preprocessing, by one fold of two, and leaves it alone.
func TestPrepared(t *testing.T) {
	dir := toyModel(t, "", "#1")
	both := openToy(t, dir, Options{DisableTTA: true, Layer: "mixed_3b"})
	alone := openToy(t, dir, Options{DisableTTA: true, Layer: "mixed_3b", Folds: []string{"1"}})
	c := toyCase(t, 1)
	p, err := preprocess.Case(t.Context(), c, both.Plans())
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(p.Data)
	got, err := both.Prepared(t.Context(), c.ID, p, "1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := alone.Case(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Maps[0].Heat, want.Maps[0].Heat) || got.Maps[0].Class != want.Maps[0].Class {
		t.Error("the fold of two gives another map than the fold alone")
	}
	if !slices.Equal(before, p.Data) {
		t.Error("the prepared case was changed")
	}
	if _, err := both.Prepared(t.Context(), c.ID, p, "2"); err == nil {
		t.Error("a fold that is not open")
	}
}

// TestRefusals checks options and cases that make no sense, and a budget that is too small.
func TestRefusals(t *testing.T) {
	dir := toyModel(t, "")
	for what, o := range map[string]Options{
		"method": {Method: "magic"}, "layer": {Layer: "mixed_9z"}, "layer of occlusion": {Method: Occlusion, Layer: "mixed_3c"}, "class": {Classes: []Class{{0, 2}}}, "any class": {Classes: []Class{{-1, 3}}},
	} {
		o.Device = "cpu"
		if _, err := Open(dir, o, progress.Discard); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	c := toyCase(t, 1)
	unmasked := c
	unmasked.Mask = ""
	if _, err := openToy(t, dir, Options{}).Case(t.Context(), unmasked); err == nil || !strings.Contains(err.Error(), "no mask") {
		t.Errorf("without a mask: %v", err)
	}
	if _, err := openToy(t, dir, Options{Memory: 60 << 20}).Case(t.Context(), c); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("within 60 MiB: %v", err)
	}
}

// TestBudget explains a case by occlusion with little memory: batches take what the weights of all folds, the case and
// the network leave, and the network is given up where a next case needs its place.
func TestBudget(t *testing.T) {
	dir := toyModel(t, "", "a")
	c := toyCase(t, 1)
	ample := openToy(t, dir, Options{Method: Occlusion})
	crop, err := preprocess.Crop(c, ample.Plans())
	if err != nil {
		t.Fatal(err)
	}
	shape := crop.Shape()
	if err := ample.load(0); err != nil {
		t.Fatal(err)
	}
	if got := ample.batch(shape); got != maxBatch {
		t.Fatalf("batches of %d with ample memory, want %d", got, maxBatch)
	}
	if ample.makeRoom(1 << 20); ample.network == nil {
		t.Error("the network was given up, which leaves enough")
	}
	weights, activations, err := i3d.PredictorMemory(ample.device, ample.opened.Config, shape)
	if err != nil {
		t.Fatal(err)
	}
	const inputs = 3
	fixed := ample.foldBytes() + ample.caseBytes(shape) + weights
	limit := float64(fixed+inputs*(activations+2*ample.inputBytes(shape))) / memory.WorkShare
	tight := openToy(t, dir, Options{Method: Occlusion, DisableTTA: true, Memory: int64(limit)})
	if _, err := tight.Case(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if tight.batches < 1 || tight.batches > inputs {
		t.Errorf("batches of %d, want at most %d", tight.batches, inputs)
	}
	taken := tight.foldBytes() + tight.caseBytes(shape) + tight.network.MemoryBytes() + int64(tight.batches)*tight.inputBytes(shape)
	if kernels := tight.device.WorkspaceBytes(); taken-kernels > tight.share() || taken > tight.limit {
		t.Errorf("%s taken, of which kernels borrow %s; the budget is %s", memory.Format(taken), memory.Format(kernels), memory.Format(tight.limit))
	}
	if tight.makeRoom(tight.share() - tight.foldBytes()); tight.network != nil {
		t.Error("the network was kept, which leaves too little")
	}
	if err := tight.load(1); err != nil || tight.network == nil || tight.fold != 1 {
		t.Errorf("after the network was given up: %v", err)
	}
}

// TestSmoothKeepsTheSum spreads spots at and near the borders.
func TestSmoothKeepsTheSum(t *testing.T) {
	shape := [3]int{3, 7, 12}
	data := make([]float32, 3*7*12)
	data[0], data[100], data[251], data[130] = 1, -2, 4, 0.5
	smooth(data, shape, smoothing)
	sum := 0.0
	for _, v := range data {
		sum += float64(v)
	}
	if math.Abs(sum-3.5) > 1e-5 || data[251] > 1 {
		t.Errorf("sum %g, largest spot %g", sum, data[251])
	}
}

// TestFileNames keeps files of different labels apart.
func TestFileNames(t *testing.T) {
	got := fileNames([]task.Label{{Name: "Tumour grade"}, {Name: "tumour_grade"}, {Name: "../x"}, {Name: "µ"}, {Name: ""}})
	if want := []string{"Tumour_grade", "tumour_grade1", "___x", "_", "4"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
