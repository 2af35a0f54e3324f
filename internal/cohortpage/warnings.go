package cohortpage

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/integrity"
)

// warning is something that the reader may not have meant, with the cases that it is about.
type warning struct {
	Text  string
	Cases []link
	More  int // cases that are not listed
}

// link leads to a case on the page; To is empty for a case that has no card.
type link struct {
	Name, To string
	Why      string
	at       int // the case
}

// maxLinks is how many cases a warning lists.
const maxLinks = 40

const (
	fewCases  = 5  // of a class: each of five folds then has at most one to validate
	farFactor = 10 // times the cohort's median, or a part of it, as integrity has it
)

// finder gathers warnings.
type finder struct {
	in    *Input
	looks []*look
	all   []warning
}

func (f *finder) add(text string, cases ...link) {
	w := warning{Text: text, Cases: cases}
	if len(cases) > maxLinks {
		w.Cases, w.More = cases[:maxLinks], len(cases)-maxLinks
	}
	f.all = append(f.all, w)
}

// about adds a warning of all cases for which why is not empty.
func (f *finder) about(text string, why func(i int, l *look) string) {
	var cases []link
	for i, l := range f.looks {
		if reason := why(i, l); reason != "" {
			cases = append(cases, link{Name: f.in.Task.Dataset.Cases[i].ID, Why: reason, at: i})
		}
	}
	if len(cases) > 0 {
		f.add(fmt.Sprintf("%s: %d of %d", text, len(cases), len(f.looks)), cases...)
	}
}

// find looks for everything to warn about.
func (f *finder) find() []warning {
	for _, text := range f.in.Warnings {
		f.add(text)
	}
	f.about("cases that cannot be read", func(_ int, l *look) string { return l.problem })
	f.classes()
	f.sites()
	f.headers()
	f.voxels()
	if n := len(f.all) - maxWarnings; n > 0 {
		f.all = append(f.all[:maxWarnings], warning{Text: fmt.Sprintf("and %d more warnings", n)})
	}
	return f.all
}

// classes warns of classes with few cases, and of folds that lack one.
func (f *finder) classes() {
	d := f.in.Task.Dataset
	folds := map[string][]int{} // that validate on a case
	for k, fold := range f.in.Folds {
		for _, id := range fold.Validation {
			folds[id] = append(folds[id], k)
		}
	}
	for at, label := range d.Labels {
		counts := make([]int, len(label.Values))
		for _, c := range d.Cases {
			counts[c.Targets[at]]++
		}
		for class, n := range counts {
			if n < fewCases {
				f.add(fmt.Sprintf("label %s: the class %s has %d cases; with fewer than %d, a fold of five validates on none or on one", label.Name, label.Values[class], n, fewCases))
			}
		}
		val := make([][]int, len(f.in.Folds)) // per fold and class
		for k := range val {
			val[k] = make([]int, len(counts))
		}
		for _, c := range d.Cases {
			for _, k := range folds[c.ID] {
				val[k][c.Targets[at]]++
			}
		}
		for k, fold := range f.in.Folds {
			for class, all := range counts {
				switch n := val[k][class]; {
				case all == 0:
				case n == all:
					f.add(fmt.Sprintf("label %s: fold %s trains without a case of the class %s", label.Name, fold.Name, label.Values[class]))
				case n == 0:
					f.add(fmt.Sprintf("label %s: fold %s validates without a case of the class %s; its AUC is not defined there", label.Name, fold.Name, label.Values[class]))
				}
			}
		}
	}
}

// sites warns of sites whose cases are all of one class: the network may learn the site in its place.
func (f *finder) sites() {
	d := f.in.Task.Dataset
	for at, label := range d.Labels {
		bySite := map[string][]int{}
		for i, c := range d.Cases {
			if c.Site != "" {
				bySite[c.Site] = append(bySite[c.Site], i)
			}
		}
		if len(bySite) < 2 {
			continue
		}
		var names []string
		for site, cases := range bySite {
			first := d.Cases[cases[0]].Targets[at]
			if len(cases) > 1 && !slices.ContainsFunc(cases, func(i int) bool { return d.Cases[i].Targets[at] != first }) {
				names = append(names, fmt.Sprintf("%s (%d cases, all %s)", site, len(cases), label.Values[first]))
			}
		}
		if len(names) > 0 {
			slices.Sort(names)
			if len(names) > maxLinks {
				names = append(names[:maxLinks], "...")
			}
			f.add(fmt.Sprintf("label %s: sites with one class alone, which the network may tell by their scanner: %s", label.Name, strings.Join(names, ", ")))
		}
	}
}

// headers warns of spacings, extents and orientations that are unlike the cohort's.
func (f *finder) headers() {
	var spacings, extents [][3]float64
	orientations := map[string]int{}
	for _, l := range f.looks {
		if l.size[0] == 0 {
			continue
		}
		spacings, extents = append(spacings, l.spacing), append(extents, l.extent())
		orientations[l.orientation]++
	}
	f.about("headers that contradict themselves about the spacing", func(_ int, l *look) string { return l.doubt })
	spacing, extent := integrity.MedianSpacing(spacings), integrity.MedianSpacing(extents)
	f.about("spacings far from the cohort's", func(_ int, l *look) string {
		if l.size[0] == 0 {
			return ""
		}
		return integrity.FarSpacing(l.spacing, spacing)
	})
	f.about("extents far beyond the cohort's", func(_ int, l *look) string {
		if l.size[0] == 0 {
			return ""
		}
		return integrity.FarExtent(l.extent(), extent)
	})
	most := ""
	for o, n := range orientations {
		if n > orientations[most] || n == orientations[most] && o < most {
			most = o
		}
	}
	f.about("cases stored in another orientation than most ("+most+"); axes are not turned when reading", func(_ int, l *look) string {
		if l.size[0] == 0 || l.orientation == most {
			return ""
		}
		return l.orientation
	})
}

// voxels warns of images and regions that are unlike the cohort's.
func (f *finder) voxels() {
	f.about("images with one value everywhere", func(_ int, l *look) string { return when(l.constant, "nothing can be learned from it") })
	f.about("images with values that are not finite, which count as 0", func(_ int, l *look) string { return when(l.nonFinite, "not finite") })
	f.about("masks that are empty", func(_ int, l *look) string { return when(l.roiVolume == 0, "empty") })
	var volumes []float64
	for _, l := range f.looks {
		if l.roiVolume > 0 {
			volumes = append(volumes, l.roiVolume)
		}
	}
	far := func(v, median float64) bool { return v > 0 && median > 0 && max(v/median, median/v) >= farFactor }
	median := integrity.Median(volumes)
	f.about(fmt.Sprintf("regions of interest ten times larger or smaller than the median (%s ml)", text(median)), func(_ int, l *look) string {
		return when(far(l.roiVolume, median), text(l.roiVolume)+" ml")
	})
	for m, name := range f.in.Task.Dataset.Modalities {
		var ranges []float64
		for _, l := range f.looks {
			if m < len(l.intensities) && l.spread(m) > 0 {
				ranges = append(ranges, l.spread(m))
			}
		}
		median := integrity.Median(ranges)
		f.about(fmt.Sprintf("modality %d (%s): ranges of intensities ten times larger or smaller than the median (%s)", m, name, text(median)), func(_ int, l *look) string {
			if m >= len(l.intensities) {
				return ""
			}
			return when(far(l.spread(m), median), text(l.intensities[m][0])+" to "+text(l.intensities[m][2]))
		})
	}
}

func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

// extent of the image in mm.
func (l *look) extent() [3]float64 {
	var e [3]float64
	for d := range 3 {
		e[d] = float64(l.size[d]) * l.spacing[d]
	}
	return e
}

// spread is the range from the 1st to the 99th percentile of a modality.
func (l *look) spread(m int) float64 { return math.Abs(l.intensities[m][2] - l.intensities[m][0]) }
