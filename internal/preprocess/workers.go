package preprocess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/resample"
	"github.com/universal-classifier/uc/internal/volume"
)

// workShare of the budget is handed out to workers; the rest is for garbage not collected yet, buffers and the program.
const workShare = 0.8

// limitShare of the budget is what the garbage collector aims to stay below; the rest is for what it does not see.
const limitShare = 0.95

// leastLimit keeps the garbage collector from running without end where the budget is next to nothing.
const leastLimit = 128 << 20

// collectAt is how much garbage, in percent of what is in use, starts a collection. The arrays hold no pointers, so
// collections cost next to nothing and memory that a stage has finished with comes back before the next one takes more.
const collectAt = 20

// limitMemory sets up the budget and tells the garbage collector of it. The function it returns undoes the latter.
func (j *job) limitMemory() (undo func()) {
	j.budget = memory.NewBudget(int64(workShare * float64(j.options.Memory)))
	j.kept = newKept(j.budget)
	limit := debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(collectAt)
	debug.SetMemoryLimit(min(limit, max(int64(limitShare*float64(j.options.Memory)), leastLimit)))
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}

// work is one case to be worked on.
type work struct {
	at    int   // its place in the order asked for
	i     int   // its place in the cohort
	bytes int64 // memory that it needs
}

// each calls do for the given cases, as many at a time as there are workers and memory for. The largest come first, so
// that none is left over when all others are done. A case that fails does not stop the others; their errors come joined,
// in the order of the cases.
func (c *cohort) each(ctx context.Context, which []int, need func(i int) (int64, error), do func(i int) error) error {
	errs := make([]error, len(which))
	var queue []work
	for at, i := range which {
		bytes, err := need(i)
		if err != nil {
			errs[at] = err
			continue
		}
		queue = append(queue, work{at, i, bytes})
	}
	slices.SortStableFunc(queue, func(a, b work) int { return cmp.Compare(b.bytes, a.bytes) })
	slots := make(chan struct{}, c.options.Threads)
	var workers sync.WaitGroup
	for _, w := range queue {
		slots <- struct{}{}
		// Memory is taken in order, before a worker starts: none swells, none is overtaken.
		if err := c.acquire(ctx, w); err != nil {
			errs[w.at] = err
			<-slots
			continue
		}
		workers.Go(func() {
			if errs[w.at] = do(w.i); errs[w.at] == nil {
				c.progress.Advance(c.cases[w.i].ID)
			}
			c.budget.Release(w.bytes)
			<-slots
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// acquire waits for a case's memory; cases kept for later make room first.
func (c *cohort) acquire(ctx context.Context, w work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.kept.makeRoom(w.bytes) {
		return nil
	}
	err := c.budget.Acquire(ctx, w.bytes)
	var large *memory.TooLargeError
	if errors.As(err, &large) {
		large.Budget = c.options.Memory
		large.Need = int64(math.Ceil(float64(large.Need) / workShare))
		large.Enough = c.enough()
		return fmt.Errorf("case %s: %w", c.cases[w.i].ID, large)
	}
	return err
}

// Bytes per voxel of what a stage holds at its peak.
const (
	floatBytes = 4
	maskBytes  = 2
	flagBytes  = 2 // the flags themselves and the runs of background found in them
)

// needToCrop is the memory for reading and cropping a case.
func (c *cohort) needToCrop(i int) (int64, error) {
	g, err := imagefile.ReadGeometry(c.cases[i].Images[0])
	if err != nil {
		return 0, fmt.Errorf("case %s: %w", c.cases[i].ID, err)
	}
	return cropBytes(g.Size, len(c.cases[i].Images)), nil
}

// cropBytes is for the images, the mask and the flags of a case, each cut in place or to less than half.
func cropBytes(size [3]int, modalities int) int64 {
	voxels := int64(size[0]) * int64(size[1]) * int64(size[2])
	return voxels*int64(modalities*floatBytes+maskBytes+flagBytes) + voxels/2*floatBytes
}

// needToFinish is the memory for all of a case's preprocessing: reading and cropping, or the cropped arrays (twice, for
// the transposition), the result and what resampling needs between, whichever is more.
func (c *cohort) needToFinish(i int, p *plan.Plans) int64 { return finishBytes(c.measured[i], p) }

func finishBytes(m measured, p *plan.Plans) int64 {
	size := volume.Permute(m.CropBox.box().Size(), p.TransposeForward)
	spacing, target := volume.Permute(m.Spacing, p.TransposeForward), p.Stage().CurrentSpacing
	to := resample.Shape(size, spacing, target)
	in, out, padded := int64(1), int64(1), int64(1)
	for d, n := range p.Stage().ImageSize {
		in *= int64(size[d])
		out *= int64(to[d])
		padded *= int64(max(n, to[d]))
	}
	modalities := int64(len(p.Modalities))
	scratch := int64(resample.Scratch(size, to, resample.SeparateAxis(spacing, target)))
	finish := in*(2*modalities*floatBytes+maskBytes) + out*maskBytes + scratch*floatBytes + (modalities+1)*floatBytes*padded
	return max(cropBytes(m.Size, len(p.Modalities)), finish)
}
