package split

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// search looks for the assignment of groups to folds with the least sum of squared counts.
type search struct {
	groups []group
	folds  int
	rng    *rand.Rand

	fold    []int    // of each group
	members [][]int  // groups of each fold; where[g] is the place of g in it
	where   []int    //
	counts  [][]int  // (fold, property)
	cost    int      // sum of the squares of counts
	least   int      // no assignment costs less
	looks   int      // exchanges that may still be looked at
	seen    []uint32 // per kind, the last look at it
	look    uint32
}

// maxLooks bounds the exchanges that a search looks at: about a second.
const maxLooks = 20_000_000

// patience is how many disturbed states in a row may bring nothing, per group, before a search ends.
const patience = 20

func newSearch(groups []group, folds int, rng *rand.Rand) *search {
	properties, kinds := 0, 0
	for _, g := range groups {
		kinds = max(kinds, g.kind+1)
		for _, c := range g.counts {
			properties = max(properties, c.property+1)
		}
	}
	s := &search{groups: groups, folds: folds, rng: rng, looks: maxLooks, seen: make([]uint32, kinds),
		fold: make([]int, len(groups)), where: make([]int, len(groups)), members: make([][]int, folds), counts: make([][]int, folds)}
	for f := range folds {
		s.counts[f] = make([]int, properties)
	}
	totals := make([]int, properties)
	for _, g := range groups {
		for _, c := range g.counts {
			totals[c.property] += c.cases
		}
	}
	for _, n := range totals {
		even, more := n/folds, n%folds
		s.least += more*(even+1)*(even+1) + (folds-more)*even*even
	}
	return s
}

// put adds group g to fold f.
func (s *search) put(g, f int) {
	for _, c := range s.groups[g].counts {
		n := &s.counts[f][c.property]
		s.cost += c.cases * (2**n + c.cases)
		*n += c.cases
	}
	s.fold[g], s.where[g] = f, len(s.members[f])
	s.members[f] = append(s.members[f], g)
}

// take removes group g from its fold.
func (s *search) take(g int) {
	f := s.fold[g]
	for _, c := range s.groups[g].counts {
		n := &s.counts[f][c.property]
		s.cost -= c.cases * (2**n - c.cases)
		*n -= c.cases
	}
	of := s.members[f]
	last := of[len(of)-1]
	of[s.where[g]], s.where[last] = last, s.where[g]
	s.members[f] = of[:len(of)-1]
}

// deal puts every group into a fold, largest first.
func (s *search) deal() {
	order := s.rng.Perm(len(s.groups))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(s.groups[b].members), len(s.groups[a].members)) })
	for _, g := range order {
		best, least := 0, 0
		for f := range s.folds {
			cost := 0
			for _, c := range s.groups[g].counts {
				cost += c.cases * s.counts[f][c.property]
			}
			if f == 0 || cost < least {
				best, least = f, cost
			}
		}
		s.put(g, best)
	}
}

// moving is what the cost changes by if group g goes to fold f.
func (s *search) moving(g, f int) int {
	from, to, change := s.counts[s.fold[g]], s.counts[f], 0
	for _, c := range s.groups[g].counts {
		change += 2 * c.cases * (to[c.property] - from[c.property] + c.cases)
	}
	return change
}

// exchanging is what the cost changes by if the groups g and h, of two folds, change places.
func (s *search) exchanging(g, h int) int {
	from, to, change := s.counts[s.fold[g]], s.counts[s.fold[h]], 0
	a, b := s.groups[g].counts, s.groups[h].counts
	for len(a) > 0 || len(b) > 0 {
		var property, n int
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].property < b[0].property:
			property, n, a = a[0].property, a[0].cases, a[1:]
		case len(a) == 0 || b[0].property < a[0].property:
			property, n, b = b[0].property, -b[0].cases, b[1:]
		default:
			property, n, a, b = a[0].property, a[0].cases-b[0].cases, a[1:], b[1:]
		}
		change += 2 * n * (to[property] - from[property] + n)
	}
	return change
}

// improve searches until the cost cannot be less, or nothing has helped for long.
func (s *search) improve() {
	s.descend()
	best, cost := slices.Clone(s.fold), s.cost
	for idle := 0; cost > s.least && s.looks > 0 && idle < patience*len(s.groups); idle++ {
		for range 2 + s.rng.IntN(3) {
			g := s.rng.IntN(len(s.groups))
			s.take(g)
			s.put(g, s.rng.IntN(s.folds))
		}
		s.descend()
		if s.cost < cost {
			idle = 0
		}
		if s.cost <= cost {
			best, cost = slices.Clone(s.fold), s.cost
			continue
		}
		for g, f := range best {
			if s.fold[g] != f {
				s.take(g)
				s.put(g, f)
			}
		}
	}
	for g, f := range best {
		if s.fold[g] != f {
			s.take(g)
			s.put(g, f)
		}
	}
}

// descend moves and exchanges groups as long as that lowers the cost.
func (s *search) descend() {
	for better := true; better && s.looks > 0 && s.cost > s.least; {
		better = false
		for g := range s.groups {
			better = s.settle(g) || better
		}
	}
}

// settle finds the best move or exchange of group g and makes it if it lowers the cost.
func (s *search) settle(g int) bool {
	least, fold, partner := 0, -1, -1
	for f := range s.folds {
		if f == s.fold[g] {
			continue
		}
		if change := s.moving(g, f); change < least {
			least, fold, partner = change, f, -1
		}
		s.look++
		for _, h := range s.members[f] {
			kind := s.groups[h].kind
			if kind == s.groups[g].kind || s.seen[kind] == s.look {
				continue // an exchange that was looked at already
			}
			s.seen[kind] = s.look
			s.looks--
			if change := s.exchanging(g, h); change < least {
				least, fold, partner = change, f, h
			}
		}
	}
	if fold < 0 {
		return false
	}
	from := s.fold[g]
	s.take(g)
	s.put(g, fold)
	if partner >= 0 {
		s.take(partner)
		s.put(partner, from)
	}
	return true
}
