package cpu

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// networkConvs are convolutions of the network for images of 64x64x64 voxels.
func networkConvs() []struct {
	name string
	c    Conv
} {
	one, three, seven := [3]int{1, 1, 1}, [3]int{3, 3, 3}, [3]int{7, 7, 7}
	return []struct {
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
}

// BenchmarkConv times the convolutions of the network with a batch of UC_BENCH_BATCH (2) on GOMAXPROCS threads.
func BenchmarkConv(b *testing.B) {
	batch := 2
	if n, err := strconv.Atoi(os.Getenv("UC_BENCH_BATCH")); err == nil {
		batch = n
	}
	p := NewWorkers(0)
	defer p.Close()
	var s Scratch
	ceiling := MeasureFMA(p, 100*time.Millisecond)
	for _, k := range networkConvs() {
		b.Run(k.name, func(b *testing.B) {
			best := map[string]float64{}
			for b.Loop() {
				for _, t := range measureConv(p, &k.c, batch, k.c.In < kernel.Block, 20*time.Millisecond, &s) {
					best[t.Direction] = max(best[t.Direction], t.GFLOPs)
				}
			}
			for direction, rate := range best {
				unit := map[string]string{"forward": "fwd", "backward data": "data", "backward weights": "weights"}[direction]
				b.ReportMetric(rate, fmt.Sprintf("%s-GFLOP/s", unit))
				b.ReportMetric(rate/ceiling, fmt.Sprintf("%s-ceilings", unit))
			}
		})
	}
}

// TestMeasureConv checks the table's directions and that a repeated call needs no memory.
func TestMeasureConv(t *testing.T) {
	p := NewWorkers(1)
	defer p.Close()
	var s Scratch
	if rate := MeasureFMA(p, 10*time.Millisecond); !(rate > 0) {
		t.Errorf("ceiling %g GFLOP/s", rate)
	}
	for _, k := range []Conv{SameConv(32, 32, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{6, 6, 6}), SameConv(2, 16, [3]int{7, 7, 7}, [3]int{2, 2, 2}, [3]int{9, 9, 9})} {
		planar := k.In < kernel.Block
		timings := measureConv(p, &k, 2, planar, time.Millisecond, &s)
		if want := map[bool]int{true: 2, false: 3}[planar]; len(timings) != want {
			t.Fatalf("%d directions, want %d", len(timings), want)
		}
		for _, d := range timings {
			if !(d.Seconds > 0 && d.GFLOPs > 0 && d.Bytes > 0) {
				t.Errorf("%+v", d)
			}
		}
	}
	held := s.Bytes()
	k := SameConv(32, 32, [3]int{3, 3, 3}, [3]int{1, 1, 1}, [3]int{6, 6, 6})
	measureConv(p, &k, 2, false, time.Millisecond, &s)
	if s.Bytes() != held {
		t.Errorf("scratch grew from %d to %d bytes on a repeated call", held, s.Bytes())
	}
}
