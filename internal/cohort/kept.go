package cohort

import (
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/preprocess"
)

// keptShare is the most of the workers' memory that cases read for the fingerprint may hold until they are
// preprocessed.
const keptShare = 0.5

// kept holds cropped cases between the look for the fingerprint and their preprocessing, so that what fits the budget
// is read once. Work comes first: a case is dropped, and read again later, when its memory is wanted.
type kept struct {
	budget *memory.Budget

	mu    sync.Mutex
	total int64
	crops map[int]*preprocess.Cropped
}

func newKept(b *memory.Budget) *kept { return &kept{budget: b, crops: map[int]*preprocess.Cropped{}} }

// offer keeps the case i if there is memory to spare.
func (k *kept) offer(i int, c *preprocess.Cropped) {
	n := c.Bytes()
	k.mu.Lock()
	defer k.mu.Unlock()
	if float64(k.total+n) > keptShare*float64(k.budget.Total()) || !k.budget.TryAcquire(n) {
		return
	}
	k.total += n
	k.crops[i] = c
}

// take hands out case i, nil if it is not there. Its memory counts as the taker's.
func (k *kept) take(i int) *preprocess.Cropped {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.crops[i]
	k.remove(i)
	return c
}

// retain drops all cases but the given ones.
func (k *kept) retain(which []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.crops {
		if !slices.Contains(which, i) {
			k.remove(i)
		}
	}
}

// makeRoom drops cases, the last ones first, until n bytes could be taken. It reports whether they were.
func (k *kept) makeRoom(n int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for !k.budget.TryAcquire(n) {
		last := -1
		for i := range k.crops {
			last = max(last, i)
		}
		if last < 0 {
			return false
		}
		k.remove(last)
	}
	return true
}

func (k *kept) remove(i int) {
	if c := k.crops[i]; c != nil {
		k.total -= c.Bytes()
		k.budget.Release(c.Bytes())
		delete(k.crops, i)
	}
}
