package train

import (
	"encoding/json"
	"testing"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

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
		f := &fold{job: &job{foldDir: dir, o: Options{Task: "T"}}, config: i3d.Config{InChannels: 2, Outputs: []int{2}}, plans: &plan.Plans{Labels: []task.Label{{}}}}
		if last, err := f.readSaved(checkpoint.Latest); err == nil {
			p := last.state.Recipe
			if p.BatchSize < 1 || p.Epochs < 1 || p.Iterations < 1 || last.state.Epoch < 0 || len(last.state.TrainPart) > p.Iterations {
				t.Errorf("nonsense is taken for a training: %+v", last.state)
			}
			_ = last.state.at()
		}
	})
}
