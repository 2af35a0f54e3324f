package train

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/weights"
)

// kineticsWeights are formula weights in the layout published for Kinetics: 3 channels, a layer of 400 classes, no
// heads; counts of batches only if asked for.
func kineticsWeights(counts bool) *weights.StateDict {
	sd := weights.NewStateDict()
	whole := i3d.EmptyStateDict(i3d.Config{InChannels: 3, Outputs: []int{2}})
	for _, name := range whole.Names() {
		if !strings.HasPrefix(name, "linear_list.") && (counts || !strings.HasSuffix(name, "num_batches_tracked")) {
			sd.Set(name, whole.Get(name))
		}
	}
	sd.Set("conv3d_0c_1x1.conv3d.weight", weights.NewTensor(400, 1024, 1, 1, 1))
	sd.Set("conv3d_0c_1x1.conv3d.bias", weights.NewTensor(400))
	weights.Formula(sd, "#a:kinetics", 1.7)
	return sd
}

// startFrom is where a training of the toy task with pretrained weights starts, and what it said.
func startFrom(t *testing.T, path string) (*weights.StateDict, string, error) {
	t.Helper()
	o := toyTaskIn(t, t.TempDir())
	o.PretrainedWeights = path
	if err := o.normalise(); err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	j, err := openJob(o, r)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	f, err := j.openFold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	tr := &training{fold: f}
	start, err := tr.start()
	if err != nil {
		return nil, r.text(), err
	}
	return start.Weights, r.text(), nil
}

func TestKineticsWeightsInEveryForm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model_rgb.pth")
	for name, form := range map[string]torchForm{
		"of today":                 {},
		"before 1.6":               {old: true},
		"before 0.4, as published": {old: true, ancient: true},
		"under state_dict":         {wrapped: true, prefix: "module."},
		"old, under state_dict":    {old: true, wrapped: true},
		"old, data-parallel":       {old: true, prefix: "module."},
	} {
		from := kineticsWeights(!form.ancient)
		writeTorch(t, path, from, form)
		got, said, err := startFrom(t, path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		const first = "conv3d_1a_7x7.conv3d.weight"
		compared := 0
		for _, n := range got.Names() {
			if want := from.Get(n); want != nil && n != first {
				compared++
				if !reflect.DeepEqual(got.Get(n), want) {
					t.Errorf("%s: %s is not as in the file", name, n)
				}
			}
		}
		if want := from.Len() - 3; compared != want {
			t.Errorf("%s: compared %d tensors, want %d", name, compared, want)
		}
		old, adapted := from.Get(first), got.Get(first) // (64, 3, 7, 7, 7) and (64, 2, 7, 7, 7)
		for i, v := range adapted.F32 {
			filter, rest := i/(2*343), i%(2*343)
			if want := old.F32[filter*3*343+rest] * 1.5; v != want {
				t.Fatalf("%s: value %d of the first layer is %g, want %g", name, i, v, want)
			}
		}
		for _, want := range []string{"pretrained weights: ", path, "adapted: " + first + " from 3 to 2 input channels: repeated cyclically, times 3/2",
			"fresh, since the file lacks them or has them of another shape: linear_list.0.weight, linear_list.0.bias, linear_list.1.weight",
			"left out, since this network has no such part: conv3d_0c_1x1.conv3d.weight, conv3d_0c_1x1.conv3d.bias"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: nothing says %q in\n%s", name, want, said)
			}
		}
		if strings.Contains(said, "57 batch norms") != form.ancient || strings.Contains(said, "does not know") {
			t.Errorf("%s: said\n%s", name, said)
		}
	}
}

func TestPretrainedWeightsThatDoNotFit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.pth")
	other := kineticsWeights(false)
	other.Set("mixed_5b.branch_3.1.conv3d.weight", weights.NewTensor(128, 800, 1, 1, 1))
	writeTorch(t, path, other, torchForm{old: true})
	if _, _, err := startFrom(t, path); err == nil || !strings.Contains(err.Error(), "mixed_5b.branch_3.1.conv3d.weight") ||
		!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "[128 800 1 1 1]") {
		t.Errorf("got %v", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := startFrom(t, path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("half a file: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "missing.model")
	o := toyTaskIn(t, t.TempDir())
	o.PretrainedWeights = missing
	if _, err := Run(t.Context(), o, progress.Discard); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v", err)
	}
}

// A training that cannot start leaves the former one where it was.
func TestRefusedTrainingLeavesTheFormer(t *testing.T) {
	o := toyTaskIn(t, t.TempDir())
	o.Epochs, o.Iterations, o.ValIterations = 1, 1, 1
	want, _ := runTo(t, o)
	bad := o
	bad.PretrainedWeights = filepath.Join(t.TempDir(), "missing.pth")
	if _, err := Run(t.Context(), bad, progress.Discard); err == nil {
		t.Fatal("trained from weights that are not there")
	}
	if got, _ := finalOf(t, o); !reflect.DeepEqual(got, want) {
		t.Errorf("the former training's state is %+v, was %+v", got, want)
	}
	if _, err := evaluate.ReadFold(foldOf(o)); err != nil {
		t.Errorf("its validation: %v", err)
	}
}

// Weights of this program's own checkpoints, heads and momenta included.
func TestPretrainedWeightsOfAnotherTask(t *testing.T) {
	other := i3d.EmptyStateDict(i3d.Config{InChannels: 2, Outputs: []int{5, 3}})
	weights.Formula(other, "", 1)
	all := other.Clone()
	all.Set("optimizer.momentum.conv3d_1a_7x7.conv3d.weight", weights.NewTensor(64, 2, 7, 7, 7))
	path := filepath.Join(t.TempDir(), "other.safetensors")
	if err := weights.WriteSafetensors(path, all, nil); err != nil {
		t.Fatal(err)
	}
	got, said, err := startFrom(t, path)
	if err != nil {
		t.Fatal(err)
	}
	fits, fresh := 0, 0
	for _, n := range got.Names() {
		if reflect.DeepEqual(got.Get(n), other.Get(n)) {
			fits++
		} else {
			fresh++
		}
	}
	if fresh != 2 || fits != other.Len()-2 || !strings.Contains(said, "another shape: linear_list.0.weight, linear_list.0.bias\n") || !strings.Contains(said, "the optimiser's momenta (1)") {
		t.Errorf("%d tensors taken, %d fresh, want weight and bias of the one head that differs fresh; said\n%s", fits, fresh, said)
	}
}
