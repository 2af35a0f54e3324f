package open

import (
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/cuda"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/emulator"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/fake"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
	"github.com/universal-classifier/uc/internal/device/exercise"
)

// wrongCard is a card one of whose kernels does nothing.
type wrongCard struct {
	*fake.Card
	kernel string
}

func (c wrongCard) Run(l kernels.Launch) error {
	if l.Kernel == c.kernel {
		return nil
	}
	return c.Card.Run(l)
}

// EndCapture implements cuda.Card: of a "graph" nothing is launched.
func (c wrongCard) EndCapture() (cuda.Graph, error) {
	g, err := c.Card.EndCapture()
	if err == nil && c.kernel == "graph" {
		return nothing{g}, nil
	}
	return g, err
}

type nothing struct{ cuda.Graph }

func (nothing) Launch() error { return nil }

// TestSelfTest checks that a card with a kernel that fails silently does not pass its test. TestDevices has it pass on
// cards without one.
func TestSelfTest(t *testing.T) {
	reference := cpu.New(1, false)
	defer reference.Close()
	test := func(t *testing.T, kernel string) error {
		card := fake.New(kernels.BFloat16)
		card.Computer = emulator.Start(t, kernels.BFloat16)
		dev, err := cuda.New(wrongCard{card, kernel}, kernels.BFloat16, false, "")
		if err != nil {
			t.Fatal(err)
		}
		defer dev.Close()
		return exercise.Compare(dev, reference, exercise.Tolerance(dev))
	}
	for kernel, want := range map[string]string{"stem_pack": "the first convolution", "sgd_step": "the optimiser's step", "graph": "a recorded pass (UC_CUDA_GRAPH=0 does without)"} {
		t.Run("without "+kernel, func(t *testing.T) {
			if err := test(t, kernel); err == nil || !strings.Contains(err.Error(), want+" differs") {
				t.Errorf("error %v, expected that %s differs", err, want)
			}
		})
	}
}
