package i3d

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/weights"
)

var cutShape = [3]int{8, 34, 12}

func cutPredictor(t *testing.T, dev device.Device) (*Predictor, []float32) {
	t.Helper()
	sd := EmptyStateDict(smallConfig)
	weights.Formula(sd, "cut", 1.6) // by which signals neither die away nor explode
	p, err := NewPredictor(dev, smallConfig, sd)
	if err != nil {
		t.Fatal(err)
	}
	return p, weights.FormulaInput("cut", 2*2*device.Count(cutShape[:]), 1.7)
}

func suffix(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '.' {
			return name[i+1:]
		}
	}
	return name
}

// TestCutLogits checks that both parts of a cut network compute together what the whole does.
func TestCutLogits(t *testing.T) {
	p, x := cutPredictor(t, openCPU(t, 2))
	want, err := p.Logits(x, 2, cutShape)
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range Layers() {
		c, err := p.Cut(layer)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Activations(x, 2, cutShape)
		if err != nil {
			t.Fatal(err)
		}
		grid := c.Grid(cutShape)
		if n := 2 * grid.Channels * device.Count(grid.Size[:]); len(a) != n {
			t.Fatalf("%s: %d activations, the grid %+v has %d", layer, len(a), grid, n)
		}
		got, _, err := c.Gradient(a, 2, cutShape, make([]float32, 10))
		if err != nil {
			t.Fatal(err)
		}
		for label := range want {
			if !slices.Equal(got[label], want[label]) {
				t.Errorf("%s: label %d: logits %v, of the whole network %v", layer, label, got[label], want[label])
			}
		}
	}
	if _, err := p.Cut("mixed_6a"); err == nil {
		t.Error("a cut behind a layer that does not exist")
	}
}

// TestCutGradient compares gradients with differences of logits, at the input, behind a pooling and behind blocks: the
// gradient's mean along a line, times the line, is the difference between its ends. Unlike a difference over a short
// step, that holds across the kinks of ReLU and maximum, too.
func TestCutGradient(t *testing.T) {
	p, x := cutPredictor(t, openCPU(t, 2))
	r := rand.New(rand.NewPCG(5, 6))
	seed := []float32{1, -0.5, 0, 0.25, 0, 0, 0, 1, -1, 0.5}
	score := func(logits [][]float32) (sum float64) {
		for n := range 2 {
			for i, v := range []float32{logits[0][2*n], logits[0][2*n+1], logits[1][3*n], logits[1][3*n+1], logits[1][3*n+2]} {
				sum += float64(v) * float64(seed[5*n+i])
			}
		}
		return sum
	}
	for _, layer := range []string{InputLayer, "maxPool3d_3a_3x3", "mixed_3c", "mixed_4f"} {
		c, err := p.Cut(layer)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Activations(x, 2, cutShape)
		if err != nil {
			t.Fatal(err)
		}
		line := make([]float32, len(a)) // to other activations of the same size, sample by sample
		half := len(a) / 2
		for i := range line {
			line[i] = (a[(i+half)%len(a)] - a[i]) * float32(0.02+0.02*r.Float64())
		}
		const steps = 64
		at := func(f float64) (s float64, along float64) {
			b := slices.Clone(a)
			for i, d := range line {
				b[i] += float32(f) * d
			}
			logits, gradient, err := c.Gradient(b, 2, cutShape, seed)
			if err != nil {
				t.Fatal(err)
			}
			if len(gradient) != len(a) {
				t.Fatalf("%s: a gradient of %d values for %d activations", layer, len(gradient), len(a))
			}
			for i, d := range line {
				along += float64(gradient[i]) * float64(d)
			}
			return score(logits), along
		}
		start, _ := at(0)
		end, _ := at(1)
		mean, size := 0.0, 0.0
		for i := range steps {
			_, along := at((float64(i) + 0.5) / steps)
			mean += along / steps
			size += math.Abs(along) / steps
		}
		if math.Abs(end-start-mean) > 0.03*size || size < 1e-4 {
			t.Errorf("%s: the logits differ by %g, by the gradient %g (of absolute terms %g)", layer, end-start, mean, size)
		}
	}
}

// TestCutGrid checks the centres of receptive fields by what single voxels change: with positive weights alone every
// voxel counts, and the voxels that a position depends on lie evenly around its centre.
func TestCutGrid(t *testing.T) {
	dev := openCPU(t, 2)
	cfg := Config{InChannels: 1, Outputs: []int{2}}
	sd := EmptyStateDict(cfg)
	for _, n := range sd.Names() {
		v := sd.Get(n)
		for i := range v.F32 {
			v.F32[i] = 0.01
			if s := suffix(n); s == "running_var" || s == "weight" && len(v.Shape) == 1 {
				v.F32[i] = 1
			} else if s == "running_mean" {
				v.F32[i] = 0
			}
		}
	}
	p, err := NewPredictor(dev, cfg, sd)
	if err != nil {
		t.Fatal(err)
	}
	for layer, step := range map[string][3]float64{"conv3d_1a_7x7": {2, 2, 2}, "maxPool3d_2a_3x3": {2, 4, 4}, "maxPool3d_4a_3x3": {4, 16, 16}} {
		c, err := p.Cut(layer)
		if err != nil {
			t.Fatal(err)
		}
		shape := [3]int{2, 2, 96}
		grid := c.Grid(shape)
		if grid.Steps != step {
			t.Errorf("%s: steps %v, expected %v", layer, grid.Steps, step)
		}
		x := make([]float32, device.Count(shape[:]))
		for i := range x {
			x[i] = 1e-3
		}
		flat, err := c.Activations(x, 1, shape)
		if err != nil {
			t.Fatal(err)
		}
		at := grid.Size[2] / 2 // in the middle of the first row
		first, last := -1, -1
		var change [96]float32
		for i := range 96 {
			y := slices.Clone(x)
			y[i] = 1
			a, err := c.Activations(y, 1, shape)
			if err != nil {
				t.Fatal(err)
			}
			change[i] = a[at] - flat[at]
		}
		for i, v := range change {
			if v > 1e-3*slices.Max(change[:]) { // fast convolutions round at the places beside, too
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		if centre := grid.First[2] + float64(at)*grid.Steps[2]; first < 1 || last > 94 || centre != float64(first+last)/2 {
			t.Errorf("%s: position %d sees voxels %d to %d, and its centre is said to be %g", layer, at, first, last, centre)
		}
	}
}
