package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/dataset"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/weights"
	"github.com/universal-classifier/uc/internal/words"
)

// run does what the options ask: train and validate, or validate alone.
func (t *trainer) run(ctx context.Context) (result *Result, err error) {
	if err := t.openCases(ctx); err != nil {
		return nil, err
	}
	var trained *weights.StateDict
	if t.o.ValidationOnly {
		trained, err = t.trainedWeights()
	} else {
		trained, err = t.train(ctx)
	}
	if err != nil {
		return nil, err
	}
	result = &Result{FoldDir: t.foldDir, Epochs: t.state.Epoch, TrainLosses: t.state.TrainLosses, ValLosses: t.state.ValLosses,
		ValAUCs: numbers(t.state.series(aucOf)), ValBalancedAccuracies: numbers(t.state.series(balancedAccuracyOf))}
	result.Validation, err = t.validate(ctx, trained)
	return result, err
}

// openCases opens the preprocessed cases and splits them.
func (t *trainer) openCases(ctx context.Context) error {
	lock, err := t.lockCases(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := t.loadPlans(); err != nil { // those of a planning that has ended meanwhile
		return err
	}
	dir := t.o.Folders.PreprocessedTask(t.o.Task)
	stage := t.o.Folders.Stage(t.o.Task, t.plans.DataIdentifier)
	ids, err := dataset.Cases(stage)
	if err != nil {
		return err
	}
	if missing := t.notPreprocessed(ids); len(missing) > 0 {
		return task.NotPreprocessed(remedy.With(fmt.Errorf("%s: %d of %d planned cases are not preprocessed (%s); preprocess the task",
			stage, len(missing), len(t.plans.ListOfNpzFiles), words.Some(missing)), t.replan()))
	}
	drawing, err := split.DrawingFor(t.o.Folders, t.o.Task, t.o.Split)
	if err != nil {
		return err
	}
	drawing.AllowPatientOverlap = t.o.AllowPatientOverlap
	except := t.foldDir // a fold that is retrained may be split differently
	if t.o.Continue || t.o.ValidationOnly {
		except = ""
	}
	drawing.Trained = split.TrainedFolds(t.o.Folders, t.o.Task, except)
	if t.split, err = split.ChooseSplit(dir, t.o.Fold, ids, drawing); err != nil {
		return err
	}
	t.patients = drawing.Patients()
	used := slices.Compact(slices.Sorted(slices.Values(slices.Concat(t.split.Train, t.split.Val))))
	if t.data, err = dataset.Open(stage, used); err != nil {
		return err
	}
	if err := errors.Join(t.checkCases(), lock.Release()); err != nil {
		return err
	}
	if err := t.recordOrigin(ctx); err != nil || t.o.CompressedData {
		return err
	}
	return t.data.Map(ctx, t.log)
}

// notPreprocessed are the planned cases that are not among ids.
func (t *trainer) notPreprocessed(ids []string) []string {
	var missing []string
	for _, file := range t.plans.ListOfNpzFiles {
		id := strings.TrimSuffix(path.Base(file), ".npz")
		if !slices.Contains(ids, id) {
			missing = append(missing, id)
		}
	}
	return missing
}

// checkCases compares the stored cases with the plans.
func (t *trainer) checkCases() error {
	size := t.plans.Stage().ImageSize
	if got, want := t.data.Shape(), [4]int{t.config.InChannels, size[0], size[1], size[2]}; got != want {
		return remedy.With(fmt.Errorf("the cases are stored with shape %v, the plans want %v; preprocess the task again", got, want), t.replan())
	}
	index := map[string]int{}
	for i := range t.data.Len() {
		id, targets := t.data.ID(i), t.data.Targets(i)
		index[id] = i
		if len(targets) != len(t.config.Outputs) {
			return remedy.With(task.CaseErrorf(id, "stored with %d labels, the plans want %d; preprocess the task again", len(targets), len(t.config.Outputs)), t.replan())
		}
		for k, class := range targets {
			if class < 0 || class >= t.config.Outputs[k] {
				return remedy.With(task.CaseErrorf(id, "class %d of label %q, expected 0 to %d; preprocess the task again", class, t.plans.Labels[k].Name, t.config.Outputs[k]-1), t.replan())
			}
		}
	}
	for half, ids := range [][]string{t.split.Train, t.split.Val} {
		for _, id := range ids {
			t.members[half] = append(t.members[half], index[id])
		}
	}
	return nil
}

// train fits the network and returns its weights.
func (t *trainer) train(ctx context.Context) (*weights.StateDict, error) {
	start, err := t.start()
	if err != nil {
		return nil, err
	}
	if err := t.estimateMemory(); err != nil {
		return nil, err
	}
	t.describe()
	if !t.o.Continue { // whatever is wrong with the options has been found by now
		if err := t.setAside(); err != nil {
			return nil, err
		}
	}
	if err := t.keepPlans(ctx); err != nil {
		return nil, err
	}
	if err := t.writeDebug(); err != nil {
		return nil, err
	}
	if t.state.Epoch >= t.state.Recipe.Epochs {
		t.log.note("the training has ended before: %d epochs", t.state.Epoch)
		t.validated = validated{checkpoint.Final, start.Origin}
		return start.Weights, t.finish(start)
	}
	shape := t.plans.Stage().ImageSize
	if t.network, err = i3d.NewTraining(t.device, t.config, t.state.Recipe.BatchSize, shape); err != nil {
		return nil, err
	}
	if err := t.load(start); err != nil {
		return nil, err
	}
	if err := t.setLossScale(); err != nil {
		return nil, err
	}
	start = nil // the weights that were read are not needed any more
	if !t.o.Continue {
		if t.state.Recipe.Restarts > 0 {
			if err := t.save(checkpoint.Healthy); err != nil {
				return nil, err
			}
		}
		// With this a training that is killed at any moment can be continued.
		if err := t.save(checkpoint.Latest); err != nil {
			return nil, err
		}
	}
	t.watch()
	t.openEvents()
	t.startLoader()
	t.began, t.savedAt = time.Now(), time.Now()
	if err := t.fit(ctx); err != nil {
		return nil, err
	}
	t.log.note("trained for %s", span(time.Since(t.began)))
	if t.validated.origin, err = t.savedOrigin(); err != nil {
		return nil, err
	}
	t.validated.checkpoint = checkpoint.Final
	trained, err := t.network.Predicting()
	if err != nil {
		return nil, err
	}
	return trained, t.finish(nil)
}

// load puts the network where a checkpoint left it.
func (t *trainer) load(from *saved) error {
	current := from.Current
	if current == nil {
		current = from.Weights
	}
	if err := t.network.Load(current); err != nil {
		return err
	}
	if from.Momentum != nil {
		if err := t.network.LoadMomentum(from.Momentum); err != nil {
			return err
		}
	}
	if from.Second != nil {
		if err := t.network.LoadSecondMoment(from.Second, from.state.OptimiserSteps); err != nil {
			return err
		}
	}
	if from.Current != nil {
		return t.network.LoadAverage(from.Weights)
	}
	return nil
}

// start returns what the training starts from and sets the state accordingly.
func (t *trainer) start() (*saved, error) {
	if t.o.Continue {
		last, err := t.lastSaved()
		if err != nil {
			return nil, err
		}
		t.state = last.state
		changed := t.state.Recipe.override(t.o)
		if t.state.Epoch >= t.state.Recipe.Epochs { // it is only validated
			err = t.mayValidate(last.name, last.Checkpoint)
		} else {
			err = t.mayContinue(last)
		}
		if err != nil {
			return nil, err
		}
		t.log.note("continuing from %s, at %s", last.name, last.state.at())
		if n := len(t.state.Restarts); n > 0 {
			t.log.note("after %d restarts the initial learning rate is %g instead of %g", n, t.state.slowed().LearningRate, t.state.Recipe.LearningRate)
		}
		if t.o.PretrainedWeights != "" {
			t.log.warn("the pretrained weights are not used: the training continues from its checkpoint")
		}
		for _, c := range changed {
			t.log.warn("not as the training began: %s", c)
		}
		if before, now := t.state.Precision, t.device.Precision(); before != "" && before != now {
			t.log.note("precision %s -> %s: the weights of the checkpoint are fp32 and serve both", before, now)
		}
		return last, nil
	}
	p, err := newRecipe(t.o, len(t.split.Train), len(t.split.Val), t.plans.Stage().BatchSize)
	if err != nil {
		return nil, err
	}
	t.state = state{Recipe: p}
	fresh := i3d.NewStateDict(t.config, rand.New(rand.NewPCG(feed.Mix(t.state.Recipe.Seed), initStream)))
	if t.o.PretrainedWeights != "" {
		if err := t.usePretrained(fresh); err != nil {
			return nil, err
		}
	}
	return &saved{Checkpoint: &checkpoint.Checkpoint{Weights: fresh}}, nil
}

// initStream separates the random numbers of the initial weights from those of the samples.
const initStream = 0x77656967687473 // "weights"

// startLoader begins to prepare batches from where the state stands.
func (t *trainer) startLoader() {
	p, shape := t.state.Recipe, t.plans.Stage().ImageSize
	pipelines := make([]*augment.Pipeline, t.o.Workers)
	for i := range pipelines {
		pipelines[i] = augment.NewPipeline(t.augmentation(), shape, len(t.plans.Modalities))
	}
	t.loader = feed.NewLoader(p.feeding(), t.data, t.members, len(t.config.Outputs),
		t.config.InChannels*shape[0]*shape[1]*shape[2], pipelines,
		feed.Positions(p.feeding(), t.state.Epoch, len(t.state.TrainPart), len(t.state.ValPart)))
	if d, ok := t.device.(device.Prefetcher); ok {
		t.loader.SendAhead(d.Prefetch)
	}
}

// augmentation is nnU-Net's chain with what the plan decides.
func (t *trainer) augmentation() augment.Params {
	p := augment.DefaultParams(t.plans.Stage().DoDummy2D, t.plans.UseMaskForNorm, len(t.plans.Modalities))
	p.ROILabels = t.plans.NumClasses
	return p
}

// finish writes the final checkpoint of a training that has come to its end, and removes what only served to get there.
// A checkpoint it was continued from that stands at the end already takes the place of a new one.
func (t *trainer) finish(from *saved) error {
	switch {
	case t.o.DisableSaving:
	case from == nil:
		if err := t.save(checkpoint.Final); err != nil {
			return err
		}
	case from.name != checkpoint.Final:
		if err := checkpoint.Write(t.foldDir, checkpoint.Final, from.Checkpoint, from.state); err != nil {
			return err
		}
	}
	for _, name := range []string{checkpoint.Latest, checkpoint.Healthy} {
		if err := checkpoint.Remove(t.foldDir, name); err != nil {
			return err
		}
	}
	return checkpoint.RemoveSetAside(t.foldDir)
}

// trainedWeights are those that -val validates.
func (t *trainer) trainedWeights() (*weights.StateDict, error) {
	name := checkpoint.Final
	if t.o.ValBest {
		name = checkpoint.Best
		if !checkpoint.Exists(t.foldDir, name) {
			t.log.warn("there is no %s; validating the last checkpoint instead", checkpoint.Best)
			last, err := t.lastSaved()
			if err != nil {
				return nil, err
			}
			t.state = last.state
			return t.toValidate(last.name, last.Checkpoint)
		}
	}
	c, err := checkpoint.Read(t.foldDir, name)
	if errors.Is(err, checkpoint.ErrNotFound) {
		return nil, task.NotTrained(remedy.With(fmt.Errorf("fold %s of %s is not trained: %w; train it first, or continue its training", t.o.Fold, t.o.Task, err),
			t.retrain(remedy.Anew), remedy.Set{Option: remedy.ContinueTraining}))
	}
	if err != nil {
		return nil, err
	}
	if err := c.Model.Check(t.o.Task, t.config.InChannels, t.config.Outputs); err != nil {
		return nil, fmt.Errorf("%s: %w", checkpoint.Path(t.foldDir, name), err)
	}
	if c.Training(&t.state) != nil { // weights brought from elsewhere validate as well
		t.state = state{}
	}
	return t.toValidate(name, c)
}

// toValidate are the weights of a checkpoint, if it may be validated.
func (t *trainer) toValidate(name string, c *checkpoint.Checkpoint) (*weights.StateDict, error) {
	if err := t.mayValidate(name, c); err != nil {
		return nil, err
	}
	t.validated = validated{name, c.Origin}
	return c.Weights, nil
}

// draw writes progress.png; a plot that fails does not stop anything.
func (t *trainer) draw() {
	t.drawnAt = time.Now()
	path := filepath.Join(t.foldDir, "progress.png")
	err := report.ProgressPlot(path, report.Progress{TrainLoss: t.state.TrainLosses, ValLoss: t.state.ValLosses,
		AUC: t.state.series(aucOf), BalancedAccuracy: t.state.series(balancedAccuracyOf)})
	if err != nil {
		t.log.warn("%s: %v", path, err)
		return
	}
	t.pictureEvents(path)
}
