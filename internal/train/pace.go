package train

import (
	"time"

	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/mirror"
)

// pace is how long the parts of a training have taken in this run, from which follows how long the rest will take.
type pace struct {
	training, validating, saving mean64
	looking                      mean64 // per case that the network alone looks at
	epochs, best                 int    // that have ended, and those after which model_best was written
}

// mean64 is the mean of durations.
type mean64 struct {
	total time.Duration
	n     int
}

func (m *mean64) add(d time.Duration, n int) {
	m.total += d
	m.n += n
}

func (m *mean64) mean() time.Duration {
	if m.n == 0 {
		return 0
	}
	return m.total / time.Duration(m.n)
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

// saved takes in a checkpoint.
func (p *pace) saved(d time.Duration) { p.saving.add(d, 1) }

// ended takes in the end of an epoch.
func (p *pace) ended(best bool) {
	p.epochs++
	if best {
		p.best++
	}
}

// left is how long the training and its validation will still take after an epoch has ended: iterations, checkpoints
// and the validation cases with their mirror images, each at its mean time so far.
func (t *trainer) left() time.Duration {
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
	left += time.Duration(saves) * t.pace.saving.mean()

	mirrors := 1
	if p.MirrorValidation {
		mirrors = len(mirror.All())
	}
	return left + time.Duration(len(t.members[feed.Validating])*mirrors)*t.perCase()
}

// perCase is the time of a case in a validation iteration or, without any, a third of that in a training iteration,
// which goes back through the network, too.
func (t *trainer) perCase() time.Duration {
	if t.pace.looking.n == 0 {
		return t.pace.training.mean() / time.Duration(3*t.state.Recipe.BatchSize)
	}
	return t.pace.looking.mean()
}
