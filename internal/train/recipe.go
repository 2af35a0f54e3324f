package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/task"
)

// Recipe is what decides the course of a training. It is kept in the checkpoints, so that a training is continued as it
// began.
type Recipe struct {
	Epochs        int     `json:"epochs"`
	Iterations    int     `json:"iterations"`
	ValIterations int     `json:"val_iterations"`
	BatchSize     int     `json:"batch_size"`
	LearningRate  float64 `json:"initial_lr"`
	Seed          uint64  `json:"seed"`

	Optimiser   Optimiser `json:"optimiser"`
	Momentum    float64   `json:"momentum"`        // Nesterov's with SGD, the first beta of AdamW
	Beta2       float64   `json:"beta2,omitempty"` // of AdamW
	WeightDecay float64   `json:"weight_decay"`
	ClipNorm    float64   `json:"gradient_clip_norm"`
	Schedule    Schedule  `json:"schedule"`
	// WarmUp is the share of all iterations over which the learning rate rises from 0.
	WarmUp float64 `json:"warm_up"`
	// Average is the share of the running average of the weights that an iteration keeps; 0 switches averaging off.
	Average      float64      `json:"weight_average"`
	Draws        feed.Draws   `json:"draws"`
	Augmentation Augmentation `json:"augmentation,omitempty"`
	// InitialCorrelation is that of the weights of a kernel before the training; 0 is PyTorch's initialisation.
	InitialCorrelation float64 `json:"initial_correlation,omitempty"`
	// WholeValidation says that each epoch looks at every validation case once, instead of at cases drawn at random.
	WholeValidation bool `json:"whole_validation"`
	// MirrorValidation says that the validation after the training averages the mirror images of a case, as prediction
	// does.
	MirrorValidation bool `json:"mirror_validation"`
	// Restarts is how many times a training that collapses goes back to its last healthy point, with a lower learning
	// rate.
	Restarts int `json:"restarts"`
}

// Optimiser is the rule that changes the weights.
type Optimiser string

// The optimisers.
const (
	SGD   Optimiser = "sgd"   // with Nesterov momentum
	AdamW Optimiser = "adamw" // Loshchilov & Hutter 2019
)

// Schedule is the course of the learning rate.
type Schedule string

// The schedules.
const (
	Poly   Schedule = "poly"   // nnU-Net's: lr (1 - epoch/epochs)^0.9, constant during an epoch
	Cosine Schedule = "cosine" // lr (1 + cos(pi t))/2, t from 0 to 1 over all iterations (Loshchilov & Hutter 2017)
)

// Augmentation says which of nnU-Net's transforms a training uses.
type Augmentation string

// The kinds of augmentation.
const (
	Full Augmentation = "" // nnU-Net's chain
	// Unscaled is nnU-Net's chain without scaling, which changes sizes, and size is what many labels are about: on
	// Hippocampus, Volume, the network learned little with it and nearly everything without (docs/ACCURACY.md).
	Unscaled Augmentation = "unscaled"
)

// chain is nnU-Net's default chain as far as it is used.
func (a Augmentation) chain(dummy2D bool, maskForNorm []bool, modalities int) augment.Params {
	p := augment.DefaultParams(dummy2D, maskForNorm, modalities)
	if a == Unscaled {
		p.Spatial.PScale = 0
	}
	return p
}

// trainers are the recipes by the names that the command line knows. cases is the number of training cases, valCases
// that of validation cases, batch the plan's batch size.
var trainers = map[string]func(cases, valCases, batch int) Recipe{
	task.DefaultTrainer:   defaultRecipe,
	task.ReferenceTrainer: func(_, _, batch int) Recipe { return referenceRecipe(batch) },
}

// Trainers lists the names of the recipes, the default first.
func Trainers() []string { return slices.Sorted(maps.Keys(trainers)) }

// referenceRecipe is the reference's ClassifierTrainer, which follows nnU-Net's NetworkTrainer.
func referenceRecipe(batch int) Recipe {
	return Recipe{
		Epochs: DefaultEpochs, Iterations: DefaultIterations, ValIterations: DefaultValIterations, BatchSize: batch, LearningRate: DefaultLearningRate,
		Optimiser: SGD, Momentum: i3d.ReferenceMomentum, WeightDecay: i3d.ReferenceWeightDecay, ClipNorm: i3d.ReferenceClipNorm, Schedule: Poly, Draws: feed.WithReplacement,
	}
}

// defaultRecipe is the one that the study in docs/ACCURACY.md supports.
func defaultRecipe(cases, valCases, batch int) Recipe {
	iterations := min(max(defaultPasses*cases/batch, leastIterations), mostIterations)
	p := Recipe{
		Epochs: defaultEpochs, Iterations: ceilDiv(iterations, defaultEpochs), BatchSize: batch, LearningRate: 3e-4,
		Optimiser: AdamW, Momentum: 0.9, Beta2: 0.999, WeightDecay: 0.05, ClipNorm: 1, Schedule: Cosine, WarmUp: 0.2, Average: 0.99,
		Draws: feed.InPasses, Augmentation: Unscaled, InitialCorrelation: 0.8, WholeValidation: true, MirrorValidation: true, Restarts: 2,
	}
	p.ValIterations = min(ceilDiv(valCases, batch), p.Iterations)
	return p
}

// The length of a training by the default recipe: passes over the training cases, within limits in iterations. Longer
// trainings of a small cohort learn it by heart; much shorter ones end before they have learned.
const (
	defaultEpochs   = 50
	defaultPasses   = 20
	leastIterations = 400
	mostIterations  = 25000 // half of the reference's
)

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// newRecipe is the trainer's recipe with what the options say otherwise.
func newRecipe(o Options, cases, valCases, planned int) (Recipe, error) {
	of, known := trainers[o.Trainer]
	if !known {
		return Recipe{}, fmt.Errorf("unknown trainer %q", o.Trainer)
	}
	if o.BatchSize != 0 {
		planned = o.BatchSize
	}
	p := of(cases, valCases, planned)
	if o.PretrainedWeights != "" {
		p.InitialCorrelation = 0 // the convolutions come from the file
	}
	p.Seed = uint64(rand.Uint32()) + 1
	if o.Deterministic {
		p.Seed = deterministicSeed
	}
	if o.Adjust != nil {
		o.Adjust(&p)
	}
	p.override(o)
	if o.ValIterations != 0 {
		p.WholeValidation = false
	}
	return p, p.check()
}

// check refuses what no training can follow.
func (p *Recipe) check() error {
	switch {
	case !slices.Contains([]Optimiser{SGD, AdamW}, p.Optimiser):
		return fmt.Errorf("recipe: unknown optimiser %q", p.Optimiser)
	case !slices.Contains([]Schedule{Poly, Cosine}, p.Schedule):
		return fmt.Errorf("recipe: unknown schedule %q", p.Schedule)
	case !slices.Contains([]feed.Draws{feed.WithReplacement, feed.InPasses}, p.Draws):
		return fmt.Errorf("recipe: unknown way of drawing %q", p.Draws)
	case !slices.Contains([]Augmentation{Full, Unscaled}, p.Augmentation):
		return fmt.Errorf("recipe: unknown augmentation %q", p.Augmentation)
	case !(p.InitialCorrelation >= 0 && p.InitialCorrelation <= 1):
		return fmt.Errorf("recipe: initial correlation %g, expected 0 to 1", p.InitialCorrelation)
	case p.Epochs < 1 || p.Iterations < 1 || p.ValIterations < 0 || p.BatchSize < 1 || !(p.WarmUp >= 0 && p.WarmUp < 1):
		return fmt.Errorf("recipe: %d epochs of %d and %d iterations, batch %d, warm-up %g", p.Epochs, p.Iterations, p.ValIterations, p.BatchSize, p.WarmUp)
	}
	return nil
}

// text describes the recipe in a line.
func (p *Recipe) text() string {
	optimiser := fmt.Sprintf("SGD, Nesterov momentum %g", p.Momentum)
	if p.Optimiser == AdamW {
		optimiser = fmt.Sprintf("AdamW, betas %g and %g", p.Momentum, p.Beta2)
	}
	parts := []string{optimiser, fmt.Sprintf("learning rate %g, %s", p.LearningRate, p.Schedule), fmt.Sprintf("weight decay %g", p.WeightDecay)}
	if p.WarmUp > 0 {
		parts = append(parts, fmt.Sprintf("warm-up over %g %% of the steps", 100*p.WarmUp))
	}
	if p.Average > 0 {
		parts = append(parts, fmt.Sprintf("weights averaged with %g", p.Average))
	}
	if p.Augmentation == Unscaled {
		parts = append(parts, "augmentation without scaling")
	}
	if p.InitialCorrelation > 0 {
		parts = append(parts, fmt.Sprintf("smooth initialisation (%g)", p.InitialCorrelation))
	}
	return strings.Join(parts, ", ")
}

// UnmarshalJSON reads the recipe of a checkpoint. Those of earlier versions name only the first numbers: they followed
// the reference.
func (p *Recipe) UnmarshalJSON(data []byte) error {
	type plain Recipe
	full := plain(referenceRecipe(0))
	if err := json.Unmarshal(data, &full); err != nil {
		return err
	}
	*p = Recipe(full)
	return p.check()
}

// iterations is the number of training iterations of the whole training.
func (p *Recipe) iterations() int { return p.Epochs * p.Iterations }

// rate is the learning rate of a training iteration, epoch and iteration counted from 0.
func (p *Recipe) rate(epoch, iteration int) float64 {
	at, warm := epoch*p.Iterations+iteration, int(p.WarmUp*float64(p.iterations()))
	if at < warm {
		return p.LearningRate * float64(at+1) / float64(warm+1)
	}
	if p.Schedule == Poly {
		return LearningRate(epoch, p.Epochs, p.LearningRate)
	}
	t := float64(at-warm) / float64(p.iterations()-warm)
	return p.LearningRate * (1 + math.Cos(math.Pi*t)) / 2
}

// step is what the network needs to know for a training iteration.
func (p *Recipe) step(epoch, iteration int) i3d.StepOptions {
	return i3d.StepOptions{LR: p.rate(epoch, iteration), Momentum: p.Momentum, WeightDecay: p.WeightDecay, ClipNorm: p.ClipNorm, Beta2: p.Beta2}
}

// extras is what the network keeps for the recipe.
func (p *Recipe) extras() i3d.Extras {
	return i3d.Extras{SecondMoment: p.Optimiser == AdamW, Average: p.Average > 0}
}

// averageEvery is how many iterations lie between two updates of the running average of the weights; it costs a pass
// over them.
const averageEvery = 4

// averageKeep is what an update of the running average after the given number of iterations keeps of it, and whether
// one is due. At first, when the weights move fast, it keeps less (as in TensorFlow's ExponentialMovingAverage with
// num_updates).
func (p *Recipe) averageKeep(done int) (keep float64, due bool) {
	if p.Average == 0 || done%averageEvery != 0 {
		return 0, false
	}
	updates := float64(done / averageEvery)
	return min(math.Pow(p.Average, averageEvery), updates/(updates+9)), true
}

// override takes over the numbers given in the options and says which of them differ from before.
func (p *Recipe) override(o Options) (changed []string) {
	for _, n := range []struct {
		name  string
		given int
		at    *int
	}{
		{"epochs", o.Epochs, &p.Epochs}, {"iterations", o.Iterations, &p.Iterations},
		{"validation iterations", o.ValIterations, &p.ValIterations}, {"batch size", o.BatchSize, &p.BatchSize},
	} {
		if n.given != 0 && n.given != *n.at {
			changed = append(changed, fmt.Sprintf("%s %d -> %d", n.name, *n.at, n.given))
			*n.at = n.given
		}
	}
	if o.LearningRate != 0 && o.LearningRate != p.LearningRate {
		changed = append(changed, fmt.Sprintf("learning rate %g -> %g", p.LearningRate, o.LearningRate))
		p.LearningRate = o.LearningRate
	}
	if o.Seed != 0 && o.Seed != p.Seed {
		changed = append(changed, fmt.Sprintf("seed %d -> %d", p.Seed, o.Seed))
		p.Seed = o.Seed
	}
	return changed
}

// feeding is the part of the recipe that says what batches hold.
func (p Recipe) feeding() feed.Sequence {
	return feed.Sequence{Epochs: p.Epochs, Iterations: p.Iterations, ValIterations: p.ValIterations, BatchSize: p.BatchSize,
		Seed: p.Seed, Draws: p.Draws, WholeValidation: p.WholeValidation}
}
