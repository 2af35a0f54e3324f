package export

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/model"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/testutil"
	"github.com/universal-classifier/uc/internal/torch"
	"github.com/universal-classifier/uc/internal/weights"
)

// formulaModel is a model of one modality and two labels with formula weights.
func formulaModel(folds ...string) *model.Model {
	m := &model.Model{
		Plans:  &plan.Plans{TaskName: "Task001_X", Modalities: []string{"MRI"}, Labels: []task.Label{{Name: "A", Values: []string{"no", "yes"}}, {Name: "B", Values: []string{"1", "2", "3"}}}},
		Config: i3d.Config{InChannels: 2, Outputs: []int{2, 3}},
	}
	for _, name := range folds {
		sd := i3d.EmptyStateDict(m.Config)
		weights.Formula(sd, "#"+name, 1)
		m.Folds = append(m.Folds, model.Fold{Name: name, Weights: sd})
	}
	return m
}

func write(t *testing.T, format, out string, m *model.Model, ensemble bool) []string {
	t.Helper()
	f, ok := Find(format)
	if !ok {
		t.Fatalf("no format %s", format)
	}
	files, err := f.Write(t.Context(), out, m, ensemble, progress.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// same wants the tensors of the model in a file, under a prefix.
func same(t *testing.T, got *weights.StateDict, prefix string, fold model.Fold) {
	t.Helper()
	want := i3d.ReferenceStateDict(fold.Weights)
	for _, name := range want.Names() {
		g, w := got.Get(prefix+name), want.Get(name)
		if g == nil || !slices.Equal(g.Shape, w.Shape) || !slices.Equal(g.F32, w.F32) || !slices.Equal(g.I64, w.I64) {
			t.Fatalf("fold %s: %s differs or is missing", fold.Name, prefix+name)
		}
	}
}

func TestWeightsAreWrittenWithTheReferencesNames(t *testing.T) {
	m := formulaModel("0")
	for _, format := range []string{"pytorch", "safetensors"} {
		files := write(t, format, filepath.Join(t.TempDir(), "out"), m, false)
		if len(files) != 1 || !strings.HasPrefix(filepath.Base(files[0]), "fold_0.") {
			t.Fatalf("%s wrote %v", format, files)
		}
		sd, err := torch.ReadAny(files[0])
		if err != nil {
			t.Fatal(err)
		}
		same(t, sd, "", m.Folds[0])
		if n := sd.Len(); n != 344+4 {
			t.Errorf("%d tensors, want the 344 of the published network and two heads", n)
		}
		if w := sd.Get("conv3d_0c_1x1.conv3d.weight"); w == nil || !reflect.DeepEqual(w.Shape, []int{400, 1024, 1, 1, 1}) {
			t.Errorf("the unused layer is %v", w)
		}
		layout := testutil.Shared(t, "reference", "interop", "kinetics_layout.json")
		raw, err := os.ReadFile(layout)
		if err != nil {
			t.Fatal(err)
		}
		var want struct{ Tensors []struct{ Name string } }
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		for i, name := range sd.Names()[:len(want.Tensors)] {
			if name != want.Tensors[i].Name {
				t.Fatalf("tensor %d is %s, want %s", i, name, want.Tensors[i].Name)
			}
		}
	}
}

func TestFoldsGoToOneFileEachOrTogether(t *testing.T) {
	m := formulaModel("0", "all")
	dir := t.TempDir()
	files := write(t, "pytorch", dir, m, false)
	if want := []string{filepath.Join(dir, "fold_0.pth"), filepath.Join(dir, "all.pth")}; !reflect.DeepEqual(files, want) {
		t.Fatalf("wrote %v, want %v", files, want)
	}
	for i, path := range files {
		sd, err := torch.ReadAny(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, sd, "", m.Folds[i])
	}
	for out, want := range map[string]string{dir: filepath.Join(dir, "ensemble.safetensors"), filepath.Join(dir, "x", "both.safetensors"): filepath.Join(dir, "x", "both.safetensors")} {
		files := write(t, "safetensors", out, m, true)
		if len(files) != 1 || files[0] != want {
			t.Fatalf("wrote %v, want %v", files, want)
		}
		sd, err := torch.ReadAny(files[0])
		if err != nil {
			t.Fatal(err)
		}
		for i, fold := range m.Folds {
			same(t, sd, fmt.Sprintf("%d.", i), fold)
		}
	}
	f, _ := Find("pytorch")
	if _, err := f.Write(t.Context(), filepath.Join(dir, "one.pth"), m, false, progress.Discard); err == nil || !slices.Contains(remedy.Of(err), remedy.Remedy(remedy.Set{Option: remedy.Ensemble})) {
		t.Errorf("two folds in one file: got %v", err)
	}
}
