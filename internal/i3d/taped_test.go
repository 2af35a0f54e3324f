package i3d

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/weights"
)

// TestTaped compares passes that a tape repeats with those that Gorgonia runs, which a trace makes it do.
func TestTaped(t *testing.T) {
	walked := func(string, *device.Tensor, time.Duration) {}
	t.Run("training", func(t *testing.T) {
		taped, x := smallTraining(t, openCPU(t, 2))
		plain, _ := smallTraining(t, openCPU(t, 2))
		plain.Trace(walked)
		for step := range 6 {
			for i := range x {
				x[i] *= 1.1
			}
			a, err := taped.Step(x, smallTargets, stepOptions)
			b, errPlain := plain.Step(x, smallTargets, stepOptions)
			if err != nil || errPlain != nil || !reflect.DeepEqual(a, b) {
				t.Fatalf("step %d: %+v (%v), want %+v (%v)", step, a, err, b, errPlain)
			}
		}
		if taped.graph.tape.Recording == nil || plain.graph.tape.Recording != nil {
			t.Error("the training should have been taped, the traced one not")
		}
		a, err := taped.State()
		b, errPlain := plain.State()
		if err != nil || errPlain != nil {
			t.Fatal(err, errPlain)
		}
		equalStates(t, "state", a, b)
	})
	t.Run("inference", func(t *testing.T) {
		sd := NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2)))
		dev := openCPU(t, 2)
		predictor := func(sd *weights.StateDict) *Predictor {
			p, err := NewPredictor(dev, smallConfig, sd)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		taped, plain := predictor(sd), predictor(sd)
		plain.Trace(walked)
		x := weights.FormulaInput("x", 2*2*10*14*9, 1.7)
		for run := range 8 {
			batch := 1 + run%2
			if run == 6 { // other weights
				sd = NewStateDict(smallConfig, rand.New(rand.NewPCG(3, 4)))
				if err := taped.Load(sd); err != nil {
					t.Fatal(err)
				}
				if err := plain.Load(sd); err != nil {
					t.Fatal(err)
				}
			}
			x[run] += 10
			a, err := taped.Logits(x[:batch*2*10*14*9], batch, smallImage)
			b, errPlain := plain.Logits(x[:batch*2*10*14*9], batch, smallImage)
			if err != nil || errPlain != nil {
				t.Fatal(err, errPlain)
			}
			if !slices.EqualFunc(a, b, slices.Equal) || !slices.Equal(taped.Features(), plain.Features()) {
				t.Fatalf("run %d: %v, want %v", run, a, b)
			}
		}
		for _, g := range taped.graphs {
			if g.tape.Recording == nil {
				t.Errorf("batch %d has not been taped", g.batch)
			}
		}
	})
}

// TestTapeRefuses checks that a tape does not repeat passes with calls that are no operations.
func TestTapeRefuses(t *testing.T) {
	dev := openCPU(t, 1)
	block, err := dev.NewBlock(64)
	if err != nil {
		t.Fatal(err)
	}
	values := dev.Place(device.Spec{Kind: device.Values, Shape: []int{1}}, block, 0)
	for name, call := range map[string]func(device.Device){
		"upload":   func(d device.Device) { d.Upload(values, []float32{1}) },
		"download": func(d device.Device) { d.Download(values, []float32{1}) },
		"step":     func(d device.Device) { d.Step(device.SGD{}, values, values, values) },
		"AdamW":    func(d device.Device) { d.StepAdamW(device.AdamW{Step: 1}, values, values, values, values) },
	} {
		if tape := device.NewTape(dev); tape.Whole() {
			if call(tape); tape.Whole() || tape.Run() {
				t.Errorf("%s was taped", name)
			}
		}
	}
}
