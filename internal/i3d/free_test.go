package i3d

import (
	"math/rand/v2"
	"testing"

	"github.com/universal-classifier/uc/internal/device/cuda/kernels"
)

// must is v of what cannot fail here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestFree checks on a card, which counts them, that networks release every byte and every recording that they have
// taken, whatever they have done before, and that a second Free does nothing.
func TestFree(t *testing.T) {
	dev, card := recordingGPU(t, kernels.BFloat16)
	settled := func() int64 { return card.Used() - dev.WorkspaceBytes() } // scratch memory stays
	before := settled()
	sd := NewStateDict(smallConfig, rand.New(rand.NewPCG(1, 2)))
	back := func(what string) {
		t.Helper()
		if got := settled(); got != before {
			t.Errorf("%s: %d bytes are in use, before it were %d", what, got, before)
		}
		if n := card.Graphs(); n != 0 {
			t.Errorf("%s: %d recordings are left", what, n)
		}
	}

	tr, x := smallTraining(t, dev)
	adam := stepOptions
	adam.Beta2 = 0.999
	for range 4 { // enough to be recorded
		if _, err := tr.Step(x, smallTargets, adam); err != nil {
			t.Fatal(err)
		}
		if err := tr.UpdateAverage(0.9); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tr.EvalLoss(x, smallTargets); err != nil {
			t.Fatal(err)
		}
	}
	if card.Graphs() == 0 || settled() == before {
		t.Error("there is nothing to give back")
	}
	if err := tr.Load(sd); err != nil { // ends the average
		t.Fatal(err)
	}
	tr.Free()
	back("a training")
	tr.Free()
	back("a training freed twice")

	p := must(NewPredictor(dev, smallConfig, sd))
	q := must(p.Another(sd))
	for size := range maxGraphs + 1 { // the first is forgotten for the last
		shape, runs := [3]int{4 + size, 8, 6}, 1
		if size == 0 {
			runs = 4 // enough to be recorded
		}
		image := make([]float32, smallConfig.InChannels*shape[0]*shape[1]*shape[2])
		for _, n := range []*Predictor{p, q} {
			for range runs {
				if _, err := n.Logits(image, 1, shape); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if used, want := settled()-before, p.OwnBytes()+q.OwnBytes()+p.work.bytes(); used != want {
		t.Errorf("two predictors take %d bytes, expected %d", used, want)
	}
	q.Free()
	p.Free()
	back("two predictors")

	card.Total = card.Used() + 1<<20 // not enough for any
	for what, make := range map[string]func() error{
		"a training":  func() error { _, err := NewTraining(dev, smallConfig, 2, smallImage); return err },
		"a predictor": func() error { _, err := NewPredictor(dev, smallConfig, sd); return err },
	} {
		if make() == nil {
			t.Errorf("%s had room in 1 MiB", what)
		}
		back(what + " without room")
	}
	if dev.Close(); card.Problem() != nil {
		t.Error(card.Problem())
	}
}
