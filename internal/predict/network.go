package predict

import (
	"context"
	"fmt"
	"math"

	"github.com/universal-classifier/uc/internal/backend"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/i3d"
)

// predict averages folds and mirror images of some cases. The weights of a fold are loaded once for all of them.
func (m *Model) predict(ctx context.Context, cases []*prepared) (results []*Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer backend.Recover(&err)
	results = make([]*Result, len(cases))
	for i, c := range cases {
		results[i] = m.newResult(c.id)
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
				if axes != (mirror{}) {
					flipped = axes.apply(flipped, c.data, c.shape)
					input = flipped
				}
				logits, err := m.network.Logits(input, 1, c.shape)
				if err != nil {
					return nil, fmt.Errorf("case %s: %w", c.id, err)
				}
				results[i].add(logits, share)
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
	r := &Result{Prediction: evaluate.Prediction{Case: id}}
	for _, classes := range m.config.Outputs {
		r.Logits = append(r.Logits, make([]float64, classes))
		r.Probabilities = append(r.Probabilities, make([]float64, classes))
	}
	return r
}

// add takes in the logits of one network and one mirror image.
func (r *Result) add(logits [][]float32, share float64) {
	for k, of := range logits {
		wide := make([]float64, len(of))
		for i, v := range of {
			wide[i] = float64(v)
		}
		for i, p := range evaluate.Softmax(wide) {
			r.Logits[k][i] += share * wide[i]
			r.Probabilities[k][i] += share * p
		}
	}
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

// mirror says which of the axes (z, y, x) are flipped.
type mirror [3]bool

// mirrors are the images of test-time augmentation: all eight combinations of flipped axes, or the case as it is.
func (m *Model) mirrors() []mirror {
	if m.options.DisableTTA {
		return []mirror{{}}
	}
	var all []mirror
	for bits := range 8 {
		all = append(all, mirror{bits&1 != 0, bits&2 != 0, bits&4 != 0})
	}
	return all
}

// apply writes the flipped (C, Z, Y, X) of src into dst, which grows as needed, and returns it.
func (a mirror) apply(dst, src []float32, shape [3]int) []float32 {
	if cap(dst) < len(src) {
		dst = make([]float32, len(src))
	}
	dst = dst[:len(src)]
	depth, rows, width := shape[0], shape[1], shape[2]
	for c := range len(src) / (depth * rows * width) {
		for z := range depth {
			fromZ := z
			if a[0] {
				fromZ = depth - 1 - z
			}
			for y := range rows {
				fromY := y
				if a[1] {
					fromY = rows - 1 - y
				}
				to := dst[((c*depth+z)*rows+y)*width:][:width]
				from := src[((c*depth+fromZ)*rows+fromY)*width:][:width]
				if !a[2] {
					copy(to, from)
					continue
				}
				for x, v := range from {
					to[width-1-x] = v
				}
			}
		}
	}
	return dst
}
