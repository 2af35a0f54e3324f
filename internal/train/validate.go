package train

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/mirror"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
)

// validation measures a trained network on the cases that the fold holds back.
type validation struct {
	*fold
	device device.Device
	of     *trained
}

// run predicts the validation cases of the fold and saves, plots and prints how good the predictions are. The
// reference predicts each case as it is stored; the default recipe averages its mirror images, as prediction does.
func (v *validation) run(ctx context.Context) (*evaluate.Report, error) {
	if len(v.members[feed.Validating]) == 0 {
		return nil, fmt.Errorf("fold %s of %s has no validation case: there is nothing to validate; give it some in %s", v.o.Fold, v.o.Task, split.SplitsFile)
	}
	dir := filepath.Join(v.foldDir, v.o.ValFolder)
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	origin := &evaluate.Origin{Checkpoint: v.of.checkpoint, Weights: checkpoint.Digest(v.of.weights), Network: v.of.origin}
	known := v.knownPredictions(dir, origin)
	predictor, err := i3d.NewPredictor(v.device, v.config, v.of.weights)
	if err != nil {
		return nil, err
	}
	defer predictor.Free()
	v.log.Stage("validation", len(v.members[feed.Validating]))
	shape := v.plans.Stage().ImageSize
	input := make([]float32, v.config.InChannels*shape[0]*shape[1]*shape[2])
	mirrors, flipped := []mirror.Axes{{}}, []float32(nil)
	if v.of.state.Recipe.MirrorValidation {
		mirrors = mirror.All()
	}
	var predictions []evaluate.Prediction
	for _, i := range v.members[feed.Validating] {
		if err := ctx.Err(); err != nil {
			return nil, remedy.With(fmt.Errorf("validation interrupted before its end; the training is whole, so validate again: %w", err), v.retrain(remedy.Validate))
		}
		id, files := v.data.ID(i), v.data.Case(i).Files
		p, have := known[id]
		if !have || p.Files != files {
			if err := v.data.Read(i, input); err != nil {
				return nil, err
			}
			preprocess.NetworkInput(input, input, v.data.Shape(), v.plans.NumClasses)
			p = evaluate.NewPrediction(id, v.config.Outputs, 1, len(mirrors))
			p.Fold, p.Files = v.o.Fold, files
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
		p.Targets = v.data.Targets(i)
		predictions = append(predictions, p)
		v.log.Advance(id)
	}
	return v.writeValidation(dir, &evaluate.Fold{Labels: v.plans.Labels, Predictions: predictions, Origin: origin})
}

// knownPredictions are those of an earlier validation of the same network, if they are to be kept.
func (v *validation) knownPredictions(dir string, origin *evaluate.Origin) map[string]evaluate.Prediction {
	known := map[string]evaluate.Prediction{}
	if !v.o.KeepValidation {
		return known
	}
	earlier, err := evaluate.ReadFold(dir)
	switch {
	case err != nil:
		v.log.note("no earlier validation to keep: %v", err)
		return known
	case earlier.Origin == nil:
		v.log.warn("the earlier validation does not say which network it is of, and is made again")
		return known
	case earlier.Origin.Weights != origin.Weights:
		v.log.warn("the earlier validation is of another network, and is made again")
		return known
	}
	for _, p := range earlier.Predictions {
		known[p.Case] = p
	}
	return known
}

// writeValidation saves the predictions and what they are worth.
func (v *validation) writeValidation(dir string, fold *evaluate.Fold) (*evaluate.Report, error) {
	predictions := fold.Predictions
	if err := evaluate.WriteFold(dir, fold); err != nil {
		return nil, err
	}
	for i := range predictions {
		predictions[i].Patient = v.patients[predictions[i].Case]
	}
	r := evaluate.Evaluate(v.plans.Labels, predictions)
	r.Task, r.Folds = v.o.Task, []string{v.o.Fold}
	for name, write := range map[string]func(io.Writer) error{"summary.json": r.JSON, "summary.csv": r.CSV} {
		if err := atomicfile.Write(filepath.Join(dir, name), write); err != nil {
			return nil, err
		}
	}
	plots, err := report.ROCPlots(dir, r)
	if err != nil {
		v.log.warn("ROC plots: %v", err)
	}
	v.log.note("validation of fold %s on %d cases in %s: results in %s", v.o.Fold, len(predictions), v.device.Precision(), dir)
	v.log.quiet("%s", r.Table())
	for _, p := range plots {
		v.log.quiet("ROC curves: %s", p)
	}
	return r, nil
}
