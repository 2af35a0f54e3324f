// Package evaluatetest makes up predictions for tests of what shows or describes them.
package evaluatetest

import (
	"fmt"
	"math/rand/v2"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/task"
)

// Predictions are n cases in so many folds, always the same, with a model that is right more often than not.
func Predictions(labels []task.Label, n, folds int) []evaluate.Prediction {
	const ahead = 1.5 // of the true class, in logits
	rng := rand.New(rand.NewPCG(1, 2))
	var predictions []evaluate.Prediction
	for i := range n {
		p := evaluate.Prediction{Case: fmt.Sprintf("case_%03d", i), Fold: fmt.Sprint(i % folds)}
		for _, l := range labels {
			target := rng.IntN(len(l.Values))
			logits := make([]float64, len(l.Values))
			for k := range logits {
				logits[k] = rng.NormFloat64()
			}
			logits[target] += ahead
			p.Targets, p.Logits = append(p.Targets, target), append(p.Logits, logits)
		}
		predictions = append(predictions, p)
	}
	return predictions
}
