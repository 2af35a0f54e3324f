package train

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// FuzzSplits chooses a split from any file: no case trains and validates, and no half is empty.
func FuzzSplits(f *testing.F) {
	f.Add([]byte(`[{"train": ["a","b"], "val": ["c"]}]`), "0")
	f.Add([]byte(`[{"train": ["a","b"], "val": ["c"]}]`), "9")
	f.Add([]byte(`[{"train": ["a"], "val": []}, {"train": [], "val": ["x"]}]`), "1")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, fold string) {
		if err := os.WriteFile(filepath.Join(dir, SplitsFile), b, 0o600); err != nil {
			t.Skip(err)
		}
		c, err := ChooseSplit(dir, fold, []string{"a", "b", "c", "d", "e", "f"}, Drawing{})
		if err != nil {
			return
		}
		if len(c.Train) == 0 || len(c.Val) == 0 {
			t.Errorf("%d training and %d validation cases", len(c.Train), len(c.Val))
		}
		for _, id := range c.Val {
			if fold != FoldAll && slices.Contains(c.Train, id) {
				t.Errorf("%s trains and validates", id)
			}
		}
	})
}

// FuzzSaved reads the state of a training from whatever JSON a checkpoint holds.
func FuzzSaved(f *testing.F) {
	s := state{TrainPart: []float64{1}}
	s.Recipe.Epochs, s.Recipe.Iterations, s.Recipe.ValIterations, s.Recipe.BatchSize, s.Recipe.LearningRate, s.Recipe.Seed = 2, 3, 1, 2, 0.01, 7
	b, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, []byte(`{"task":"T","trainer":"t","fold":"0","input_channels":2,"outputs":[2],"epochs_trained":0}`))
	f.Add([]byte(`{"recipe":{"epochs":-1}}`), []byte(`{}`))
	dir := f.TempDir()
	sd := weights.NewStateDict()
	sd.Set("a", weights.NewScalar(1))
	f.Fuzz(func(t *testing.T, training, model []byte) {
		meta := map[string]string{"uc.training": string(training), "uc.model": string(model)}
		if weights.WriteSafetensors(checkpoint.Path(dir, checkpoint.Latest), sd, meta) != nil {
			t.Skip()
		}
		tr := &trainer{foldDir: dir, o: Options{Task: "T"}, config: i3d.Config{InChannels: 2, Outputs: []int{2}}, plans: &plan.Plans{Labels: []task.Label{{}}}, began: time.Now()}
		if last, err := tr.readSaved(checkpoint.Latest); err == nil {
			p := last.state.Recipe
			if p.BatchSize < 1 || p.Epochs < 1 || p.Iterations < 1 || last.state.Epoch < 0 || len(last.state.TrainPart) > p.Iterations {
				t.Errorf("nonsense is taken for a training: %+v", last.state)
			}
			_ = last.state.at()
		}
	})
}
