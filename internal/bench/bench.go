// Package bench times the network on a device and compares it with what the device could do.
package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/universal-classifier/uc/internal/backend"
	"github.com/universal-classifier/uc/internal/i3d"
)

// Options of a measurement; the network has one label with two classes.
type Options struct {
	Shape    [3]int // D, H, W
	Batch    int
	Channels int // modalities and the mask
	Steps    int // measurements, of which the median counts
	Device   string
	Threads  int
	DType    string // "fp32"
}

// Result are medians in seconds and rates in GFLOP/s. Operations are counted as direct convolution, so fast algorithms
// can exceed the ceiling.
type Result struct {
	Tool       string  `json:"tool"`
	Shape      [3]int  `json:"shape"`
	Batch      int     `json:"batch"`
	Channels   int     `json:"channels"`
	Threads    int     `json:"threads"`
	DType      string  `json:"dtype"`
	Device     string  `json:"device"`
	TrainStep  float64 `json:"train_step_s"`
	Inference  float64 `json:"inference_s"`
	TrainRate  float64 `json:"train_gflops"`
	InferRate  float64 `json:"inference_gflops"`
	Ceiling    float64 `json:"fma_ceiling_gflops,omitempty"` // fused multiply-adds on all threads; 0 where it cannot be measured
	TrainShare float64 `json:"train_fraction_of_ceiling,omitempty"`
	InferShare float64 `json:"inference_fraction_of_ceiling,omitempty"`
	MemoryMiB  float64 `json:"memory_mib"` // of the training
}

const (
	warmUp      = 2                      // runs that do not count
	ceilingTime = 500 * time.Millisecond // spent on measuring the ceiling
)

// Numbers of the reference's optimiser.
var step = i3d.StepOptions{LR: 1e-2, Momentum: 0.99, WeightDecay: 3e-5, ClipNorm: 12}

// Run measures a training step (forward, loss, backward, clipping, optimiser) and an inference pass on random data.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.DType != "fp32" {
		return nil, fmt.Errorf("dtype %q: only fp32 is there", o.DType)
	}
	dev, err := backend.Open(backend.Options{Device: o.Device, Threads: o.Threads, Mixed: o.DType != "fp32"})
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	r := &Result{Tool: "uc", Shape: o.Shape, Batch: o.Batch, Channels: o.Channels, Threads: o.Threads, DType: o.DType, Device: dev.Name()}
	if d, ok := dev.(interface{ Ceiling(time.Duration) float64 }); ok {
		r.Ceiling = round(d.Ceiling(ceilingTime), 1)
	}

	rng := rand.New(rand.NewPCG(0, 0))
	cfg := i3d.Config{InChannels: o.Channels, Outputs: []int{2}}
	x := make([]float32, o.Batch*o.Channels*o.Shape[0]*o.Shape[1]*o.Shape[2])
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	targets := [][]int{make([]int, o.Batch)}
	for i := range targets[0] {
		targets[0][i] = rng.IntN(2)
	}
	weights := i3d.NewStateDict(cfg, rng)

	training, err := i3d.NewTraining(dev, cfg, o.Batch, o.Shape)
	if err != nil {
		return nil, err
	}
	if err := training.Load(weights); err != nil {
		return nil, err
	}
	if r.TrainStep, err = median(ctx, o.Steps, func() error {
		_, err := training.Step(x, targets, step)
		return err
	}); err != nil {
		return nil, err
	}
	r.MemoryMiB = round(float64(training.MemoryBytes())/(1<<20), 1)

	predictor, err := i3d.NewPredictor(dev, cfg, weights)
	if err != nil {
		return nil, err
	}
	if r.Inference, err = median(ctx, o.Steps, func() error {
		_, err := predictor.Logits(x, o.Batch, o.Shape)
		return err
	}); err != nil {
		return nil, err
	}

	inference, train := i3d.FLOPs(cfg, o.Batch, o.Shape)
	r.TrainRate, r.InferRate = round(train/r.TrainStep/1e9, 1), round(inference/r.Inference/1e9, 1)
	if r.Ceiling > 0 {
		r.TrainShare, r.InferShare = round(r.TrainRate/r.Ceiling, 3), round(r.InferRate/r.Ceiling, 3)
	}
	r.TrainStep, r.Inference = round(r.TrainStep, 4), round(r.Inference, 4)
	return r, nil
}

// median is the median of the seconds that f takes.
func median(ctx context.Context, steps int, f func() error) (float64, error) {
	var seconds []float64
	for i := range warmUp + steps {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		began := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		if i >= warmUp {
			seconds = append(seconds, time.Since(began).Seconds())
		}
	}
	slices.Sort(seconds)
	return (seconds[(len(seconds)-1)/2] + seconds[len(seconds)/2]) / 2, nil
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
