package feed

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/universal-classifier/uc/internal/augment"
)

// Phase is the half of an epoch a batch belongs to.
type Phase uint64

// The halves of an epoch.
const (
	Training Phase = iota
	Validating
)

// Position is the place of a batch in the whole training.
type Position struct {
	Phase            Phase
	Epoch, Iteration int
}

// Positions yields the batches from where a training stands to its end: per epoch the training iterations, then the
// validation iterations.
func Positions(p Sequence, epoch, trainDone, valDone int) iter.Seq[Position] {
	return func(yield func(Position) bool) {
		for ; epoch < p.Epochs; epoch++ {
			for i := trainDone; i < p.Iterations; i++ {
				if !yield(Position{Training, epoch, i}) {
					return
				}
			}
			for i := valDone; i < p.ValIterations; i++ {
				if !yield(Position{Validating, epoch, i}) {
					return
				}
			}
			trainDone, valDone = 0, 0
		}
	}
}

// cases are what a loader draws from.
type cases interface {
	// Read copies case i into dst (channels, Z, Y, X); its errors name the case. It may be called concurrently.
	Read(i int, dst []float32) error
	// Targets returns the class of case i for each label.
	Targets(i int) []int
	ID(i int) string
}

// Batch is one step's input. It belongs to the receiver until released.
type Batch struct {
	Position
	Data    []float32 // (N, C, Z, Y, X)
	Targets [][]int   // [label][n]
	Cases   []string  // drawn cases, for messages

	mu   sync.Mutex
	left int
	err  error
	done chan struct{}
}

// Loader prepares batches ahead of the network, in order. Every sample is a function of (seed, phase, epoch, iteration,
// index in the batch) alone, so neither the number of workers nor an interruption changes any.
type Loader struct {
	sequence  Sequence
	cases     cases
	members   [2][]int // per phase, the cases that are drawn from
	sampleLen int
	pipelines []*augment.Pipeline // one per worker

	free    chan *Batch
	ordered chan *Batch
	ready   <-chan *Batch // where next takes them: ordered, or what sendAhead makes of it
	jobs    chan job
	stopped <-chan struct{}
	stop    context.CancelFunc
	group   sync.WaitGroup
	waited  time.Duration
}

type job struct {
	batch *Batch
	index int
}

// NewLoader starts one worker per pipeline, which fill batches of the sequence's size for the positions in order.
// Memory is bounded: no more than batchesAhead(...) batches exist at any time.
func NewLoader(p Sequence, c cases, members [2][]int, labels, sampleLen int, pipelines []*augment.Pipeline, order iter.Seq[Position]) *Loader {
	ctx, stop := context.WithCancel(context.Background())
	batchSize := p.BatchSize
	depth := BatchesAhead(batchSize, len(pipelines))
	l := &Loader{
		sequence: p, cases: c, members: members, sampleLen: sampleLen, pipelines: pipelines,
		free: make(chan *Batch, depth), ordered: make(chan *Batch, depth), jobs: make(chan job), stop: stop, stopped: ctx.Done(),
	}
	l.ready = l.ordered
	for range depth {
		b := &Batch{Data: make([]float32, batchSize*sampleLen), Targets: make([][]int, labels), Cases: make([]string, batchSize)}
		for k := range b.Targets {
			b.Targets[k] = make([]int, batchSize)
		}
		l.free <- b
	}
	l.group.Go(func() { l.dispatch(ctx, order) })
	for _, p := range pipelines {
		l.group.Go(func() { l.work(p) })
	}
	return l
}

// BatchesAhead is how many batches a loader keeps: one that the network works on, one that waits for it, and those that
// keep all workers busy.
func BatchesAhead(batchSize, workers int) int { return 2 + (workers+batchSize-1)/batchSize }

// dispatch hands out the samples in order as buffers come free.
func (l *Loader) dispatch(ctx context.Context, order iter.Seq[Position]) {
	defer close(l.ordered)
	defer close(l.jobs)
	for at := range order {
		var b *Batch
		select {
		case b = <-l.free:
		case <-ctx.Done():
			return
		}
		b.resize(l.sequence.Size(at, len(l.members[Validating])), l.sampleLen)
		b.Position, b.left, b.err, b.done = at, len(b.Cases), nil, make(chan struct{})
		l.ordered <- b
		for i := range b.Cases {
			select {
			case l.jobs <- job{b, i}:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (l *Loader) work(p *augment.Pipeline) {
	source := rand.NewPCG(0, 0)
	rng := rand.New(source)
	var draw drawer
	for j := range l.jobs {
		source.Seed(streamOf(l.sequence.Seed, j.batch.Position, j.index))
		err := l.fill(j.batch, j.index, rng, &draw, p)
		b := j.batch
		b.mu.Lock()
		if b.err == nil {
			b.err = err
		}
		b.left--
		last := b.left == 0
		b.mu.Unlock()
		if last {
			close(b.done)
		}
	}
}

// fill draws a case and prepares it as sample index of the batch.
func (l *Loader) fill(b *Batch, index int, rng *rand.Rand, draw *drawer, p *augment.Pipeline) error {
	i := draw.one(&l.sequence, l.members[b.Phase], b.Position, index, rng)
	data := b.Data[index*l.sampleLen:][:l.sampleLen]
	if err := l.cases.Read(i, data); err != nil {
		return err
	}
	b.Cases[index] = l.cases.ID(i)
	for k, class := range l.cases.Targets(i) {
		b.Targets[k][index] = class
	}
	if b.Phase == Training {
		p.Apply(rng, data)
	} else {
		p.ApplyValidation(data)
	}
	return nil
}

var errNoMore = errors.New("the training wants more batches than were planned")

// Next returns the batch of the next position and measures how long the caller had to wait for it.
func (l *Loader) Next(ctx context.Context) (*Batch, error) {
	began := time.Now()
	defer func() { l.waited += time.Since(began) }()
	select {
	case b, more := <-l.ready:
		if !more {
			return nil, errNoMore
		}
		select {
		case <-b.done:
			return b, b.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// SendAhead has send called with the data of every batch as soon as they are prepared, one batch ahead of next. It is
// called before next is.
func (l *Loader) SendAhead(send func(data []float32)) {
	sent := make(chan *Batch)
	l.ready = sent
	l.group.Go(func() {
		defer close(sent)
		for b := range l.ordered {
			select {
			case <-b.done:
			case <-l.stopped:
				return
			}
			if b.err == nil {
				send(b.Data)
			}
			select {
			case sent <- b:
			case <-l.stopped:
				return
			}
		}
	})
}

// Release gives the batch's memory back.
func (l *Loader) Release(b *Batch) { l.free <- b }

// TakeWaited returns the time spent waiting since it was last asked.
func (l *Loader) TakeWaited() time.Duration {
	w := l.waited
	l.waited = 0
	return w
}

// Close stops the workers and waits for them.
func (l *Loader) Close() {
	l.stop()
	l.group.Wait()
}

// streamOf is the seed of the random stream of one sample.
func streamOf(seed uint64, at Position, index int) (uint64, uint64) {
	h := Mix(seed)
	for _, v := range []uint64{uint64(at.Phase), uint64(at.Epoch), uint64(at.Iteration), uint64(index)} {
		h = Mix(h ^ v)
	}
	return h, Mix(h)
}

// Mix is the finaliser of SplitMix64 (Steele et al. 2014) after one step of its counter.
func Mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
