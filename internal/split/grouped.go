// Package split decides which cases belong to which fold of a cross-validation.
package split

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Case is what a split looks at.
type Case struct {
	ID      string
	Patient string // cases of one patient stay together; "" is a patient of its own
	Site    string // "" takes no part in the balance of sites
	Targets []int  // class per classification label
}

// Grouped deals cases out to folds so that no patient is in two of them, and so that cases, classes of every label, and
// sites are spread as evenly as the patients allow. It returns the fold of each case. The result depends on the cases
// and the seed alone, not on the order of the cases. Fewer patients than folds are an error.
//
// What is minimised is the sum of squared counts of each class, each site and of all cases over the folds, which is
// least when the counts of the folds differ by one at most. Patients are dealt out one by one, largest first, each to
// the fold where it costs least; then single patients are moved, and pairs exchanged, as long as that helps, again and
// again from slightly disturbed states (iterated local search; Lourenço, Martin and Stützle, in Handbook of
// Metaheuristics, 2003). For one case a patient and two labels an even solution always exists (de Werra, Equitable
// colorations of graphs, 1971).
func Grouped(cases []Case, folds int, seed uint64) ([]int, error) {
	order := make([]int, len(cases))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cases[a].ID, cases[b].ID) })
	groups := groupsOf(cases, order)
	if len(groups) < folds {
		return nil, fmt.Errorf("%d patients cannot be split into %d folds", len(groups), folds)
	}
	s := newSearch(groups, folds, rand.New(rand.NewPCG(seed, groupedStream)))
	s.deal()
	s.improve()
	out := make([]int, len(cases))
	for g, group := range groups {
		for _, i := range group.members {
			out[i] = s.fold[g]
		}
	}
	return out, nil
}

// groupedStream separates these random numbers from others of the same seed.
const groupedStream = 0x67726f75706564 // "grouped"

// Ungrouped are the cases without their patients, so that each may go to another fold.
func Ungrouped(cases []Case) []Case {
	out := slices.Clone(cases)
	for i := range out {
		out[i].Patient = ""
	}
	return out
}

// Sites returns the sites of the cases, sorted, and of each case the index of its site. A case without a site is an
// error.
func Sites(cases []Case) (sites []string, of []int, err error) {
	for _, c := range cases {
		if c.Site == "" {
			return nil, nil, fmt.Errorf("case %s has no site", c.ID)
		}
		sites = append(sites, c.Site)
	}
	slices.Sort(sites)
	sites = slices.Compact(sites)
	for _, c := range cases {
		at, _ := slices.BinarySearch(sites, c.Site)
		of = append(of, at)
	}
	return sites, of, nil
}

// Shared names the patients with cases in both parts, sorted, each with its cases in the first part and in the second.
func Shared(first, second []Case) []Overlap {
	of := map[string][]string{}
	for _, c := range first {
		if c.Patient != "" {
			of[c.Patient] = append(of[c.Patient], c.ID)
		}
	}
	found := map[string]*Overlap{}
	for _, c := range second {
		ids, both := of[c.Patient]
		if !both {
			continue
		}
		if found[c.Patient] == nil {
			found[c.Patient] = &Overlap{Patient: c.Patient, First: ids}
		}
		found[c.Patient].Second = append(found[c.Patient].Second, c.ID)
	}
	var out []Overlap
	for _, o := range found {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b Overlap) int { return cmp.Compare(a.Patient, b.Patient) })
	return out
}

// Overlap is a patient with cases in two parts.
type Overlap struct {
	Patient       string
	First, Second []string // cases
}

// group is the cases of one patient.
type group struct {
	members []int // indices of cases
	counts  []count
	kind    int // groups of one kind have the same counts
}

// count is how many cases of a group have a property: being a case, being of a site, having a class.
type count struct{ property, cases int }

// groupsOf puts the cases of each patient together, in the given order of the cases.
func groupsOf(cases []Case, order []int) []group {
	properties := numberProperties(cases, order)
	at := map[string]int{}
	var groups []group
	for _, i := range order {
		g, known := at[cases[i].Patient]
		if !known || cases[i].Patient == "" {
			g = len(groups)
			groups = append(groups, group{})
			at[cases[i].Patient] = g
		}
		groups[g].members = append(groups[g].members, i)
	}
	kinds := map[string]int{}
	for g := range groups {
		sums := map[int]int{}
		for _, i := range groups[g].members {
			for _, key := range propertiesOf(cases[i]) {
				sums[properties[key]]++
			}
		}
		for property, n := range sums {
			groups[g].counts = append(groups[g].counts, count{property, n})
		}
		slices.SortFunc(groups[g].counts, func(a, b count) int { return a.property - b.property })
		key := fmt.Sprint(groups[g].counts)
		if _, known := kinds[key]; !known {
			kinds[key] = len(kinds)
		}
		groups[g].kind = kinds[key]
	}
	return groups
}

// property is what is to be balanced: all cases (label -1, no site), a site, or a class of a label.
type property struct {
	site  string
	label int
	class int
}

func propertiesOf(c Case) []property {
	all := []property{{label: -1}}
	if c.Site != "" {
		all = append(all, property{site: c.Site, label: -1})
	}
	for label, class := range c.Targets {
		all = append(all, property{label: label, class: class})
	}
	return all
}

func numberProperties(cases []Case, order []int) map[property]int {
	numbers := map[property]int{}
	for _, i := range order {
		for _, p := range propertiesOf(cases[i]) {
			if _, known := numbers[p]; !known {
				numbers[p] = len(numbers)
			}
		}
	}
	return numbers
}
