package feed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/universal-classifier/uc/internal/augment"
	"github.com/universal-classifier/uc/internal/device"
)

// MeasureOptions describe a training's samples and who prepares them.
type MeasureOptions struct {
	Shape    [3]int // D, H, W
	Batch    int
	Channels int // modalities and the mask, at least 2
	Workers  int
	Steps    int // batches that count
	Augment  augment.Params
}

// Rates say how well the preparation of samples keeps a network busy.
type Rates struct {
	Workers    int     `json:"workers"`
	SampleRate float64 `json:"samples_per_s"` // that the workers prepare while no network computes
	Rate       float64 `json:"images_per_s"`  // of the training, network and workers side by side
	Busy       float64 `json:"busy_share"`    // of the training's time, in which the network had a batch to work on
}

// madeUpCases is how many cases of random voxels a measurement draws from.
const madeUpCases = 3

// Measure runs steps of a training as Run does, on random cases that lie in memory with one label of two classes, and
// before that the preparation of as many batches alone. step trains on one batch and returns when it is done.
func Measure(ctx context.Context, dev device.Device, o MeasureOptions, step func(data []float32, targets [][]int) error) (*Rates, error) {
	if o.Channels < 2 {
		return nil, fmt.Errorf("samples of %d channels: a modality and the mask are the least that is augmented", o.Channels)
	}
	cases := newMadeUp(o)
	pipelines := make([]*augment.Pipeline, o.Workers)
	for i := range pipelines {
		pipelines[i] = augment.NewPipeline(o.Augment, o.Shape, o.Channels-1)
	}
	ahead := BatchesAhead(o.Batch, o.Workers)
	start := func(iterations int) *Loader {
		all := make([]int, madeUpCases)
		for i := range all {
			all[i] = i
		}
		return NewLoader(Sequence{BatchSize: o.Batch}, cases, [2][]int{all, all}, 1, len(cases.values[0]), pipelines,
			Positions(Sequence{Epochs: 1, Iterations: iterations}, 0, 0, 0))
	}
	f := &Rates{Workers: o.Workers}
	images := float64(o.Steps * o.Batch)

	alone := start(1 + o.Steps)
	defer alone.Close()
	took, _, err := feed(ctx, alone, 1, nil)
	if err != nil {
		return nil, err
	}
	f.SampleRate = images / took.Seconds()

	// The batches that are ready when the first is taken do not count.
	together := start(ahead + 1 + o.Steps)
	defer together.Close()
	if d, ok := dev.(device.Prefetcher); ok {
		together.SendAhead(d.Prefetch)
	}
	took, waited, err := feed(ctx, together, ahead+1, step)
	if err != nil {
		return nil, err
	}
	f.Rate, f.Busy = images/took.Seconds(), 1-waited.Seconds()/took.Seconds()
	return f, nil
}

// feed takes all batches that a loader has and tells how long those after the first ones took, and how much of that was
// waiting.
func feed(ctx context.Context, l *Loader, first int, step func(data []float32, targets [][]int) error) (took, waited time.Duration, err error) {
	began := time.Now()
	for i := 0; ; i++ {
		if i == first {
			began = time.Now()
			l.TakeWaited()
		}
		b, err := l.Next(ctx)
		if err == errNoMore {
			return time.Since(began), l.TakeWaited(), nil
		}
		if err == nil && step != nil {
			err = step(b.Data, b.Targets)
		}
		if err != nil {
			return 0, 0, err
		}
		l.Release(b)
	}
}

// madeUp are cases of random voxels, the last channel a mask.
type madeUp struct{ values [madeUpCases][]float32 }

func newMadeUp(o MeasureOptions) *madeUp {
	m := &madeUp{}
	voxels := o.Shape[0] * o.Shape[1] * o.Shape[2]
	for i := range m.values {
		rng := rand.New(rand.NewPCG(uint64(i), 0))
		v := make([]float32, o.Channels*voxels)
		for k := range v {
			v[k] = 4*rng.Float32() - 2
		}
		for k := range v[len(v)-voxels:] {
			v[len(v)-voxels+k] = float32(k * 3 / voxels) // labels in layers
		}
		m.values[i] = v
	}
	return m
}

// Read implements cases.
func (m *madeUp) Read(i int, dst []float32) error {
	copy(dst, m.values[i])
	return nil
}

// Targets implements cases.
func (m *madeUp) Targets(i int) []int { return []int{i % 2} }

// ID implements cases.
func (m *madeUp) ID(i int) string { return fmt.Sprintf("made-up case %d", i) }
