package train

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/weights"
)

// steps trains a small network with uneven sizes for some steps and returns all that is left of it, and the time of the
// fastest step.
func steps(t *testing.T, o open.Options, n int) (losses []float64, state, momenta *weights.StateDict, fastest time.Duration) {
	t.Helper()
	o.Device = "cpu"
	dev, err := open.Device(o)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	cfg, batch, shape := i3d.Config{InChannels: 3, Outputs: []int{2, 3}}, 3, [3]int{20, 17, 23}
	network, err := i3d.NewTraining(dev, cfg, batch, shape)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	if err := network.Load(i3d.NewStateDict(cfg, rng)); err != nil {
		t.Fatal(err)
	}
	x := make([]float32, batch*cfg.InChannels*shape[0]*shape[1]*shape[2])
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	fastest = time.Hour
	for range n {
		began := time.Now()
		r, err := network.Step(x, [][]int{{0, 1, 0}, {2, 0, 1}}, i3d.StepOptions{LR: 1e-2, Momentum: i3d.ReferenceMomentum, WeightDecay: i3d.ReferenceWeightDecay, ClipNorm: i3d.ReferenceClipNorm})
		if err != nil {
			t.Fatal(err)
		}
		fastest = min(fastest, time.Since(began))
		losses = append(losses, r.Loss, r.GradNorm)
	}
	loss, _, err := network.EvalLoss(x, [][]int{{0, 1, 0}, {2, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	return append(losses, loss), must(network.State()), must(network.Momentum()), fastest
}

// Work is cut by the shape of the data and summed in a fixed order, so no bit depends on how many share it.
func TestAnyNumberOfThreadsGivesTheSameBits(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		losses, state, momenta, _ := steps(t, open.Options{Threads: 1, Mixed: mixed}, 3)
		if losses[0] == losses[2] {
			t.Fatalf("losses and norms %v", losses)
		}
		for _, threads := range []int{2, 3, 64} {
			t.Run(fmt.Sprintf("mixed %v, %d threads", mixed, threads), func(t *testing.T) {
				gotLosses, gotState, gotMomenta, _ := steps(t, open.Options{Threads: threads, Mixed: mixed}, 3)
				if !slices.Equal(gotLosses, losses) {
					t.Errorf("losses and norms %v, with one thread %v", gotLosses, losses)
				}
				sameBits(t, gotState, state)
				sameBits(t, gotMomenta, momenta)
			})
		}
	}
}

func sameBits(t *testing.T, got, want *weights.StateDict) {
	t.Helper()
	if got.Len() == 0 || got.Len() != want.Len() {
		t.Fatalf("%d tensors, want %d", got.Len(), want.Len())
	}
	for _, name := range want.Names() {
		if !slices.Equal(got.Get(name).F32, want.Get(name).F32) {
			t.Errorf("%s differs", name)
		}
	}
}

// Many more workers than processors may cost some switching between them, but no waiting in line.
func TestManyWorkersOnFewProcessors(t *testing.T) {
	const most = 4 // times as long
	var few, many time.Duration
	for range 3 { // on a busy machine the odd measurement is off
		_, _, _, few = steps(t, open.Options{Threads: runtime.GOMAXPROCS(0)}, 4)
		_, _, _, many = steps(t, open.Options{Threads: 32 * runtime.GOMAXPROCS(0)}, 4)
		if many < most*few {
			return
		}
	}
	t.Errorf("a step takes %v with 32 workers per processor, %v with one", many, few)
}

// must is v of what cannot fail here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
