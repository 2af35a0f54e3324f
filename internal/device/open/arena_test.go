package open_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/universal-classifier/uc/internal/device"
	"github.com/universal-classifier/uc/internal/device/cpu"
	"github.com/universal-classifier/uc/internal/device/open"
)

// TestArenaNeverSharesLivingMemory runs random lifetimes: every tensor is filled when it is born and must be whole when
// it dies.
func TestArenaNeverSharesLivingMemory(t *testing.T) {
	dev, err := open.Device(open.Options{Device: "cpu", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for seed := range uint64(20) {
		arena := device.NewArena(dev)
		var naive, peak int64
		run := func(check bool) {
			rng := rand.New(rand.NewPCG(seed, 1))
			arena.Begin()
			type living struct {
				t    *device.Tensor
				mark float32
			}
			var alive []living
			var bytes int64
			naive, peak = 0, 0
			end := func(i int) {
				l := alive[i]
				if check {
					values := make([]float32, l.t.Size())
					dev.Download(l.t, values)
					for _, v := range values {
						if v != l.mark {
							t.Fatalf("seed %d: a tensor holds %g, written was %g", seed, v, l.mark)
						}
					}
				}
				arena.Free(l.t)
				bytes -= dev.Bytes(l.t.Spec())
				alive = append(alive[:i], alive[i+1:]...)
			}
			for step := range 200 {
				if len(alive) > 0 && rng.IntN(2) == 0 {
					end(rng.IntN(len(alive)))
					continue
				}
				l := living{arena.Alloc(device.Values, 1+rng.IntN(500)), float32(step)}
				bytes += dev.Bytes(l.t.Spec())
				naive += dev.Bytes(l.t.Spec())
				peak = max(peak, bytes)
				if check {
					values := make([]float32, l.t.Size())
					for i := range values {
						values[i] = l.mark
					}
					dev.Upload(l.t, values)
				}
				alive = append(alive, l)
			}
			for len(alive) > 0 {
				end(0)
			}
		}
		run(false)
		planned := arena.Plan()
		if planned < peak || planned > peak+peak/4 || planned > naive {
			t.Errorf("seed %d: planned %d bytes; %d live at once, %d in all", seed, planned, peak, naive)
		}
		block, err := dev.NewBlock(planned)
		if err != nil {
			t.Fatal(err)
		}
		arena.Settle(block)
		run(true)
		run(true)
	}
}

func TestOpen(t *testing.T) {
	for name, want := range map[string]string{"cuda": "; use the CPU", "cuda:3": "no usable GPU", "gpu": "expected auto, cpu, cuda or cuda:N", "cuda:x": "unknown device"} {
		if _, err := open.Device(open.Options{Device: name, Threads: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", name, err, want)
		}
	}
	if _, err := cpu.Open(1, "sse", false); err == nil {
		t.Error("kernel set sse was accepted")
	}
}

func TestNewBlockRefusesWhatIsNotThere(t *testing.T) {
	dev, err := open.Device(open.Options{Device: "cpu", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if _, err := dev.NewBlock(1 << 50); err == nil || !strings.Contains(err.Error(), "are free") {
		t.Errorf("error %v", err)
	}
}
