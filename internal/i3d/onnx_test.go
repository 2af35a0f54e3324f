package i3d

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/onnx"
	"github.com/universal-classifier/uc/internal/onnx/onnxtest"
	"github.com/universal-classifier/uc/internal/ops"
	"github.com/universal-classifier/uc/internal/weights"
)

// TestONNXPoolingSizes compares sizes and paddings of the written poolings with the network's.
func TestONNXPoolingSizes(t *testing.T) {
	pools := []device.Pooling{ops.MixedPool}
	for _, s := range stages {
		if s.pool != nil {
			pools = append(pools, *s.pool)
		}
	}
	for _, p := range pools {
		lo, hi := p.Padding()
		for n := 1; n < 60; n++ {
			want := p.OutSize(cube(n))
			for a := range 3 {
				up := hi[a] + p.Stride[a] - 1
				if got := (n+lo[a]+up-p.Kernel[a])/p.Stride[a] + 1; got != want[a] {
					t.Errorf("pooling %v, size %d: %d, want %d", p, n, got, want[a])
				}
				if up >= p.Kernel[a] || (want[a]-1)*p.Stride[a]-lo[a] >= n {
					t.Errorf("pooling %v, size %d: a window lies in the padding", p, n)
				}
			}
		}
	}
}

func written(t *testing.T, g *onnx.Graph) *onnxtest.Model {
	t.Helper()
	var b bytes.Buffer
	if err := (&onnx.Model{Graph: g}).Write(&b); err != nil {
		t.Fatal(err)
	}
	return onnxtest.Read(t, b.Bytes())
}

// TestONNXAveragePool runs the weighted mean on sizes below and above the window.
func TestONNXAveragePool(t *testing.T) {
	g := onnx.NewGraph("head")
	features := onnxNetwork{Graph: g}.averagePool("x")
	m := written(t, g)
	rng := rand.New(rand.NewPCG(5, 5))
	for _, size := range [][3]int{{1, 1, 1}, {2, 2, 7}, {1, 2, 3}, {3, 1, 8}, {5, 4, 13}, {2, 3, 9}} {
		const channels = 16
		x := make([]float32, channels*size[0]*size[1]*size[2])
		for i := range x {
			x[i] = rng.Float32()
		}
		values := m.Run(t, map[string]onnxtest.Tensor{"x": {Shape: []int{1, channels, size[0], size[1], size[2]}, F: x}})
		for c := range channels {
			want := plainAveragePool(x[c*size[0]*size[1]*size[2]:], size)
			if got := values[features].F[c]; math.Abs(float64(got)-want) > 1e-6 {
				t.Errorf("size %v, channel %d: %g, want %g", size, c, got, want)
			}
		}
	}
}

// plainAveragePool averages every window and then the windows, as the reference does.
func plainAveragePool(x []float32, size [3]int) float64 {
	var k [3]int
	for a := range 3 {
		k[a] = min(size[a], ops.HeadWindow[a])
	}
	total, windows := 0.0, 0
	for z := 0; z+k[0] <= size[0]; z++ {
		for y := 0; y+k[1] <= size[1]; y++ {
			for w := 0; w+k[2] <= size[2]; w++ {
				sum := 0.0
				for dz := range k[0] {
					for dy := range k[1] {
						for dx := range k[2] {
							sum += float64(x[((z+dz)*size[1]+y+dy)*size[2]+w+dx])
						}
					}
				}
				total += sum / float64(k[0]*k[1]*k[2])
				windows++
			}
		}
	}
	return total / float64(windows)
}

// TestONNXNetwork runs the written network against the predictor.
func TestONNXNetwork(t *testing.T) {
	cfg := Config{InChannels: 2, Outputs: []int{2, 3}}
	sd := EmptyStateDict(cfg)
	weights.Formula(sd, "", 1.6)
	dev, err := open.Device(open.Options{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	network, err := NewPredictor(dev, cfg, sd)
	if err != nil {
		t.Fatal(err)
	}
	g := onnx.NewGraph("network")
	outputs := AddONNX(g, "/0/", "x", cfg, sd)
	m := written(t, g)
	rng := rand.New(rand.NewPCG(6, 6))
	for _, shape := range [][4]int{{1, 2, 3, 5}, {2, 7, 5, 12}} {
		x := make([]float32, shape[0]*cfg.InChannels*shape[1]*shape[2]*shape[3])
		for i := range x {
			x[i] = float32(2 * rng.NormFloat64())
		}
		logits, err := network.Logits(x, shape[0], [3]int(shape[1:]))
		if err != nil {
			t.Fatal(err)
		}
		values := m.Run(t, map[string]onnxtest.Tensor{"x": {Shape: []int{shape[0], cfg.InChannels, shape[1], shape[2], shape[3]}, F: x}})
		for label, classes := range cfg.Outputs {
			for i, p := range values[outputs[label]].F {
				row := logits[label][i/classes*classes:][:classes]
				sum := 0.0
				for _, v := range row {
					sum += math.Exp(float64(v))
				}
				if want := math.Exp(float64(logits[label][i])) / sum; math.Abs(float64(p)-want) > 1e-5 {
					t.Errorf("shape %v, label %d, value %d: %g, want %g", shape, label, i, p, want)
				}
			}
		}
	}
}
