package train

import (
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/train/health"
)

// watch begins to look after the training's health, from where the state stands. Epochs of a checkpoint that was
// written before there were measurements are left out.
func (t *training) watch() {
	c := health.Cohort{Epochs: t.state.Recipe.Epochs, Iterations: t.state.Recipe.Iterations}
	for k, l := range t.plans.Labels {
		c.Labels = append(c.Labels, health.Label{Name: l.Name, Values: l.Values, Counts: t.count(feed.Training, k)})
	}
	t.monitor = health.NewMonitor(c)
	for i := t.state.unmeasured(); i < len(t.state.TrainLosses); i++ {
		t.monitor.Observe(t.state.measured(i))
	}
}

// unmeasured is the number of epochs from the first on of which only the losses are known.
func (h *History) unmeasured() int { return len(h.TrainLosses) - len(h.Epochs) }

// measured is what is known of epoch i, counted from 0.
func (h *History) measured(i int) health.Epoch {
	e := h.Epochs[i-h.unmeasured()]
	e.Number, e.TrainLoss, e.ValLoss = i+1, h.TrainLosses[i], h.ValLosses[i]
	return e
}

// series is a mean over labels for every epoch, NaN where it was not measured.
func (h *History) series(of func(health.Outcome) evaluate.Number) []float64 {
	values := make([]float64, h.unmeasured(), len(h.TrainLosses))
	for i := range values {
		values[i] = math.NaN()
	}
	for _, e := range h.Epochs {
		values = append(values, meanOverLabels(e.Outcomes, of))
	}
	return values
}

func numbers(values []float64) []evaluate.Number {
	n := make([]evaluate.Number, len(values))
	for i, v := range values {
		n[i] = evaluate.Number(v)
	}
	return n
}

// outcomeText says for the log how good the last epoch's predictions of validation cases were, in the mean over labels.
func (h *History) outcomeText() string {
	text := ""
	outcomes := h.Epochs[len(h.Epochs)-1].Outcomes
	for _, n := range []struct {
		name string
		of   func(health.Outcome) evaluate.Number
	}{{"AUC", aucOf}, {"balanced accuracy", balancedAccuracyOf}} {
		if v := meanOverLabels(outcomes, n.of); !math.IsNaN(v) {
			text += fmt.Sprintf(", %s %.3f", n.name, v)
		}
	}
	return text
}

// measure is what the epoch that ends has brought in addition to its losses.
func (t *training) measure() health.Epoch {
	targets := map[string][]int{}
	for _, i := range t.members[feed.Validating] {
		targets[t.data.ID(i)] = t.data.Targets(i)
	}
	return health.Epoch{
		GradNorm: t.state.gradNorm(), DeadChannels: t.state.Dead,
		Outcomes: t.state.outcomes(t.config.Outputs, func(id string) []int { return targets[id] }),
	}
}
