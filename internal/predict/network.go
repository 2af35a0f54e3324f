package predict

import (
	"context"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/backend"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/mirror"
)

// predict averages folds and mirror images of some cases. The weights of a fold are loaded once for all of them.
func (m *Model) predict(ctx context.Context, cases []*prepared) (results []*Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer backend.Recover(&err)
	results = make([]*Result, len(cases))
	for i, c := range cases {
		results[i] = m.newResult(c.id)
		results[i].Warnings = c.warnings
	}
	mirrors := m.mirrors()
	share := 1 / float64(len(m.folds)*len(mirrors))
	var flipped []float32
	for fold := range m.folds {
		if err := m.load(fold); err != nil {
			return nil, err
		}
		for i, c := range cases {
			for _, axes := range mirrors {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				input := c.data
				if axes != (mirror.Axes{}) {
					flipped = axes.Apply(flipped, c.data, c.shape)
					input = flipped
				}
				logits, err := m.network.Logits(input, 1, c.shape)
				if err != nil {
					return nil, fmt.Errorf("case %s: %w", c.id, err)
				}
				results[i].Add(logits, share)
			}
		}
	}
	for _, r := range results {
		if err := r.conclude(); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// load puts the weights of a fold into the network.
func (m *Model) load(fold int) (err error) {
	if m.loaded == fold {
		return nil
	}
	m.loaded = -1
	if m.network == nil {
		m.network, err = i3d.NewPredictor(m.device, m.config, m.weights[fold])
	} else {
		err = m.network.Load(m.weights[fold])
	}
	if err == nil {
		m.loaded = fold
	}
	return err
}

func (m *Model) newResult(id string) *Result {
	return &Result{Prediction: evaluate.NewPrediction(id, m.config.Outputs)}
}

// conclude picks the classes.
func (r *Result) conclude() error {
	for k, p := range r.Probabilities {
		for _, v := range p {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("case %s: the network's answer is no finite number; look for broken values in the images or the checkpoint", r.Case)
			}
		}
		r.Categorical = append(r.Categorical, evaluate.Argmax(r.Probabilities[k]))
	}
	return nil
}

// mirrors are the images of test-time augmentation: all eight combinations of flipped axes, or the case as it is.
func (m *Model) mirrors() []mirror.Axes {
	if m.options.DisableTTA {
		return []mirror.Axes{{}}
	}
	return mirror.All()
}
