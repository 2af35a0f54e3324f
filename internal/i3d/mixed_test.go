package i3d

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
)

// mixedTolerance bounds how far losses and logits in mixed precision may be from those in single precision.
const mixedTolerance = 2e-2

// blobs are images with six smooth lights and shadows each, and a little noise.
func blobs(images int, size [3]int) (x []float32) {
	rng := rand.New(rand.NewPCG(1, 9))
	for range images {
		var blob [6][5]float64 // centre, width, height
		for i := range blob {
			blob[i] = [5]float64{rng.Float64(), rng.Float64(), rng.Float64(), 0.05 + 0.2*rng.Float64(), 4 * rng.NormFloat64()}
		}
		for i := range size[0] * size[1] * size[2] {
			at := [3]int{i / (size[1] * size[2]), i / size[2] % size[1], i % size[2]}
			v := 0.3 * rng.NormFloat64()
			for _, b := range blob {
				square := 0.0
				for a := range 3 {
					off := float64(at[a])/float64(size[a]) - b[a]
					square += off * off
				}
				v += b[4] * math.Exp(-square/(2*b[3]*b[3]))
			}
			x = append(x, float32(v))
		}
	}
	return x
}

// TestMixedPrecisionFollowsSingle compares five steps of training, and the logits of an inference pass with the weights
// that came out. The rate is the reference's smallest: the gradients of a network fresh from its initialisation are so
// steep (norms of hundreds) that with larger ones the losses of five steps move by hundredths when the rounding changes
// at all; PyTorch's autocast then ends up to 0.13 from its own single precision.
func TestMixedPrecisionFollowsSingle(t *testing.T) {
	open := func(mixed bool) device.Device {
		dev, err := open.Device(open.Options{Device: "cpu", Mixed: mixed})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(dev.Close)
		return dev
	}
	single, mixed := open(false), open(true)
	if mixed.Precision() == single.Precision() {
		t.Skip("this processor has no instructions for bfloat16")
	}
	cfg, batch, size := Config{InChannels: 2, Outputs: []int{2}}, 7, [3]int{48, 48, 48}
	x, targets := blobs(batch*2, size), [][]int{{0, 1, 0, 1, 0, 1, 0}}
	run := func(dev device.Device) (losses []float64, tr *Training) {
		tr, err := NewTraining(dev, cfg, batch, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Load(NewStateDict(cfg, rand.New(rand.NewPCG(1, 2)))); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			r, err := tr.Step(x, targets, StepOptions{LR: 1e-6, Momentum: 0.99, WeightDecay: 3e-5, ClipNorm: 12})
			if err != nil {
				t.Fatal(err)
			}
			losses = append(losses, r.Loss)
		}
		return losses, tr
	}
	want, tr := run(single)
	got, half := run(mixed)
	t.Logf("losses %.5f, in single precision %.5f", got, want)
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= mixedTolerance) {
			t.Errorf("step %d: loss %g, in single precision %g", i+1, got[i], want[i])
		}
	}
	if m, s := half.MemoryBytes(), tr.MemoryBytes(); m >= s {
		t.Errorf("%d bytes of memory, single precision takes %d", m, s)
	}
	logits := func(dev device.Device) []float32 {
		p, err := NewPredictor(dev, cfg, must(tr.State()))
		if err != nil {
			t.Fatal(err)
		}
		l, err := p.Logits(x, batch, size)
		if err != nil {
			t.Fatal(err)
		}
		return l[0]
	}
	a, b := logits(mixed), logits(single)
	t.Logf("logits %.5f, in single precision %.5f", a, b)
	for i := range b {
		if !(math.Abs(float64(a[i]-b[i])) <= mixedTolerance) {
			t.Errorf("logit %d: %g, in single precision %g", i, a[i], b[i])
		}
	}
}
