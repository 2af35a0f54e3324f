package cpu

import (
	"time"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// convTiming is what one direction of a convolution was measured at.
type convTiming struct {
	Direction string  // "forward", "backward data", "backward weights"
	Seconds   float64 // the best of the runs
	GFLOPs    float64 // per second, counted as direct convolution: fast algorithms can exceed MeasureFMA
	Bytes     float64 // input, output and weights, each once: the least that has to move
}

// measureConv times the directions of a convolution on a batch of made-up numbers, each for about d; a planar x has no
// backward data.
func measureConv(p *Workers, c *Conv, batch int, planar bool, d time.Duration, s *Scratch) []convTiming {
	in, out := c.InSize, c.OutSize
	x, y := NewAct(batch, c.In, in[0], in[1], in[2]), NewAct(batch, c.Out, out[0], out[1], out[2])
	fill := func(n int) []float32 {
		f := make([]float32, n)
		for i := range f {
			f[i] = float32(i%13)/6 - 1
		}
		return f
	}
	numbers := fill(batch * max(c.In*c.InVoxels(), c.Out*c.OutVoxels()))
	if planar {
		x = PlanarOn(numbers, batch, c.In, in[0], in[1], in[2])
	} else {
		PackActivations(p, numbers, x)
	}
	PackActivations(p, numbers, y)
	w, dw := kernel.AlignedFloats(PackedLen(c)), kernel.AlignedFloats(PackedLen(c))
	PackWeights(c, fill(c.Out*c.In*c.Taps()), w)

	bytes := 4 * float64(batch*(c.In*c.InVoxels()+c.Out*c.OutVoxels())+c.Out*c.In*c.Taps())
	var timings []convTiming
	measure := func(direction string, f func()) {
		f()
		best := time.Duration(1<<63 - 1)
		for spent, runs := time.Duration(0), 0; spent < d || runs < 3; runs++ {
			start := time.Now()
			f()
			took := time.Since(start)
			spent += took
			best = min(best, took)
		}
		timings = append(timings, convTiming{direction, best.Seconds(), c.FLOPs(batch) / best.Seconds() / 1e9, bytes})
	}
	measure("backward weights", func() { ConvBackwardWeights(p, c, x, y, dw, s) })
	if !planar {
		measure("backward data", func() { ConvBackwardData(p, c, y, w, x, false, s) })
	}
	measure("forward", func() { ConvForward(p, c, x, w, y, nil, s) })
	return timings
}
