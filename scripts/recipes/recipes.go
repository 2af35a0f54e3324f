package main

import (
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/train"
)

// recipe is a row of the study: what it changes of the reference's recipe, at a length of its own, or of the default
// recipe.
type recipe struct {
	name, what string
	adjust     func(*train.Recipe) // of the reference's; nil for the default
	vary       func(*train.Recipe) // of the default; nil for none of it
}

func (r *recipe) trainer() string {
	if r.adjust == nil {
		return task.DefaultTrainer
	}
	return task.ReferenceTrainer
}

// passes sets the length of a training: so many passes over the cases, at least so many iterations, in epochs of one
// fiftieth.
func passes(p *train.Recipe, cases, n, least int) {
	total := max(least, n*cases/p.BatchSize)
	p.Epochs = 25
	p.Iterations = (total + p.Epochs - 1) / p.Epochs
}

var recipes = []recipe{
	{name: "default", what: "`ClassifierTrainer` as it is"},
	{name: "plain", what: "`ClassifierTrainer` before smooth initial weights: PyTorch's, warm-up over 5 % of the steps, at least 800 steps", vary: func(p *train.Recipe) {
		p.InitialCorrelation, p.WarmUp = 0, 0.05
		p.Iterations = max(p.Iterations, 16) // of 50 epochs
	}},
	{name: "sgd-1e-2", what: "SGD 0.99, 1e-2, poly", adjust: func(p *train.Recipe) {}},
	{name: "sgd-1e-3", what: "SGD 0.99, 1e-3, poly", adjust: func(p *train.Recipe) { p.LearningRate = 1e-3 }},
	{name: "sgd-1e-3-ema", what: "SGD 0.99, 1e-3, modern", adjust: func(p *train.Recipe) {
		modern(p)
		p.LearningRate = 1e-3
	}},
	{name: "sgd09-1e-2-ema", what: "SGD 0.9, 1e-2, modern", adjust: func(p *train.Recipe) {
		modern(p)
		p.Momentum, p.LearningRate = 0.9, 1e-2
	}},
	{name: "adamw-1e-4-ema", what: "AdamW 1e-4, decay 0.05, modern", adjust: func(p *train.Recipe) {
		modern(p)
		adamW(p, 1e-4, 0.05)
	}},
	{name: "adamw-3e-4-ema", what: "AdamW 3e-4, decay 0.05, modern", adjust: func(p *train.Recipe) {
		modern(p)
		adamW(p, 3e-4, 0.05)
	}},
	{name: "adamw-1e-2-ema", what: "AdamW 1e-2, decay 0.05, modern", adjust: func(p *train.Recipe) {
		modern(p)
		adamW(p, 1e-2, 0.05)
	}},
	{name: "adamw-1e-3-ema", what: "AdamW 1e-3, decay 0.05, modern", adjust: func(p *train.Recipe) {
		modern(p)
		adamW(p, 1e-3, 0.05)
	}},
}

// modern is what the newer recipes share.
func modern(p *train.Recipe) {
	p.Schedule, p.WarmUp, p.Average, p.Draws = train.Cosine, 0.05, 0.99, feed.InPasses
}

func adamW(p *train.Recipe, lr, decay float64) {
	p.Optimiser, p.LearningRate, p.Momentum, p.Beta2, p.WeightDecay, p.ClipNorm = train.AdamW, lr, 0.9, 0.999, decay, 1
}

func recipeNames() (names []string) {
	for _, r := range recipes {
		names = append(names, r.name)
	}
	return names
}
