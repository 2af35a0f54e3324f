package fingerprint

import (
	"sync"

	"github.com/universal-classifier/uc/internal/indexed"
	"github.com/universal-classifier/uc/internal/task"
)

// Collector gathers the intensities of a cohort from its cases, in whatever order they come; the result does not depend
// on it.
type Collector struct {
	cases []task.Case

	mu       sync.Mutex
	most     int              // distinct values to hold
	held     int              // distinct values held
	dropped  bool             // too many: only histograms are kept
	moments  [][]moment       // [modality][case]
	local    [][]Statistics   // [modality][case]
	values   [][]Distribution // [modality][case]
	coarse   []*histogram     // [modality]
	combined []moment         // [modality], once all cases are in
}

// NewCollector gathers from the given cases; at most so many distinct values are held at a time (MaxDistinct).
func NewCollector(cases []task.Case, modalities, most int) *Collector {
	c := &Collector{cases: cases, most: most}
	for range modalities {
		c.moments = append(c.moments, make([]moment, len(cases)))
		c.local = append(c.local, make([]Statistics, len(cases)))
		c.values = append(c.values, make([]Distribution, len(cases)))
		c.coarse = append(c.coarse, newHistogram())
	}
	return c
}

// Add takes in the sampled intensities of case i, one distribution per modality.
func (c *Collector) Add(i int, all []Distribution) {
	for m, d := range all {
		moments := momentOf(d)
		local := moments.statistics(d.rank)
		c.mu.Lock()
		c.moments[m][i], c.local[m][i] = moments, local
		c.coarse[m].addUpper(d)
		if c.held += len(d.key); c.held > c.most {
			c.dropped = true
			c.values = nil
		}
		if !c.dropped {
			c.values[m][i] = d
		}
		c.mu.Unlock()
	}
}

// Overflown tells that the values were too many to hold, so that Refine must see every case again.
func (c *Collector) Overflown() bool { return c.dropped }

// combine joins the moments of the cases, in the cases' order.
func (c *Collector) combine() {
	c.combined = nil
	for _, cases := range c.moments {
		var all moment
		for _, m := range cases {
			all = all.join(m)
		}
		c.combined = append(c.combined, all)
	}
}

// ChooseBins prepares the second scan.
func (c *Collector) ChooseBins() {
	c.combine()
	for m, all := range c.combined {
		c.coarse[m].choose(all.ranks())
	}
}

// Refine counts case i's values within the chosen bins.
func (c *Collector) Refine(_ int, all []Distribution) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m, d := range all {
		c.coarse[m].addLower(d)
	}
}

// Properties are the statistics of all modalities.
func (c *Collector) Properties() indexed.List[*Intensity] {
	c.combine()
	var out indexed.List[*Intensity]
	for m, all := range c.combined {
		rank := c.coarse[m].rank
		if !c.dropped {
			rank = merge(c.values[m]).rank
		}
		p := &Intensity{LocalProps: map[string]Statistics{}, Statistics: all.statistics(rank)}
		for i, one := range c.cases {
			p.LocalProps[one.ID] = c.local[m][i]
		}
		out = append(out, p)
	}
	return out
}
