package memory

import "runtime/debug"

// WorkShare of a budget is for the arrays that are accounted for; the rest is for garbage not collected yet, buffers and the program.
const WorkShare = 0.8

// limitShare of the budget is what the garbage collector aims to stay below; the rest is for what it does not see.
const limitShare = 0.95

// leastLimit keeps the garbage collector from running without end where the budget is next to nothing.
const leastLimit = 128 << 20

// collectAt is how much garbage, in percent of what is in use, starts a collection. Large arrays hold no pointers, so
// collections cost next to nothing and memory that a stage has finished with comes back before the next one takes more.
const collectAt = 20

// LimitHeap has the garbage collector of this process keep to a budget in bytes. The function it returns undoes that.
func LimitHeap(budget int64) (undo func()) {
	limit := debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(collectAt)
	debug.SetMemoryLimit(min(limit, max(int64(limitShare*float64(budget)), leastLimit)))
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}
