package explain

import (
	"context"

	"github.com/universal-classifier/uc/internal/evaluate"
)

// A blank is what takes the place of the image where it is hidden: 0 in every channel, which is what the padding of the
// training cases holds, and, where intensities were normalised, their mean. The mask of the region of interest is left
// as it is: it was drawn by a person, and no patient lacks a piece of it.
func (m *Model) blank(data []float32, voxels, at int) {
	for c := range m.opened.Config.InChannels - 1 {
		data[c*voxels+at] = 0
	}
}

const (
	patchesPerAxis = 8 // patches that lie side by side along an axis
	minPatch       = 2 // voxels
	maxBatch       = 8 // inputs in one pass of the network
)

// patches are the boxes that occlusion hides: side by side, and once more moved by half a side along all axes.
type patches struct {
	side    [3]int
	corners [][3]int // may lie outside of the image
}

// newPatches lists the patches that touch the region of interest or, without one, a part of the image that is not
// blank already.
func (m *Model) newPatches(p *prepared) *patches {
	q := &patches{}
	for a := range 3 {
		q.side[a] = min(max(minPatch, (p.shape[a]+patchesPerAxis/2)/patchesPerAxis), p.shape[a])
	}
	voxels := p.voxels()
	counts := func(i int) bool { // whether hiding a voxel can matter
		if m.Plans().RealMasks && p.mask()[i] <= 0 {
			return false
		}
		for c := range m.opened.Config.InChannels - 1 {
			if p.data[c*voxels+i] != 0 {
				return true
			}
		}
		return false
	}
	for moved := range 2 {
		for z := -moved * q.side[0] / 2; z < p.shape[0]; z += q.side[0] {
			for y := -moved * q.side[1] / 2; y < p.shape[1]; y += q.side[1] {
				for x := -moved * q.side[2] / 2; x < p.shape[2]; x += q.side[2] {
					found := false
					q.each([3]int{z, y, x}, p.shape, func(i int) { found = found || counts(i) })
					if found {
						q.corners = append(q.corners, [3]int{z, y, x})
					}
				}
			}
		}
	}
	return q
}

// each calls f with the voxels of the patch at a corner.
func (q *patches) each(corner, shape [3]int, f func(i int)) {
	for z := max(corner[0], 0); z < min(corner[0]+q.side[0], shape[0]); z++ {
		for y := max(corner[1], 0); y < min(corner[1]+q.side[1], shape[1]); y++ {
			for x := max(corner[2], 0); x < min(corner[2]+q.side[2], shape[2]); x++ {
				f((z*shape[1]+y)*shape[2] + x)
			}
		}
	}
}

// occlude fills in the heat by occlusion: per voxel the mean, over the patches that hide it and the folds, of how much
// the score of the class falls. Where no patch lies it is 0.
func (m *Model) occlude(ctx context.Context, p *prepared, folds []int, maps []Map) error {
	q := m.newPatches(p)
	covers := make([]float32, p.voxels())
	for i := range maps {
		maps[i].Heat = make([]float32, p.voxels())
	}
	for _, corner := range q.corners {
		q.each(corner, p.shape, func(i int) { covers[i]++ })
	}
	for _, fold := range folds {
		if err := m.load(fold); err != nil {
			return err
		}
		whole, err := m.scores(ctx, p, 1, func(int, []float32) {}, maps)
		if err != nil {
			return err
		}
		hidden, err := m.scores(ctx, p, len(q.corners), func(k int, data []float32) {
			q.each(q.corners[k], p.shape, func(i int) { m.blank(data, p.voxels(), i) })
		}, maps)
		if err != nil {
			return err
		}
		for h := range maps {
			for k, corner := range q.corners {
				fall := float32(whole[h][0]-hidden[h][k]) / float32(len(folds))
				q.each(corner, p.shape, func(i int) { maps[h].Heat[i] += fall / covers[i] })
			}
		}
	}
	return nil
}

// scores are, per map, the scores of n inputs, which change makes of copies of the case.
func (m *Model) scores(ctx context.Context, p *prepared, n int, change func(k int, data []float32), maps []Map) ([][]float64, error) {
	out := make([][]float64, len(maps))
	err := m.variants(ctx, p, n, change, func(_ int, logits [][]float32) {
		for h := range maps {
			out[h] = append(out[h], score(&maps[h], logits[maps[h].Label]))
		}
	})
	return out, err
}

// variants runs the network on n inputs, which change makes of copies of the case, in batches that fit the memory, and
// calls done with the logits of each, in order.
func (m *Model) variants(ctx context.Context, p *prepared, n int, change func(k int, data []float32), done func(k int, logits [][]float32)) error {
	size := min(n, m.batches)
	inputs := make([]float32, size*len(p.data))
	for from := 0; from < n; from += size {
		// The last batch is as large as the others: another size would be another graph.
		count := min(size, n-from)
		for k := range count {
			one := inputs[k*len(p.data):][:len(p.data)]
			copy(one, p.data)
			change(from+k, one)
		}
		var logits [][]float32
		err := m.pass(ctx, func() (err error) {
			logits, err = m.network.Logits(inputs, size, p.shape)
			return err
		})
		if err != nil {
			return err
		}
		for k := range count {
			one := make([][]float32, len(logits))
			for label, classes := range m.opened.Config.Outputs {
				one[label] = logits[label][k*classes:][:classes]
			}
			done(from+k, one)
		}
	}
	return nil
}

// probabilityOf is the probability of a map's class by the logits of a sample.
func probabilityOf(h *Map, logits [][]float32) float64 {
	wide := make([]float64, len(logits[h.Label]))
	for i, v := range logits[h.Label] {
		wide[i] = float64(v)
	}
	return evaluate.Softmax(wide)[h.Class]
}
