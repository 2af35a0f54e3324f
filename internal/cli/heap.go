package cli

import "runtime/debug"

// limitShare of the budget is what the garbage collector aims to stay below; the rest is for what it does not see.
const limitShare = 0.95

// leastLimit keeps the garbage collector from running without end where the budget is next to nothing.
const leastLimit = 128 << 20

// collectAt is how much garbage, in percent of what is in use, starts a collection. Large arrays hold no pointers, so
// collections cost next to nothing and memory that a stage has finished with comes back before the next one takes more.
const collectAt = 20

// limitHeap has the garbage collector of this process keep to a budget in bytes. Only the command line does so: the
// packages below, which other programs import, leave the collector as it is. The function it returns undoes that.
func limitHeap(budget int64) (undo func()) {
	limit := debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(collectAt)
	debug.SetMemoryLimit(min(limit, max(int64(limitShare*float64(budget)), leastLimit)))
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}
