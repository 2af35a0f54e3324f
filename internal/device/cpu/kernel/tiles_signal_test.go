//go:build unix

package kernel

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestTilesAcrossSignals checks that products stay right while signals and the garbage collector interrupt them: the
// system saves and restores the tiles, on the small stacks that Go has for signals.
func TestTilesAcrossSignals(t *testing.T) {
	eachTiles(t, func(t *testing.T, tiles *Tiles) {
		r := rand.New(rand.NewPCG(7, 8))
		const steps = 2000
		a, b := alignedBF16(r, 4*512), alignedBF16(r, 2*steps*512)
		rows := Rows{Starts: []int{0, TileBytes}, To: make([]int, 2*TileRows)}
		for i := range rows.To {
			rows.To[i] = 32 * i
		}
		offsets := make([]int, steps)
		product := func() []float32 {
			c := AlignedFloats(2 * 2 * TileRows * Block / 2)
			tiles.Product(a, rows, offsets, len(offsets), b, c, 2*TileRows*32, 2, nil, false, false, AlignedFloats(ProductSums/4))
			return c
		}
		want := product()
		stop := make(chan struct{})
		var storm, work sync.WaitGroup
		storm.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = syscall.Kill(syscall.Getpid(), syscall.SIGURG) // Go's own signal of preemption
					runtime.GC()
				}
			}
		})
		end := time.Now().Add(300 * time.Millisecond)
		for range 2 * runtime.GOMAXPROCS(0) {
			work.Go(func() {
				for time.Now().Before(end) {
					for i, v := range product() {
						if *(*uint32)(unsafe.Pointer(&v)) != *(*uint32)(unsafe.Pointer(&want[i])) {
							t.Errorf("value %d changed", i)
							return
						}
					}
				}
			})
		}
		work.Wait()
		close(stop)
		storm.Wait()
	})
}
