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
	"github.com/universal-classifier/uc/internal/weights"
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
func Run(ctx context.Context, o Options) (*Result, error) {
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
	r := &Result{Tool: "uc", Shape: o.Shape, Batch: o.Batch, Channels: o.Channels, Threads: o.Threads, DType: o.DType, Device: opened.Name()}
	if d, ok := opened.(interface{ Ceiling(time.Duration) float64 }); ok {
		r.Ceiling = round(d.Ceiling(ceilingTime), 1)
	}
	n, err := newNetworks(opened, o)
	if err != nil {
		return nil, err
	}
	if r.TrainStep, err = median(ctx, o.Steps, n.trainStep); err != nil {
		return nil, err
	}
	r.MemoryMiB = round(float64(n.training.MemoryBytes())/(1<<20), 1)
	if o.Workers > 0 {
		if err := r.measurePipeline(ctx, opened, n.training, o); err != nil {
			return nil, err
		}
	}
	if n.predictor, err = i3d.NewPredictor(n.dev, n.config, n.weights); err != nil {
		return nil, err
	}
	if r.Inference, err = median(ctx, o.Steps, n.pass); err != nil {
		return nil, err
	}
	if o.Layers {
		if r.Layers, err = n.layers(ctx, r.Ceiling); err != nil {
			return nil, err
		}
	}
	r.rate(i3d.FLOPs(n.config, o.Batch, o.Shape))
	return r, nil
}

// networks are what is measured: a training and a predictor on random data.
type networks struct {
	o         Options
	dev       *timed
	config    i3d.Config
	weights   *weights.StateDict
	input     func() (x []float32, wait func())
	targets   [][]int
	training  *i3d.Training
	predictor *i3d.Predictor // once the training has been measured
}

func newNetworks(opened device.Device, o Options) (n *networks, err error) {
	n = &networks{o: o, config: i3d.Config{InChannels: o.Channels, Outputs: []int{2}}}
	if n.dev, err = newTimed(opened); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(0, 0))
	x := make([]float32, o.Batch*o.Channels*o.Shape[0]*o.Shape[1]*o.Shape[2])
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	n.targets = [][]int{make([]int, o.Batch)}
	for i := range n.targets[0] {
		n.targets[0][i] = rng.IntN(2)
	}
	n.weights = i3d.NewStateDict(n.config, rng)
	if n.training, err = i3d.NewTraining(n.dev, n.config, o.Batch, o.Shape); err != nil {
		return nil, err
	}
	n.input = alternating(opened, x)
	return n, n.training.Load(n.weights)
}

func (n *networks) trainStep() error {
	x, wait := n.input()
	defer wait()
	_, err := n.training.Step(x, n.targets, step)
	return err
}

func (n *networks) pass() error {
	x, wait := n.input()
	defer wait()
	_, err := n.predictor.Logits(x, n.o.Batch, n.o.Shape)
	return err
}

// layers measures where the time goes.
func (n *networks) layers(ctx context.Context, ceiling float64) (l *Layers, err error) {
	l = &Layers{}
	n.training.Trace(n.dev.operation)
	if l.Training, err = measureLayers(ctx, n.dev, n.o.Steps, ceiling, n.trainStep); err != nil {
		return nil, err
	}
	n.predictor.Trace(n.dev.operation)
	l.Inference, err = measureLayers(ctx, n.dev, n.o.Steps, ceiling, n.pass)
	return l, err
}

// rate fills in the rates of so many operations per pass and step, and rounds the times.
func (r *Result) rate(inference, train float64) {
	r.TrainRate, r.InferRate = round(train/r.TrainStep/1e9, 1), round(inference/r.Inference/1e9, 1)
	if r.Ceiling > 0 {
		r.TrainShare, r.InferShare = round(r.TrainRate/r.Ceiling, 3), round(r.InferRate/r.Ceiling, 3)
	}
	r.TrainStep, r.Inference = round(r.TrainStep, 4), round(r.Inference, 4)
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
	return fmt.Errorf("%s has no %s and would compute in %s: bf16 needs a processor with AVX512-BF16 or, on Arm, FEAT_BF16 (and no UC_CPU that forces other kernels) or a GPU with bfloat16", dev.Name(), want, got)
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
