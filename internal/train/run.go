package train

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/report"
	"github.com/universal-classifier/uc/internal/tensorboard"
	"github.com/universal-classifier/uc/internal/train/health"
)

// training is a network that is being fitted to a fold: the device with the network, what feeds it, and where it
// stands. It steps.
type training struct {
	*fold
	device  device.Device
	network *i3d.Training
	loader  *feed.Loader
	state   state
	monitor *health.Monitor
	need    need
	pace    pace
	clock   clock

	events   *tensorboard.Writer // nil where it cannot be written
	pictured int                 // epoch of the last picture in it
}

// need is how many bytes a training takes, estimated: of the machine's memory and of the device's own, 0 if it has
// none.
type need struct{ machine, device int64 }

func (t *training) close() {
	if t.loader != nil {
		t.loader.Close()
	}
	t.network.Free()
	t.closeEvents()
}

// train fits a network to the fold on an open device.
func (f *fold) train(ctx context.Context, dev device.Device) (*trained, error) {
	t := &training{fold: f, device: dev, clock: clock{began: f.began}}
	defer t.close() // before the network is built for prediction
	return t.run(ctx)
}

// run trains from the beginning, or from where a checkpoint left it, to the end.
func (t *training) run(ctx context.Context) (*trained, error) {
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
		return &trained{start.Weights, checkpoint.Final, start.Origin, t.state}, t.finish(start)
	}
	if err := t.build(start); err != nil {
		return nil, err
	}
	start = nil // the weights that were read are not needed any more
	if !t.o.Continue {
		if err := t.saveFirst(); err != nil {
			return nil, err
		}
	}
	t.watch()
	t.openEvents()
	t.startLoader()
	t.clock.began, t.clock.savedAt = time.Now(), time.Now()
	if err := t.fit(ctx); err != nil {
		return nil, err
	}
	t.log.note("trained for %s", span(time.Since(t.clock.began)))
	origin, err := t.savedOrigin()
	if err != nil {
		return nil, err
	}
	w, err := t.network.Predicting()
	if err != nil {
		return nil, err
	}
	return &trained{w, checkpoint.Final, origin, t.state}, t.finish(nil)
}

// build makes the network and puts it where the training starts.
func (t *training) build(start *saved) (err error) {
	if t.network, err = i3d.NewTraining(t.device, t.config, t.state.Recipe.BatchSize, t.plans.Stage().ImageSize); err != nil {
		return err
	}
	if err := t.load(start); err != nil {
		return err
	}
	return t.setLossScale()
}

// saveFirst writes the checkpoints with which a training that is killed at any moment can be continued.
func (t *training) saveFirst() error {
	if t.state.Recipe.Restarts > 0 {
		if err := t.save(checkpoint.Healthy); err != nil {
			return err
		}
	}
	return t.save(checkpoint.Latest)
}

// load puts the network where a checkpoint left it.
func (t *training) load(from *saved) error {
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
func (t *training) start() (*saved, error) {
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
	fresh := i3d.NewSmoothStateDict(t.config, t.plans.Stage().ImageSize, rand.New(rand.NewPCG(feed.Mix(p.Seed), initStream)), p.InitialCorrelation)
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
func (t *training) startLoader() {
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

// finish writes the final checkpoint of a training that has come to its end, and removes what only served to get there.
// A checkpoint it was continued from that stands at the end already takes the place of a new one.
func (t *training) finish(from *saved) error {
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

// draw writes progress.png; a plot that fails does not stop anything.
func (t *training) draw() {
	t.clock.drawnAt = time.Now()
	path := filepath.Join(t.foldDir, "progress.png")
	err := report.ProgressPlot(path, report.Progress{TrainLoss: t.state.TrainLosses, ValLoss: t.state.ValLosses,
		AUC: t.state.series(aucOf), BalancedAccuracy: t.state.series(balancedAccuracyOf)})
	if err != nil {
		t.log.warn("%s: %v", path, err)
		return
	}
	t.pictureEvents(path)
}

// augmentation is the recipe's chain with what the plan decides.
func (t *training) augmentation() augment.Params {
	p := t.state.Recipe.Augmentation.chain(t.plans.Stage().DoDummy2D, t.plans.UseMaskForNorm, len(t.plans.Modalities))
	p.ROILabels = t.plans.NumClasses
	return p
}
