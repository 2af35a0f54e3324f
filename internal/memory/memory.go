// Package memory knows how much memory there is and shares it out among workers.
//
// Own code, since automemlimit knows limits only, and gopsutil not what a control group has left.
package memory

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sync/semaphore"

	"github.com/universal-classifier/uc/internal/remedy"
)

// DefaultShare of the free memory is used where no budget is given.
const DefaultShare = 0.7

// assumed is taken to be free where the system does not tell.
const assumed = 4 << 30

// Available is the memory in bytes that can be used now without pushing anything else out: the lesser of what the
// machine and, on Linux, the control groups of this process have left.
func Available() int64 {
	if n := available(); n > 0 {
		return n
	}
	return assumed
}

// Default is the budget where none is given.
func Default() int64 { return int64(DefaultShare * float64(Available())) }

// Parse reads a size such as 8G, 500M, 1.5GiB or 4096 (bytes). Units are powers of 1024.
func Parse(text string) (int64, error) {
	number := strings.ToUpper(strings.TrimSpace(text))
	number = strings.TrimSuffix(strings.TrimSuffix(number, "B"), "I")
	scale := 1.0
	if n := len(number); n > 0 {
		if power := strings.IndexByte("KMGT", number[n-1]); power >= 0 {
			scale = math.Pow(1024, float64(power+1))
			number = number[:n-1]
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(v*scale >= 1) || v*scale >= 1<<62 {
		return 0, fmt.Errorf("memory size %q: expected a number with K, M, G or T, such as 8G", text)
	}
	return int64(v * scale), nil
}

// Format writes a size for people: 512 MiB, 3.4 GiB.
func Format(bytes int64) string {
	const unit = 1024
	switch v := float64(bytes); {
	case v >= unit*unit*unit:
		return fmt.Sprintf("%.1f GiB", v/(unit*unit*unit))
	case v >= unit*unit:
		return fmt.Sprintf("%.0f MiB", v/(unit*unit))
	default:
		return fmt.Sprintf("%.0f KiB", math.Ceil(v/unit))
	}
}

// WorkShare of a budget is for the arrays that are accounted for; the rest is for garbage not collected yet, buffers
// and the program.
const WorkShare = 0.8

// Budget shares a number of bytes out among workers, first come first served.
type Budget struct {
	total int64
	sem   *semaphore.Weighted
}

// NewBudget has total bytes to share.
func NewBudget(total int64) *Budget {
	return &Budget{total, semaphore.NewWeighted(total)}
}

// TooLargeError says that one piece of work needs more than the whole budget.
type TooLargeError struct {
	Need, Budget int64
	Enough       int64 // a budget that also suffices for whatever comes next; 0 if that is not known
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("needs %s of memory, but the budget is %s; give %s or more, on a machine that has it",
		Format(e.Need), Format(e.Budget), Format(e.enough()))
}

// enough is a budget in whole MiB that suffices.
func (e *TooLargeError) enough() int64 { return (max(e.Need, e.Enough)>>20 + 1) << 20 }

// Remedies is a larger budget.
func (e *TooLargeError) Remedies() []remedy.Remedy {
	return []remedy.Remedy{remedy.Set{Option: remedy.Memory, Value: fmt.Sprintf("%dM", e.enough()>>20)}}
}

// Total is what the budget shares out.
func (b *Budget) Total() int64 { return b.total }

// Acquire waits until n bytes are free and takes them. It fails at once with a *TooLargeError if they never can be, and
// with the context's error when that ends.
func (b *Budget) Acquire(ctx context.Context, n int64) error {
	if n > b.total {
		return &TooLargeError{Need: n, Budget: b.total}
	}
	return b.sem.Acquire(ctx, n)
}

// TryAcquire takes n bytes if they are free now.
func (b *Budget) TryAcquire(n int64) bool { return b.sem.TryAcquire(n) }

// Release gives n bytes back.
func (b *Budget) Release(n int64) { b.sem.Release(n) }
