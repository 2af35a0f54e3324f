package train

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/train/health"
)

// A case that was drawn twice counts once, and a class without a case is left out of the AUC; what was measured
// survives a checkpoint.
func TestOutcomes(t *testing.T) {
	targets := map[string][]int{"a": {0, 0}, "b": {1, 0}, "c": {1, 2}, "d": {0, 2}}
	var m measures
	m.see(&feed.Batch{Cases: []string{"a", "b"}}, [][]float32{{2, 0, 1, 0}, {3, 0, 0, 1, 0, 0}})
	m.see(&feed.Batch{Cases: []string{"c", "a"}}, [][]float32{{0, 1, 2, 0}, {0, 1, 0.5, 3, 0, 0}})
	m.see(&feed.Batch{Cases: []string{"d"}}, [][]float32{{0, 0.5}, {0, 0, 0.1}})
	m.GradNorms = []float64{5, -1, 1, 2, -1}
	if got := m.gradNorm(); got != 2 {
		t.Errorf("median norm %g, want 2 of those that were not skipped", got)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back measures
	if err := json.Unmarshal(raw, &back); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("%+v came back from a checkpoint as %+v (%v)", m, back, err)
	}
	got := back.outcomes([]int{2, 3}, func(id string) []int { return targets[id] })
	want := []health.Outcome{
		// Scores for class 1: a -2, b -1, c 1, d 0.5; c beats a and d, b beats a alone.
		{AUC: 0.75, BalancedAccuracy: 0.5, Cases: []int{2, 2}, Predicted: []int{2, 2}},
		// Nothing is of class 1. Of classes 0 and 2 the scores are in order: a and b before c and d.
		{AUC: 1, BalancedAccuracy: 0.75, Cases: []int{2, 0, 2}, Predicted: []int{2, 1, 1}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	one := (&measures{Seen: m.Seen[:1]}).outcomes([]int{2, 3}, func(id string) []int { return targets[id] })
	if one[0].AUC.Defined() || one[0].BalancedAccuracy != 1 {
		t.Errorf("one case: %+v", one[0])
	}
}

// Epochs of a checkpoint from before there were measurements have losses alone.
func TestSeriesOfEarlierCheckpoints(t *testing.T) {
	h := History{TrainLosses: []float64{3, 2, 1}, ValLosses: []float64{6, 5, 4}, Epochs: []health.Epoch{{GradNorm: 7, Outcomes: []health.Outcome{
		{AUC: 0.5}, {AUC: evaluate.Number(math.NaN())}, {AUC: 0.75},
	}}}}
	if s := h.series(aucOf); len(s) != 3 || !math.IsNaN(s[0]) || !math.IsNaN(s[1]) || s[2] != 0.625 {
		t.Errorf("AUC %v, want that of the last epoch, the mean over labels that have one", s)
	}
	if e := h.measured(2); e.Number != 3 || e.TrainLoss != 1 || e.ValLoss != 4 || e.GradNorm != 7 || h.unmeasured() != 2 {
		t.Errorf("got %+v, %d without measurements", e, h.unmeasured())
	}
}
