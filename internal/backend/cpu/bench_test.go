package cpu

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// BenchmarkConv times the convolutions of the network for 64x64x64 voxels, a batch of UC_BENCH_BATCH (2) samples, on GOMAXPROCS threads, in
// GFLOP/s counted as direct convolution.
func BenchmarkConv(b *testing.B) {
	batch := 2
	if n, err := strconv.Atoi(os.Getenv("UC_BENCH_BATCH")); err == nil {
		batch = n
	}
	one, three, seven := [3]int{1, 1, 1}, [3]int{3, 3, 3}, [3]int{7, 7, 7}
	cases := []struct {
		name string
		c    Conv
	}{
		{"stem", SameConv(2, 64, seven, [3]int{2, 2, 2}, [3]int{64, 64, 64})},
		{"2b", SameConv(64, 64, one, one, [3]int{32, 16, 16})},
		{"2c", SameConv(64, 192, three, one, [3]int{32, 16, 16})},
		{"3b.1x1", SameConv(192, 176, one, one, [3]int{32, 8, 8})},
		{"3b.b1", SameConv(96, 128, three, one, [3]int{32, 8, 8})},
		{"3b.b2", SameConv(16, 32, three, one, [3]int{32, 8, 8})},
		{"3c.b1", SameConv(128, 192, three, one, [3]int{32, 8, 8})},
		{"3c.b2", SameConv(32, 96, three, one, [3]int{32, 8, 8})},
		{"4f.1x1", SameConv(528, 448, one, one, [3]int{16, 4, 4})},
		{"4b.b1", SameConv(96, 208, three, one, [3]int{16, 4, 4})},
		{"4f.b1", SameConv(160, 320, three, one, [3]int{16, 4, 4})},
		{"4f.b2", SameConv(32, 128, three, one, [3]int{16, 4, 4})},
		{"5c.1x1", SameConv(832, 624, one, one, [3]int{8, 2, 2})},
		{"5c.b1", SameConv(192, 384, three, one, [3]int{8, 2, 2})},
	}
	p := NewPool(0)
	defer p.Close()
	var s Scratch
	ceiling := MeasureFMA(p, 100*time.Millisecond)
	for _, k := range cases {
		c := k.c
		x, y := NewAct(batch, c.In, c.InSize[0], c.InSize[1], c.InSize[2]), NewAct(batch, c.Out, c.OutSize[0], c.OutSize[1], c.OutSize[2])
		if c.In < Block {
			x = PlanarOn(make([]float32, batch*c.In*c.InVoxels()), batch, c.In, c.InSize[0], c.InSize[1], c.InSize[2])
		}
		for i := range x.Data {
			x.Data[i] = float32(i%7) - 3
		}
		w, dw := AlignedFloats(PackedLen(&c)), AlignedFloats(PackedLen(&c))
		for i := range w {
			w[i] = float32(i%5) - 2
		}
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/%s", k.name, name), func(b *testing.B) {
				f()
				best := time.Hour
				for b.Loop() {
					start := time.Now()
					f()
					best = min(best, time.Since(start))
				}
				rate := c.FLOPs(batch) / best.Seconds() / 1e9
				b.ReportMetric(rate, "GFLOP/s")
				b.ReportMetric(rate/ceiling, "ceilings")
				b.ReportMetric(best.Seconds()*1e3, "best-ms")
			})
		}
		run("forward", func() { ConvForward(p, &c, x, w, y, nil, &s) })
		if !x.Planar {
			run("data", func() { ConvBackwardData(p, &c, y, w, x, false, &s) })
		}
		run("weights", func() { ConvBackwardWeights(p, &c, x, y, dw, &s) })
	}
}
