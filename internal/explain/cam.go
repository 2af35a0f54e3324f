package explain

import (
	"context"
	"math"

	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/mirror"
)

// finestSide is how many positions a layer must have along each axis of the input for its map to say where something
// is.
const finestSide = 8

// camLayers are the layers that are looked at for a default, from the coarsest on.
var camLayers = []string{"mixed_5c", "mixed_4f", "mixed_3c", "conv3d_2c_3x3", "conv3d_1a_7x7"}

// DefaultLayer is the coarsest of a few layers that has 8 positions or more along every axis of an input of the given
// shape: the later a layer, the more its channels know of the class, and the less of the place.
func (m *Model) DefaultLayer(shape [3]int) (string, error) {
	for _, layer := range camLayers {
		cut, err := m.network.Cut(layer)
		if err != nil {
			return "", err
		}
		size := cut.Grid(shape).Size
		if min(size[0], size[1], size[2]) >= finestSide {
			return layer, nil
		}
	}
	return camLayers[len(camLayers)-1], nil
}

// ofLayer fills in the heat by HiResCAM or Grad-CAM++, the mean over folds and mirror images.
func (m *Model) ofLayer(ctx context.Context, p *prepared, folds []int, maps []Map) error {
	if err := m.load(folds[0]); err != nil {
		return err
	}
	layer := m.options.Layer
	if layer == "" {
		var err error
		if layer, err = m.DefaultLayer(p.shape); err != nil {
			return err
		}
	}
	cut, err := m.cutBehind(layer)
	if err != nil {
		return err
	}
	grid, mirrors := cut.Grid(p.shape), m.mirrors()
	up := newUpsampling(grid, p.shape)
	fine, turned := make([]float32, p.voxels()), []float32(nil)
	for i := range maps {
		maps[i].Layer, maps[i].Heat = layer, make([]float32, p.voxels())
	}
	share := 1 / float32(len(folds)*len(mirrors))
	return m.eachImage(ctx, p, folds, mirrors, func(input []float32, axes mirror.Axes) error {
		activations, err := cut.Activations(input, 1, p.shape)
		if err != nil {
			return err
		}
		for i := range maps {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, gradient, err := cut.Gradient(activations, 1, p.shape, m.seed(&maps[i]))
			if err != nil {
				return err
			}
			coarse := hiResCAM
			if m.options.Method == GradCAM {
				coarse = camPlusPlus
			}
			up.apply(fine, coarse(activations, gradient, grid.Channels))
			turned = axes.Apply(turned, fine, p.shape)
			for j, v := range turned {
				maps[i].Heat[j] += share * v
			}
		}
		return nil
	})
}

// hiResCAM is the map of HiResCAM (Draelos & Carin 2020) before its ReLU: the sum over channels of activation times
// gradient at the same place, of arrays (channels, positions).
func hiResCAM(activations, gradient []float32, channels int) []float32 {
	out := make([]float32, len(activations)/channels)
	for c := range channels {
		a, g := activations[c*len(out):][:len(out)], gradient[c*len(out):][:len(out)]
		for i, v := range a {
			out[i] += v * g[i]
		}
	}
	return out
}

// camPlusPlus is the map of Grad-CAM++ (Chattopadhay et al. 2018, equations 10, 18 and 19): of a layer's activations A
// and the gradient g of the score, both (channels, positions),
//
//	alpha = g^2 / (2 g^2 + sum(A) g^3),  weight = sum(alpha max(g, 0)),  map = max(0, sum over channels of weight A)
//
// The paper's score is exp(s) of a logit s, whose second and third derivatives are g^2 exp(s) and g^3 exp(s); the
// factor exp(s), which is common to all places, is left out.
func camPlusPlus(activations, gradient []float32, channels int) []float32 {
	positions := len(activations) / channels
	sums := make([]float64, positions)
	for c := range channels {
		a, g := activations[c*positions:][:positions], gradient[c*positions:][:positions]
		total := 0.0
		for _, v := range a {
			total += float64(v)
		}
		weight := 0.0
		for _, v := range g {
			// Divided by g^2, which may be too small for a float.
			if bottom := 2 + total*float64(v); v > 0 && bottom > 0 {
				weight += float64(v) / bottom
			}
		}
		if weight == 0 {
			continue
		}
		for i, v := range a {
			sums[i] += weight * float64(v)
		}
	}
	out := make([]float32, positions)
	for i, v := range sums {
		out[i] = float32(max(v, 0))
	}
	return out
}

// upsampling brings the map of a layer onto the network's input: linear between the centres of receptive fields, and
// constant beyond the outermost.
type upsampling struct {
	from, to [3]int
	taps     [3][]tap
}

// tap is where an input position lies between two positions of the layer.
type tap struct {
	low, high int
	weight    float32 // of high
}

func newUpsampling(g i3d.Grid, shape [3]int) *upsampling {
	u := &upsampling{from: g.Size, to: shape}
	for a := range 3 {
		for i := range shape[a] {
			u.taps[a] = append(u.taps[a], tapAt((float64(i)-g.First[a])/g.Steps[a], g.Size[a]))
		}
	}
	return u
}

// tapAt is the tap of a place among n positions.
func tapAt(at float64, n int) tap {
	at = min(max(at, 0), float64(n-1))
	low := int(math.Floor(at))
	return tap{low, min(low+1, n-1), float32(at - float64(low))}
}

// apply writes coarse (from) to fine (to).
func (u *upsampling) apply(fine, coarse []float32) {
	interpolate(fine, coarse, u.from, u.to, u.taps)
}

// interpolate writes to fine (size to) what lies in coarse (size from) at the taps of each axis.
func interpolate(fine, coarse []float32, from, to [3]int, taps [3][]tap) {
	plane := make([]float32, from[1]*from[2])
	row := make([]float32, from[2])
	for z, tz := range taps[0][:to[0]] {
		low, high := coarse[tz.low*len(plane):], coarse[tz.high*len(plane):]
		for i := range plane {
			plane[i] = low[i] + tz.weight*(high[i]-low[i])
		}
		for y, ty := range taps[1][:to[1]] {
			low, high := plane[ty.low*len(row):], plane[ty.high*len(row):]
			for i := range row {
				row[i] = low[i] + ty.weight*(high[i]-low[i])
			}
			out := fine[(z*to[1]+y)*to[2]:][:to[2]]
			for x, tx := range taps[2] {
				out[x] = row[tx.low] + tx.weight*(row[tx.high]-row[tx.low])
			}
		}
	}
}
