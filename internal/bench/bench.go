// Package bench times the network on a device and compares it with what the device could do.
package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/open"
	"github.com/universal-classifier/uc/internal/feed"
	"github.com/universal-classifier/uc/internal/i3d"
	"github.com/universal-classifier/uc/internal/numeric"
)

// Options of a measurement; the network has one label with two classes.
type Options struct {
	Shape    [3]int // D, H, W
	Batch    int
	Channels int // modalities and the mask
	Steps    int // measurements, of which the median counts
	Device   string
	GPU      open.GPU
	Threads  int               // of the CPU; below 1 all that the process may use
	DType    string            // one of DTypes
	Layers   bool              // also say where the time goes
	Workers  int               // above 0: also say how well so many keep the network busy with augmented samples
	Choice   func(text string) // told which device "auto" means, and why; may be nil
}

// DTypes are the number formats of activations that can be asked for.
var DTypes = []string{"fp32", "bf16"}

// Result are medians in seconds and rates in GFLOP/s. Operations are counted as direct convolution, so fast algorithms
// can exceed the ceiling.
type Result struct {
	Tool       string  `json:"tool"`
	Shape      [3]int  `json:"shape"`
	Batch      int     `json:"batch"`
	Channels   int     `json:"channels"`
	Threads    int     `json:"threads"` // asked for, else what the process may use
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
	Layers     *Layers `json:"layers,omitempty"`

	Pipeline *feed.Rates `json:"pipeline,omitempty"`
	Limit    string      `json:"pipeline_limit,omitempty"` // what keeps the pipeline from being faster
}

const (
	warmUp      = 2                      // runs that do not count
	ceilingTime = 500 * time.Millisecond // spent on measuring the ceiling
)

// step is the step of the reference's optimiser.
var step = i3d.StepOptions{LR: i3d.ReferenceLR, Momentum: i3d.ReferenceMomentum, WeightDecay: i3d.ReferenceWeightDecay, ClipNorm: i3d.ReferenceClipNorm}

// Run measures a training step (forward, loss, backward, clipping, optimiser) and an inference pass on random data.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	if !slices.Contains(DTypes, o.DType) {
		return nil, fmt.Errorf("unknown dtype %q: expected %s", o.DType, strings.Join(DTypes, " or "))
	}
	if o.Threads < 1 {
		o.Threads = runtime.GOMAXPROCS(0) // knows the limits of control groups
	}
	opened, err := open.Device(open.Options{Device: o.Device, GPU: o.GPU, Threads: o.Threads, Mixed: o.DType != "fp32", Choice: o.Choice})
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	if err := checkPrecision(opened, o.DType); err != nil {
		return nil, err
	}
	r = &Result{Tool: "uc", Shape: o.Shape, Batch: o.Batch, Channels: o.Channels, Threads: o.Threads, DType: o.DType, Device: opened.Name()}
	if d, ok := opened.(interface{ Ceiling(time.Duration) float64 }); ok {
		r.Ceiling = round(d.Ceiling(ceilingTime), 1)
	}
	dev, err := newTimed(opened)
	if err != nil {
		return nil, err
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
	input := alternating(opened, x)
	trainStep := func() error {
		x, wait := input()
		defer wait()
		_, err := training.Step(x, targets, step)
		return err
	}
	if r.TrainStep, err = median(ctx, o.Steps, trainStep); err != nil {
		return nil, err
	}
	r.MemoryMiB = round(float64(training.MemoryBytes())/(1<<20), 1)
	if o.Workers > 0 {
		if err := r.measurePipeline(ctx, opened, training, o); err != nil {
			return nil, err
		}
	}

	predictor, err := i3d.NewPredictor(dev, cfg, weights)
	if err != nil {
		return nil, err
	}
	pass := func() error {
		x, wait := input()
		defer wait()
		_, err := predictor.Logits(x, o.Batch, o.Shape)
		return err
	}
	if r.Inference, err = median(ctx, o.Steps, pass); err != nil {
		return nil, err
	}
	if o.Layers {
		r.Layers = &Layers{}
		training.Trace(dev.operation)
		if r.Layers.Training, err = measureLayers(ctx, dev, o.Steps, r.Ceiling, trainStep); err != nil {
			return nil, err
		}
		predictor.Trace(dev.operation)
		if r.Layers.Inference, err = measureLayers(ctx, dev, o.Steps, r.Ceiling, pass); err != nil {
			return nil, err
		}
	}

	inference, train := i3d.FLOPs(cfg, o.Batch, o.Shape)
	r.TrainRate, r.InferRate = round(train/r.TrainStep/1e9, 1), round(inference/r.Inference/1e9, 1)
	if r.Ceiling > 0 {
		r.TrainShare, r.InferShare = round(r.TrainRate/r.Ceiling, 3), round(r.InferRate/r.Ceiling, 3)
	}
	r.TrainStep, r.Inference = round(r.TrainStep, 4), round(r.Inference, 4)
	return r, nil
}

// measurePipeline has the training fed as uc train does.
func (r *Result) measurePipeline(ctx context.Context, dev device.Device, training *i3d.Training, o Options) (err error) {
	r.Pipeline, err = feed.Measure(ctx, dev, feed.MeasureOptions{
		Shape: o.Shape, Batch: o.Batch, Channels: o.Channels, Workers: o.Workers, Steps: o.Steps,
		Augment: augment.DefaultParams(false, nil, o.Channels-1),
	}, func(data []float32, targets [][]int) error {
		_, err := training.Step(data, targets, step)
		return err
	})
	if err == nil {
		r.Limit = limit(r.Pipeline, float64(o.Batch)/r.TrainStep)
	}
	return err
}

const (
	busyEnough = 0.95 // share of the time in which the network works, from which on it is what limits
	fullSpeed  = 0.9  // of what the network reaches alone
)

// limit says what keeps a pipeline from being faster, whose network alone takes so many images a second.
func limit(f *feed.Rates, network float64) string {
	switch {
	case f.Busy < busyEnough:
		return "the preparation of samples; more workers help as long as processors are free"
	case f.Rate < fullSpeed*network:
		return "the processors, which the network shares with the workers"
	}
	return "the network"
}

// alternating returns a function that gives every run its input, and, if the device takes inputs ahead, sends the next
// run's while this one computes, as a training does. The run calls wait at its end.
func alternating(dev device.Device, x []float32) func() (input []float32, wait func()) {
	p, ok := dev.(device.Prefetcher)
	if !ok {
		return func() ([]float32, func()) { return x, func() {} }
	}
	now, next := x, slices.Clone(x)
	return func() ([]float32, func()) {
		done := make(chan struct{})
		input := now
		now, next = next, now
		go func(values []float32) {
			defer close(done)
			p.Prefetch(values)
		}(now)
		return input, func() { <-done }
	}
}

// checkPrecision refuses to measure in another format than the one asked for.
func checkPrecision(dev device.Device, want string) error {
	got := dev.Precision()
	if got == want {
		return nil
	}
	return fmt.Errorf("%s has no %s and would compute in %s: bf16 needs a processor with AVX512-BF16 (and no UC_CPU that forces other kernels) or a GPU with bfloat16", dev.Name(), want, got)
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
	return numeric.Median(seconds), nil
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
