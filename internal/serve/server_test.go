package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/weights"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// writeArtifact writes a model without masks with formula weights, a fold per name.
func writeArtifact(t *testing.T, folds ...string) (dir, modelDir string) {
	t.Helper()
	p := &plan.Plans{
		NumStages: 1, NumModalities: 1, Modalities: indexed.List[string]{"MRI"}, NormalizationSchemes: indexed.List[string]{plan.NormNonCT},
		NumClasses: 1, AllClasses: []int{1}, UseMaskForNorm: indexed.List[bool]{false}, TransposeForward: [3]int{0, 1, 2}, TransposeBackward: [3]int{0, 1, 2},
		DataIdentifier: plan.DataIdentifier, TaskName: "Task904_Toy",
		Labels:        []task.Label{{Name: "Lesion", Values: []string{"no", "yes"}}, {Name: "Grade", Values: []string{"low", "middle", "high"}}},
		PlansPerStage: indexed.List[plan.StagePlan]{{BatchSize: 2, ImageSize: [3]int{16, 16, 16}, CurrentSpacing: [3]float64{1, 1, 1}, OriginalSpacing: [3]float64{1, 1, 1}}},
	}
	dir = t.TempDir()
	modelDir = task.Folders{Results: dir}.Model(p.TaskName, task.DefaultTrainer, task.DefaultPlans)
	for _, fold := range folds {
		writeFold(t, modelDir, fold, "#"+fold)
	}
	if err := p.Save(filepath.Join(modelDir, checkpoint.PlansFile)); err != nil {
		t.Fatal(err)
	}
	return dir, modelDir
}

// shared is an artifact for the tests that change nothing: writing one takes most of their time.
var shared struct {
	sync.Once
	dir, modelDir string
}

func sharedArtifact(t *testing.T) (dir, modelDir string) {
	t.Helper()
	shared.Do(func() {
		dir, modelDir := writeArtifact(t, "all", "0", "1")
		var err error
		if shared.dir, err = os.MkdirTemp("", "uc-serve-"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "nnUNet"), filepath.Join(shared.dir, "nnUNet")); err != nil {
			t.Fatal(err)
		}
		inside, err := filepath.Rel(dir, modelDir)
		if err != nil {
			t.Fatal(err)
		}
		shared.modelDir = filepath.Join(shared.dir, inside)
	})
	return shared.dir, shared.modelDir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func writeFold(t *testing.T, modelDir, fold, salt string) {
	t.Helper()
	sd := i3d.EmptyStateDict(i3d.Config{InChannels: 2, Outputs: []int{2, 3}})
	weights.Formula(sd, salt, 1.6)
	foldDir := filepath.Join(modelDir, task.FoldDir(fold))
	if err := os.MkdirAll(foldDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := weights.WriteSafetensors(checkpoint.Path(foldDir, checkpoint.Final), sd, nil); err != nil {
		t.Fatal(err)
	}
}

func writeImage(t *testing.T, seed uint64) string {
	t.Helper()
	im := &volume.Image{Geometry: volume.Geometry{Size: [3]int{14, 15, 16}, Spacing: [3]float64{1, 1, 1}, Direction: [9]float64{1, 0, 0, 0, 1, 0, 0, 0, 1}}}
	im.Data = make([]float32, im.Voxels())
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range im.Data {
		im.Data[i] = float32(100 + 20*rng.NormFloat64())
	}
	path := filepath.Join(t.TempDir(), "scan.nii.gz")
	if err := nifti.WriteImage(path, im); err != nil {
		t.Fatal(err)
	}
	return path
}

// answer is a line of the server.
type answer struct {
	ID       int64
	Protocol int
	Result   *result
	Error    *failure
	Warning  string
	Note     string
}

// client talks to a running server.
type client struct {
	t       *testing.T
	in      *io.PipeWriter
	out     *bufio.Scanner
	ended   chan error
	last    int64
	answers []answer // all that came so far
}

func start(t *testing.T) *client {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &client{t: t, in: inW, out: bufio.NewScanner(outR), ended: make(chan error, 1)}
	s := New("v1", open.GPU{}, outW)
	go func() {
		c.ended <- s.Run(t.Context(), inR)
		outW.Close()
	}()
	if a := c.read(); a.Protocol != Protocol {
		t.Fatalf("first line: %+v", a)
	}
	t.Cleanup(func() {
		inW.Close()
		go io.Copy(io.Discard, outR) // what is still being worked on
	})
	return c
}

func (c *client) send(method string, params map[string]any) int64 {
	c.t.Helper()
	c.last++
	line, err := json.Marshal(map[string]any{"id": c.last, "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.in, "%s\n", line); err != nil {
		c.t.Fatal(err)
	}
	return c.last
}

func (c *client) read() (a answer) {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatal("no answer")
	}
	if err := json.Unmarshal(c.out.Bytes(), &a); err != nil {
		c.t.Fatalf("%s: %v", c.out.Bytes(), err)
	}
	c.answers = append(c.answers, a)
	return a
}

// final reads until a request is answered.
func (c *client) final(id int64) answer {
	c.t.Helper()
	for {
		if a := c.read(); a.ID == id && (a.Result != nil || a.Error != nil) {
			return a
		}
	}
}

// predict asks and waits.
func (c *client) predict(params map[string]any) answer {
	c.t.Helper()
	return c.final(c.send("predict", params))
}

// said counts notes and warnings that contain the text.
func (c *client) said(text string) (n int) {
	for _, a := range c.answers {
		if strings.Contains(a.Note+a.Warning, text) {
			n++
		}
	}
	return n
}

func TestPredictsAsTheModelDoes(t *testing.T) {
	dir, modelDir := sharedArtifact(t)
	image := writeImage(t, 1)
	c := start(t)
	for _, v := range []struct {
		params map[string]any
		o      predict.Options
	}{
		{map[string]any{}, predict.Options{Folds: []string{"all"}, FP32: true, DisableTTA: true}},
		{map[string]any{"folds": []string{"1"}}, predict.Options{Folds: []string{"1"}, FP32: true, DisableTTA: true}},
		{map[string]any{"folds": []string{}}, predict.Options{Folds: []string{"0", "1"}, FP32: true, DisableTTA: true}},
		{map[string]any{"mirroring": true}, predict.Options{Folds: []string{"all"}, FP32: true}},
		{map[string]any{"mixed_precision": true}, predict.Options{Folds: []string{"all"}, DisableTTA: true}},
	} {
		v.o.Device = "cpu"
		m, err := predict.Open(modelDir, v.o, progress.Discard)
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.Case(t.Context(), task.Case{ID: "scan", Images: []string{image}})
		m.Close()
		if err != nil {
			t.Fatal(err)
		}
		v.params["artifact"], v.params["images"], v.params["device"] = dir, []string{image}, "cpu"
		got := c.predict(v.params)
		if got.Error != nil || !reflect.DeepEqual(got.Result.Probabilities, singlePrecision(want.Probabilities)) || !reflect.DeepEqual(got.Result.Folds, v.o.Folds) {
			t.Errorf("%v: %+v %+v, want %v", v.params, got.Result, got.Error, want.Probabilities)
		}
		if p := got.Result.Probabilities[0][1]; float64(float32(p)) != p {
			t.Errorf("%v is no float32", p)
		}
		if l := got.Result.Labels; len(l) != 2 || l[1].Name != "Grade" || l[1].Values[2] != "high" {
			t.Errorf("labels %+v", l)
		}
	}
}

func TestModelsStayLoadedUntilTheyChange(t *testing.T) {
	dir, modelDir := writeArtifact(t, "0", "1")
	params := map[string]any{"artifact": dir, "images": []string{writeImage(t, 1)}, "device": "cpu"}
	c := start(t)
	first := c.predict(params)
	for range 3 {
		if again := c.predict(params); !reflect.DeepEqual(again.Result, first.Result) {
			t.Errorf("%+v, want %+v", again, first)
		}
	}
	if c.said("network on") != 1 || c.said("mean over folds 0, 1") != 1 {
		t.Errorf("opened %d times, %d warnings; want one of each", c.said("network on"), c.said("mean over folds"))
	}
	path := checkpoint.Path(filepath.Join(modelDir, "fold_1"), checkpoint.Final)
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFold(t, modelDir, "1", "#other") // of the same size
	if err := os.Chtimes(path, was.ModTime(), was.ModTime()); err != nil {
		t.Fatal(err)
	}
	changed := c.predict(params)
	if changed.Error != nil || reflect.DeepEqual(changed.Result, first.Result) {
		t.Errorf("the change of a fold was not noticed: %+v", changed)
	}
	writeFold(t, modelDir, "all", "#all")
	if a := c.predict(params); a.Error != nil || !reflect.DeepEqual(a.Result.Folds, []string{"all"}) {
		t.Errorf("the new fold was not noticed: %+v", a)
	}
	if err := os.Truncate(checkpoint.Path(filepath.Join(modelDir, "all"), checkpoint.Final), 500); err != nil {
		t.Fatal(err)
	}
	if a := c.predict(params); a.Error == nil || a.Error.Kind != kindFailed {
		t.Errorf("a damaged checkpoint: %+v", a)
	}
}

// More models than are kept, asked for at once, all answer.
func TestManyModels(t *testing.T) {
	image := writeImage(t, 1)
	dir, _ := sharedArtifact(t)
	c := start(t)
	want := c.predict(map[string]any{"artifact": dir, "images": []string{image}, "device": "cpu"})
	open := map[int64]bool{}
	for i := range 3 * maxModels {
		open[c.send("predict", map[string]any{"artifact": dir, "images": []string{image}, "device": "cpu", "threads": 1 + i%(maxModels+2)})] = true
	}
	for len(open) > 0 {
		a := c.read()
		if a.Error != nil || a.Result != nil && !reflect.DeepEqual(a.Result.Probabilities, want.Result.Probabilities) {
			t.Fatalf("%+v %+v", a.Result, a.Error)
		}
		if a.Result != nil {
			delete(open, a.ID)
		}
	}
}

func TestFailures(t *testing.T) {
	dir, _ := sharedArtifact(t)
	image := writeImage(t, 1)
	broken := filepath.Join(t.TempDir(), "broken.nii.gz")
	if err := os.WriteFile(broken, []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := start(t)
	for _, v := range []struct {
		change     map[string]any
		kind, text string
	}{
		{map[string]any{"images": []string{image, image}}, kindInput, "2 images"},
		{map[string]any{"images": []string{}}, kindInput, "no image"},
		{map[string]any{"images": []string{"scan.nii.gz"}}, kindInput, "not absolute"},
		{map[string]any{"artifact": ""}, kindInput, "no artifact"},
		{map[string]any{"mask": image}, kindInput, "without masks"},
		{map[string]any{"images": []string{broken}}, kindInput, broken},
		{map[string]any{"images": []string{image + "x"}}, kindNotFound, image + "x"},
		{map[string]any{"artifact": dir + "x"}, kindNotFound, dir + "x"},
		{map[string]any{"folds": []string{"3"}}, kindNotFound, "fold 3"},
		{map[string]any{"folds": []string{"x"}}, kindInput, `fold "x"`},
		{map[string]any{"folds": []string{"1", "1"}}, kindInput, "twice"},
		{map[string]any{"model": "2d"}, kindInput, "3d_fullres"},
		{map[string]any{"trainer": "../.."}, kindInput, "plain name"},
		{map[string]any{"checkpoint": "a/b"}, kindInput, "plain name"},
		{map[string]any{"nonesuch": 1}, kindInput, "nonesuch"},
		{map[string]any{"threads": -1}, kindInput, "threads"},
		{map[string]any{"device": "abacus"}, kindFailed, "abacus"},
	} {
		params := map[string]any{"artifact": dir, "images": []string{image}, "device": "cpu"}
		for k, value := range v.change {
			params[k] = value
		}
		a := c.predict(params)
		if a.Error == nil || a.Error.Kind != v.kind || !strings.Contains(a.Error.Message, v.text) {
			t.Errorf("%v: %+v, want %s with %q", v.change, a.Error, v.kind, v.text)
		}
	}
	if a := c.final(c.send("sing", nil)); a.Error == nil || a.Error.Kind != kindInput {
		t.Errorf("a method that does not exist: %+v", a)
	}
	if _, err := fmt.Fprintln(c.in, "{"); err != nil {
		t.Fatal(err)
	}
	if a := c.final(0); a.Error.Kind != kindInput {
		t.Errorf("no JSON: %+v", a)
	}
}

func TestCancel(t *testing.T) {
	dir, _ := sharedArtifact(t)
	params := map[string]any{"artifact": dir, "images": []string{writeImage(t, 1)}, "device": "cpu", "mirroring": true}
	c := start(t)
	var last int64
	for range 20 { // more than are worked on at once, so that the last still waits
		last = c.send("predict", params)
	}
	c.send("cancel", map[string]any{"id": last})
	if a := c.final(last); a.Error == nil || a.Error.Kind != kindCancelled {
		t.Errorf("%+v", a)
	}
	go func() { // the answers to the others
		for c.out.Scan() {
		}
	}()
}

// At the end of its input the server returns, whatever it is working on; shutdown answers first.
func TestEnd(t *testing.T) {
	dir, _ := sharedArtifact(t)
	params := map[string]any{"artifact": dir, "images": []string{writeImage(t, 1)}, "device": "cpu", "mirroring": true}
	c := start(t)
	for range 50 {
		c.send("predict", params)
	}
	c.in.Close()
	select {
	case err := <-c.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the server goes on without input")
	}

	c = start(t)
	var ids []int64
	for range 3 {
		ids = append(ids, c.send("predict", params))
	}
	bye := c.send("shutdown", nil)
	if a := c.final(bye); a.Error != nil {
		t.Errorf("%+v", a)
	}
	answered := 0
	for _, a := range c.answers {
		if a.Result != nil && a.ID != bye {
			answered++
		}
	}
	if err := <-c.ended; err != nil || answered != len(ids) {
		t.Errorf("%d answers of %d before the end (%v)", answered, len(ids), err)
	}
}

func TestRequestThatIsTooLong(t *testing.T) {
	c := start(t)
	go io.WriteString(c.in, strings.Repeat("x", maxLineBytes+1)+"\n")
	if err := <-c.ended; err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}
