package serve

import (
	"context"
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/predict"
	"github.com/universal-classifier/uc/internal/progress"
)

// maxModels bounds how many models stay loaded; beyond it the one not used for longest goes.
const maxModels = 4

// key says which model is wanted and how it computes.
type key struct {
	dir, folds, checkpoint, device string
	threads                        int
	mixed, mirroring               bool
}

// models keeps opened models.
type models struct {
	mu      sync.Mutex
	entries []*entry // most recently used last
}

// entry is a model that is open or being opened. What follows opened is valid once that is closed.
type entry struct {
	key    key
	state  string // of the model's files when it was opened
	users  int
	stale  bool // no longer in the list; closed with its last user
	opened chan struct{}
	model  *predict.Model
	err    error

	averaged sync.Once // says that folds are averaged for want of a folder all
}

// acquire returns the model of k, whose files are in the given state, opening it unless it is open already. The caller
// releases the entry.
func (c *models) acquire(ctx context.Context, k key, state string, o predict.Options, r progress.Reporter) (*entry, error) {
	e, mine := c.find(k, state)
	if mine {
		e.model, e.err = predict.Open(k.dir, o, r)
		if e.err != nil {
			c.drop(e)
		}
		close(e.opened)
	}
	select {
	case <-e.opened:
	case <-ctx.Done():
		c.release(e)
		return nil, ctx.Err()
	}
	if e.err != nil {
		c.release(e)
		return nil, e.err
	}
	return e, nil
}

// find returns the entry of k with one user more; mine says that it is new and the caller's to open.
func (c *models) find(k key, state string) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.entries {
		if e.key != k {
			continue
		}
		c.entries = slices.Delete(c.entries, i, i+1)
		if e.state == state {
			c.entries = append(c.entries, e)
			e.users++
			return e, false
		}
		e.retire()
		break
	}
	for len(c.entries) >= maxModels {
		c.entries[0].retire()
		c.entries = c.entries[1:]
	}
	e = &entry{key: k, state: state, users: 1, opened: make(chan struct{})}
	c.entries = append(c.entries, e)
	return e, true
}

// retire closes the model as soon as nobody uses it. The caller holds the lock and takes the entry off the list.
func (e *entry) retire() {
	e.stale = true
	if e.users == 0 && e.model != nil {
		e.model.Close()
	}
}

func (c *models) drop(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.stale = true
	c.entries = slices.DeleteFunc(c.entries, func(other *entry) bool { return other == e })
}

func (c *models) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users == 0 && e.stale && e.model != nil {
		e.model.Close()
	}
}
