package cohort

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/task"
)

// limitMemory sets up the budget.
func (j *job) limitMemory() {
	j.budget = memory.NewBudget(int64(memory.WorkShare * float64(j.options.Memory)))
	j.kept = newKept(j.budget)
}

// work is one case to be worked on.
type work struct {
	at    int   // its place in the order asked for
	i     int   // its place in the cohort
	bytes int64 // memory that it needs
}

// each calls do for the given cases, as many at a time as there are workers and memory for. The largest come first, so
// that none is left over when all others are done. A case that fails does not stop the others; their errors come
// joined, in the order of the cases.
func (co *cohort) each(ctx context.Context, which []int, need func(i int) (int64, error), do func(i int) error) error {
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
	slots := make(chan struct{}, co.options.Workers)
	var workers sync.WaitGroup
	for _, w := range queue {
		slots <- struct{}{}
		// Memory is taken in order, before a worker starts: none swells, none is overtaken.
		if err := co.acquire(ctx, w); err != nil {
			errs[w.at] = err
			<-slots
			continue
		}
		workers.Go(func() {
			if errs[w.at] = do(w.i); errs[w.at] == nil {
				co.progress.Advance(co.cases[w.i].ID)
			}
			co.budget.Release(w.bytes)
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
func (co *cohort) acquire(ctx context.Context, w work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if co.kept.makeRoom(w.bytes) {
		return nil
	}
	err := co.budget.Acquire(ctx, w.bytes)
	var large *memory.TooLargeError
	if errors.As(err, &large) {
		large.Budget = co.options.Memory
		large.Need = int64(math.Ceil(float64(large.Need) / memory.WorkShare))
		large.Enough = co.enough()
		return task.InCase(co.cases[w.i].ID, large)
	}
	return err
}

// needToCrop is the memory for reading and cropping a case.
func (co *cohort) needToCrop(i int) (int64, error) { return preprocess.CropBytes(co.cases[i]) }

// needToFinish is the memory for all of a case's preprocessing.
func (co *cohort) needToFinish(i int, p *plan.Plans) int64 { return needOf(co.measured[i], p) }

// needOf is the memory for reading and cropping a case, or for what comes then, whichever is more.
func needOf(m measured, p *plan.Plans) int64 {
	return max(preprocess.CropBytesOf(m.Size, len(p.Modalities)), preprocess.FinishBytes(m.CropBox.Box().Size(), m.Spacing, p))
}
