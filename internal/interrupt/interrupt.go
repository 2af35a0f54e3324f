// Package interrupt ends a process whose job does not return after it was told to end.
//
// A job is told to end by its context. Most work looks at the context often enough, but a call may be stuck where
// nobody can: in a read from a file server that has gone, in a write to a pipe that nobody reads. Watch gives such a
// job a moment, then ends the process. Files appear whole or not at all, so this costs no more than the work under way.
// Work that must come to its end first, such as the iteration of a training and the checkpoint that follows it, is put
// under Hold.
package interrupt

import (
	"context"
	"sync"
	"time"
)

// Patience is how long a job may take to return after its context has ended, where nothing holds it.
const Patience = 1500 * time.Millisecond

type key struct{}

// guard counts who holds the process.
type guard struct {
	mu    sync.Mutex
	holds int
	freed time.Time // when the last hold ended
}

// Watch returns a context for a job. If the job has not called stop by the time patience has passed since the context
// ended, or since the last Hold was released if that is later, exit is called, once.
func Watch(ctx context.Context, patience time.Duration, exit func()) (watched context.Context, stop func()) {
	g := &guard{}
	done := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-done:
			return
		}
		began := time.Now()
		for {
			left := g.left(began, patience)
			if left <= 0 {
				exit()
				return
			}
			select {
			case <-time.After(left):
			case <-done:
				return
			}
		}
	}()
	return context.WithValue(ctx, key{}, g), sync.OnceFunc(func() { close(done) })
}

// left is how long the job may still take.
func (g *guard) left(began time.Time, patience time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds > 0 {
		return patience
	}
	if g.freed.After(began) {
		began = g.freed
	}
	return patience - time.Since(began)
}

// Hold keeps the process of a watched context from being ended until release is called. Without a Watch it does
// nothing.
func Hold(ctx context.Context) (release func()) {
	g, ok := ctx.Value(key{}).(*guard)
	if !ok {
		return func() {}
	}
	g.mu.Lock()
	g.holds++
	g.mu.Unlock()
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.holds--
		g.freed = time.Now()
	})
}
