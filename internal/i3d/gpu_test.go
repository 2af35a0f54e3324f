package i3d

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cuda"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/emulator"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/fake"
	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/weights"
)

func recordingGPU(t *testing.T, format kernels.Type) (device.Device, *fake.Card) {
	t.Helper()
	card := fake.New(format)
	dev, err := cuda.New(card, format, false, "")
	if err != nil {
		t.Fatal(err)
	}
	return dev, card
}

var machine = sync.OnceValue(open.GPU{}.Look)

// eachGPU runs f on a card whose kernels are emulated, for the smallest case that there is (minutes, so only if
// UC_EMULATE is set), and on the card of the machine, for all of them.
func eachGPU(t *testing.T, name string, g *golden, small, largest int, f func(t *testing.T, dev device.Device, g *golden, c *goldenCase)) {
	for i := range g.Cases {
		c := &g.Cases[i]
		if size := device.Count(c.InputShape); size > small || os.Getenv("UC_EMULATE") == "" {
			continue
		}
		t.Run(fmt.Sprintf("%s/emulated/%v", name, c), func(t *testing.T) {
			card := fake.New(kernels.Float32)
			card.Computer = emulator.Start(t, kernels.Float32)
			dev, err := cuda.New(card, card.Type, true, "")
			if err != nil {
				t.Fatal(err)
			}
			f(t, dev, g, c)
			if err := card.Problem(); err != nil {
				t.Error(err)
			}
		})
	}
	if machine().Usable(0) != nil {
		return
	}
	dev, err := open.Device(open.Options{Device: "cuda", Deterministic: true})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for i := range g.Cases {
		c := &g.Cases[i]
		if device.Count(c.InputShape) <= largest {
			t.Run(fmt.Sprintf("%s/cuda/%v", name, c), func(t *testing.T) { f(t, dev, g, c) })
		}
	}
}

// tally counts events by kind and name.
func tally(events []fake.Event) map[string]int {
	n := map[string]int{}
	for _, e := range events {
		n[e.Kind]++
		if e.Name != "" {
			n[e.Kind+" "+e.Name]++
		}
	}
	return n
}

// The layers of the network as the device sees them: the convolutions of a block that read its input are one in
// training and two in inference.
const (
	trainingLayers  = 3 + 9*4
	inferenceLayers = 3 + 9*5
	poolings        = 4 + 9
)

// TestStepOnGPU runs whole training steps on a card that records, and checks what it was asked: every layer once per
// direction, nothing read back between the input and the loss, no memory taken after the first step.
func TestStepOnGPU(t *testing.T) {
	for _, format := range kernels.Types {
		t.Run(format.String(), func(t *testing.T) {
			dev, card := recordingGPU(t, format)
			shape := [3]int{36, 41, 32}
			tr, err := NewTraining(dev, smallConfig, 2, shape)
			if err != nil {
				t.Fatal(err)
			}
			if err := tr.Load(NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2)))); err != nil {
				t.Fatal(err)
			}
			x := make([]float32, 2*2*shape[0]*shape[1]*shape[2])
			step := func() []fake.Event {
				card.Events()
				if _, err := tr.Step(x, smallTargets, stepOptions); err != nil {
					t.Fatal(err)
				}
				return card.Events()
			}
			step() // measures
			events := step()
			got := tally(events)
			want := map[string]int{
				"plan forward": trainingLayers, "plan weights": trainingLayers, "plan data": trainingLayers - 1, // the input needs no gradient
				"launch stem_pack": 2, "launch batchnorm_sums": trainingLayers, "launch batchnorm_stats": trainingLayers,
				"launch max_pool": poolings, "launch max_pool_backward": poolings, "launch sgd_step": 1, "launch conv_forward": 0,
				"launch convert": 0, // the step before has left a copy of the parameters
				"alloc":          0, "free": 0, "copy": 0,
				"upload": 3, "download": 3, // input, targets, the step's numbers; loss, logits, the step's numbers
			}
			for what, n := range want {
				if got[what] != n {
					t.Errorf("%s: %d times, expected %d", what, got[what], n)
				}
			}
			// Normalisations: an Inception block has one for each of its six convolutions.
			if n := 3 + 9*6; got["launch batchnorm_relu"] != n || got["launch batchnorm_backward"] != n {
				t.Errorf("%d and %d batch norms, expected %d", got["launch batchnorm_relu"], got["launch batchnorm_backward"], n)
			}
			begun := false
			for _, e := range events {
				begun = begun || e.Kind == "launch"
				if begun && e.Kind == "upload" && e.Bytes != kernels.ControlBytes {
					t.Errorf("%d bytes are sent in the middle of a step", e.Bytes)
				}
				if e.Kind == "download" && e.Bytes > 64 {
					t.Errorf("%d bytes are read back", e.Bytes)
				}
				if p := e.Problem; e.Kind == "plan" && (p.C%8 != 0 || p.K%8 != 0) {
					t.Errorf("%v: tensor cores want multiples of 8 channels", p)
				}
			}
			if err := card.Problem(); err != nil {
				t.Error(err)
			}
		})
	}
}

// asked is what a card was asked to compute, with all parameters, in order.
func asked(events []fake.Event) (all []string) {
	for _, e := range events {
		if e.Kind == "launch" || e.Kind == "plan" || e.Kind == "copy" {
			all = append(all, e.Kind+" "+e.Name+" "+e.Args)
		}
	}
	return all
}

// TestStepIsRecorded checks that from the third step on the card is sent one graph in place of hundreds of launches,
// which are the very same; and that it is made again, or its parameters are brought up to date, when that is needed.
func TestStepIsRecorded(t *testing.T) {
	for _, format := range kernels.Types {
		t.Run(format.String(), func(t *testing.T) {
			dev, card := recordingGPU(t, format)
			tr, x := smallTraining(t, dev)
			step := func(wantGraphs int, what string) []fake.Event {
				t.Helper()
				card.Events()
				if _, err := tr.Step(x, smallTargets, stepOptions); err != nil {
					t.Fatal(err)
				}
				events := card.Events()
				if got := tally(events)["graph"]; got != wantGraphs {
					t.Errorf("%s: %d graphs, expected %d", what, got, wantGraphs)
				}
				return events
			}
			step(0, "the first step measures")
			one := asked(step(0, "the second step takes its memory"))
			for range 2 {
				if got := asked(step(1, "recorded")); !slices.Equal(got, one) {
					t.Fatalf("recorded:\n%q\none by one:\n%q", got, one)
				}
			}
			// An evaluation in between has the same workspace.
			for range 4 {
				if _, _, err := tr.EvalLoss(x, smallTargets); err != nil {
					t.Fatal(err)
				}
			}
			if got := asked(step(1, "after an evaluation")); !slices.Equal(got, one) {
				t.Error("after an evaluation other things are launched")
			}
			// New weights need a new copy in the format of the device, ahead of the graph.
			if err := tr.Load(NewStateDict(smallConfig, rand.New(rand.NewPCG(3, 4)))); err != nil {
				t.Fatal(err)
			}
			converts := 1
			if format == kernels.Float32 {
				converts = 0
			}
			events := step(1, "after Load")
			if got := tally(events); got["launch convert"] != converts {
				t.Errorf("%d conversions after Load, expected %d", got["launch convert"], converts)
			}
			// Memory that has moved ends the recording; there is a new one at once.
			big := newTensor(t, dev, device.Activation, 1, 64, 64, 64, 64)
			dev.Upload(big, make([]float32, big.Size()))
			after := step(1, "after the scratch memory has grown")
			if got := tally(asKinds(asked(after))); !maps.Equal(got, tally(asKinds(one))) {
				t.Errorf("after the scratch memory has grown: %v, expected %v", got, tally(asKinds(one)))
			}
			step(1, "afterwards")
			// The evaluation's and the training's.
			if n := card.Graphs(); n != 2 {
				t.Errorf("the card holds %d graphs, expected 2", n)
			}
			if err := card.Problem(); err != nil {
				t.Error(err)
			}
			dev.Close()
			if n := card.Graphs(); n != 0 {
				t.Errorf("%d graphs were not released", n)
			}
		})
	}
}

// newTensor is a tensor in a block of its own.
func newTensor(t *testing.T, dev device.Device, kind device.Kind, shape ...int) *device.Tensor {
	t.Helper()
	spec := device.Spec{Kind: kind, Shape: shape}
	b, err := dev.NewBlock(dev.Bytes(spec))
	if err != nil {
		t.Fatal(err)
	}
	return dev.Place(spec, b, 0)
}

// asKinds makes events of what asked returned, without parameters.
func asKinds(all []string) (events []fake.Event) {
	for _, a := range all {
		f := strings.Fields(a)
		events = append(events, fake.Event{Kind: f[0], Name: f[1]})
	}
	return events
}

// TestStepThatCannotBeRecorded checks that where captures fail the steps continue as before, with two attempts and no
// more.
func TestStepThatCannotBeRecorded(t *testing.T) {
	for _, at := range []string{"begin", "launch", "end"} {
		t.Run(at, func(t *testing.T) {
			dev, card := recordingGPU(t, kernels.BFloat16)
			card.NoCapture = at
			tr, x := smallTraining(t, dev)
			var want []string
			for i := range 6 {
				if i == 5 { // too late
					card.NoCapture = ""
				}
				card.Events()
				if _, err := tr.Step(x, smallTargets, stepOptions); err != nil {
					t.Fatal(err)
				}
				events := card.Events()
				if got := asked(events); i == 1 {
					want = got
				} else if i > 1 && !slices.Equal(got, want) {
					t.Errorf("step %d: %d launches, expected %d", i+1, len(got), len(want))
				}
				if tally(events)["graph"] > 0 {
					t.Errorf("step %d: a graph", i+1)
				}
			}
			if err := card.Problem(); err != nil {
				t.Error(err)
			}
		})
	}
	// The variable of the environment switches it off.
	t.Setenv(env.CUDAGraph, "0")
	dev, card := recordingGPU(t, kernels.BFloat16)
	tr, x := smallTraining(t, dev)
	for range 4 {
		if _, err := tr.Step(x, smallTargets, stepOptions); err != nil {
			t.Fatal(err)
		}
	}
	if n := tally(card.Events())["graph"]; n > 0 || card.Problem() != nil {
		t.Errorf("%d graphs (%v)", n, card.Problem())
	}
}

// TestRecordedStepThatLosesItsCard checks that the loss of the card while a step is recorded, or while the recording
// runs, comes out as an error of that step.
func TestRecordedStepThatLosesItsCard(t *testing.T) {
	for _, last := range []int{2, 3} { // steps before
		dev, card := recordingGPU(t, kernels.BFloat16)
		tr, x := smallTraining(t, dev)
		var err error
		for i := range last + 1 {
			if err != nil {
				t.Fatal(err)
			}
			if i == last {
				card.LostAt = 1
			}
			_, err = tr.Step(x, smallTargets, stepOptions)
		}
		if !errors.Is(err, driver.ErrLost) {
			t.Errorf("step %d: %v", last+1, err)
		}
	}
}

// TestInferenceOnGPU does the same for a prediction, whose convolutions carry bias and ReLU.
func TestInferenceOnGPU(t *testing.T) {
	dev, card := recordingGPU(t, kernels.BFloat16)
	p, err := NewPredictor(dev, smallConfig, NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2))))
	if err != nil {
		t.Fatal(err)
	}
	shape := [3]int{33, 40, 48}
	x := make([]float32, 2*shape[0]*shape[1]*shape[2])
	var events []fake.Event
	for range 2 {
		card.Events()
		if _, err := p.Logits(x, 1, shape); err != nil {
			t.Fatal(err)
		}
		events = card.Events()
	}
	got := tally(events)
	for what, n := range map[string]int{"plan": inferenceLayers, "plan forward": inferenceLayers, "launch max_pool": poolings, "launch bias_relu": 0, "launch convert": 0,
		"upload": 1, "download": 1, "alloc": 0} {
		if got[what] != n {
			t.Errorf("%s: %d times, expected %d", what, got[what], n)
		}
	}
	for _, e := range events {
		if e.Kind == "plan" && !(e.Problem.Bias && e.Problem.ReLU) {
			t.Errorf("%v: without bias or ReLU", e.Problem)
		}
	}
	if err := card.Problem(); err != nil {
		t.Error(err)
	}
}

// TestTrainingThatLosesItsCard checks that the loss of the card comes out as an error of the step, and that weights are
// never read from a card that is lost.
func TestTrainingThatLosesItsCard(t *testing.T) {
	dev, card := recordingGPU(t, kernels.BFloat16)
	tr, _ := smallTraining(t, dev)
	card.LostAt = 1
	_, err := tr.Step(weights.FormulaInput("x", 2*2*10*14*9, 1.7), smallTargets, stepOptions)
	if !errors.Is(err, driver.ErrLost) || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("error %v", err)
	}
	if sd, err := tr.State(); !errors.Is(err, driver.ErrLost) || sd != nil {
		t.Errorf("the state of a lost card was read: %v (%v)", sd, err)
	}
}
