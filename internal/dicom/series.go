package dicom

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/volume"
)

// Series is the images of one series, or of a part of it if it was split.
type Series struct {
	About
	Part     string          // what sets it apart from the other parts of a split series
	Folder   string          // of its first file
	Files    []string        // sorted
	Slices   int             // images, of all files
	Geometry volume.Geometry // if it is not refused; otherwise as far as known
	Tilt     float64         // degrees between the stack and the normal of its slices, if it is kept sheared
	Refusals []*Refusal      // why it cannot be a volume; none if it can
	Notes    []string        // what is odd, but loses nothing

	Localizer bool // all its images are localizers

	headers []*header
	slices  []*slice // sorted along the normal if it is not refused
}

// Refusal is a reason why a series is not a volume. Its text names no file and no patient.
type Refusal struct {
	Kind   string   // a word for programs
	Reason string   // with the remedy in words
	Files  []string // that show it, some of them
	For    []remedy.Remedy
}

func (r *Refusal) Error() string             { return r.Reason }
func (r *Refusal) Remedies() []remedy.Remedy { return r.For }

// Split names what a series may be split by.
type Split struct {
	name string
	key  func(*slice) string
}

// splits are the ways to split a series, by the names that users give.
var splits = []Split{
	{"acquisition", func(c *slice) string { return fmt.Sprint(c.acquisition) }},
	{"echo", func(c *slice) string { return fmt.Sprintf("%d, %g ms", c.echo, c.echoTime) }},
	{"image-type", func(c *slice) string { return c.kind }},
	{"matrix", func(c *slice) string { return fmt.Sprintf("%d x %d", c.file.format.columns, c.file.format.rows) }},
	{"orientation", func(c *slice) string {
		key := make([]string, len(c.orientation))
		for i, v := range c.orientation {
			key[i] = fmt.Sprintf("%.2f", v+0) // no negative zero
		}
		return strings.Join(key, `\`)
	}},
	{"stack", func(c *slice) string { return c.stack }},
	{"time", func(c *slice) string { return fmt.Sprintf("%d, %g ms", c.temporal, c.trigger) }},
	{"b-value", func(c *slice) string { return fmt.Sprintf("%g", c.bValue) }},
}

// splitKey is what a series is split by under a name that is in splits.
func splitKey(name string) func(*slice) string {
	return splits[slices.IndexFunc(splits, func(s Split) bool { return s.name == name })].key
}

// SplitNames are what a series may be split by.
func SplitNames() []string {
	var names []string
	for _, s := range splits {
		names = append(names, s.name)
	}
	return names
}

// ParseSplit finds the ways to split a series by their names.
func ParseSplit(names []string) ([]Split, error) {
	var out []Split
	for _, name := range names {
		i := slices.IndexFunc(splits, func(s Split) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q, expected some of %s", name, strings.Join(SplitNames(), ", "))
		}
		out = append(out, splits[i])
	}
	return out, nil
}

// group sorts files into series. Headers come in the order of their paths.
func group(headers []*header, by []Split) []*Series {
	found := map[[2]string]*Series{}
	var all []*Series
	take := func(h *header, part string) *Series {
		key := [2]string{h.about.SeriesUID, part}
		s := found[key]
		if s == nil {
			s = &Series{About: *h.about, Part: part, Folder: filepath.Dir(h.path), Localizer: true}
			found[key], all = s, append(all, s)
		}
		if len(s.headers) == 0 || s.headers[len(s.headers)-1] != h {
			s.headers, s.Files = append(s.headers, h), append(s.Files, h.path)
			s.Localizer = s.Localizer && h.localizer
		}
		return s
	}
	for _, h := range headers {
		if h.broken != nil {
			take(h, "")
			continue
		}
		for i := range h.slices {
			c := &h.slices[i]
			var parts []string
			for _, b := range by {
				parts = append(parts, b.name+" "+b.key(c))
			}
			s := take(h, strings.Join(parts, "; "))
			s.slices = append(s.slices, c)
			s.Slices++
		}
	}
	slices.SortStableFunc(all, func(a, b *Series) int {
		return cmp.Or(cmp.Compare(a.Folder, b.Folder), compareNumbers(a.SeriesNumber, b.SeriesNumber), cmp.Compare(a.SeriesUID, b.SeriesUID), cmp.Compare(a.Part, b.Part))
	})
	return all
}

// compareNumbers compares texts of whole numbers, which may be padded.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
