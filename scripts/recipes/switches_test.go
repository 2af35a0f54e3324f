package main

import (
	"math"
	"testing"
)

// Every switch is on in half of the trainings, of each fold and of those with each other switch.
func TestDesignIsBalanced(t *testing.T) {
	for i, s := range switches {
		on := 0
		for _, d := range design {
			if has(d.recipe, s.name) {
				on++
			}
		}
		if on != len(design)/2 {
			t.Errorf("%s is on in %d trainings", s.name, on)
		}
		both, onFold := 0, 0
		for _, d := range design {
			if has(d.recipe, s.name) && d.fold == "0" {
				onFold++
			}
			if has(d.recipe, s.name) && has(d.recipe, switches[(i+1)%len(switches)].name) {
				both++
			}
		}
		if onFold != 2 || both != 2 {
			t.Errorf("%s: on in %d trainings of fold 0, in %d with the next switch", s.name, onFold, both)
		}
	}
}

// The effect of a switch is found whatever the other switches and the folds do; without all trainings there is none.
func TestEffects(t *testing.T) {
	planted := []float64{0.05, -0.01, 0.002, 0, -0.003, 0.004}
	var all []result
	for _, d := range design {
		r := result{Cohort: designCohort, Recipe: d.recipe, Fold: d.fold, Seed: designSeed, Scale: designScale, AUC: 0.8}
		if d.fold == "1" {
			r.AUC += 0.1
		}
		for i, s := range switches {
			if has(d.recipe, s.name) {
				r.AUC += planted[i]
			}
		}
		all = append(all, r)
	}
	effect, standardError := effects(all)
	for i, want := range planted {
		if math.Abs(effect[i]-want) > 1e-12 {
			t.Errorf("%s: %g, want %g", switches[i].name, effect[i], want)
		}
	}
	// Without the one that stands out the sizes are 0, 0.002, 0.003, 0.004 and 0.01.
	if want := 1.5 * 0.003; math.Abs(standardError-want) > 1e-12 {
		t.Errorf("standard error %g, want %g", standardError, want)
	}
	if effect, _ := effects(all[1:]); effect != nil {
		t.Error("effects of an unfinished plan")
	}
}
