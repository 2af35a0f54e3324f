// Package health decides from the numbers that the epochs of a training bring what goes wrong with it.
package health

import (
	"math"
	"slices"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/remedy"
)

// Cohort is what a training is about.
type Cohort struct {
	Labels     []Label
	Epochs     int // planned
	Iterations int // training iterations per epoch
}

// Label is a classification label.
type Label struct {
	Name   string
	Values []string // names of the classes
	Counts []int    // training cases of each class
}

// Entropy is the loss, in nats, of a network that knows how frequent the classes are and nothing else: the sum over
// labels of the entropy of the classes among the training cases.
func (c Cohort) Entropy() float64 {
	h := 0.0
	for _, l := range c.Labels {
		total := 0
		for _, n := range l.Counts {
			total += n
		}
		for _, n := range l.Counts {
			if n > 0 {
				p := float64(n) / float64(total)
				h -= p * math.Log(p)
			}
		}
	}
	return h
}

// Epoch is what an epoch brought.
type Epoch struct {
	Number       int       `json:"-"`             // counted from 1; kept elsewhere in a checkpoint, as are the losses
	TrainLoss    float64   `json:"-"`             // mean over the iterations
	ValLoss      float64   `json:"-"`             // likewise
	GradNorm     float64   `json:"gradient_norm"` // median over the iterations, before clipping
	DeadChannels float64   `json:"dead_channels"` // share, 0 to 1
	Outcomes     []Outcome `json:"validation"`    // per label
}

// Outcome is what the validation cases that an epoch looked at say of one label.
type Outcome struct {
	AUC              evaluate.Number `json:"auc"` // mean over classes of one against the rest; undefined if only one class has cases
	BalancedAccuracy evaluate.Number `json:"balanced_accuracy"`
	Cases            []int           `json:"cases"`     // of each class
	Predicted        []int           `json:"predicted"` // cases by the class predicted for them
}

// Finding is something that goes wrong.
type Finding struct {
	Sign        Sign
	remedy.Note // what was seen and what to do
	// Collapse says that the network has lost, or never gained, what it needs to learn, so that continuing at this
	// learning rate is no use.
	Collapse bool
}

// Monitor watches a training. What it finds follows from the cohort and the epochs alone, so that a Monitor that is
// shown the epochs of a checkpoint stands where the one of the interrupted training stood.
type Monitor struct {
	cohort  Cohort
	entropy float64
	epochs  []Epoch
	absent  map[Sign]int // epochs since the sign was last there, of signs that have been reported and not been gone for long
}

// NewMonitor returns a monitor of a training that has not begun.
func NewMonitor(c Cohort) *Monitor {
	return &Monitor{cohort: c, entropy: c.Entropy(), absent: map[Sign]int{}}
}

// Observe takes in the epoch that has ended and returns what has begun to go wrong with it. A sign that lasts is
// reported once; one that was gone for long may be reported again.
func (m *Monitor) Observe(e Epoch) []Finding {
	m.epochs = append(m.epochs, e)
	var found []Finding
	for _, s := range signs {
		note, collapse := s.look(m)
		_, reported := m.absent[s.sign]
		switch {
		case note.Text != "":
			m.absent[s.sign] = 0
			if !reported {
				found = append(found, Finding{s.sign, note, collapse})
			}
		case reported:
			if m.absent[s.sign]++; m.absent[s.sign] > m.long() {
				delete(m.absent, s.sign)
			}
		}
	}
	return found
}

// Healthy reports whether the network is worth returning to after the last epoch: it has learned something and nothing
// is wrong with it that a lower learning rate would have prevented.
func (m *Monitor) Healthy() bool {
	recent := m.last(m.long())
	return recent != nil && mean(recent, trainLoss) < learnedShare*m.entropy && recent[len(recent)-1].DeadChannels < deadShare
}

// long is the number of epochs that a sign must last before it counts where one epoch says little: an eighth of the
// training.
func (m *Monitor) long() int { return min(max(5, (m.cohort.Epochs+7)/8), 20) }

// short is the same for signs that are unmistakable.
func (m *Monitor) short() int { return max(3, m.long()/4) }

// now is the number of epochs that have ended.
func (m *Monitor) now() int { return m.epochs[len(m.epochs)-1].Number }

// last returns the latest n epochs, nil if there are not so many.
func (m *Monitor) last(n int) []Epoch {
	if len(m.epochs) < n {
		return nil
	}
	return m.epochs[len(m.epochs)-n:]
}

func trainLoss(e Epoch) float64 { return e.TrainLoss }
func valLoss(e Epoch) float64   { return e.ValLoss }
func gradNorm(e Epoch) float64  { return e.GradNorm }

func deadChannels(e Epoch) float64 { return e.DeadChannels }

// median is the median of a number over epochs, the upper one of an even number of them.
func median(epochs []Epoch, of func(Epoch) float64) float64 {
	values := make([]float64, len(epochs))
	for i, e := range epochs {
		values[i] = of(e)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// squaredError is the square of the standard error of the mean of a number over epochs.
func squaredError(epochs []Epoch, of func(Epoch) float64) float64 {
	centre, sum := mean(epochs, of), 0.0
	for _, e := range epochs {
		d := of(e) - centre
		sum += d * d
	}
	n := float64(len(epochs))
	return sum / (n - 1) / n
}

// mean is the mean of a number over epochs.
func mean(epochs []Epoch, of func(Epoch) float64) float64 {
	sum := 0.0
	for _, e := range epochs {
		sum += of(e)
	}
	return sum / float64(len(epochs))
}
