package predict

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/mirror"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// toyPlans are those of a task with one modality, masks and two labels, 16^3 voxels of 1 mm.
func toyPlans() *plan.Plans {
	return &plan.Plans{
		NumStages: 1, NumModalities: 1, Modalities: indexed.List[string]{"MRI"}, NormalizationSchemes: indexed.List[string]{plan.NormNonCT},
		NumClasses: 1, AllClasses: []int{1}, UseMaskForNorm: indexed.List[bool]{false}, TransposeForward: [3]int{0, 1, 2}, TransposeBackward: [3]int{0, 1, 2},
		DataIdentifier: plan.DataIdentifier, TaskName: "Task902_Toy", RealMasks: true,
		Labels:        []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}},
		PlansPerStage: indexed.List[plan.StagePlan]{{BatchSize: 2, ImageSize: [3]int{16, 16, 16}, CurrentSpacing: [3]float64{1, 1, 1}, OriginalSpacing: [3]float64{1, 1, 1}}},
	}
}

// writeCases writes n cases of noise with a mask of the middle.
func writeCases(t *testing.T, n int) []task.Case {
	t.Helper()
	dir := t.TempDir()
	g := volume.Geometry{Size: [3]int{14, 15, 16}, Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}
	var cases []task.Case
	for i := range n {
		rng := rand.New(rand.NewPCG(uint64(i), 0))
		image := &volume.Image{Geometry: g, Data: make([]float32, g.Voxels())}
		mask := &volume.Mask{Geometry: g, Data: make([]int16, g.Voxels())}
		for k := range image.Data {
			image.Data[k] = float32(100 + 20*rng.NormFloat64())
			if z := k / (15 * 16); z > 2 && z < 12 {
				mask.Data[k] = 1
			}
		}
		id := fmt.Sprintf("case_%d", i)
		c := task.Case{ID: id, Images: []string{filepath.Join(dir, id+"_0000.nii.gz")}, Mask: filepath.Join(dir, id+".nii.gz")}
		if err := nifti.WriteImage(c.Images[0], image); err != nil {
			t.Fatal(err)
		}
		if err := nifti.WriteMask(c.Mask, mask); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

type warnings struct {
	progress.Reporter
	lines []string
}

func (w *warnings) Warn(format string, args ...any) {
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

func TestFolderOfCases(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{"", "#1"}, 1.6)
	m := openModel(t, dir, Options{})
	cases := writeCases(t, 6)
	if err := os.WriteFile(cases[2].Images[0], []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	w := &warnings{Reporter: progress.Discard}
	s, err := m.Folder(t.Context(), cases, nil, out, false, w)
	if err != nil {
		t.Fatal(err)
	}
	if s.Predicted != 5 || s.Kept != 0 || len(s.Failed) != 1 || s.Failed[0].Case != "case_2" {
		t.Fatalf("summary %+v", s)
	}
	if len(w.lines) != 1 || !strings.Contains(w.lines[0], "case_2") {
		t.Errorf("warnings %q", w.lines)
	}
	want, err := m.Case(t.Context(), cases[3])
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.readStored(out, "case_3")
	if err != nil || !reflect.DeepEqual(got.result.Prediction, want.Prediction) || !reflect.DeepEqual(got.result.Categorical, want.Categorical) {
		t.Errorf("file holds %+v (%v), want %+v", got, err, want)
	}
	var all evaluate.Table
	testutil.ReadJSON(t, s.JSON, &all)
	if len(all.Cases) != 5 || len(all.Failed) != 1 || !all.TTA || !reflect.DeepEqual(all.Folds, []string{"0", "1"}) {
		t.Errorf("predictions.json: %+v", all)
	}
	f, err := os.Open(s.CSV)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header := []string{"case", "Lesion", "Lesion value", "Lesion P(no)", "Lesion P(yes)", "Grade", "Grade value", "Grade P(low)", "Grade P(middle)", "Grade P(high)",
		"Lesion calibrated P(no)", "Lesion calibrated P(yes)", "Lesion set", "Lesion standard error", "Lesion agreement",
		"Grade calibrated P(low)", "Grade calibrated P(middle)", "Grade calibrated P(high)", "Grade set", "Grade standard error", "Grade agreement", "unusual", "unusual because"}
	if !reflect.DeepEqual(rows[0], header) || len(rows) != 6 {
		t.Fatalf("predictions.csv:\n%v", rows)
	}
	if r := rows[3]; r[0] != "case_3" || r[1] != fmt.Sprint(want.Categorical[0]) || r[2] != toyPlans().Labels[0].Values[want.Categorical[0]] || r[4] != fmt.Sprintf("%.6f", want.Probabilities[0][1]) {
		t.Errorf("row %v, want %+v", r, want)
	}
}

func TestExistingResultsAreKept(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{"", "#1"}, 1.6)
	cases := writeCases(t, 3)
	out := t.TempDir()
	first := openModel(t, dir, Options{Folds: []string{"0"}})
	if _, err := first.Folder(t.Context(), cases[:2], nil, out, false, progress.Discard); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "case_1.npz"), []byte("half a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(out, "case_0.npz"))
	if err != nil {
		t.Fatal(err)
	}
	again := openModel(t, dir, Options{Folds: []string{"0"}})
	s, err := again.Folder(t.Context(), cases, nil, out, false, progress.Discard)
	if err != nil || s.Kept != 1 || s.Predicted != 2 {
		t.Fatalf("%+v (%v)", s, err)
	}
	if after, _ := os.ReadFile(filepath.Join(out, "case_0.npz")); !reflect.DeepEqual(after, before) {
		t.Error("the result was not kept")
	}
	second := openModel(t, dir, Options{Folds: []string{"1"}})
	if s, err = second.Folder(t.Context(), cases, nil, out, true, progress.Discard); err != nil || s.Predicted != 3 {
		t.Fatalf("%+v (%v)", s, err)
	}
	if after, _ := os.ReadFile(filepath.Join(out, "case_0.npz")); reflect.DeepEqual(after, before) {
		t.Error("the result was not overwritten")
	}
}

func TestMasksAsInTraining(t *testing.T) {
	cases := writeCases(t, 1)
	with := openModel(t, writeModel(t, toyPlans(), []string{""}, 1), Options{DisableTTA: true})
	bare := cases[0]
	bare.Mask = ""
	if _, err := with.Case(t.Context(), bare); err == nil || !strings.Contains(err.Error(), "no mask") {
		t.Errorf("a model with masks took a case without: %v", err)
	}
	p := toyPlans()
	p.RealMasks = false
	without := openModel(t, writeModel(t, p, []string{""}, 1), Options{DisableTTA: true})
	if _, err := without.Case(t.Context(), cases[0]); err == nil || !strings.Contains(err.Error(), "without masks") {
		t.Errorf("a model without masks took a mask: %v", err)
	}
	if _, err := without.Case(t.Context(), bare); err != nil {
		t.Error(err)
	}
	two := cases[0]
	two.Images = append(two.Images, two.Images[0])
	if _, err := with.Case(t.Context(), two); err == nil || !strings.Contains(err.Error(), "2 images") {
		t.Errorf("took two modalities: %v", err)
	}
}

// With all mirror images averaged, a flipped case must get the same answer; without, another one.
func TestMirroringMakesFlipsIrrelevant(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{""}, 1.6)
	c := writeCases(t, 1)[0]
	for _, disabled := range []bool{false, true} {
		m := openModel(t, dir, Options{FP32: true, DisableTTA: disabled})
		p, err := m.prepare(t.Context(), input{Case: c})
		if err != nil {
			t.Fatal(err)
		}
		flipped := *p
		flipped.data = mirror.Axes{true, false, true}.Apply(nil, p.data, p.shape)
		r, err := m.predict(t.Context(), []*prepared{p, &flipped})
		if err != nil {
			t.Fatal(err)
		}
		difference := 0.0
		for k := range r[0].Logits {
			for i := range r[0].Logits[k] {
				difference = max(difference, math.Abs(r[0].Logits[k][i]-r[1].Logits[k][i]))
			}
		}
		if !disabled && difference > 1e-5 || disabled && difference < 1e-4 {
			t.Errorf("mirroring disabled %v: flipping changes the logits by %v", disabled, difference)
		}
	}
}

func TestFoldsFoundAndMissing(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{"", "#1"}, 1)
	if err := os.Mkdir(filepath.Join(dir, "fold_3"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := &warnings{Reporter: progress.Discard}
	m, err := Open(dir, Options{Device: "cpu"}, w)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if !reflect.DeepEqual(m.Folds(), []string{"0", "1"}) || len(w.lines) != 1 || !strings.Contains(w.lines[0], "fold 3") {
		t.Errorf("folds %v, warnings %q", m.Folds(), w.lines)
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"untrained":  {Options{Folds: []string{"0", "3"}}, "fold 3 is not trained"},
		"no number":  {Options{Folds: []string{"zero"}}, `fold "zero"`},
		"twice":      {Options{Folds: []string{"1", "01"}}, "named twice"},
		"checkpoint": {Options{Checkpoint: "model_best"}, "no fold has a model_best"},
	} {
		if _, err := Open(dir, c.o, progress.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := Open(t.TempDir(), Options{}, progress.Discard); err == nil || !strings.Contains(err.Error(), "no trained model") {
		t.Errorf("empty folder: %v", err)
	}
}

func TestPlansOfAnotherTask(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{""}, 1)
	foldDir := filepath.Join(dir, "fold_0")
	c, err := checkpoint.Read(foldDir, checkpoint.Final)
	if err != nil {
		t.Fatal(err)
	}
	c.Model = checkpoint.Model{Task: "Task903_Other", Inputs: 2, Outputs: []int{2, 3}}
	if err := checkpoint.Write(foldDir, checkpoint.Final, c, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}, progress.Discard); err == nil || !strings.Contains(err.Error(), "Task903_Other") {
		t.Errorf("got %v", err)
	}
	p := toyPlans()
	p.Labels = p.Labels[:1]
	if err := p.Save(filepath.Join(dir, checkpoint.PlansFile)); err != nil {
		t.Fatal(err)
	}
	c.Model = checkpoint.Model{}
	if err := checkpoint.Write(foldDir, checkpoint.Final, c, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}, progress.Discard); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentCases(t *testing.T) {
	m := openModel(t, writeModel(t, toyPlans(), []string{"", "#1"}, 1.6), Options{DisableTTA: true})
	cases := writeCases(t, 3)
	var want []*Result
	for _, c := range cases {
		r, err := m.Case(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	var group sync.WaitGroup
	for i := range 9 {
		group.Go(func() {
			r, err := m.Case(t.Context(), cases[i%3])
			if err != nil || !reflect.DeepEqual(r, want[i%3]) {
				t.Errorf("case %d: %+v (%v), want %+v", i%3, r, err, want[i%3])
			}
		})
	}
	group.Wait()
}

// A network per fold, and one that takes the folds in turn, give the same results.
func TestKeptFolds(t *testing.T) {
	dir := writeModel(t, toyPlans(), []string{"", "#1", "#2"}, 1.6)
	kept, inTurn := openModel(t, dir, Options{DisableTTA: true, KeepFolds: true}), openModel(t, dir, Options{DisableTTA: true})
	for range 2 {
		for _, c := range writeCases(t, 2) {
			got, err := kept.Case(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			want, err := inTurn.Case(t.Context(), c)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, want %+v (%v)", c.ID, got, want, err)
			}
		}
	}
	if len(kept.networks) != 3 || len(inTurn.networks) != 1 {
		t.Errorf("%d and %d networks, want 3 and 1", len(kept.networks), len(inTurn.networks))
	}
}

func TestInterruptedPredictionKeepsWhatIsDone(t *testing.T) {
	m := openModel(t, writeModel(t, toyPlans(), []string{""}, 1), Options{DisableTTA: true})
	ctx, cancel := context.WithCancel(t.Context())
	out := t.TempDir()
	r := &stopper{Reporter: progress.Discard, cancel: cancel}
	s, err := m.Folder(ctx, writeCases(t, 6), nil, out, false, r)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Fatalf("got %v", err)
	}
	var all evaluate.Table
	testutil.ReadJSON(t, s.JSON, &all)
	if s.Predicted == 0 || s.Predicted == 6 || len(all.Cases) != s.Predicted {
		t.Errorf("%d predicted, %d in the table", s.Predicted, len(all.Cases))
	}
}

type notes struct {
	progress.Reporter
	lines []string
}

func (n *notes) Note(format string, args ...any) {
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// lost is a device that fails.
type lost struct{ device.Device }

func (lost) AvgPoolMean([3]int, *device.Tensor, *device.Tensor) {
	panic(&device.Error{Device: "some card", Err: errors.New("fell off the bus")})
}

func TestDeviceThatFails(t *testing.T) {
	m := openModel(t, writeModel(t, toyPlans(), []string{""}, 1), Options{DisableTTA: true})
	m.device = lost{m.device}
	s, err := m.Folder(t.Context(), writeCases(t, 2), nil, t.TempDir(), false, progress.Discard)
	if err != nil || len(s.Failed) != 2 {
		t.Fatalf("%+v (%v)", s, err)
	}
	for _, f := range s.Failed {
		if !strings.Contains(f.Error, f.Case) || !strings.Contains(f.Error, "some card: fell off the bus") {
			t.Errorf("case %s: %s", f.Case, f.Error)
		}
	}
}

// stopper interrupts after the first case.
type stopper struct {
	progress.Reporter
	cancel context.CancelFunc
}

func (s *stopper) Advance(string) { s.cancel() }
