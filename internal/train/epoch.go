package train

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/interrupt"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/remedy"
)

const (
	saveEveryEpochs = 50               // model_latest, as nnU-Net
	saveEvery       = 10 * time.Minute // model_latest at least this often, so that little is lost when a machine goes down
	drawEvery       = 20 * time.Second // progress.png at most this often
)

// fit trains from where the state stands to the last epoch.
func (t *training) fit(ctx context.Context) error {
	defer interrupt.Hold(ctx)() // an iteration comes to its end, and its checkpoint onto the disk
	t.stage()
	for t.state.Epoch < t.state.Recipe.Epochs {
		err := t.epoch(ctx)
		if err == nil {
			continue
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return t.interrupted(err)
		}
		if errors.Is(err, errCases) {
			return fmt.Errorf("%w; %w", err, t.interrupted(err))
		}
		if err = t.recover(err); err != nil {
			return err
		}
		t.stage()
	}
	return nil
}

// stage begins the count of the iterations that are left.
func (t *training) stage() {
	p := t.state.Recipe
	total := (p.Epochs - t.state.Epoch) * (p.Iterations + p.ValIterations)
	t.log.Stage("training", max(0, total-len(t.state.TrainPart)-len(t.state.ValPart)))
}

// errCases is wrapped when the cases can no longer be read, which is not a reason to lose what was trained.
var errCases = errors.New("the training cases cannot be read any more")

// stopped is what became of a training that could not be kept when it was stopped; it wraps the cause without telling
// of it.
type stopped struct{ err, cause error }

func (e *stopped) Error() string   { return e.err.Error() }
func (e *stopped) Unwrap() []error { return []error{e.err, e.cause} }

// interrupted keeps what the training has reached and says how to continue.
func (t *training) interrupted(cause error) error {
	if err := t.save(checkpoint.Latest); err != nil {
		return &stopped{err, cause}
	}
	return &InterruptedError{Task: t.o.Task, Trainer: t.o.Trainer, Plans: t.o.Plans, Fold: t.o.Fold, At: t.state.at(), Cause: cause}
}

// epoch runs what is left of the current epoch and what belongs to its end.
func (t *training) epoch(ctx context.Context) error {
	p := t.state.slowed()
	began, first, trained := time.Now(), t.clock.iterations == 0, len(t.state.TrainPart)
	for len(t.state.TrainPart) < p.Iterations {
		err := t.iteration(ctx, feed.Training, len(t.state.TrainPart), func(b *feed.Batch) (float64, error) {
			result, err := t.network.Step(b.Data, b.Targets, p.step(b.Epoch, b.Iteration))
			if errors.Is(err, i3d.ErrNotFinite) {
				err = t.diverged(result, b)
			}
			t.state.TrainPart = append(t.state.TrainPart, result.Loss)
			t.state.GradNorms = append(t.state.GradNorms, result.GradNorm)
			if keep, due := p.averageKeep(b.Epoch*p.Iterations + b.Iteration + 1); due && err == nil {
				err = t.network.UpdateAverage(keep)
			}
			return result.Loss, err
		})
		if err != nil {
			return err
		}
		t.tellTime()
	}
	trainTime, waited := time.Since(began), t.loader.TakeWaited()
	startUp := time.Duration(0)
	if first && t.clock.iterations > 1 {
		startUp = t.clock.firstDone.Sub(began)
	}
	t.pace.trained(trainTime, len(t.state.TrainPart)-trained, startUp)
	validating, validated := time.Now(), len(t.state.ValPart)
	for len(t.state.ValPart) < p.ValIterations {
		err := t.iteration(ctx, feed.Validating, len(t.state.ValPart), func(b *feed.Batch) (float64, error) {
			began := time.Now()
			loss, logits, err := t.network.EvalLoss(b.Data, b.Targets)
			if b.Iteration > 0 || p.ValIterations == 1 { // the first one folds weights
				t.pace.looked(time.Since(began), len(b.Cases))
			}
			t.state.ValPart = append(t.state.ValPart, loss)
			t.state.see(b, logits)
			if b.Iteration == 0 && err == nil {
				t.state.Dead, err = t.network.DeadChannels(b.Data, len(b.Cases))
			}
			return loss, err
		})
		if err != nil {
			return err
		}
	}
	t.loader.TakeWaited()
	t.pace.validated(time.Since(validating), len(t.state.ValPart)-validated)
	return t.endEpoch(began, trainTime, waited)
}

// iteration fetches a batch, hands it to run and looks at the loss that comes back.
func (t *training) iteration(ctx context.Context, half feed.Phase, number int, run func(*feed.Batch) (loss float64, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := t.loader.Next(ctx)
	if err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errCases, err)
		}
		return err
	}
	if want := (feed.Position{Phase: half, Epoch: t.state.Epoch, Iteration: number}); b.Position != want {
		panic(fmt.Sprintf("train: batch of %v instead of %v", b.Position, want))
	}
	loss, err := run(b)
	if err == nil && !numeric.Finite(loss) {
		err = t.diverged(i3d.StepResult{Loss: loss}, b)
	}
	if err != nil {
		return err
	}
	t.loader.Release(b)
	t.clock.tick()
	t.log.Advance(fmt.Sprintf("epoch %d/%d, loss %.4f", t.state.Epoch+1, t.state.Recipe.Epochs, loss))
	if time.Since(t.clock.savedAt) > t.saveEvery {
		return t.save(checkpoint.Latest)
	}
	return nil
}

// endEpoch takes the losses in, reports the epoch and writes what is due.
func (t *training) endEpoch(began time.Time, trainTime, waited time.Duration) error {
	p := t.state.slowed()
	rate := p.rate(t.state.Epoch+1, 0)
	trainLoss, valLoss := mean(t.state.TrainPart), t.valLoss()
	best := t.state.EndEpoch(trainLoss, valLoss, rate)
	t.state.Epochs = append(t.state.Epochs, t.measure())
	t.state.TrainPart, t.state.ValPart, t.state.measures = nil, nil, measures{}
	t.state.Epoch++
	t.pace.ended(best)

	left := ""
	if t.state.Epoch < p.Epochs {
		left = fmt.Sprintf(", %s left with the validation", span(t.left()))
	}
	took, waiting := time.Since(began), waited.Seconds()/max(trainTime.Seconds(), 1e-9)
	t.log.note("epoch %d/%d: training loss %.4f, validation loss %.4f%s, learning rate %.3g; %s (%.1f %% of training waiting for data)%s",
		t.state.Epoch, p.Epochs, trainLoss, valLoss, t.state.outcomeText(), p.rate(t.state.Epoch-1, p.Iterations-1),
		span(took), 100*waiting, left)
	t.tellEvents(took, waiting)

	if err := t.examine(); err != nil {
		return err
	}
	if t.state.Epoch%saveEveryEpochs == 0 {
		if err := t.save(checkpoint.Latest); err != nil {
			return err
		}
	}
	if best && !t.o.DisableSaving {
		if err := t.save(checkpoint.Best); err != nil {
			return err
		}
	}
	if time.Since(t.clock.drawnAt) > drawEvery || t.state.Epoch == p.Epochs {
		t.draw()
	}
	return nil
}

// valLoss is the mean loss of the epoch's validation cases.
func (t *training) valLoss() float64 {
	total, cases := 0.0, 0
	for i, loss := range t.state.ValPart {
		n := t.state.Recipe.feeding().Size(feed.Position{Phase: feed.Validating, Epoch: t.state.Epoch, Iteration: i}, len(t.split.Val))
		total += loss * float64(n)
		cases += n
	}
	return total / float64(cases)
}

// tellTime gives an estimate once a few steps have been measured.
func (t *training) tellTime() {
	if !t.clock.tell() {
		return
	}
	p := t.state.Recipe
	per := t.clock.perIteration()
	t.log.note("first steps: %s per iteration of %d cases; about %s per epoch and %s in all",
		perStep(per), p.BatchSize, span(per*time.Duration(p.Iterations+p.ValIterations)),
		span(per*time.Duration((p.Epochs-t.state.Epoch)*(p.Iterations+p.ValIterations))))
}

// diverged is the error of a loss or gradient that is not finite, with advice.
func (t *training) diverged(r i3d.StepResult, b *feed.Batch) error {
	half := "training"
	if b.Phase == feed.Validating {
		half = "validation"
	}
	kind, cases := ErrDiverged, strings.Join(b.Cases, ", ")
	if broken := brokenCases(b); broken != nil {
		kind, cases = errBrokenCase, strings.Join(broken, ", ")
	}
	return remedy.With(fmt.Errorf("%w in epoch %d, %s iteration %d: loss %v, norm of the gradient %v (cases %s). The checkpoints written before are untouched. "+
		"Look for broken values in these cases, or train anew with a lower learning rate",
		kind, b.Epoch+1, half, b.Iteration+1, r.Loss, r.GradNorm, cases), remedy.Plan{Task: t.o.Task, Verify: true}, remedy.Set{Option: remedy.LearningRate})
}

// errBrokenCase is an ErrDiverged that comes from values of the cases themselves, so that no learning rate would
// prevent it.
var errBrokenCase = fmt.Errorf("%w on images that hold values that are not finite,", ErrDiverged)

// brokenCases names the cases of the batch with voxels that are not finite.
func brokenCases(b *feed.Batch) (cases []string) {
	voxels := len(b.Data) / len(b.Cases)
	for i, id := range b.Cases {
		if !numeric.AllFinite(b.Data[i*voxels:][:voxels]) {
			cases = append(cases, id)
		}
	}
	return cases
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
