package health

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/remedy"
)

// lesions is a cohort of 1188 training cases, a fifth of them positive, and trainings of 100 epochs.
var lesions = Cohort{Epochs: 100, Iterations: 60, Labels: []Label{{Name: "Lesion", Values: []string{"absent", "present"}, Counts: []int{929, 259}}}}

// outcome is what an epoch says of 98 validation cases of which so many are predicted to be positive.
func outcome(auc float64, positive int) []Outcome {
	return []Outcome{{AUC: evaluate.Number(auc), BalancedAccuracy: 0.5, Cases: []int{76, 22}, Predicted: []int{98 - positive, positive}}}
}

// learning is epoch i, from 0, of a training that goes well.
func learning(i int) Epoch {
	left := math.Exp(-float64(i) / 20)
	return Epoch{Number: i + 1, TrainLoss: 0.2 + 0.35*left, ValLoss: 0.4 + 0.3*left, GradNorm: 2, DeadChannels: 0.001, Outcomes: outcome(0.9-0.4*left, 15)}
}

// found is a finding and the epoch, from 1, after which it was made.
type found struct {
	Finding
	epoch int
}

// watch shows a training to a new monitor.
func watch(c Cohort, epochs []Epoch) (all []found) {
	m := NewMonitor(c)
	for i, e := range epochs {
		for _, f := range m.Observe(e) {
			all = append(all, found{f, i + 1})
		}
	}
	return all
}

// training is n epochs that go well, changed by change.
func training(n int, change func(i int, e *Epoch)) []Epoch {
	epochs := make([]Epoch, n)
	for i := range epochs {
		epochs[i] = learning(i)
		if change != nil {
			change(i, &epochs[i])
		}
	}
	return epochs
}

func TestEntropy(t *testing.T) {
	p := 259.0 / 1188
	want := -p*math.Log(p) - (1-p)*math.Log(1-p)
	if got := lesions.Entropy(); math.Abs(got-want) > 1e-12 {
		t.Errorf("one label: %g, want %g", got, want)
	}
	two := Cohort{Labels: append(slices.Clone(lesions.Labels), Label{Counts: []int{5, 5, 0, 10}})}
	if got := two.Entropy(); math.Abs(got-want-1.5*math.Ln2) > 1e-12 {
		t.Errorf("two labels: %g, want %g", got, want+1.5*math.Ln2)
	}
}

// Each kind of trouble is found by its own sign, after it has begun, and named with numbers and a remedy.
func TestSigns(t *testing.T) {
	entropy := lesions.Entropy()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name     string
		change   func(i int, e *Epoch)
		want     []Sign
		collapse bool
		by       [2]int // epochs between which the first is found
		text     []string
	}{
		{name: "healthy", change: nil},
		{name: "healthy and noisy", change: func(_ int, e *Epoch) {
			e.TrainLoss *= 1 + 0.1*rng.NormFloat64()
			e.ValLoss *= 1 + 0.25*rng.NormFloat64()
			e.GradNorm *= math.Exp(1.5 * rng.NormFloat64())
			e.Outcomes[0].AUC += evaluate.Number(0.05 * rng.NormFloat64())
		}},
		{name: "dead until the running statistics have settled", change: func(i int, e *Epoch) {
			if i < 2 {
				e.DeadChannels = 0.6
			}
		}},
		{name: "learned by heart, without gradient", change: func(i int, e *Epoch) {
			if i > 20 {
				e.TrainLoss, e.GradNorm = 1e-4, 1e-6
			}
		}},
		{name: "slow to begin", change: func(i int, e *Epoch) {
			if i < 16 {
				*e = Epoch{Number: i + 1, TrainLoss: entropy, ValLoss: entropy, GradNorm: 0.3, Outcomes: outcome(0.5, 0)}
			}
		}},
		{name: "no better loss, but a better ranking", change: func(_ int, e *Epoch) {
			e.TrainLoss, e.Outcomes = 1.01*entropy, outcome(0.75, 10)
		}},
		{name: "not learning", change: func(_ int, e *Epoch) {
			e.TrainLoss, e.ValLoss, e.Outcomes = 1.02*entropy, entropy, outcome(0.52, 3)
		}, want: []Sign{NotLearning}, collapse: true, by: [2]int{20, 30}, text: []string{"0.535", "0.524", "AUC", "0.520"}},
		{name: "not learning, validation of one class", change: func(_ int, e *Epoch) {
			e.TrainLoss, e.ValLoss = 1.02*entropy, entropy
			e.Outcomes = []Outcome{{AUC: evaluate.Number(math.NaN()), Cases: []int{98, 0}, Predicted: []int{98, 0}}}
		}, want: []Sign{NotLearning}, collapse: true, by: [2]int{20, 30}},
		{name: "worse than knowing nothing", change: func(_ int, e *Epoch) {
			e.TrainLoss, e.Outcomes = 1.4*entropy, outcome(0.75, 10)
		}, want: []Sign{NotLearning}, collapse: true, by: [2]int{20, 30}},
		{name: "not learning for dead channels", change: func(i int, e *Epoch) {
			e.TrainLoss, e.Outcomes = 1.01*entropy, outcome(0.75, 10)
			if i >= 4 {
				e.DeadChannels = 0.5
			}
		}, want: []Sign{DeadChannels, NotLearning}, by: [2]int{7, 7}},
		{name: "forgotten", change: func(i int, e *Epoch) {
			if i >= 40 {
				e.TrainLoss, e.ValLoss, e.Outcomes = entropy, entropy, outcome(0.7, 5)
			}
		}, want: []Sign{Forgotten}, collapse: true, by: [2]int{41, 50}, text: []string{"around epoch 40"}},
		{name: "exploding", change: func(i int, e *Epoch) {
			if i >= 30 {
				e.TrainLoss, e.GradNorm = entropy*(2+float64(i)), 5e4
			}
		}, want: []Sign{Forgotten, ExplodingGradient}, collapse: true, by: [2]int{31, 40}, text: []string{"lost"}},
		{name: "exploding from the start", change: func(_ int, e *Epoch) {
			e.TrainLoss, e.GradNorm, e.Outcomes = 20, 3e5, outcome(0.8, 40)
		}, want: []Sign{ExplodingGradient}, collapse: true, by: [2]int{2, 12}, text: []string{"3e+05", "20.0"}},
		{name: "vanishing", change: func(_ int, e *Epoch) {
			e.TrainLoss, e.GradNorm, e.Outcomes = 0.99*entropy, 2e-5, outcome(0.8, 4)
		}, want: []Sign{VanishingGradient}, collapse: true, by: [2]int{2, 12}, text: []string{"2e-05", "0.519"}},
		{name: "dead channels", change: func(i int, e *Epoch) {
			if i >= 10 {
				e.DeadChannels = 0.45
			}
		}, want: []Sign{DeadChannels}, by: [2]int{13, 13}, text: []string{"45 %"}},
		{name: "one class, ranked", change: func(_ int, e *Epoch) { e.Outcomes = outcome(0.8, 0) },
			want: []Sign{OneClass}, by: [2]int{67, 67}, text: []string{`98 in the last epoch`, `"absent"`, "0.800", "probabilities"}},
		{name: "one class, not ranked", change: func(_ int, e *Epoch) { e.Outcomes = outcome(0.51, 0) },
			want: []Sign{OneClass}, by: [2]int{20, 30}, text: []string{`98 in the last epoch`, `"absent"`, "0.510"}},
		{name: "one class for a while", change: func(i int, e *Epoch) {
			if i < 60 {
				e.Outcomes = outcome(0.8, 0)
			}
		}},
		{name: "one class is all there is", change: func(_ int, e *Epoch) {
			e.Outcomes = []Outcome{{AUC: evaluate.Number(math.NaN()), Cases: []int{98, 0}, Predicted: []int{98, 0}}}
		}},
		{name: "now one class, now the other", change: func(i int, e *Epoch) { e.Outcomes = outcome(0.8, 98*(i%2)) }},
		{name: "overlearning", change: func(i int, e *Epoch) {
			if i >= 30 {
				e.ValLoss += 0.02 * float64(i-30)
			}
		}, want: []Sign{Overlearning}, by: [2]int{41, 70}, text: []string{"rose from 0.4", "model_best", "AUC"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := watch(lesions, training(100, c.change))
			var got []Sign
			for _, f := range all {
				got = append(got, f.Sign)
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("found %v, want %v", all, c.want)
			}
			if len(c.want) == 0 {
				return
			}
			if first := all[0]; first.epoch < c.by[0] || first.epoch > c.by[1] || first.Collapse != c.collapse {
				t.Errorf("after epoch %d, collapse %v: %s", first.epoch, first.Collapse, first.Text)
			}
			advice := lowerRate
			if c.want[0] == Overlearning {
				advice = fewerEpochs
			}
			if got := all[0].Remedies(); !slices.Equal(got, []remedy.Remedy{advice}) && !strings.Contains(all[0].Text, "rare classes") {
				t.Errorf("%s: remedies %v", all[0].Text, got)
			}
			for _, want := range c.text {
				if !strings.Contains(all[0].Text, want) {
					t.Errorf("nothing of %q in: %s", want, all[0].Text)
				}
			}
		})
	}
}

// A training of fewer steps than learning takes is not begun again, but told of at its end.
func TestShortTraining(t *testing.T) {
	for _, c := range []struct {
		iterations, epoch int
		collapse          bool
	}{{12, 20, false}, {20, 13, true}} {
		cohort := lesions
		cohort.Epochs, cohort.Iterations = 20, c.iterations
		all := watch(cohort, training(20, func(_ int, e *Epoch) {
			e.TrainLoss, e.ValLoss, e.Outcomes = lesions.Entropy(), lesions.Entropy(), outcome(0.52, 3)
		}))
		if len(all) != 1 || all[0].Sign != NotLearning || all[0].epoch != c.epoch || all[0].Collapse != c.collapse {
			t.Errorf("%d steps: found %v", 20*c.iterations, all)
		}
	}
}

// A sign that comes and goes is reported once, and again when it had been gone for long.
func TestOncePerOnset(t *testing.T) {
	epochs := training(100, func(i int, e *Epoch) {
		if i < 30 && i%4 != 3 || i > 80 {
			e.DeadChannels = 0.6
		}
	})
	var after []int
	for _, f := range watch(lesions, epochs) {
		if f.Sign != DeadChannels {
			t.Errorf("%v", f)
		}
		after = append(after, f.epoch)
	}
	if !slices.Equal(after, []int{3, 84}) {
		t.Errorf("reported after epochs %v, want 3 and 84", after)
	}
}

// A try of a few steps is over before batch norm's statistics tell what is dead.
func TestDeadOnlyOnceSettled(t *testing.T) {
	epochs := training(12, func(_ int, e *Epoch) { e.DeadChannels = 0.6 })
	for _, c := range []struct {
		iterations int
		after      []int
	}{{4, nil}, {10, []int{7}}, {60, []int{3}}} { // the first of the three epochs that count ends after 50 steps or more
		cohort := lesions
		cohort.Iterations = c.iterations
		var after []int
		for _, f := range watch(cohort, epochs) {
			after = append(after, f.epoch)
		}
		if !slices.Equal(after, c.after) {
			t.Errorf("%d steps an epoch: reported after epochs %v, want %v", c.iterations, after, c.after)
		}
	}
}

// With two labels, one that is learned is enough not to begin again, and messages name the label they mean.
func TestTwoLabels(t *testing.T) {
	c := Cohort{Epochs: 40, Iterations: 60, Labels: []Label{lesions.Labels[0], {Name: "Side", Values: []string{"left", "right"}, Counts: []int{600, 588}}}}
	both := func(first, second float64) []Epoch {
		return training(40, func(_ int, e *Epoch) {
			e.TrainLoss = c.Entropy()
			e.Outcomes = append(outcome(first, 4), outcome(second, 0)...)
		})
	}
	for _, f := range watch(c, both(0.9, 0.5)) {
		if f.Sign != OneClass || !strings.Contains(f.Text, `"left" of label "Side"`) || strings.Contains(f.Text, "absent") {
			t.Errorf("%v", f)
		}
	}
	if all := watch(c, both(0.5, 0.52)); len(all) == 0 || all[0].Sign != NotLearning || !strings.Contains(all[0].Text, `"Side" 0.520`) {
		t.Errorf("found %v", all)
	}
}

func TestHealthy(t *testing.T) {
	m := NewMonitor(lesions)
	if m.Healthy() {
		t.Error("before anything was learned")
	}
	for _, c := range []struct {
		epochs int
		e      Epoch
		want   bool
	}{
		{13, Epoch{TrainLoss: 0.52, GradNorm: 1}, false},
		{2, Epoch{TrainLoss: 0.4, GradNorm: 1}, false},
		{11, Epoch{TrainLoss: 0.4, GradNorm: 1}, true},
		{1, Epoch{TrainLoss: 0.4, GradNorm: 1, DeadChannels: 0.5}, false},
		{4, Epoch{TrainLoss: 0.6, GradNorm: 1}, true},
		{3, Epoch{TrainLoss: 0.6, GradNorm: 1}, false},
	} {
		c.e.Outcomes = outcome(0.8, 4)
		for range c.epochs {
			m.Observe(c.e)
		}
		if m.Healthy() != c.want {
			t.Errorf("after %d epochs of %+v: healthy %v", c.epochs, c.e, m.Healthy())
		}
	}
}
