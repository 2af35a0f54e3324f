package reliability

import (
	"math"

	"github.com/universal-classifier/uc/internal/bootstrap"
	"github.com/universal-classifier/uc/internal/evaluate"
)

// ordinal measures a label whose classes have an order.
func (s *sample) ordinal(at int) {
	l := &s.r.Labels[at]
	targets, predicted := s.targets(at), make([]int, len(s.r.Predictions))
	for i, p := range s.r.Predictions {
		predicted[i] = evaluate.Argmax(p.Probabilities[at])
	}
	classes := len(l.ClassNames)
	b := bootstrap.Run(len(targets), s.cluster, 2, func(weights, out []float64) {
		out[0], out[1] = weightedKappa(targets, predicted, weights, classes)
	})
	l.Ordinal = &evaluate.OrdinalReport{Kappa: percentile(b, 0), MAE: percentile(b, 1), Method: s.method()}
	if math.IsNaN(b.Values[0]) {
		l.Ordinal.Kappa.Why = "all classes, true and predicted, are the same"
	}
}

// weightedKappa is Cohen's kappa with quadratic weights (Psychological Bulletin 70, 1968), NaN where chance alone would
// agree, and the mean absolute error in classes.
func weightedKappa(targets, predicted []int, weights []float64, classes int) (kappa, mae float64) {
	row, column := make([]float64, classes), make([]float64, classes)
	var n, observed float64
	for i, w := range weights {
		d := float64(targets[i] - predicted[i])
		n += w
		row[targets[i]] += w
		column[predicted[i]] += w
		observed += w * d * d
		mae += w * math.Abs(d)
	}
	var expected float64
	for i, a := range row {
		for j, b := range column {
			expected += a * b / n * float64((i-j)*(i-j))
		}
	}
	if !(expected > 0) {
		return math.NaN(), mae / n
	}
	return 1 - observed/expected, mae / n
}
