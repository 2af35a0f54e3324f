package dicom

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/volume"
	"github.com/universal-classifier/uc/internal/words"
)

// maxNamed is how many files a refusal names.
const maxNamed = 4

// refuse adds a reason against a series.
func (s *Series) refuse(kind string, of []*slice, format string, args ...any) *Refusal {
	r := &Refusal{Kind: kind, Reason: fmt.Sprintf(format, args...)}
	for _, c := range of {
		if len(r.Files) < maxNamed && !slices.Contains(r.Files, c.file.path) {
			r.Files = append(r.Files, c.file.path)
		}
	}
	s.Refusals = append(s.Refusals, r)
	return r
}

// splitBy adds that the series can be split by something; empty adds nothing.
func (r *Refusal) splitBy(name string) {
	if name != "" {
		r.For = append(r.For, remedy.Set{Option: remedy.SplitSeries, Value: name})
	}
}

// inspect decides whether a series is a volume, and which. Nothing is mended: slices are not dropped, filled in or
// resampled.
func (s *Series) inspect(keepTilt bool) {
	s.checkFiles()
	if len(s.slices) == 0 {
		return
	}
	f := s.slices[0].file.format
	s.Geometry = volume.Geometry{Size: [3]int{len(s.slices), f.rows, f.columns}}
	s.checkPixels()
	s.checkMixture()
	if len(s.Refusals) > 0 {
		return // of places nothing more can be said
	}
	s.place(keepTilt)
}

// checkFiles refuses a series with files that cannot be used.
func (s *Series) checkFiles() {
	n, first := 0, ""
	r := &Refusal{Kind: "broken-file"}
	for _, h := range s.headers {
		if h.broken == nil {
			continue
		}
		if n++; n == 1 {
			first = h.broken.Error()
		}
		if len(r.Files) < maxNamed {
			r.Files = append(r.Files, h.path)
		}
	}
	if n > 0 {
		r.Reason = fmt.Sprintf("%d of %d files cannot be used: %s", n, len(s.headers), first)
		s.Refusals = append(s.Refusals, r)
	}
}

// checkPixels refuses pixels that are not read, one reason of a kind.
func (s *Series) checkPixels() {
	seen := map[string]*Refusal{}
	for _, h := range s.headers {
		if h.broken != nil {
			continue
		}
		if h.mosaic {
			s.oncePerKind(seen, h, "mosaic", "Siemens mosaic: all slices of a volume tiled in one image, which is not read; convert the series with dcm2niix")
			continue
		}
		if kind, reason := h.pixelProblem(); reason != "" {
			s.oncePerKind(seen, h, kind, reason)
		}
	}
	if h := s.slices[0].file; h.format.photometric == "MONOCHROME1" {
		s.Notes = append(s.Notes, "MONOCHROME1: high values are dark; they are kept as they are")
	}
}

func (s *Series) oncePerKind(seen map[string]*Refusal, h *header, kind, reason string) {
	r := seen[kind]
	if r == nil {
		r = &Refusal{Kind: kind, Reason: reason}
		seen[kind], s.Refusals = r, append(s.Refusals, r)
	}
	if len(r.Files) < maxNamed {
		r.Files = append(r.Files, h.path)
	}
}

// feature is something that all slices of a volume must have in common.
type feature struct {
	kind, what string
	split      string // what splits the series by it; empty if only the files can be sorted
	of         func(*slice) string
}

const (
	private = "\x00" // before values that are not told
	sorting = ""
)

// features are compared in this order.
var features = []feature{
	{"localizer", "localizers among other images", sorting, func(c *slice) string {
		if c.file.localizer {
			return "LOCALIZER"
		}
		return "another Image Type"
	}},
	{"mixed-series", "images of several patients", sorting, func(c *slice) string { return private + c.file.about.PatientID }},
	{"mixed-series", "images of several studies", sorting, func(c *slice) string { return private + c.file.about.StudyUID }},
	{"mixed-series", "several modalities", sorting, func(c *slice) string { return c.file.about.Modality }},
	{"mixed-series", "several kinds of objects (SOP classes)", sorting, func(c *slice) string { return c.file.sopClass }},
	{"mixed-series", "several frames of reference", sorting, func(c *slice) string { return c.file.frameOfReference }},
	{"varying-matrix", "varying matrix", "matrix", splitKey("matrix")},
	{"varying-spacing", "varying pixel spacing", sorting, func(c *slice) string {
		return fmt.Sprintf("%.4f x %.4f mm", c.spacing[1], c.spacing[0])
	}},
	{"mixed-series", "several echoes", "echo", splitKey("echo")},
	{"stacks", "several stacks", "stack", splitKey("stack")},
}

// checkMixture refuses a series whose slices do not belong together.
func (s *Series) checkMixture() {
	for _, f := range features {
		values := map[string][]*slice{}
		for _, c := range s.slices {
			values[f.of(c)] = append(values[f.of(c)], c)
		}
		if len(values) == 1 {
			continue
		}
		names := make([]string, 0, len(values))
		for name := range values {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(values[b]), len(values[a])), cmp.Compare(a, b)) })
		var parts []string
		var odd []*slice
		for i, name := range names {
			text := words.Count(len(values[name]), "image")
			if !strings.HasPrefix(name, private) && name != "" {
				text += " with " + name
			}
			if i < maxNamed {
				parts = append(parts, text)
			}
			if i > 0 {
				odd = append(odd, values[name]...)
			}
		}
		if len(names) > maxNamed {
			parts = append(parts, fmt.Sprintf("%d more", len(names)-maxNamed))
		}
		what := "move the others to a folder of their own"
		if f.split != "" {
			what = "convert them apart"
		}
		s.refuse(f.kind, odd, "%s: %s; %s", f.what, strings.Join(parts, ", "), what).splitBy(f.split)
	}
}

// place sorts the slices along their normal and checks that they make a box.
func (s *Series) place(keepTilt bool) {
	lacking := func(what string, has func(*slice) bool) bool {
		var without []*slice
		for _, c := range s.slices {
			if !has(c) {
				without = append(without, c)
			}
		}
		if len(without) > 0 {
			s.refuse("no-geometry", without, "%d of %d images have no %s, so that their place is not known", len(without), len(s.slices), what)
		}
		return len(without) > 0
	}
	if lacking("Image Position (0020,0032)", func(c *slice) bool { return c.hasPosition }) ||
		lacking("Image Orientation (0020,0037)", func(c *slice) bool { return c.hasOrientation }) ||
		lacking("Pixel Spacing (0028,0030)", func(c *slice) bool { return c.hasSpacing && c.spacing[0] > 0 && c.spacing[1] > 0 }) {
		return
	}
	x, y, normal, ok := s.slices[0].axes()
	if !ok {
		s.refuse("no-geometry", s.slices[:1], "Image Orientation (0020,0037) %v is not a pair of perpendicular directions", s.slices[0].orientation)
		return
	}
	if s.turned() {
		return
	}
	at := sortAlong(s.slices, normal)
	if len(s.slices) == 1 {
		s.placeOne(x, y, normal)
		return
	}
	if s.uneven(at) {
		return
	}
	k := stackOf(s.slices, normal)
	switch {
	case !k.straight:
		s.refuse("crooked", nil, "the slices are not stacked along one line: their origins shift sideways unevenly")
		return
	case k.sheared && !keepTilt:
		s.refuse("tilted-gantry", nil, "tilted gantry: the slices are stacked at %.1f degrees to their normal; the volume can be kept sheared, as it was scanned", k.tilt).
			For = []remedy.Remedy{remedy.Set{Option: remedy.KeepTilt}}
		return
	case k.sheared:
		s.Tilt = k.tilt
		s.Notes = append(s.Notes, fmt.Sprintf("kept sheared: the slices are stacked at %.1f degrees to their normal", k.tilt))
	}
	s.Geometry = geometryOf(s.slices, x, y, normal, k)
}

// placeOne places a single slice, whose thickness is the only spacing there is.
func (s *Series) placeOne(x, y, normal vector) {
	c := s.slices[0]
	k := stack{along: c.between}
	if k.along <= 0 {
		k.along = c.thickness
	}
	if k.along <= 0 {
		s.refuse("no-geometry", s.slices, "a single slice without Slice Thickness (0018,0050)")
		return
	}
	s.Geometry = geometryOf(s.slices, x, y, normal, k)
}

// turned refuses slices of several orientations.
func (s *Series) turned() bool {
	const tolerance = 1e-3 // rounding in the files
	var odd []*slice
	for _, c := range s.slices {
		for i, v := range c.orientation {
			if math.Abs(v-s.slices[0].orientation[i]) > tolerance {
				odd = append(odd, c)
				break
			}
		}
	}
	if len(odd) == 0 {
		return false
	}
	s.refuse("varying-orientation", odd, "varying orientation: %d of %d images differ from the first, as localizers do; convert them apart", len(odd), len(s.slices)).
		splitBy("orientation")
	return true
}

// Steps may be this far from even: rounding in the files, of positions to a tenth of a millimetre in the worst.
const (
	evenShare     = 0.01 // of the spacing
	evenTolerance = 0.11 // mm
	evenMost      = 0.3  // of the spacing, where it is small
)

// uneven refuses duplicate positions, gaps and other uneven spacing. at are the places of the sorted slices along the
// normal.
func (s *Series) uneven(at []float64) bool {
	steps := make([]float64, len(at)-1)
	var apart []float64
	for i := range steps {
		steps[i] = at[i+1] - at[i]
		if steps[i] > 1e-4 {
			apart = append(apart, steps[i])
		}
	}
	if len(apart) == 0 {
		s.duplicates(steps, 1e-4)
		return true
	}
	slices.Sort(apart)
	median := apart[len(apart)/2]
	if s.duplicates(steps, min(0.01, 0.1*median)) {
		return true
	}
	tolerance := min(max(evenShare*median, evenTolerance), evenMost*median)
	for i, step := range steps {
		if math.Abs(step-median) <= tolerance {
			continue
		}
		kind, what := "uneven-spacing", "uneven spacing"
		if missing := math.Round(step/median) - 1; missing >= 1 {
			kind, what = "gap", "gap of "+words.Count(int(missing), "slice")
		}
		a, b := s.slices[i], s.slices[i+1]
		s.refuse(kind, []*slice{a, b}, "%s: %.4g mm from %s to %s, but %.4g mm between most; copy the whole series again from the archive", what, step, a.name(), b.name(), median)
		return true
	}
	// Small steps that add up to a drift would leave the last slice in a wrong place.
	mean := (at[len(at)-1] - at[0]) / float64(len(steps))
	for i := range at {
		if off := math.Abs(at[i] - at[0] - float64(i)*mean); off > max(2*tolerance, 0.5*mean) {
			s.refuse("uneven-spacing", s.slices[i:i+1], "uneven spacing: %s lies %.3g mm from where slices %.4g mm apart would have it", s.slices[i].name(), off, mean)
			return true
		}
	}
	return false
}

// name is a slice's number for a message.
func (s *slice) name() string {
	if len(s.file.slices) > 1 {
		return fmt.Sprintf("frame %d", s.frame+1)
	}
	return fmt.Sprintf("image %d", s.number)
}

// duplicates refuses slices at one place and says what tells them apart.
func (s *Series) duplicates(steps []float64, tolerance float64) bool {
	n := 0
	var pair []*slice
	for i, step := range steps {
		if step <= tolerance {
			if n++; pair == nil {
				pair = s.slices[i : i+2]
			}
		}
	}
	if n == 0 {
		return false
	}
	differ, why := "", "nothing that is read tells them apart; remove one of them"
	if a, b := pair[0].file, pair[1].file; a != b && a.sopInstance == b.sopInstance && a.sopInstance != "" {
		why = "they are copies of one image (SOP Instance UID); remove one of them"
	} else {
		var by []string
		for _, split := range splits {
			if split.key(pair[0]) != split.key(pair[1]) {
				by = append(by, split.name)
			}
		}
		if len(by) > 0 {
			why = fmt.Sprintf("they differ in %s; convert them apart", strings.Join(by, ", "))
			differ = by[0]
		}
	}
	r := s.refuse("duplicate-positions", pair, "duplicate positions: %d of %d images lie where another one does, first %s and %s: %s", n, len(s.slices), pair[0].name(), pair[1].name(), why)
	r.splitBy(differ)
	return true
}
