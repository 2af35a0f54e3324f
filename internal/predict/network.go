package predict

import (
	"context"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/interrupt"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/mirror"
	"github.com/universal-classifier/uc/internal/numeric"
	"github.com/universal-classifier/uc/internal/task"
)

// predict averages folds and mirror images of some cases. The weights of a fold are loaded once for all of them.
func (m *Model) predict(ctx context.Context, cases []*prepared) (results []*Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.settleNetwork()
	results = make([]*Result, len(cases))
	for i, c := range cases {
		results[i] = m.newResult(c.id)
		results[i].Warnings, results[i].measures = c.warnings, c.measures
	}
	mirrors := m.mirrors()
	share := 1 / float64(len(m.folds)*len(mirrors))
	var flipped []float32
	for fold := range m.folds {
		network, err := m.load(fold)
		if err != nil {
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
				release := interrupt.Hold(ctx) // a pass ends by itself; the tables are written after it
				logits, err := network.Logits(input, 1, c.shape)
				release()
				if err != nil {
					return nil, task.InCase(c.id, err)
				}
				results[i].Add(logits, share)
				if axes == (mirror.Axes{}) {
					results[i].Features = append(results[i].Features, network.Features())
				}
			}
		}
	}
	for _, r := range results {
		if err := r.conclude(); err != nil {
			return nil, err
		}
		m.judge(r)
	}
	return results, nil
}

// network is a predictor and the fold whose weights it holds, -1 for none.
type network struct {
	*i3d.Predictor
	fold int
}

// load returns a network with the weights of a fold.
func (m *Model) load(fold int) (*network, error) {
	for _, n := range m.networks {
		if n.fold == fold {
			return n, nil
		}
	}
	if len(m.networks) == 0 {
		p, err := i3d.NewPredictor(m.device, m.config, m.weights[fold])
		if err != nil {
			return nil, err
		}
		m.networks = append(m.networks, &network{p, fold})
		return m.networks[0], nil
	}
	last := m.networks[len(m.networks)-1]
	if m.options.KeepFolds && memory.Available() > spareMemory*last.MemoryBytes() && (m.ownMemory() || m.room.grow(last.OwnBytes())) {
		if p, err := last.Another(m.weights[fold]); err == nil { // else the device has too little memory
			m.networks = append(m.networks, &network{p, fold})
			return m.networks[len(m.networks)-1], nil
		}
	}
	last.fold = -1
	if err := last.Load(m.weights[fold]); err != nil {
		return nil, err
	}
	last.fold = fold
	return last, nil
}

// spareMemory is how many times the memory of a network must be free for another fold to get one of its own. Its
// weights are kept in several forms, and the next case may be larger.
const spareMemory = 8

func (m *Model) newResult(id string) *Result {
	return &Result{Prediction: evaluate.NewPrediction(id, m.config.Outputs, len(m.folds), len(m.mirrors()))}
}

// conclude picks the classes.
func (r *Result) conclude() error {
	for k, p := range r.Probabilities {
		for _, v := range p {
			if !numeric.Finite(v) {
				return task.CaseErrorf(r.Case, "the network's output is not finite; look for broken values in the images or the checkpoint")
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
