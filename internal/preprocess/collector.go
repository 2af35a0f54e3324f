package preprocess

import (
	"sync"

	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/task"
)

// collector gathers the intensities of a cohort from its cases, in whatever order they come; the result does not depend
// on it.
type collector struct {
	cases []task.Case

	mu       sync.Mutex
	held     int                 // distinct values held
	dropped  bool                // too many: only histograms are kept
	moments  [][]moment          // [modality][case]
	local    [][]plan.Statistics // [modality][case]
	values   [][]distribution    // [modality][case]
	coarse   []*histogram        // [modality]
	combined []moment            // [modality], once all cases are in
}

func newCollector(cases []task.Case, modalities int) *collector {
	c := &collector{cases: cases}
	for range modalities {
		c.moments = append(c.moments, make([]moment, len(cases)))
		c.local = append(c.local, make([]plan.Statistics, len(cases)))
		c.values = append(c.values, make([]distribution, len(cases)))
		c.coarse = append(c.coarse, newHistogram())
	}
	return c
}

// add takes in the sampled intensities of case i, one distribution per modality.
func (c *collector) add(i int, all []distribution) {
	for m, d := range all {
		moments := momentOf(d)
		local := moments.statistics(d.rank)
		c.mu.Lock()
		c.moments[m][i], c.local[m][i] = moments, local
		c.coarse[m].addUpper(d)
		if c.held += len(d.key); c.held > maxDistinct {
			c.dropped = true
			c.values = nil
		}
		if !c.dropped {
			c.values[m][i] = d
		}
		c.mu.Unlock()
	}
}

// overflown tells that the values were too many to hold, so that refine must see every case again.
func (c *collector) overflown() bool { return c.dropped }

// combine joins the moments of the cases, in the cases' order.
func (c *collector) combine() {
	c.combined = nil
	for _, cases := range c.moments {
		var all moment
		for _, m := range cases {
			all = all.join(m)
		}
		c.combined = append(c.combined, all)
	}
}

// chooseBins prepares the second scan.
func (c *collector) chooseBins() {
	c.combine()
	for m, all := range c.combined {
		c.coarse[m].choose(all.ranks())
	}
}

// refine counts case i's values within the chosen bins.
func (c *collector) refine(_ int, all []distribution) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m, d := range all {
		c.coarse[m].addLower(d)
	}
}

// properties are the statistics of all modalities.
func (c *collector) properties() plan.Indexed[*plan.Intensity] {
	c.combine()
	var out plan.Indexed[*plan.Intensity]
	for m, all := range c.combined {
		rank := c.coarse[m].rank
		if !c.dropped {
			rank = merge(c.values[m]).rank
		}
		p := &plan.Intensity{LocalProps: map[string]plan.Statistics{}, Statistics: all.statistics(rank)}
		for i, kase := range c.cases {
			p.LocalProps[kase.ID] = c.local[m][i]
		}
		out = append(out, p)
	}
	return out
}
