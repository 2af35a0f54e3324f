package preprocess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/resample"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// limitMemory sets up the budget and tells the garbage collector of it. The function it returns undoes the latter.
func (j *job) limitMemory() (undo func()) {
	j.budget = memory.NewBudget(int64(memory.WorkShare * float64(j.options.Memory)))
	j.kept = newKept(j.budget)
	return memory.LimitHeap(j.options.Memory)
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
		large.Need = int64(math.Ceil(float64(large.Need) / memory.WorkShare))
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
func (c *cohort) needToCrop(i int) (int64, error) { return CropBytes(c.cases[i]) }

// CropBytes is the memory in bytes for reading and cropping a case, by the header of its first image.
func CropBytes(c task.Case) (int64, error) {
	g, err := imagefile.ReadGeometry(c.Images[0])
	if err != nil {
		return 0, fmt.Errorf("case %s: %w", c.ID, err)
	}
	return cropBytes(g.Size, len(c.Images)), nil
}

// cropBytes is for the images, the mask and the flags of a case, each cut in place or to less than half.
func cropBytes(size [3]int, modalities int) int64 {
	voxels := int64(size[0]) * int64(size[1]) * int64(size[2])
	return voxels*int64(modalities*floatBytes+maskBytes+flagBytes) + voxels/2*floatBytes
}

// needToFinish is the memory for all of a case's preprocessing.
func (c *cohort) needToFinish(i int, p *plan.Plans) int64 { return needOf(c.measured[i], p) }

// needOf is the memory for reading and cropping a case, or for what comes then, whichever is more.
func needOf(m measured, p *plan.Plans) int64 {
	return max(cropBytes(m.Size, len(p.Modalities)), finishBytes(m.CropBox.box().Size(), m.Spacing, p))
}

// finishBytes is for the cropped arrays (twice, for the transposition), the result and what resampling needs between.
func finishBytes(cropped [3]int, cropSpacing [3]float64, p *plan.Plans) int64 {
	size, spacing := volume.Permute(cropped, p.TransposeForward), volume.Permute(cropSpacing, p.TransposeForward)
	target := p.Stage().CurrentSpacing
	to := resample.Shape(size, spacing, target)
	in, out, padded := int64(1), int64(1), int64(1)
	for d, n := range p.Stage().ImageSize {
		in *= int64(size[d])
		out *= int64(to[d])
		padded *= int64(max(n, to[d]))
	}
	modalities := int64(len(p.Modalities))
	scratch := int64(resample.Scratch(size, to, resample.SeparateAxis(spacing, target)))
	return in*(2*modalities*floatBytes+maskBytes) + out*maskBytes + scratch*floatBytes + (modalities+1)*floatBytes*padded
}
