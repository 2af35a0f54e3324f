// Package cohortpage shows a cohort on one page of HTML: its classes by site and fold, histograms of sizes, spacings
// and intensities, a slice of every case with the region of interest outlined, and warnings.
//
// The page is one file without scripts that loads nothing from anywhere, and its size is bounded.
package cohortpage

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/readable"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// File is the name of the page in a task's preprocessed folder.
const File = "cohort.html"

// Fold is one fold of the cross-validation.
type Fold struct {
	Name       string
	Validation []string // cases
}

// Input is what a page is made of.
type Input struct {
	Task     *task.Task
	Folds    []Fold   // none if no splits are drawn
	Warnings []string // of others, that are to stand on the page
}

// Bounds of a page.
const (
	maxCards      = 1200 // cases with a slice
	manyCards     = 300  // from here on slices are smaller
	largeSlice    = 160  // pixels
	smallSlice    = 112
	maxModalities = 16
	maxColumns    = 24 // sites and folds in a table
	maxSeries     = colours
	maxWarnings   = 200
	maxLabels     = 20
	maxOnCard     = 8 // labels
	maxClasses    = 40
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"show": show, "long": long}).Parse(pageText))

// Write reads every case of the task and writes the page to path, whole or not at all. A case that cannot be read is
// named on the page.
func Write(ctx context.Context, path string, in Input, r progress.Reporter) error {
	cases := in.Task.Dataset.Cases
	side := largeSlice
	if len(cases) > manyCards {
		side = smallSlice
	}
	r.Stage("looking at the cohort", len(cases))
	looks := make([]*look, len(cases))
	drawn := chosen(len(cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range cases {
		group.Go(func() error {
			looks[i] = lookAt(ctx, c, in.Task.Dataset.HasMasks, side)
			if !drawn[i] {
				looks[i].thumb = nil
			}
			r.Advance(c.ID)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	p := newPage(in, looks)
	return atomicfile.Write(path, func(w io.Writer) error { return pageTemplate.Execute(w, p) })
}

// chosen are the cases with a slice on the page: all, or evenly spread ones.
func chosen(n int) []bool {
	drawn := make([]bool, n)
	for k := range min(n, maxCards) {
		drawn[k*n/min(n, maxCards)] = true
	}
	return drawn
}

// page is what the template shows.
type page struct {
	Title    string
	Cases    int
	Facts    []fact
	Warnings []warning
	Tables   []table
	Groups   []chartGroup
	Sheet    []sheet
	Shown    int
	ROI      bool // regions are outlined
	Views    string
}

type fact struct{ Name, Text string }

// table counts the classes of a label.
type table struct {
	Label   string
	Columns []string
	Rows    []tableRow
	More    int // classes that are not shown
}

type tableRow struct {
	Class string
	Cells []cell
}

type cell struct {
	N     int
	Share float64 // of the column's cases, in percent
	None  bool    // no case, where others of the column have some
}

type chartGroup struct {
	Title  string
	About  string
	Charts []*chart
	Series []string
	Same   []*chart
}

// sheet is the slices of one class.
type sheet struct {
	Class string
	Cards []card
}

type card struct {
	Anchor  string
	Name    string
	Thumb   *thumb
	Problem string
	Classes []fact
	About   []string
	Warned  bool
}

// newPage arranges what was seen.
func newPage(in Input, looks []*look) *page {
	d := in.Task.Dataset
	p := &page{Title: in.Task.Name, Cases: len(d.Cases), ROI: d.HasMasks}
	p.Warnings = (&finder{in: &in, looks: looks}).find()
	p.facts(in)
	for at := range d.Labels[:min(len(d.Labels), maxLabels)] {
		p.Tables = append(p.Tables, newTable(in, at))
	}
	p.charts(d, looks)
	p.cards(in, looks)
	return p
}

func (p *page) facts(in Input) {
	d := in.Task.Dataset
	add := func(name, format string, args ...any) {
		p.Facts = append(p.Facts, fact{name, fmt.Sprintf(format, args...)})
	}
	add("Cases", "%d", len(d.Cases))
	if len(d.Test) > 0 {
		add("External test set", "%s", words.Count(len(d.Test), "case"))
	}
	add("Modalities", "%s", strings.Join(d.Modalities, ", "))
	masks := "none; the whole image is the region"
	if d.HasMasks {
		masks = strings.Join(d.ROILabels[min(1, len(d.ROILabels)):], ", ")
	}
	add("Region of interest", "%s", masks)
	patients, sites := map[string]int{}, map[string]bool{}
	for _, c := range d.Cases {
		if c.Patient != "" {
			patients[c.Patient]++
		}
		if c.Site != "" {
			sites[c.Site] = true
		}
	}
	if len(patients) > 0 {
		several := 0
		for _, n := range patients {
			if n > 1 {
				several++
			}
		}
		add("Patients", "%d, %d of them with several scans", len(patients), several)
	} else {
		add("Patients", "not named")
	}
	if len(sites) > 0 {
		add("Sites", "%d", len(sites))
	}
	if len(in.Folds) > 0 {
		add("Folds", "%d", len(in.Folds))
	} else {
		add("Folds", "not drawn yet")
	}
}

// newTable counts the classes of a label in all, by site, by fold and in the test set.
func newTable(in Input, at int) table {
	d := in.Task.Dataset
	label := d.Labels[at]
	t := table{Label: label.Name}
	for _, name := range label.Values[:min(len(label.Values), maxClasses)] {
		t.Rows = append(t.Rows, tableRow{Class: name})
	}
	t.More = len(label.Values) - len(t.Rows)
	column := func(name string, in func(c *task.Case) bool, cases []task.Case) {
		counts, sum := make([]int, len(label.Values)), 0
		for i := range cases {
			if c := &cases[i]; in(c) && at < len(c.Targets) && c.Targets[at] >= 0 && c.Targets[at] < len(counts) {
				counts[c.Targets[at]]++
				sum++
			}
		}
		t.Columns = append(t.Columns, name)
		for i := range t.Rows {
			share := 0.0
			if sum > 0 {
				share = math.Round(1000*float64(counts[i])/float64(sum)) / 10
			}
			t.Rows[i].Cells = append(t.Rows[i].Cells, cell{counts[i], share, counts[i] == 0 && sum > 0})
		}
	}
	column("all", func(*task.Case) bool { return true }, d.Cases)
	for _, site := range sitesOf(d) {
		column("site "+site, func(c *task.Case) bool { return c.Site == site }, d.Cases)
	}
	for _, fold := range in.Folds[:min(len(in.Folds), maxColumns)] {
		held := map[string]bool{}
		for _, id := range fold.Validation {
			held[id] = true
		}
		column("fold "+fold.Name, func(c *task.Case) bool { return held[c.ID] }, d.Cases)
	}
	if len(d.Test) > 0 {
		column("test set", func(*task.Case) bool { return true }, d.Test)
	}
	return t
}

// sitesOf lists the sites with the most cases, in the order of their names.
func sitesOf(d *task.Dataset) []string {
	n := map[string]int{}
	for _, c := range d.Cases {
		if c.Site != "" {
			n[c.Site]++
		}
	}
	var sites []string
	for site := range n {
		sites = append(sites, site)
	}
	slices.SortFunc(sites, func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	sites = sites[:min(len(sites), maxColumns)]
	slices.Sort(sites)
	return sites
}

// charts are the histograms, by class of the first label.
func (p *page) charts(d *task.Dataset, looks []*look) {
	label := d.Labels[0]
	classes := len(label.Values)
	if classes > maxSeries {
		classes = 1
	}
	// by sorts the values of all cases into classes.
	by := func(value func(i int, l *look) []float64) []series {
		out := make([]series, classes)
		for s := range out {
			if out[s].name = "all cases"; classes > 1 {
				out[s].name = label.Values[s]
			}
		}
		for i, l := range looks {
			s := 0
			if classes > 1 {
				s = d.Cases[i].Targets[0]
			}
			out[s].values = append(out[s].values, value(i, l)...)
		}
		return out
	}
	header := func(get func(l *look) float64) []series {
		return by(func(_ int, l *look) []float64 {
			if l.size[0] == 0 {
				return nil
			}
			return []float64{get(l)}
		})
	}
	var sizes, spacings []*chart
	for k, axis := range []string{"x", "y", "z"} {
		sizes = append(sizes, histogram("size "+axis, "voxels", header(func(l *look) float64 { return float64(l.size[2-k]) }), true, false))
		spacings = append(spacings, histogram("spacing "+axis, "mm", header(func(l *look) float64 { return l.spacing[2-k] }), false, false))
	}
	p.group("Sizes", "Voxels of the images as they are stored, before any cropping.", sizes)
	p.group("Spacings", "Millimetres between voxels, as the headers say.", spacings)
	if d.HasMasks {
		p.group("Region of interest", "", []*chart{histogram("volume", "ml", header(func(l *look) float64 { return l.roiVolume }), false, false)})
	}
	var intensities []*chart
	for m, name := range d.Modalities[:min(len(d.Modalities), maxModalities)] {
		name = fmt.Sprintf("modality %d (%s)", m, show(name))
		of := func(get func(l *look) []float64) []series {
			return by(func(_ int, l *look) []float64 {
				if m >= len(l.intensities) {
					return nil
				}
				return get(l)
			})
		}
		intensities = append(intensities,
			histogram(name+": voxels", "", clip(of(func(l *look) []float64 { return floats(l.samples[m]) })), false, true),
			histogram(name+": median of each case", "", of(func(l *look) []float64 { return []float64{l.intensities[m][1]} }), false, false))
	}
	about := "Every image counts alike; values below the 0.5th or above the 99.5th percentile of the cohort are left out of the chart of voxels."
	if d.HasMasks {
		about = "Within the box around the region of interest. " + about
	}
	p.group("Intensities", about, intensities)
	p.covariates(d, by)
}

func floats(in []float32) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out
}

// clip leaves out the values beyond the 0.5th and the 99.5th percentile.
func clip(all []series) []series {
	var values []float64
	for _, s := range all {
		values = append(values, s.values...)
	}
	if len(values) == 0 {
		return all
	}
	slices.Sort(values)
	low, high := values[len(values)/200], values[len(values)-1-len(values)/200]
	for i := range all {
		all[i].values = slices.DeleteFunc(all[i].values, func(v float64) bool { return v < low || v > high })
	}
	return all
}

// covariates are charts of those that are numbers.
func (p *page) covariates(d *task.Dataset, by func(func(int, *look) []float64) []series) {
	const most = 8
	names := map[string]bool{}
	for _, c := range d.Cases {
		for name := range c.Covariates {
			names[name] = true
		}
	}
	var sorted []string
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var charts []*chart
	for _, name := range sorted {
		found := 0
		all := by(func(i int, _ *look) []float64 {
			switch v := d.Cases[i].Covariates[name].(type) {
			case float64:
				found++
				return []float64{v}
			case int64:
				found++
				return []float64{float64(v)}
			}
			return nil
		})
		if found > 0 && len(charts) < most {
			charts = append(charts, histogram(name, "", all, false, false))
		}
	}
	p.group("Covariates", "", charts)
}

// group adds charts, with those that have one value alone as text.
func (p *page) group(title, about string, charts []*chart) {
	g := chartGroup{Title: title, About: about}
	for _, c := range charts {
		if c.Same != "" {
			g.Same = append(g.Same, c)
			continue
		}
		g.Charts = append(g.Charts, c)
		if len(c.Series) > 1 {
			g.Series = c.Series
		}
	}
	if len(charts) > 0 {
		p.Groups = append(p.Groups, g)
	}
}

// cards are the slices of the cases by class of the first label, and the places that warnings lead to.
func (p *page) cards(in Input, looks []*look) {
	d := in.Task.Dataset
	fold := map[string]string{}
	for _, f := range in.Folds {
		for _, id := range f.Validation {
			if fold[id] == "" {
				fold[id] = f.Name
			}
		}
	}
	warned := map[int]bool{}
	for _, w := range p.Warnings {
		for _, c := range w.Cases {
			warned[c.at] = true
		}
	}
	drawn := chosen(len(d.Cases))
	views := map[string]bool{}
	sheets := make([]sheet, len(d.Labels[0].Values))
	for i, c := range d.Cases {
		l := looks[i]
		if !drawn[i] && (!warned[i] || p.Shown >= 2*maxCards) {
			continue
		}
		p.Shown++
		k := card{Anchor: "case-" + strconv.Itoa(i+1), Name: c.ID, Thumb: l.thumb, Problem: l.problem, Warned: warned[i]}
		if l.thumb != nil {
			views[l.thumb.View] = true
		}
		for at, label := range d.Labels[:min(len(d.Labels), maxOnCard)] {
			if at > 0 {
				k.Classes = append(k.Classes, fact{label.Name, label.Values[c.Targets[at]]})
			}
		}
		if l.size[0] > 0 {
			k.About = append(k.About, fmt.Sprintf("%d×%d×%d voxels", l.size[2], l.size[1], l.size[0]), fmt.Sprintf("%s×%s×%s mm", text(l.spacing[2]), text(l.spacing[1]), text(l.spacing[0])))
		}
		for _, about := range []fact{{"patient", c.Patient}, {"site", c.Site}, {"fold", fold[c.ID]}} {
			if about.Text != "" {
				k.About = append(k.About, about.Name+" "+show(about.Text))
			}
		}
		s := &sheets[c.Targets[0]]
		s.Cards = append(s.Cards, k)
	}
	for i := range sheets {
		if len(sheets[i].Cards) > 0 {
			sheets[i].Class = d.Labels[0].Name + ": " + d.Labels[0].Values[i]
			p.Sheet = append(p.Sheet, sheets[i])
		}
	}
	for name := range views {
		if p.Views != "" {
			p.Views = "differing views, along each scan's largest spacing"
			break
		}
		p.Views = name
	}
	on := map[int]bool{}
	for i := range d.Cases {
		on[i] = drawn[i] || warned[i] && p.Shown < 2*maxCards
	}
	for w := range p.Warnings {
		for k := range p.Warnings[w].Cases {
			if c := &p.Warnings[w].Cases[k]; on[c.at] {
				c.To = "#case-" + strconv.Itoa(c.at+1)
			}
		}
	}
}

// show makes a name of somebody else's fit to be read; long is show for whole sentences.
var show, long = readable.Name, readable.Sentence
