package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/weights"
)

func example() *Checkpoint {
	w := weights.NewStateDict()
	w.Set("logits.weight", &weights.Tensor{Shape: []int{2, 3}, F32: []float32{1, 2, 3, 4, 5, 6}})
	w.Set("bn.num_batches_tracked", weights.NewScalar(7))
	m := weights.NewStateDict()
	m.Set("logits.weight", &weights.Tensor{Shape: []int{2, 3}, F32: []float32{.1, .2, .3, .4, .5, .6}})
	return &Checkpoint{Model: Model{Task: "Task001_A", Fold: "0", Inputs: 2, Outputs: []int{2, 3}, Epochs: 4}, Weights: w, Momentum: m}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	want := example()
	type state struct{ Loss float64 }
	if err := Write(dir, Latest, want, state{0.1 + 0.2}); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir, Latest)
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := got.Training(&s); err != nil || s.Loss != 0.1+0.2 {
		t.Fatalf("training state %v (%v)", s, err)
	}
	if !reflect.DeepEqual(got.Model, want.Model) {
		t.Fatalf("model %+v, want %+v", got.Model, want.Model)
	}
	for _, p := range []struct{ got, want *weights.StateDict }{{got.Weights, want.Weights}, {got.Momentum, want.Momentum}} {
		if !reflect.DeepEqual(p.got.Names(), p.want.Names()) {
			t.Fatalf("tensors %v, want %v", p.got.Names(), p.want.Names())
		}
		for _, n := range p.want.Names() {
			if !reflect.DeepEqual(p.got.Get(n).F32, p.want.Get(n).F32) || !reflect.DeepEqual(p.got.Get(n).I64, p.want.Get(n).I64) {
				t.Fatalf("%s differs", n)
			}
		}
	}
	summary, err := os.ReadFile(filepath.Join(dir, "model_latest.json"))
	if err != nil || !strings.Contains(string(summary), `"task": "Task001_A"`) {
		t.Fatalf("summary %s (%v)", summary, err)
	}
}

func TestWeightsFromElsewhereHaveNoTrainingState(t *testing.T) {
	dir := t.TempDir()
	c := example()
	if err := weights.WriteSafetensors(Path(dir, Final), c.Weights, nil); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir, Final)
	if err != nil {
		t.Fatal(err)
	}
	if got.Momentum != nil || got.Model.Task != "" {
		t.Fatalf("got %+v", got)
	}
	if err := got.Training(new(int)); err == nil {
		t.Fatal("a training state out of nothing")
	}
	if err := got.Model.Check("Task002_B", 5, nil); err != nil {
		t.Fatal(err)
	}
}

func TestMissingAndForeignCheckpoints(t *testing.T) {
	if _, err := Read(t.TempDir(), Final); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	m := example().Model
	for _, c := range []struct {
		task    string
		inputs  int
		outputs []int
		want    string
	}{
		{"Task001_A", 2, []int{2, 3}, ""},
		{"Task002_B", 2, []int{2, 3}, "trained for Task001_A"},
		{"Task001_A", 3, []int{2, 3}, "2 input channels"},
		{"Task001_A", 2, []int{2}, "classes per label"},
	} {
		err := m.Check(c.task, c.inputs, c.outputs)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}

func TestSetAsideKeepsTheFormerTraining(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{Final, Best} {
		if err := Write(dir, name, example(), nil); err != nil {
			t.Fatal(err)
		}
	}
	moved, err := SetAside(dir)
	if err != nil || len(moved) != 2 {
		t.Fatalf("moved %v (%v)", moved, err)
	}
	if Exists(dir, Final) || !Exists(dir, Final+previousMark) || !Exists(dir, Best+previousMark) {
		t.Fatal("not set aside")
	}
	if err := Write(dir, Final, example(), nil); err != nil {
		t.Fatal(err)
	}
	if err := RemoveSetAside(dir); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Fatalf("left: %v", left)
	}
}
