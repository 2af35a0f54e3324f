package i3d

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/weights"
)

// The features are what the linear layers turn into logits: weights times features plus bias.
func TestFeatures(t *testing.T) {
	dev := openCPU(t, 0)
	sd := NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2)))
	p, err := NewPredictor(dev, smallConfig, sd)
	if err != nil {
		t.Fatal(err)
	}
	if p.Features() != nil {
		t.Error("features before any run")
	}
	var before []float32
	for _, name := range []string{"x", "y", "x"} {
		logits, err := p.Logits(weights.FormulaInput(name, smallConfig.InChannels*8*8*8, 1.7), 1, [3]int{8, 8, 8})
		if err != nil {
			t.Fatal(err)
		}
		f := p.Features()
		if len(f) != features {
			t.Fatalf("%d features", len(f))
		}
		for label, of := range logits {
			w, b := sd.Get(linearName(label)+"weight").F32, sd.Get(linearName(label)+"bias").F32
			for class, got := range of {
				want := float64(b[class])
				for k, v := range f {
					want += float64(v) * float64(w[class*features+k])
				}
				if math.Abs(float64(got)-want) > 1e-4*(1+math.Abs(want)) {
					t.Errorf("input %s, label %d, class %d: logit %v, features give %v", name, label, class, got, want)
				}
			}
		}
		if name == "x" && before != nil {
			for k := range f {
				if f[k] != before[k] {
					t.Fatalf("feature %d is %v, was %v of the same input", k, f[k], before[k])
				}
			}
		}
		if name == "x" {
			before = f
		}
	}
}
