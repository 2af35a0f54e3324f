package train

import (
	"maps"
	"slices"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/train/health"
)

// measures is what was measured in the epoch under way, in addition to the losses.
type measures struct {
	GradNorms []float64  `json:"gradient_norms_of_epoch"` // before clipping
	Dead      float64    `json:"dead_channels_of_epoch"`  // share, for the first validation batch
	Seen      []seenCase `json:"validation_of_epoch"`
}

// seenCase is the network's output for a case of a validation iteration.
type seenCase struct {
	Case   string      `json:"case"`
	Logits [][]float32 `json:"logits"` // per label and class
}

// see keeps the logits (per label, (N, classes)) of a validation batch. A case that was drawn before in the epoch has
// the same again.
func (m *measures) see(b *feed.Batch, logits [][]float32) {
	for i, id := range b.Cases {
		c := seenCase{Case: id}
		for _, of := range logits {
			classes := len(of) / len(b.Cases)
			c.Logits = append(c.Logits, of[i*classes:][:classes])
		}
		m.Seen = append(m.Seen, c)
	}
}

// gradNorm is the median norm of the epoch's gradients, 0 if no step was made.
func (m *measures) gradNorm() float64 {
	skipped := func(n float64) bool { return n < 0 } // the step, by the device
	norms := slices.DeleteFunc(slices.Clone(m.GradNorms), skipped)
	if len(norms) == 0 {
		return 0
	}
	slices.Sort(norms)
	return norms[len(norms)/2]
}

// outcomes measures the cases that the epoch's validation iterations looked at, each of them once, per label of the
// given number of classes.
func (m *measures) outcomes(classes []int, targetsOf func(id string) []int) []health.Outcome {
	distinct := map[string]evaluate.Prediction{}
	for _, s := range m.Seen {
		p := evaluate.NewPrediction(s.Case, classes, 1, 1)
		p.Add(s.Logits, 1)
		distinct[s.Case] = p
	}
	ids := slices.Sorted(maps.Keys(distinct))
	out := make([]health.Outcome, len(classes))
	for k, n := range classes {
		o := health.Outcome{Cases: make([]int, n), Predicted: make([]int, n)}
		var targets, predicted []int
		var probabilities [][]float64
		for _, id := range ids {
			p := distinct[id].Probabilities[k]
			target, class := targetsOf(id)[k], evaluate.Argmax(p)
			o.Cases[target]++
			o.Predicted[class]++
			targets, predicted, probabilities = append(targets, target), append(predicted, class), append(probabilities, p)
		}
		o.BalancedAccuracy = evaluate.Number(evaluate.BalancedAccuracy(evaluate.Confusion(targets, predicted, n)))
		o.AUC = evaluate.Number(meanAUC(targets, probabilities, n))
		out[k] = o
	}
	return out
}

// meanAUC is the mean area under the ROC curve of one class against the rest over the classes for which it is defined,
// NaN if it is for none. Unlike evaluate.MacroAUC it does without a class that no case has.
func meanAUC(targets []int, probabilities [][]float64, classes int) float64 {
	sum, defined := 0.0, 0
	truth, scores := make([]bool, len(targets)), make([]float64, len(targets))
	for class := range classes {
		for i, t := range targets {
			truth[i], scores[i] = t == class, probabilities[i][class]
		}
		if auc, err := evaluate.ROCAUC(truth, scores); err == nil {
			sum, defined = sum+auc, defined+1
		}
	}
	return sum / float64(defined)
}

// meanOverLabels is the mean of a number over the labels where it is defined, NaN if it is for none.
func meanOverLabels(outcomes []health.Outcome, of func(health.Outcome) evaluate.Number) float64 {
	sum, n := 0.0, 0
	for _, o := range outcomes {
		if v := of(o); v.Defined() {
			sum, n = sum+float64(v), n+1
		}
	}
	return sum / float64(n)
}

func aucOf(o health.Outcome) evaluate.Number              { return o.AUC }
func balancedAccuracyOf(o health.Outcome) evaluate.Number { return o.BalancedAccuracy }
