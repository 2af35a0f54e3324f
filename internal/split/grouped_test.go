package split

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// cohort draws cases of patients with so many scans each, labels of so many classes, of uneven frequency, and sites.
func cohort(rng *rand.Rand, patients, scans, sites int, classes ...int) []Case {
	var cases []Case
	for p := range patients {
		site := ""
		if sites > 0 {
			site = fmt.Sprintf("site %d", min(rng.IntN(sites), rng.IntN(sites)))
		}
		for range 1 + rng.IntN(scans) {
			c := Case{ID: fmt.Sprintf("case_%04d", len(cases)), Patient: fmt.Sprintf("P%d", p), Site: site}
			for _, n := range classes {
				c.Targets = append(c.Targets, min(rng.IntN(n), rng.IntN(n)))
			}
			cases = append(cases, c)
		}
	}
	rng.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	return cases
}

// spread is, per property, how far its largest count in a fold is above its smallest.
func spread(cases []Case, fold []int, folds int) map[property]int {
	counts := map[property][]int{}
	for i, c := range cases {
		for _, p := range propertiesOf(c) {
			if counts[p] == nil {
				counts[p] = make([]int, folds)
			}
			counts[p][fold[i]]++
		}
	}
	out := map[property]int{}
	for p, n := range counts {
		out[p] = slices.Max(n) - slices.Min(n)
	}
	return out
}

func squares(cases []Case, fold []int, folds int) int {
	counts := map[property][]int{}
	for i, c := range cases {
		for _, p := range propertiesOf(c) {
			if counts[p] == nil {
				counts[p] = make([]int, folds)
			}
			counts[p][fold[i]]++
		}
	}
	sum := 0
	for _, n := range counts {
		for _, v := range n {
			sum += v * v
		}
	}
	return sum
}

// wholePatients fails if a patient is in two folds, or a fold is empty.
func wholePatients(t *testing.T, cases []Case, fold []int, folds int) {
	t.Helper()
	of, size := map[string]int{}, make([]int, folds)
	for i, c := range cases {
		if at, seen := of[c.Patient]; seen && at != fold[i] {
			t.Fatalf("patient %s is in folds %d and %d", c.Patient, at, fold[i])
		}
		of[c.Patient] = fold[i]
		size[fold[i]]++
	}
	if slices.Min(size) == 0 {
		t.Fatalf("fold sizes %v", size)
	}
}

// One scan a patient: with a label and sites, or two labels, every count is even to one case; with more properties to
// one more.
func TestSingleScansAreEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for trial := range 60 {
		classes := [][]int{{2}, {3, 2}, {2, 3, 4}, {2, 2, 2, 2}}[trial%4]
		n := 6 + rng.IntN(150)
		cases := cohort(rng, n, 1, trial%3*2, classes...)
		folds := 2 + rng.IntN(min(9, n-2))
		fold, err := Grouped(cases, folds, 12345)
		if err != nil {
			t.Fatal(err)
		}
		wholePatients(t, cases, fold, folds)
		allowed := 1
		if len(classes) > 2 || len(classes) == 2 && cases[0].Site != "" {
			allowed = 2
		}
		for p, n := range spread(cases, fold, folds) {
			if n > allowed {
				t.Errorf("trial %d: %d cases, %d folds, classes %v: %+v differs by %d", trial, len(cases), folds, classes, p, n)
			}
		}
	}
}

// best tries every assignment: the least sum of squares, and the least that the counts of any class or site in two
// folds differ by.
func best(cases []Case, folds int) (least, difference int) {
	patients := map[string]int{}
	for _, c := range cases {
		if _, known := patients[c.Patient]; !known {
			patients[c.Patient] = len(patients)
		}
	}
	of, fold := make([]int, len(patients)), make([]int, len(cases))
	least, difference = math.MaxInt, math.MaxInt
	var try func(p, used int)
	try = func(p, used int) {
		if p == len(of) {
			for i, c := range cases {
				fold[i] = of[patients[c.Patient]]
			}
			least, difference = min(least, squares(cases, fold, folds)), min(difference, largest(cases, fold, folds))
			return
		}
		for f := range min(used+1, folds) { // folds are alike: a new one is the next
			of[p] = f
			try(p+1, max(used, f+1))
		}
	}
	try(0, 0)
	return least, difference
}

// largest is the most that the counts of a class or a site in two folds differ by.
func largest(cases []Case, fold []int, folds int) int {
	most := 0
	for p, n := range spread(cases, fold, folds) {
		if p.label >= 0 || p.site != "" {
			most = max(most, n)
		}
	}
	return most
}

// On small cohorts trying every assignment shows that none is more even, and that classes and sites are balanced within
// one case of what these patients allow.
func TestSmallCohortsAreOptimal(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for trial := range 60 {
		folds := 2 + rng.IntN(3)
		cases := cohort(rng, folds+rng.IntN(8-folds), 1+trial%4, trial%3, [][]int{{2}, {3}, {2, 3}}[trial/4%3]...)
		fold, err := Grouped(cases, folds, uint64(trial))
		if err != nil {
			t.Fatal(err)
		}
		wholePatients(t, cases, fold, folds)
		least, difference := best(cases, folds)
		if got := squares(cases, fold, folds); got != least {
			t.Errorf("trial %d: %d cases in %d folds: sum of squares %d, the best has %d", trial, len(cases), folds, got, least)
		}
		if got := largest(cases, fold, folds); got > difference+1 {
			t.Errorf("trial %d: %d cases in %d folds: counts differ by %d, possible is %d", trial, len(cases), folds, got, difference)
		}
	}
}

// Large cohorts of patients with several scans are about as even as single scans.
func TestLargeCohorts(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct{ patients, scans, sites int }{{200, 4, 5}, {1500, 3, 12}, {2000, 1, 30}} {
		cases := cohort(rng, c.patients, c.scans, c.sites, 2, 5, 2)
		fold, err := Grouped(cases, 5, 12345)
		if err != nil {
			t.Fatal(err)
		}
		wholePatients(t, cases, fold, 5)
		for p, n := range spread(cases, fold, 5) {
			if n > 3 {
				t.Errorf("%+v: %+v differs by %d", c, p, n)
			}
		}
	}
}

func TestGroupedIsDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	cases := cohort(rng, 40, 3, 3, 2, 3)
	first, err := Grouped(cases, 5, 12345)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]int{}
	for i, c := range cases {
		byID[c.ID] = first[i]
	}
	rng.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	again, err := Grouped(cases, 5, 12345)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if again[i] != byID[c.ID] {
			t.Fatalf("case %s is in fold %d, before in %d", c.ID, again[i], byID[c.ID])
		}
	}
	other, _ := Grouped(cases, 5, 1)
	if slices.Equal(other, again) {
		t.Error("the seed does not matter")
	}
}

// A patient with most of the cases leaves the other folds even.
func TestOneLargePatient(t *testing.T) {
	var cases []Case
	for i := range 60 {
		c := Case{ID: fmt.Sprintf("case_%02d", i), Patient: "many", Targets: []int{i % 2}}
		if i >= 40 {
			c.Patient = fmt.Sprint(i)
		}
		cases = append(cases, c)
	}
	fold, err := Grouped(cases, 5, 12345)
	if err != nil {
		t.Fatal(err)
	}
	wholePatients(t, cases, fold, 5)
	counts := make([]int, 5)
	for _, f := range fold {
		counts[f]++
	}
	slices.Sort(counts)
	if !slices.Equal(counts, []int{5, 5, 5, 5, 40}) {
		t.Errorf("fold sizes %v", counts)
	}
}

func TestTooFewPatients(t *testing.T) {
	cases := []Case{{ID: "a", Patient: "1"}, {ID: "b", Patient: "1"}, {ID: "c", Patient: "2"}}
	if _, err := Grouped(cases, 3, 1); err == nil || err.Error() != "2 patients cannot be split into 3 folds" {
		t.Errorf("got %v", err)
	}
	if fold, err := Grouped(Ungrouped(cases), 3, 1); err != nil || len(fold) != 3 {
		t.Errorf("without patients: %v, %v", fold, err)
	}
}

func TestSites(t *testing.T) {
	sites, of, err := Sites([]Case{{ID: "a", Site: "Nijmegen"}, {ID: "b", Site: "Ghent"}, {ID: "c", Site: "Nijmegen"}})
	if err != nil || !slices.Equal(sites, []string{"Ghent", "Nijmegen"}) || !slices.Equal(of, []int{1, 0, 1}) {
		t.Errorf("got %v %v %v", sites, of, err)
	}
	if _, _, err := Sites([]Case{{ID: "a", Site: "Ghent"}, {ID: "b"}}); err == nil || err.Error() != "case b has no site" {
		t.Errorf("got %v", err)
	}
}

func TestShared(t *testing.T) {
	got := Shared([]Case{{ID: "a", Patient: "1"}, {ID: "b", Patient: "2"}, {ID: "x"}}, []Case{{ID: "c", Patient: "1"}, {ID: "d", Patient: "1"}, {ID: "y"}})
	if len(got) != 1 || got[0].Patient != "1" || !slices.Equal(got[0].First, []string{"a"}) || !slices.Equal(got[0].Second, []string{"c", "d"}) {
		t.Errorf("got %+v", got)
	}
}
