package open

import (
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/cuda"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/emulator"
	"github.com/universal-classifier/uc/internal/device/cuda/cudatest/fake"
	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
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

// TestSelfTest checks that the test of a card passes on the emulated device in every format, and that a kernel that
// fails silently does not pass.
func TestSelfTest(t *testing.T) {
	reference := cpu.New(1, false)
	defer reference.Close()
	test := func(t *testing.T, format kernels.Type, kernel string) error {
		card := fake.New(format)
		card.Computer = emulator.Start(t, format)
		var used cuda.Card = card
		if kernel != "" {
			used = wrongCard{card, kernel}
		}
		dev, err := cuda.New(used, format, false, "")
		if err != nil {
			t.Fatal(err)
		}
		err = compareDevices(dev, reference, testTolerance(dev))
		dev.Close()
		if problem := card.Problem(); problem != nil && kernel == "" {
			t.Error(problem)
		}
		return err
	}
	for _, format := range kernels.Types {
		t.Run(format.String(), func(t *testing.T) {
			if err := test(t, format, ""); err != nil {
				t.Error(err)
			}
		})
	}
	for kernel, want := range map[string]string{"stem_pack": "the first convolution", "sgd_step": "the optimiser's step", "graph": "a recorded pass (UC_CUDA_GRAPH=0 does without)"} {
		t.Run("without "+kernel, func(t *testing.T) {
			if err := test(t, kernels.BFloat16, kernel); err == nil || !strings.Contains(err.Error(), want+" differs") {
				t.Errorf("error %v, expected that %s differs", err, want)
			}
		})
	}
}
