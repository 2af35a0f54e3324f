package train

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/task"
)

func TestReferenceRecipe(t *testing.T) {
	p, err := newRecipe(Options{Trainer: task.ReferenceTrainer, Deterministic: true}, 1000, 200, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := Recipe{Epochs: 200, Iterations: 250, ValIterations: 50, BatchSize: 7, LearningRate: 1e-2, Seed: 12345,
		Optimiser: SGD, Momentum: 0.99, WeightDecay: 3e-5, ClipNorm: 12, Schedule: Poly, Draws: feed.WithReplacement}
	if p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	for _, at := range [][2]int{{0, 0}, {0, 249}, {57, 3}, {199, 249}} {
		want := i3d.StepOptions{LR: 1e-2 * math.Pow(1-float64(at[0])/200, 0.9), Momentum: 0.99, WeightDecay: 3e-5, ClipNorm: 12}
		if got := p.step(at[0], at[1]); got != want {
			t.Errorf("epoch %d, iteration %d: %+v, want %+v", at[0], at[1], got, want)
		}
	}
	if _, due := p.averageKeep(4); due {
		t.Error("the reference averages no weights")
	}
}

// The state of a training by an earlier version names only the first numbers: it is continued by the reference's
// recipe.
func TestRecipeOfEarlierCheckpoints(t *testing.T) {
	var p Recipe
	if err := json.Unmarshal([]byte(`{"epochs": 3, "iterations": 4, "val_iterations": 1, "batch_size": 2, "initial_lr": 0.01, "seed": 9}`), &p); err != nil {
		t.Fatal(err)
	}
	want := referenceRecipe(2)
	want.Epochs, want.Iterations, want.ValIterations, want.Seed = 3, 4, 1, 9
	if p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if err := json.Unmarshal([]byte(`{"epochs": 3, "iterations": 4, "batch_size": 2, "optimiser": "lion"}`), &p); err == nil {
		t.Error("an unknown optimiser was accepted")
	}
	if err := json.Unmarshal([]byte(`{"epochs": 3, "iterations": 4, "batch_size": 2, "augmentation": "wild"}`), &p); err == nil {
		t.Error("an unknown augmentation was accepted")
	}
	if err := json.Unmarshal([]byte(`{"epochs": 3, "iterations": 4, "batch_size": 2, "initial_correlation": 1.5}`), &p); err == nil {
		t.Error("an initial correlation of 1.5 was accepted")
	}
}

// The default's length follows the cohort within limits, and its schedule rises, falls and ends near 0.
func TestDefaultRecipe(t *testing.T) {
	for _, c := range []struct{ cases, batch, iterations int }{{80, 12, 400}, {1029, 20, 50 * 21}, {100000, 2, 25000}} {
		p, err := newRecipe(Options{Trainer: task.DefaultTrainer}, c.cases, c.cases/4, c.batch)
		if err != nil {
			t.Fatal(err)
		}
		if p.iterations() != c.iterations {
			t.Errorf("%d cases, batch %d: %d iterations, want %d", c.cases, c.batch, p.iterations(), c.iterations)
		}
		warm := p.iterations() / 5
		rate := func(at int) float64 { return p.rate(at/p.Iterations, at%p.Iterations) }
		if rate(0) != p.LearningRate/float64(warm+1) || rate(warm) != p.LearningRate || !(rate(p.iterations()-1) < 1e-4*p.LearningRate) {
			t.Errorf("rates %g, %g, %g", rate(0), rate(warm), rate(p.iterations()-1))
		}
		for at := 1; at < p.iterations(); at++ {
			if rises := rate(at) > rate(at-1); rises != (at <= warm) {
				t.Fatalf("the rate at iteration %d is %g after %g", at, rate(at), rate(at-1))
			}
		}
	}
	full, p := augment.DefaultParams(true, []bool{true}, 1), defaultRecipe(80, 20, 12)
	if got := referenceRecipe(12).Augmentation.chain(true, []bool{true}, 1); !reflect.DeepEqual(got, full) {
		t.Errorf("the reference's chain is %+v, want %+v", got, full)
	}
	full.Spatial.PScale = 0
	if got := p.Augmentation.chain(true, []bool{true}, 1); !reflect.DeepEqual(got, full) {
		t.Errorf("the default's chain is %+v, want %+v", got, full)
	}
	if p.InitialCorrelation != 0.8 {
		t.Errorf("the default begins with a correlation of %g", p.InitialCorrelation)
	}
	if p, err := newRecipe(Options{Trainer: task.DefaultTrainer, PretrainedWeights: "i3d.pth"}, 80, 20, 12); err != nil || p.InitialCorrelation != 0 {
		t.Errorf("with pretrained weights: correlation %g, %v", p.InitialCorrelation, err)
	}
	if _, err := newRecipe(Options{Trainer: "ClassifierTrainerX"}, 10, 2, 2); err == nil {
		t.Error("an unknown trainer was accepted")
	}
}
