package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/device/cuda/driver"
	"github.com/universal-classifier/uc/internal/jsonfile"
)

// ErrNoPlan is returned where cuDNN cannot compute a convolution.
var ErrNoPlan = errors.New("cuDNN has no plan for this convolution")

// How long to search. The first candidates are cuDNN's own best guesses, and a plan may take a second to build.
const (
	maxCandidates = 8
	searchTime    = 700 * time.Millisecond // after which the best so far is taken
	timedRuns     = 3
	hopeless      = 2 // times the best: not measured more than once
)

// Tuner chooses by measurement, once, how to compute each convolution. What it found is kept between runs for the same
// card and cuDNN.
type Tuner struct {
	card    Card
	scratch *Scratch
	limit   int64 // bytes of workspace that a plan may take
	plans   map[string]Plan
	file    string
	chosen  map[string]int // candidate by problem, -1 for none; way by what Choose was asked
	saved   time.Time
	dirty   bool
}

// NewTuner returns a tuner that keeps its choices in dir, or nowhere if dir is empty.
func NewTuner(c Card, s *Scratch, limit int64, dir string) *Tuner {
	t := &Tuner{card: c, scratch: s, limit: limit, plans: map[string]Plan{}, chosen: map[string]int{}, saved: time.Now()}
	if dir != "" {
		_, cudnn := c.Versions()
		info := c.Info()
		name := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
				return r
			}
			return '_'
		}, info.Name)
		t.file = filepath.Join(dir, fmt.Sprintf("plans-%s-%s-%d-%d.json", cudnn, name, info.Capability, limit>>20))
		if jsonfile.Read(t.file, &t.chosen) != nil {
			t.chosen = map[string]int{} // none, or not whole: measure again
		}
	}
	return t
}

// Plan returns the plan for a problem. The first time it measures on the operands given, which overwrites the result's.
func (t *Tuner) Plan(p driver.Problem, x, w, y, bias uint64) (Plan, error) {
	key := p.String()
	if plan, ok := t.plans[key]; ok {
		if plan == nil {
			return nil, ErrNoPlan
		}
		return plan, nil
	}
	if t.scratch.frozen {
		return nil, ErrFrozen
	}
	plan, choice, err := t.search(p, key, x, w, y, bias)
	if err != nil {
		return nil, err
	}
	t.plans[key] = plan
	t.remember(key, choice)
	if plan == nil {
		return nil, ErrNoPlan
	}
	return plan, nil
}

// remember keeps a choice, also for later runs.
func (t *Tuner) remember(key string, choice int) {
	if old, known := t.chosen[key]; !known || old != choice {
		t.chosen[key], t.dirty = choice, true
		if time.Since(t.saved) > 2*time.Second {
			t.save()
		}
	}
}

// Run computes a problem, or returns ErrNoPlan.
func (t *Tuner) Run(p driver.Problem, x, w, y, bias uint64) error {
	plan, err := t.Plan(p, x, w, y, bias)
	if err != nil {
		return err
	}
	defer t.scratch.Mark()()
	workspace, err := t.scratch.Take(plan.Workspace())
	if err != nil {
		return err
	}
	return plan.Run(x, w, y, bias, workspace)
}

// Choose computes something in one of several ways, each of which writes the same result; the first time in all of
// them, to see which is fastest. Ways that cannot return ErrNoPlan, and if none can, Choose does.
func (t *Tuner) Choose(key string, ways ...func() error) error {
	run := func(i int) error {
		defer t.scratch.Mark()()
		return ways[i]()
	}
	if known, ok := t.chosen[key]; ok && known >= 0 && known < len(ways) {
		if err := run(known); !errors.Is(err, ErrNoPlan) {
			return err
		}
	}
	if t.scratch.frozen {
		return ErrFrozen
	}
	best, choice := time.Duration(0), -1
	for i := range ways {
		err := run(i) // loads the code, and chooses plans
		if errors.Is(err, ErrNoPlan) {
			continue
		}
		var took time.Duration
		if err == nil {
			took, err = t.shortest(func() error { return run(i) }, best)
		}
		if err != nil {
			return err
		}
		if choice < 0 || took < best {
			best, choice = took, i
		}
	}
	if choice < 0 {
		return ErrNoPlan
	}
	t.remember(key, choice)
	return run(choice) // so that what is there is what it computes, for a test of it too
}

// search builds the plan chosen in an earlier run, or measures the candidates. No plan and no error means that there is
// none.
func (t *Tuner) search(p driver.Problem, key string, x, w, y, bias uint64) (Plan, int, error) {
	known, ok := t.chosen[key]
	if ok && known < 0 {
		return nil, -1, nil
	}
	all, err := t.card.Plans(p)
	if err != nil {
		if errors.Is(err, driver.ErrLost) {
			return nil, 0, err
		}
		return nil, -1, nil
	}
	defer all.Close()
	if ok && known < all.Len() {
		if plan, err := all.Build(known); err == nil && plan.Workspace() <= t.limit {
			return plan, known, nil
		}
	}
	var best Plan
	var bestTime time.Duration
	choice, tried := -1, 0
	began := time.Now()
	for i := range all.Len() {
		if tried == maxCandidates || best != nil && time.Since(began) > searchTime {
			break
		}
		plan, err := all.Build(i)
		if err != nil {
			if errors.Is(err, driver.ErrLost) {
				return nil, 0, err
			}
			continue
		}
		if plan.Workspace() > t.limit {
			plan.Close()
			continue
		}
		tried++
		took, err := t.measure(plan, bestTime, x, w, y, bias)
		switch {
		case errors.Is(err, driver.ErrLost):
			return nil, 0, err
		case err != nil || best != nil && took >= bestTime:
			plan.Close()
		default:
			if best != nil {
				best.Close()
			}
			best, bestTime, choice = plan, took, i
		}
	}
	return best, choice, nil
}

// measure is the time of a plan.
func (t *Tuner) measure(plan Plan, best time.Duration, x, w, y, bias uint64) (time.Duration, error) {
	defer t.scratch.Mark()()
	workspace, err := t.scratch.Take(plan.Workspace())
	if err != nil {
		return 0, err
	}
	return t.shortest(func() error { return plan.Run(x, w, y, bias, workspace) }, best)
}

// shortest is the shortest time of a few runs, of fewer where the best so far is out of reach.
func (t *Tuner) shortest(run func() error, best time.Duration) (time.Duration, error) {
	shortest, err := t.card.Time(run) // loads the code too
	if err != nil {
		return 0, err
	}
	for range timedRuns {
		took, err := t.card.Time(run)
		if err != nil {
			return 0, err
		}
		shortest = min(shortest, took)
		if best > 0 && shortest > hopeless*best {
			break
		}
	}
	return shortest, nil
}

// save keeps the choices; a cache that cannot be written costs time, nothing else.
func (t *Tuner) save() {
	t.saved, t.dirty = time.Now(), false
	if t.file == "" || os.MkdirAll(filepath.Dir(t.file), 0o755) != nil {
		return
	}
	merged := map[string]int{} // another process may have saved
	if jsonfile.Read(t.file, &merged) != nil {
		merged = map[string]int{}
	}
	for k, v := range t.chosen {
		merged[k] = v
	}
	_ = jsonfile.Write(t.file, merged, jsonfile.Indent)
}

// Close releases the plans and keeps the choices.
func (t *Tuner) Close() {
	for _, p := range t.plans {
		if p != nil {
			p.Close()
		}
	}
	t.plans = map[string]Plan{}
	if t.dirty {
		t.save()
	}
}
