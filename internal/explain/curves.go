package explain

import (
	"context"
	"slices"
)

// Curve is the probability of a class, the mean over folds, while the image is taken away or brought back (Petsiuk et
// al. 2018). Without mirror images.
type Curve struct {
	Probabilities []float64 `json:"probabilities"` // from untouched on, at evenly spaced parts of the voxels
	Area          float64   `json:"area"`          // below the curve, 0 to 1
}

// curves fills in the deletion and insertion curves. Voxels that are blank anyway, in the padding for example, are left
// out. A good map has a small area of deletion and a large one of insertion.
func (m *Model) curves(ctx context.Context, p *prepared, folds []int, maps []Map) error {
	steps, voxels := m.options.CurveSteps, p.voxels()
	var counts []int
	for i := range voxels {
		for c := range m.opened.Config.InChannels - 1 {
			if p.data[c*voxels+i] != 0 {
				counts = append(counts, i)
				break
			}
		}
	}
	hottest := make([][]int, len(maps))
	for h := range maps {
		hottest[h] = slices.Clone(counts)
		heat := maps[h].Heat
		slices.SortStableFunc(hottest[h], func(a, b int) int {
			switch {
			case heat[a] > heat[b]:
				return -1
			case heat[a] < heat[b]:
				return 1
			}
			return 0
		})
		maps[h].Deletion, maps[h].Insertion = newCurve(steps), newCurve(steps)
	}
	for _, fold := range folds {
		if err := m.load(fold); err != nil {
			return err
		}
		for h := range maps {
			order := hottest[h]
			err := m.variants(ctx, p, 2*(steps+1), func(k int, data []float32) {
				gone := order[:len(order)*(k/2)/steps] // deletion
				if k%2 == 1 {                          // insertion
					gone = order[len(gone):]
				}
				for _, i := range gone {
					m.blank(data, voxels, i)
				}
			}, func(k int, logits [][]float32) {
				c := maps[h].Deletion
				if k%2 == 1 {
					c = maps[h].Insertion
				}
				c.Probabilities[k/2] += probabilityOf(&maps[h], logits) / float64(len(folds))
			})
			if err != nil {
				return err
			}
		}
	}
	for h := range maps {
		maps[h].Deletion.measure()
		maps[h].Insertion.measure()
	}
	return nil
}

func newCurve(steps int) *Curve { return &Curve{Probabilities: make([]float64, steps+1)} }

// measure computes the area by trapezoids.
func (c *Curve) measure() {
	c.Area = 0
	n := len(c.Probabilities) - 1
	for i := range n {
		c.Area += (c.Probabilities[i] + c.Probabilities[i+1]) / float64(2*n)
	}
}
