package i3d

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/emulator"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/fake"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// TestCutOnGPU runs both parts of a cut network on a card that records, and checks what it was asked: every layer above
// the cut once forward and once back, no gradient of weights, and no memory taken after the first run.
func TestCutOnGPU(t *testing.T) {
	for _, format := range kernels.Types {
		t.Run(format.String(), func(t *testing.T) {
			dev, card := recordingGPU(t, format)
			p, err := NewPredictor(dev, smallConfig, NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2))))
			if err != nil {
				t.Fatal(err)
			}
			c, err := p.Cut("mixed_3c")
			if err != nil {
				t.Fatal(err)
			}
			shape := [3]int{17, 40, 33}
			x := make([]float32, 2*device.Count(shape[:]))
			var lower, upper map[string]int
			for range 4 { // measured, then as it is, then recorded, then repeated
				card.Events()
				a, err := c.Activations(x, 1, shape)
				if err != nil {
					t.Fatal(err)
				}
				lower = tally(card.Events())
				if _, _, err := c.Gradient(a, 1, shape, []float32{0, 1, 0, 0, 0}); err != nil {
					t.Fatal(err)
				}
				upper = tally(card.Events())
			}
			const blocks = 7 // above mixed_3c
			for what, n := range map[string]int{"plan forward": inferenceLayers - blocks*5, "plan data": 0, "alloc": 0} {
				if lower[what] != n {
					t.Errorf("below the cut: %s: %d times, expected %d", what, lower[what], n)
				}
			}
			for what, n := range map[string]int{"plan forward": blocks * 5, "plan data": blocks * 5, "plan weights": 0, "launch relu_backward": blocks * 2,
				"launch max_pool_backward": blocks + 2, "alloc": 0, "graph": 1} {
				if upper[what] != n {
					t.Errorf("above the cut: %s: %d times, expected %d", what, upper[what], n)
				}
			}
			if err := card.Problem(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCutEmulated compares a gradient of a card whose kernels are emulated (minutes, so only if UC_EMULATE is set) with
// the processor's.
func TestCutEmulated(t *testing.T) {
	if os.Getenv("UC_EMULATE") == "" {
		t.Skip("UC_EMULATE is not set")
	}
	card := fake.New(kernels.Float32)
	card.Computer = emulator.Start(t, kernels.Float32)
	gpu, err := cuda.New(card, card.Type, true, "")
	if err != nil {
		t.Fatal(err)
	}
	var gradients [2][]float32
	for i, dev := range []device.Device{gpu, openCPU(t, 2)} {
		p, x := cutPredictor(t, dev)
		c, err := p.Cut("mixed_4f")
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Activations(x[:len(x)/2], 1, cutShape)
		if err != nil {
			t.Fatal(err)
		}
		if _, gradients[i], err = c.Gradient(a, 1, cutShape, []float32{0, 1, 0, 0, -1}); err != nil {
			t.Fatal(err)
		}
	}
	largest, apart := 0.0, 0.0
	for i, want := range gradients[1] {
		largest, apart = max(largest, math.Abs(float64(want))), max(apart, math.Abs(float64(gradients[0][i]-want)))
	}
	if largest == 0 || apart > 1e-3*largest {
		t.Errorf("gradients are %g apart, the largest is %g", apart, largest)
	}
	if err := card.Problem(); err != nil {
		t.Error(err)
	}
}
