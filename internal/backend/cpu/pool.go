package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs tiles of work on persistent workers. The caller of Run is worker 0. A Pool also carries the kernel
// set its work uses. One Run at a time.
type Pool struct {
	threads  int
	features Features
	wake     []chan struct{}
	done     sync.WaitGroup
	job      func(worker, tile int)
	tiles    int64
	_        [64]byte
	next     atomic.Int64
	_        [64]byte
	failure  atomic.Pointer[any]
	closed   sync.Once
	windows  []windowList // working memory of the pooling kernels, per worker
	winograd []winogradWork
}

// NewPool starts threads-1 workers beside the caller; threads < 1 means GOMAXPROCS, which knows cgroup limits.
// The kernel set is DefaultFeatures.
func NewPool(threads int) *Pool { return NewPoolFeatures(threads, DefaultFeatures()) }

// NewPoolFeatures is NewPool with a chosen kernel set, lowered to what the processor has.
func NewPoolFeatures(threads int, f Features) *Pool {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, features: min(f, detected()), windows: make([]windowList, threads), winograd: make([]winogradWork, threads)}
	for w := 1; w < threads; w++ {
		wake := make(chan struct{}, 1)
		p.wake = append(p.wake, wake)
		go func() {
			for range wake {
				p.work(w)
				p.done.Done()
			}
		}()
	}
	return p
}

// Threads returns the number of workers, the caller of Run included.
func (p *Pool) Threads() int { return p.threads }

// Features returns the kernel set this pool's work uses.
func (p *Pool) Features() Features { return p.features }

// Close ends the workers; the pool must be idle.
func (p *Pool) Close() {
	p.closed.Do(func() {
		for _, c := range p.wake {
			close(c)
		}
	})
}

// Run calls f(worker, tile) once for every tile in [0, tiles) and returns when all are done. Tiles are handed out
// in rising order to whichever worker is free; f must write to places that depend on the tile alone
// (worker, in [0, Threads()), may choose scratch memory). A panic in f is raised again here.
func (p *Pool) Run(tiles int, f func(worker, tile int)) {
	if tiles <= 1 || p.threads == 1 {
		for t := range tiles {
			f(0, t)
		}
		return
	}
	p.job, p.tiles = f, int64(tiles)
	p.next.Store(0)
	helpers := min(tiles, p.threads) - 1
	p.done.Add(helpers)
	for w := range helpers {
		p.wake[w] <- struct{}{}
	}
	p.work(0)
	p.done.Wait()
	p.job = nil
	if cause := p.failure.Swap(nil); cause != nil {
		panic(*cause)
	}
}

func (p *Pool) work(worker int) {
	defer func() {
		if r := recover(); r != nil {
			p.failure.CompareAndSwap(nil, &r)
			p.next.Store(p.tiles)
		}
	}()
	f := p.job
	for {
		t := p.next.Add(1) - 1
		if t >= p.tiles {
			return
		}
		f(worker, int(t))
	}
}
