package train

import (
	"time"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/mirror"
	"github.com/universal-classifier/uc/internal/weights"
)

// pace is how long the parts of a training have taken in this run, from which follows how long the rest will take.
type pace struct {
	training, validating, saving recent // saving: per copy of the network
	looking                      recent // per case that the network alone looks at
	epochs, best                 int    // that have ended, and those after which model_best was written
}

// recent is a mean of durations in which earlier ones count less and less, as what else the machine does changes.
type recent struct{ seconds, weight float64 }

// fading is how much earlier durations count when another comes.
const fading = 0.7

func (r *recent) add(d time.Duration, n int) {
	r.seconds = fading*r.seconds + d.Seconds()
	r.weight = fading*r.weight + float64(n)
}

func (r *recent) mean() time.Duration {
	if r.weight == 0 {
		return 0
	}
	return time.Duration(r.seconds / r.weight * float64(time.Second))
}

// trained takes in the training iterations of an epoch. The first iteration of a run takes longer, by what the device
// prepares in it; startUp is its time, 0 in later epochs, and it counts for nothing where there are others.
func (p *pace) trained(d time.Duration, iterations int, startUp time.Duration) {
	if startUp > 0 {
		d, iterations = d-startUp, iterations-1
	}
	p.training.add(d, iterations)
}

// validated takes in the validation iterations of an epoch.
func (p *pace) validated(d time.Duration, iterations int) { p.validating.add(d, iterations) }

// looked takes in the network's time for the cases of a validation iteration.
func (p *pace) looked(d time.Duration, cases int) { p.looking.add(d, cases) }

// saved takes in a checkpoint that holds so many copies of the network: the first ones of a training have no moments.
func (p *pace) saved(d time.Duration, copies int) { p.saving.add(d, copies) }

// copies is how many tensors of each parameter a checkpoint holds.
func copies(c *checkpoint.Checkpoint) int {
	n := 1
	for _, more := range []*weights.StateDict{c.Momentum, c.Second, c.Current} {
		if more != nil && len(more.Names()) > 0 {
			n++
		}
	}
	return n
}

// copies is how many a checkpoint will hold once the training is under way.
func (p *Recipe) copies() int {
	n := 2
	if p.Optimiser == AdamW {
		n++
	}
	if p.Average > 0 {
		n++
	}
	return n
}

// ended takes in the end of an epoch.
func (p *pace) ended(best bool) {
	p.epochs++
	if best {
		p.best++
	}
}

// left is how long the training and its validation will still take after an epoch has ended: iterations, checkpoints
// and the validation cases with their mirror images, each at its recent mean.
func (t *training) left() time.Duration {
	p, done := t.state.Recipe, t.state.Epoch
	more := p.Epochs - done
	left := time.Duration(more) * (time.Duration(p.Iterations)*t.pace.training.mean() + time.Duration(p.ValIterations)*t.pace.validating.mean())

	saves := 1 + p.Epochs/saveEveryEpochs - done/saveEveryEpochs + int(left/t.saveEvery)
	if p.Restarts > 0 {
		every := ceilDiv(p.Epochs, healthyParts)
		saves += p.Epochs/every - done/every
	}
	if !t.o.DisableSaving {
		// How often the validation loss will fall below all before is not known; at first, half of the times is a fair
		// guess.
		const guess, weight = 0.5, 10
		saves += int(float64(more) * (float64(t.pace.best) + guess*weight) / float64(t.pace.epochs+weight))
	}
	left += time.Duration(saves*p.copies()) * t.pace.saving.mean()

	mirrors := 1
	if p.MirrorValidation {
		mirrors = len(mirror.All())
	}
	return left + time.Duration(len(t.members[feed.Validating])*mirrors)*t.perCase()
}

// perCase is the time of a case in a validation iteration or, without any, a third of that in a training iteration,
// which goes back through the network, too.
func (t *training) perCase() time.Duration {
	if t.pace.looking.weight == 0 {
		return t.pace.training.mean() / time.Duration(3*t.state.Recipe.BatchSize)
	}
	return t.pace.looking.mean()
}
