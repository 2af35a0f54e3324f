package cpu

import (
	"sync/atomic"
	"testing"
)

// TestPoolRunsEveryTileOnce runs many short jobs, so that workers are caught spinning, sleeping and late.
func TestPoolRunsEveryTileOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 9} {
		p := NewWorkers(threads)
		for run := range 2000 {
			tiles := run % 17
			var done [17]atomic.Int32
			p.Run(tiles, func(worker, tile int) {
				if worker < 0 || worker >= threads {
					t.Errorf("worker %d of %d", worker, threads)
				}
				done[tile].Add(1)
			})
			for i := range tiles {
				if n := done[i].Load(); n != 1 {
					t.Fatalf("%d threads, run %d: tile %d of %d done %d times", threads, run, i, tiles, n)
				}
			}
		}
		p.Close()
	}
}

func TestPoolPanics(t *testing.T) {
	p := NewWorkers(3)
	defer p.Close()
	for range 3 {
		func() {
			defer func() {
				if recover() != "tile 5" {
					t.Fatal("the panic of a tile did not reach the caller")
				}
			}()
			p.Run(20, func(_, tile int) {
				if tile == 5 {
					panic("tile 5")
				}
			})
		}()
	}
}
