package i3d

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/universal-classifier/uc/internal/backend"
	"github.com/universal-classifier/uc/internal/backend/cuda/driver"
	"github.com/universal-classifier/uc/internal/backend/cuda/fake"
	"github.com/universal-classifier/uc/internal/backend/cuda/kernels"
	"github.com/universal-classifier/uc/internal/backend/cuda/kernels/emulator"
	"github.com/universal-classifier/uc/internal/weights"
)

func recordingGPU(t *testing.T, format kernels.Type) (backend.Device, *fake.Card) {
	t.Helper()
	card := fake.New(format)
	dev, err := backend.NewGPU(card, format, false, "")
	if err != nil {
		t.Fatal(err)
	}
	return dev, card
}

var machine = sync.OnceValue(backend.Libraries)

// eachGPU runs f on a card whose kernels are emulated, for the smallest case that there is (minutes, so only if UC_EMULATE is set), and on the
// card of the machine, for all of them.
func eachGPU(t *testing.T, name string, g *golden, small, largest int, f func(t *testing.T, dev backend.Device, g *golden, c *goldenCase)) {
	for i := range g.Cases {
		c := &g.Cases[i]
		if size := backend.Count(c.InputShape); size > small || os.Getenv("UC_EMULATE") == "" {
			continue
		}
		t.Run(fmt.Sprintf("%s/emulated/%v", name, c), func(t *testing.T) {
			card := fake.New(kernels.Float32)
			card.Computer = emulator.Start(t, kernels.Float32)
			dev, err := backend.NewGPU(card, card.Type, true, "")
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
	dev, err := backend.Open(backend.Options{Device: "cuda", Deterministic: true})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for i := range g.Cases {
		c := &g.Cases[i]
		if backend.Count(c.InputShape) <= largest {
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

// The layers of the network as the device sees them: the convolutions of a block that read its input are one in training and two in
// inference.
const (
	trainingLayers  = 3 + 9*4
	inferenceLayers = 3 + 9*5
	poolings        = 4 + 9
)

// TestStepOnGPU runs whole training steps on a card that records, and checks what it was asked: every layer once per direction, nothing
// read back between the input and the loss, no memory taken after the first step.
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

// TestTrainingThatLosesItsCard checks that the loss of the card comes out as an error of the step, and that weights are never read from a
// card that is lost.
func TestTrainingThatLosesItsCard(t *testing.T) {
	dev, card := recordingGPU(t, kernels.BFloat16)
	tr, _ := smallTraining(t, dev)
	card.LostAt = 1
	_, err := tr.Step(weights.FormulaInput("x", 2*2*10*14*9, 1.7), smallTargets, stepOptions)
	if !errors.Is(err, driver.ErrLost) || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("error %v", err)
	}
	defer func() {
		if r, ok := recover().(*backend.DeviceError); !ok {
			t.Errorf("the state of a lost card was read: %v", r)
		}
	}()
	tr.State()
}
