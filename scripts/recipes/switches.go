package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/numeric"
)

// Switches that were tried in addition to those that recipes have, and are not part of the program.
var switches = []struct{ name, short, what string }{
	{"mixup", "mixup", "mixup (Zhang et al. 2018), shares drawn from Beta(0.4, 0.4)"},
	{"smooth", "label smoothing", "label smoothing 0.1"},
	{"drop", "dropout", "dropout 0.5 before the linear layers"},
	{"half", "half the batch", "half the batch, twice the steps"},
	{"decay", "weight decay 0.5", "weight decay 0.5 instead of 0.05"},
	{"balanced", "balanced draws", "classes drawn equally often, with replacement"},
}

// design is which switches were tried together, each time on one fold: the eight trainings of a 2^(7-4) plan
// (Box & Hunter 1961), the fold being its seventh factor. Every switch is on in four trainings and off in four, and
// each other switch is on in two of either four.
var design = []struct{ recipe, fold string }{
	{"adamw", "0"}, {"drop-balanced-mixup", "1"}, {"smooth-decay-balanced", "1"}, {"mixup-smooth-drop-decay", "0"},
	{"half-drop-decay-balanced", "0"}, {"mixup-half-decay", "1"}, {"smooth-half-drop", "1"}, {"mixup-smooth-half-balanced", "0"},
}

const designCohort, designSeed, designScale = "adrenal", 1, 0.5

// has reports whether the name of a recipe of the design names the switch.
func has(recipe, name string) bool { return slices.Contains(strings.Split(recipe, "-"), name) }

// dropped are the recipes that were tried and are not part of the program: changes of the default, and those of the
// design.
var dropped = func() map[string]string {
	titles := map[string]string{
		"plain-full":         "`plain` with the whole of nnU-Net's augmentation",
		"plain-rigid":        "`plain` without elastic deformation",
		"plain-rotated":      "`plain` without elastic deformation and with four in five cases turned, by up to 30 degrees",
		"plain-moved":        "`plain` with four in five cases turned, by up to 15 degrees, and as many deformed",
		"plain-moved-short":  "... with 400 steps",
		"plain-short":        "`plain`, 400 steps",
		"plain-middle":       "`plain`, 600 steps",
		"plain-tail":         "`plain`, ended 300 steps after the training loss fell below 0.8 of the entropy, if that is before 800",
		"plain-slow":         "`plain` at a learning rate of 1e-4",
		"plain-sgd":          "`plain` with SGD, momentum 0.9, 1e-2",
		"plain-warm":         "`plain` with a warm-up over 40 % of the steps",
		"plain-warm-shifted": "... and every case shifted along each axis, by up to a tenth of it",
		"plain-warm-mixup":   "`plain-warm` with mixup, every case with up to half of another",
		"smooth-half-long":   "`default` with a correlation of 0.5, in the whole of the first layer, 800 steps at least",
		"smooth-half":        "`default` with a correlation of 0.5, in the whole of the first layer",
		"smooth-whole":       "`default` with smooth weights in the whole of the first layer",
		"smooth-inner":       "`default` without smooth weights in the first layer",
		"smooth-quarter":     "`default` with smooth weights in every fourth filter of the first layer",
		"smooth-first":       "`default` with smooth weights in every other filter of the first layer, as for larger images",
		"sharp":              "`default` with SAM (sharpness-aware minimisation), radius 0.1: two passes a step",
		"sharp-late":         "`sharp` in the second half of the steps alone",
		"sharp-late-long":    "`sharp-late`, 800 steps",
		"strong":             "`default` with changes of intensity twice as often and further",
		"strong-long":        "`strong`, 800 steps",
		"rigid":              "`default` without elastic deformation",
		"long":               "`default`, 800 steps",
		"smooth-mixup":       "`smooth-whole` with mixup, every case with up to half of another",
	}
	for _, d := range design {
		parts := []string{"AdamW 3e-4, modern"}
		for _, s := range switches {
			if has(d.recipe, s.name) {
				parts = append(parts, s.short)
			}
		}
		titles[d.recipe] = strings.Join(parts, ", ")
	}
	return titles
}()

// inDesign reports whether the recipe is one of the design.
func inDesign(recipe string) bool {
	return slices.ContainsFunc(design, func(d struct{ recipe, fold string }) bool { return d.recipe == recipe })
}

// effects are, for every switch, the mean AUC of the four trainings with it minus that of those without; nil unless
// all have been made. The error is Lenth's (1989): most switches are taken to do nothing, so the middle of what they
// seem to do is noise.
func effects(all []result) (effect []float64, standardError float64) {
	aucs := make([]float64, len(design))
	for i, d := range design {
		at := slices.IndexFunc(all, func(r result) bool {
			return r.Cohort == designCohort && r.Recipe == d.recipe && r.Fold == d.fold && r.Seed == designSeed && r.Scale == designScale
		})
		if at < 0 {
			return nil, 0
		}
		aucs[i] = all[at].AUC
	}
	for _, s := range switches {
		sum := 0.0
		for i, d := range design {
			if has(d.recipe, s.name) {
				sum += aucs[i]
			} else {
				sum -= aucs[i]
			}
		}
		effect = append(effect, sum/float64(len(design)/2))
	}
	first := 1.5 * medianSize(effect)
	small := slices.DeleteFunc(slices.Clone(effect), func(e float64) bool { return math.Abs(e) >= 2.5*first })
	return effect, 1.5 * medianSize(small)
}

// medianSize is the median of the numbers without their signs.
func medianSize(values []float64) float64 {
	sizes := make([]float64, len(values))
	for i, v := range values {
		sizes[i] = math.Abs(v)
	}
	if len(sizes) == 0 {
		return 0
	}
	return numeric.Median(sizes)
}

// switchTable is the table of the effects.
func switchTable(all []result) string {
	effect, standardError := effects(all)
	if effect == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n### Switches, on AdrenalMNIST3D\n\n| switch | AUC with it minus without, means of four trainings each; standard error %.3f |\n|---|---|\n", standardError)
	for i, s := range switches {
		fmt.Fprintf(&b, "| %s | %+.3f |\n", s.what, effect[i])
	}
	fmt.Fprint(&b, "\nThe same trainings together, the mean of their logits predicting:\n\n| fold | trainings | AUC of one, mean (lowest to highest) | AUC of all together |\n|---|---|---|---|\n")
	for _, fold := range []string{"0", "1"} {
		var alone []float64
		var targets []int
		var sum []float64
		for _, r := range all {
			if r.Cohort != designCohort || r.Fold != fold || r.Scale != designScale || !inDesign(r.Recipe) {
				continue
			}
			alone, targets = append(alone, r.AUC), r.targets
			sum = addLogits(sum, r.Probabilities)
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %.3f |\n", fold, len(alone), spread(alone), auc(targets, sum))
	}
	return b.String()
}

// addLogits adds the logits of probabilities to the sum, which may be nil.
func addLogits(sum, probabilities []float64) []float64 {
	if sum == nil {
		sum = make([]float64, len(probabilities))
	}
	for i, p := range probabilities {
		p = min(max(p, 1e-4), 1-1e-4) // they are rounded to four digits
		sum[i] += math.Log(p / (1 - p))
	}
	return sum
}
