package health

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/remedy"
)

// Sign is a kind of trouble.
type Sign string

// The signs.
const (
	NotLearning       Sign = "not learning"        // the loss stays at the entropy of the class frequencies
	Forgotten         Sign = "forgotten"           // the loss is back at the entropy of the class frequencies
	DeadChannels      Sign = "dead channels"       // many channels pass nothing on
	ExplodingGradient Sign = "exploding gradient"  //
	VanishingGradient Sign = "vanishing gradient"  //
	OneClass          Sign = "one class predicted" // for every validation case
	Overlearning      Sign = "overlearning"        // the validation loss rises while the training loss falls
)

const (
	flatShare        = 0.98 // of the entropy: a training loss above has told nothing of the cases
	learnedShare     = 0.9  // of the entropy: a training loss below has told something
	wellLearnedShare = 0.8  // of the entropy: no noise brings a training loss back from below to the entropy for several epochs
	learningSteps    = 250  // iterations that a network may need before it has learned anything (docs/ACCURACY.md: 190)
	hopelessLoss     = 1.25 // times the entropy: a training loss above for long is not that of a network that learns
	deadShare        = 0.3
	settlingSteps    = 50  // iterations until the running statistics of batch norm, which keep 0.9 at each, are those of the network
	explodingNorm    = 100 // times the median of the epochs before; the gradient of a healthy training gets smaller
	explodingLoss    = 3   // times the entropy
	vanishingNorm    = 1e-3
	chanceErrors     = 1.64 // standard errors above 0.5 up to which an AUC may be chance (one-sided, 95 %)
	riseShare        = 0.3  // by which the validation loss must rise to count, of its lowest,
	riseEntropy      = 0.1  // of the entropy,
	riseErrors       = 3    // and in standard errors of the two means
	fallShare        = 0.2  // by which the training loss must fall meanwhile
)

// What helps against signs.
var (
	lowerRate   = remedy.Set{Option: remedy.LearningRate}
	fewerEpochs = remedy.Set{Option: remedy.Epochs}
)

func advise(r remedy.Remedy, format string, args ...any) remedy.Note {
	return remedy.Notef(format, args...).See(r)
}

// signs are looked for in this order. look returns what was seen and what to do, empty if the sign is not there.
var signs = []struct {
	sign Sign
	look func(*Monitor) (note remedy.Note, collapse bool)
}{
	{Forgotten, (*Monitor).forgotten},
	{ExplodingGradient, (*Monitor).exploding},
	{VanishingGradient, (*Monitor).vanishing},
	{NotLearning, (*Monitor).notLearning},
	{DeadChannels, (*Monitor).dead},
	{OneClass, (*Monitor).oneClass},
	{Overlearning, (*Monitor).overlearning},
}

// present reports whether one of the signs has been reported and not been gone for long.
func (m *Monitor) present(of ...Sign) bool {
	return slices.ContainsFunc(of, func(s Sign) bool { _, there := m.absent[s]; return there })
}

// longEnough reports whether the training has had the time to learn something.
func (m *Monitor) longEnough() bool { return m.now()*m.cohort.Iterations >= learningSteps }

// ended reports whether the training is over.
func (m *Monitor) ended() bool { return m.now() >= m.cohort.Epochs }

// notLearning takes an AUC that is better than chance for a sign of life, unless the loss is far above the entropy or
// the network half dead.
func (m *Monitor) notLearning() (remedy.Note, bool) {
	n := m.long()
	recent := m.last(n)
	if len(m.epochs) < 2*n || !m.longEnough() && !m.ended() || m.present(Forgotten, ExplodingGradient, VanishingGradient) { // which say it better
		return remedy.Note{}, false
	}
	loss := median(recent, trainLoss)
	hopeless := loss > hopelessLoss*m.entropy || median(recent, deadChannels) > deadShare || m.atChance(recent)
	if loss < flatShare*m.entropy || !hopeless {
		return remedy.Note{}, false
	}
	return advise(lowerRate, "the network is not learning: over the last %d epochs the training loss was %.3f, and knowing only how frequent the classes are would give %.3f%s. "+
		"Train with a lower learning rate; if that does not help either, see whether a person could tell the classes apart in the preprocessed images",
		n, loss, m.entropy, m.aucText(recent)), m.longEnough()
}

func (m *Monitor) forgotten() (remedy.Note, bool) {
	recent := m.last(m.short())
	if recent == nil {
		return remedy.Note{}, false
	}
	for _, e := range recent {
		if e.TrainLoss < flatShare*m.entropy {
			return remedy.Note{}, false
		}
	}
	best, end := m.lowest(m.epochs, trainLoss)
	if !(best < wellLearnedShare*m.entropy) {
		return remedy.Note{}, false
	}
	return advise(lowerRate, "the network has lost what it had learned: the training loss was %.3f around epoch %d and has been %.3f over the last %d epochs; knowing only how "+
		"frequent the classes are would give %.3f. Train with a lower learning rate", best, m.epochs[end-1].Number, mean(recent, trainLoss), len(recent), m.entropy), true
}

func (m *Monitor) exploding() (remedy.Note, bool) {
	n := m.short()
	recent := m.last(n)
	if len(m.epochs) < 2*n {
		return remedy.Note{}, false
	}
	usual := median(m.epochs[:len(m.epochs)-n], gradNorm)
	for _, e := range recent {
		grown := e.GradNorm >= explodingNorm*usual && e.TrainLoss >= flatShare*m.entropy // others do no harm
		if !grown && e.TrainLoss < explodingLoss*m.entropy {
			return remedy.Note{}, false
		}
	}
	return advise(lowerRate, "the training is unstable: over the last %d epochs the gradient's norm was %.3g and the training loss %.3f, where knowing only how frequent the "+
		"classes are would give %.3f. Train with a lower learning rate", n, mean(recent, gradNorm), mean(recent, trainLoss), m.entropy), true
}

func (m *Monitor) vanishing() (remedy.Note, bool) {
	recent := m.last(m.short())
	if recent == nil {
		return remedy.Note{}, false
	}
	for _, e := range recent {
		if e.GradNorm >= vanishingNorm || e.TrainLoss < learnedShare*m.entropy {
			return remedy.Note{}, false
		}
	}
	return advise(lowerRate, "the gradient has vanished: over the last %d epochs its norm was %.2g while the training loss was still %.3f, so the weights no longer change. "+
		"Train with a lower learning rate", len(recent), mean(recent, gradNorm), mean(recent, trainLoss)), true
}

// dead passes over single epochs, and those at the start: in evaluation mode a channel may be dead until batch norm's
// running statistics have settled.
func (m *Monitor) dead() (remedy.Note, bool) {
	recent := m.last(m.short())
	lively := func(e Epoch) bool { return e.DeadChannels < deadShare }
	if recent == nil || recent[0].Number*m.cohort.Iterations < settlingSteps || slices.ContainsFunc(recent, lively) {
		return remedy.Note{}, false
	}
	return advise(lowerRate, "%.0f %% of the network's channels are dead: they put out 0 for every image looked at and seldom recover. The learning rate is or was too high; train with a lower "+
		"one", 100*recent[len(recent)-1].DeadChannels), false
}

// oneClass looks for longer than other signs do, and at networks that rank the cases not before the last third of the
// training: such a network may well put all cases of a rare class below one half for a while.
func (m *Monitor) oneClass() (remedy.Note, bool) {
	n := 2 * m.long()
	recent := m.last(n)
	if recent == nil {
		return remedy.Note{}, false
	}
	for k, l := range m.cohort.Labels {
		class, cases := m.onlyClass(recent, k)
		if class < 0 {
			continue
		}
		what := fmt.Sprintf("every validation case (%d in the last epoch) was predicted %q of label %q over the last %d epochs%s. ",
			cases, l.Values[class], l.Name, n, labelAUC(recent, k, l.Name))
		switch {
		case m.chance(recent, k) && (m.longEnough() || m.ended()):
			return remedy.Note{Text: what + "The network does not tell the classes apart: train with a lower learning rate"}.See(lowerRate), false
		case !m.chance(recent, k) && 3*recent[n-1].Number > 2*m.cohort.Epochs:
			return remedy.Note{Text: what + "The cases are ranked by what was learned, but none gets beyond one half, as happens with rare classes: use the probabilities with a threshold of your " +
				"own, not the predicted class, or train on more cases of the other classes"}, false
		}
	}
	return remedy.Note{}, false
}

// lowest returns the lowest mean of a number over a long stretch of the epochs and where the stretch ends; infinite if
// there are too few.
func (m *Monitor) lowest(epochs []Epoch, of func(Epoch) float64) (value float64, end int) {
	value = math.Inf(1)
	for i := m.long(); i <= len(epochs); i++ {
		if v := mean(epochs[i-m.long():i], of); v < value {
			value, end = v, i
		}
	}
	return value, end
}

// onlyClass returns the class that every validation case was predicted in the epochs for label k though there are
// several, and how many cases there were in the last of them; -1 if there is none.
func (m *Monitor) onlyClass(epochs []Epoch, k int) (class, cases int) {
	class = -1
	for _, e := range epochs {
		o := e.Outcomes[k]
		if classesOf(o.Cases) < 2 || classesOf(o.Predicted) != 1 {
			return -1, 0
		}
		cases = 0
		for c, n := range o.Predicted {
			if n == 0 {
				continue
			}
			if class >= 0 && class != c {
				return -1, 0
			}
			class, cases = c, n
		}
	}
	return class, cases
}

// classesOf counts the classes that have cases.
func classesOf(counts []int) (classes int) {
	for _, n := range counts {
		if n > 0 {
			classes++
		}
	}
	return classes
}

func (m *Monitor) overlearning() (remedy.Note, bool) {
	n := m.long()
	recent := m.last(n)
	if len(m.epochs) < 2*n {
		return remedy.Note{}, false
	}
	lowest, end := m.lowest(m.epochs[:len(m.epochs)-n], valLoss)
	if end == 0 {
		return remedy.Note{}, false
	}
	before := m.epochs[end-n : end]
	val, train, trainBefore := mean(recent, valLoss), mean(recent, trainLoss), mean(before, trainLoss)
	noise := math.Sqrt(squaredError(recent, valLoss) + squaredError(before, valLoss))
	if rise := val - lowest; !(rise > max(riseShare*lowest, riseEntropy*m.entropy, riseErrors*noise) && train < (1-fallShare)*trainBefore) {
		return remedy.Note{}, false
	}
	return advise(fewerEpochs, "overlearning: from epoch %d to %d the validation loss rose from %.3f to %.3f while the training loss fell from %.3f to %.3f (means over %d epochs)%s. "+
		"model_best keeps the network from before; fewer epochs would save the time, more cases or a network pretrained on similar scans would help",
		before[n-1].Number, recent[n-1].Number, lowest, val, trainBefore, train, n, m.change(before, recent)), false
}

// change says how the AUC changed meanwhile.
func (m *Monitor) change(before, after []Epoch) string {
	a, b := auc(before), auc(after)
	if math.IsNaN(a) || math.IsNaN(b) {
		return ""
	}
	return fmt.Sprintf("; AUC %.3f then, %.3f now", a, b)
}

// auc is the mean AUC over labels and epochs where it is defined, NaN if it never is.
func auc(epochs []Epoch) float64 {
	sum, n := 0.0, 0
	for _, e := range epochs {
		for _, o := range e.Outcomes {
			if o.AUC.Defined() {
				sum, n = sum+float64(o.AUC), n+1
			}
		}
	}
	return sum / float64(n)
}

// labelEpochs are the epochs with the outcome of label k alone.
func labelEpochs(epochs []Epoch, k int) []Epoch {
	of := make([]Epoch, len(epochs))
	for i, e := range epochs {
		of[i].Outcomes = e.Outcomes[k : k+1]
	}
	return of
}

// atChance reports whether no label's AUC differs from that of guessing.
func (m *Monitor) atChance(epochs []Epoch) bool {
	for k := range m.cohort.Labels {
		if !m.chance(epochs, k) {
			return false
		}
	}
	return true
}

// chance reports whether the AUC of label k may be that of guessing. An undefined one is not evidence of learning.
func (m *Monitor) chance(epochs []Epoch, k int) bool {
	return !(auc(labelEpochs(epochs, k)) > 0.5+chanceErrors*chanceError(epochs[len(epochs)-1].Outcomes[k].Cases))
}

// chanceError is the standard error of the AUC of guessing over cases of the given classes (Mann & Whitney 1947), of
// the largest class against the rest if there are more than two; an upper bound of their mean's.
func chanceError(cases []int) float64 {
	total, largest := 0, 0
	for _, n := range cases {
		total, largest = total+n, max(largest, n)
	}
	rest := total - largest
	if rest == 0 {
		return 0.5
	}
	return math.Sqrt(float64(total+1) / (12 * float64(rest) * float64(largest)))
}

// aucText names the validation AUC of every label for a message.
func (m *Monitor) aucText(epochs []Epoch) string {
	var b strings.Builder
	for k, l := range m.cohort.Labels {
		b.WriteString(labelAUC(epochs, k, l.Name))
	}
	return b.String()
}

func labelAUC(epochs []Epoch, k int, name string) string {
	v := auc(labelEpochs(epochs, k))
	if math.IsNaN(v) {
		return ""
	}
	return fmt.Sprintf(", validation AUC of %q %.3f", name, v)
}
