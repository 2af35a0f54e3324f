package train

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/mirror"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
)

// validate predicts the validation cases of the fold and saves, plots and prints how good the predictions are. The
// reference predicts each case as it is stored; the default recipe averages its mirror images, as prediction does.
func (t *trainer) validate(ctx context.Context, trained *weights.StateDict) (*evaluate.Report, error) {
	if len(t.members[feed.Validating]) == 0 {
		return nil, fmt.Errorf("fold %s of %s has no validation case: there is nothing to validate; give it some in %s", t.o.Fold, t.o.Task, split.SplitsFile)
	}
	t.freeTraining()
	dir := filepath.Join(t.foldDir, t.o.ValFolder)
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	origin := &evaluate.Origin{Checkpoint: t.validated.checkpoint, Weights: checkpoint.Digest(trained), Network: t.validated.origin}
	known := t.knownPredictions(dir, origin)
	predictor, err := i3d.NewPredictor(t.device, t.config, trained)
	if err != nil {
		return nil, err
	}
	defer predictor.Free()
	t.log.Stage("validation", len(t.members[feed.Validating]))
	shape := t.plans.Stage().ImageSize
	input := make([]float32, t.config.InChannels*shape[0]*shape[1]*shape[2])
	mirrors, flipped := []mirror.Axes{{}}, []float32(nil)
	if t.state.Recipe.MirrorValidation {
		mirrors = mirror.All()
	}
	var predictions []evaluate.Prediction
	for _, i := range t.members[feed.Validating] {
		if err := ctx.Err(); err != nil {
			return nil, remedy.With(fmt.Errorf("validation interrupted before its end; the training is whole, so validate again: %w", err), t.retrain(remedy.Validate))
		}
		id, files := t.data.ID(i), t.data.Case(i).Files
		p, have := known[id]
		if !have || p.Files != files {
			if err := t.data.Read(i, input); err != nil {
				return nil, err
			}
			preprocess.NetworkInput(input, input, t.data.Shape(), t.plans.NumClasses)
			p = evaluate.NewPrediction(id, t.config.Outputs, 1, len(mirrors))
			p.Fold, p.Files = t.o.Fold, files
			for _, axes := range mirrors {
				image := input
				if axes != (mirror.Axes{}) {
					flipped = axes.Apply(flipped, input, shape)
					image = flipped
				}
				logits, err := predictor.Logits(image, 1, shape)
				if err != nil {
					return nil, task.InCase(id, err)
				}
				p.Add(logits, 1/float64(len(mirrors)))
				if axes == (mirror.Axes{}) {
					p.Features = [][]float32{predictor.Features()}
				}
			}
		}
		p.Targets = t.data.Targets(i)
		predictions = append(predictions, p)
		t.log.Advance(id)
	}
	return t.writeValidation(dir, &evaluate.Fold{Labels: t.plans.Labels, Predictions: predictions, Origin: origin})
}

// knownPredictions are those of an earlier validation of the same network, if they are to be kept.
func (t *trainer) knownPredictions(dir string, origin *evaluate.Origin) map[string]evaluate.Prediction {
	known := map[string]evaluate.Prediction{}
	if !t.o.KeepValidation {
		return known
	}
	earlier, err := evaluate.ReadFold(dir)
	switch {
	case err != nil:
		t.log.note("no earlier validation to keep: %v", err)
		return known
	case earlier.Origin == nil:
		t.log.warn("the earlier validation does not say which network it is of, and is made again")
		return known
	case earlier.Origin.Weights != origin.Weights:
		t.log.warn("the earlier validation is of another network, and is made again")
		return known
	}
	for _, p := range earlier.Predictions {
		known[p.Case] = p
	}
	return known
}

// writeValidation saves the predictions and what they are worth.
func (t *trainer) writeValidation(dir string, fold *evaluate.Fold) (*evaluate.Report, error) {
	predictions := fold.Predictions
	if err := evaluate.WriteFold(dir, fold); err != nil {
		return nil, err
	}
	for i := range predictions {
		predictions[i].Patient = t.patients[predictions[i].Case]
	}
	r := evaluate.Evaluate(t.plans.Labels, predictions)
	r.Task, r.Folds = t.o.Task, []string{t.o.Fold}
	for name, write := range map[string]func(io.Writer) error{"summary.json": r.JSON, "summary.csv": r.CSV} {
		if err := atomicfile.Write(filepath.Join(dir, name), write); err != nil {
			return nil, err
		}
	}
	plots, err := report.ROCPlots(dir, r)
	if err != nil {
		t.log.warn("ROC plots: %v", err)
	}
	t.log.note("validation of fold %s on %d cases in %s: results in %s", t.o.Fold, len(predictions), t.device.Precision(), dir)
	t.log.quiet("%s", r.Table())
	for _, p := range plots {
		t.log.quiet("ROC curves: %s", p)
	}
	return r, nil
}

// freeTraining gives the memory of the training back before the network is built for prediction.
func (t *trainer) freeTraining() {
	if t.loader != nil {
		t.loader.Close()
		t.loader = nil
	}
	t.network.Free()
	t.network = nil
}
