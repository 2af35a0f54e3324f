package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/universal-classifier/uc/internal/cpulevel"
	"github.com/universal-classifier/uc/internal/device/cpu/kernel"
)

// Workers runs tiles of work on persistent workers. The caller of Run is worker 0. They also carry the kernel
// set its work uses and the workers' working memory. One Run at a time.
//
// Workers that have just worked spin for a while before they sleep, as the next Run mostly follows at once.
// Run waits only for workers that have taken part: one that the system has not woken yet joins the next Run.
type Workers struct {
	threads  int
	level    cpulevel.Level
	spins    int
	job      func(worker, tile int)
	workers  []worker
	quit     chan struct{}
	closed   sync.Once
	failure  atomic.Pointer[any]
	ended    chan struct{} // to a caller that sleeps
	windows  []windowList  // working memory of the pooling kernels, per worker
	winograd []winogradWork
	byTiles  []tileWork
	plans    map[planKey]tilePlan
	runs     map[runsKey][]*windowRun // of poolings

	_       [64]byte
	state   atomic.Uint64 // number of the Run, whether it takes workers, how many take part
	waiting atomic.Bool   // the caller sleeps until the last worker has left
	_       [64]byte
	shares  []share // of the tiles, one for every worker
}

// share is a range of tiles that a worker does first.
type share struct {
	next atomic.Int64
	end  int64
	_    [48]byte
}

// worker is what Run knows of a worker besides the caller.
type worker struct {
	wake   chan struct{}
	asleep atomic.Bool
	_      [64]byte
}

// The parts of Workers.state.
const (
	stateCount = 1<<16 - 1
	stateOpen  = 1 << 16
	stateRun   = 1 << 17
)

// spinRounds is how often an idle worker looks for work before it sleeps, about 200 microseconds. Waking one takes Go's
// scheduler and the system tens of microseconds, as long as a layer of a small image: with a tenth of the rounds an
// inference pass on 28 x 28 x 28 voxels took a quarter longer.
const spinRounds = 200000

// NewWorkers starts threads-1 workers in addition to the caller; threads < 1 means GOMAXPROCS, which knows cgroup
// limits. The kernel set is the best one, unless UC_CPU names another.
func NewWorkers(threads int) *Workers { return NewWorkersAt(threads, cpulevel.Default()) }

// NewWorkersAt is NewWorkers with a chosen kernel set, lowered to what the processor has.
func NewWorkersAt(threads int, f cpulevel.Level) *Workers {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Workers{threads: threads, level: cpulevel.Lowered(f), workers: make([]worker, threads-1), shares: make([]share, threads), quit: make(chan struct{}), ended: make(chan struct{}, 1),
		windows: make([]windowList, threads), winograd: make([]winogradWork, threads), byTiles: make([]tileWork, threads), plans: map[planKey]tilePlan{}, runs: map[runsKey][]*windowRun{}}
	if threads <= runtime.GOMAXPROCS(0) {
		p.spins = spinRounds
	}
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		go p.serve(i + 1)
	}
	return p
}

// Threads returns the number of workers, the caller of Run included.
func (p *Workers) Threads() int { return p.threads }

// Level returns the kernel set this pool's work uses.
func (p *Workers) Level() cpulevel.Level { return p.level }

func (p *Workers) kernels() *kernel.Set { return kernel.KernelSets[p.level] }

// HasBF16 reports whether this pool's kernel set has kernels for activations in bfloat16.
func (p *Workers) HasBF16() bool { return p.kernels().BF16 != nil }

// Close ends the workers; the pool must be idle.
func (p *Workers) Close() { p.closed.Do(func() { close(p.quit) }) }

// Run calls f(worker, tile) once for every tile in [0, tiles) and returns when all are done. Every worker begins with
// its own part of the range, in rising order, and then helps the others: from call to call, the same part of an image
// stays with the core whose cache holds it. f must write to places that depend on the tile alone (worker, in
// [0, Threads()), may choose scratch memory). A panic in f is raised again here.
func (p *Workers) Run(tiles int, f func(worker, tile int)) {
	if tiles <= 1 || p.threads == 1 {
		for t := range tiles {
			f(0, t)
		}
		return
	}
	p.job = f
	for i := range p.shares {
		p.shares[i].next.Store(int64(i * tiles / p.threads))
		p.shares[i].end = int64((i + 1) * tiles / p.threads)
	}
	p.state.Store((p.state.Load()/stateRun+1)*stateRun | stateOpen)
	for i := range min(tiles, p.threads) - 1 {
		if w := &p.workers[i]; w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	p.work(0)
	p.state.And(^uint64(stateOpen))
	for i := 0; p.state.Load()&stateCount != 0; i++ {
		if i < p.spins {
			continue
		}
		p.waiting.Store(true)
		if p.state.Load()&stateCount == 0 && p.waiting.CompareAndSwap(true, false) {
			break
		}
		<-p.ended
	}
	p.job = nil
	if cause := p.failure.Swap(nil); cause != nil {
		panic(*cause)
	}
}

// serve is the life of a worker.
func (p *Workers) serve(number int) {
	self := &p.workers[number-1]
	last, idle := uint64(0), 0
	joinable := func(state uint64) bool { return state&stateOpen != 0 && state/stateRun != last }
	for {
		state := p.state.Load()
		switch {
		case joinable(state):
			if p.state.CompareAndSwap(state, state+1) {
				last, idle = state/stateRun, 0
				p.work(number)
				if left := p.state.Add(^uint64(0)); left&(stateCount|stateOpen) == 0 && p.waiting.CompareAndSwap(true, false) {
					p.ended <- struct{}{}
				}
			}
		case idle < p.spins:
			idle++
		default:
			self.asleep.Store(true)
			if joinable(p.state.Load()) && self.asleep.CompareAndSwap(true, false) {
				continue
			}
			select {
			case <-self.wake:
				idle = 0
			case <-p.quit:
				return
			}
		}
	}
}

// work does tiles until none is left.
func (p *Workers) work(worker int) {
	defer func() {
		if r := recover(); r != nil {
			p.failure.CompareAndSwap(nil, &r)
			for i := range p.shares {
				p.shares[i].next.Store(p.shares[i].end)
			}
		}
	}()
	f := p.job
	for i := range p.shares {
		s := &p.shares[(worker+i)%p.threads]
		for s.next.Load() < s.end {
			t := s.next.Add(1) - 1
			if t >= s.end {
				break
			}
			f(worker, int(t))
		}
	}
}
