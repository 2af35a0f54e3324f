package leak

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/pkg/nifti"
)

// Header is how well a field of the headers alone tells a class from the others.
type Header struct {
	Field string            `json:"field"`
	Label string            `json:"label"`
	Class string            `json:"class"`
	Cases int               `json:"cases"`
	Of    int               `json:"positives"` // of the class
	AUC   evaluate.Estimate `json:"auc"`       // at least 0.5 for numbers: whichever direction is better
}

// suspicious is the lower bound of the interval of an AUC from which a field is warned of: with 0.5 or a little more,
// chance would often do among many fields.
const suspicious = 0.6

// fewest is how many cases of the class, and of the others, the interval needs to be believed.
const fewest = 5

// Suspicious reports whether the field tells the class apart beyond chance.
func (h Header) Suspicious() bool {
	return float64(h.AUC.Low) >= suspicious && min(h.Of, h.Cases-h.Of) >= fewest
}

func (h Header) String() string {
	return fmt.Sprintf("label %q: %s alone tells %q apart (AUC %s on %d cases): a network may learn the acquisition in place of the disease; balance it over the classes, "+
		"leave sites out one by one in the folds, or report how far this number gets", h.Label, h.Field, h.Class, h.AUC, h.Cases)
}

// field is a field of the headers: a number of each case, or a text.
type field struct {
	name    string
	numbers map[string]float64
	texts   map[string]string
}

// Headers measures every field of the headers, and of the mapping unless that is nil, on every class of every label.
func Headers(t *task.Task, m *Mapping) []Header {
	found := []Header{}
	for _, f := range fieldsOf(t, m) {
		for at, label := range t.Dataset.Labels {
			first := 0
			if len(label.Values) == 2 {
				first = 1
			}
			for class := first; class < len(label.Values); class++ {
				if h, ok := f.measure(t.Dataset.Cases, at, class); ok {
					h.Label, h.Class = label.Name, label.Values[class]
					found = append(found, h)
				}
			}
		}
	}
	return found
}

// fieldsOf reads the headers of the first modality.
func fieldsOf(t *task.Task, m *Mapping) []field {
	var sizes, spacings, extents [3]map[string]float64
	for d := range 3 {
		sizes[d], spacings[d], extents[d] = map[string]float64{}, map[string]float64{}, map[string]float64{}
	}
	orientation, site := map[string]string{}, map[string]string{}
	for _, c := range t.Dataset.Cases {
		site[c.ID] = c.Site
		h, err := imagefile.ReadHeader(c.Images[0])
		if err != nil {
			continue // whoever reads the image says so
		}
		orientation[c.ID] = nifti.Orientation(h.Geometry)
		for d := range 3 {
			sizes[d][c.ID], spacings[d][c.ID], extents[d][c.ID] = float64(h.Size[d]), h.Spacing[d], float64(h.Size[d])*h.Spacing[d]
		}
	}
	var all []field
	for d, axis := range []string{"z", "y", "x"} {
		all = append(all, field{name: "the size along " + axis, numbers: sizes[d]}, field{name: "the spacing along " + axis, numbers: spacings[d]},
			field{name: "the extent along " + axis, numbers: extents[d]})
	}
	all = append(all, field{name: "the orientation", texts: orientation}, field{name: "the site", texts: site})
	if m != nil {
		for _, name := range slices.Sorted(maps.Keys(m.headers)) {
			all = append(all, field{name: "the " + name + " in the mapping", texts: m.headers[name]})
		}
	}
	return all
}

// measure is the AUC of a field for a class; false if the field is the same everywhere or the class has no case, or no
// other.
func (f field) measure(cases []task.Case, label, class int) (Header, bool) {
	var truth []bool
	var scores []float64
	var texts, patients []string
	for _, c := range cases {
		if f.texts != nil {
			if f.texts[c.ID] == "" {
				continue
			}
			texts = append(texts, f.texts[c.ID])
		} else {
			v, known := f.numbers[c.ID]
			if !known {
				continue
			}
			scores = append(scores, v)
			texts = append(texts, strconv.FormatFloat(v, 'g', 6, 64))
		}
		truth, patients = append(truth, c.Targets[label] == class), append(patients, c.Patient)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(texts)))) < 2 {
		return Header{}, false
	}
	if f.texts != nil {
		scores = rates(truth, texts)
	}
	auc, err := evaluate.ClusteredAUC(truth, scores, patients)
	if err != nil {
		return Header{}, false
	}
	if f.texts == nil && auc.Value < 0.5 {
		for i := range scores {
			scores[i] = -scores[i]
		}
		auc, _ = evaluate.ClusteredAUC(truth, scores, patients)
	}
	positives := 0
	for _, of := range truth {
		if of {
			positives++
		}
	}
	return Header{Field: f.name, Cases: len(truth), Of: positives, AUC: auc}, true
}

// rates scores each case by how often the other cases with its text are of the class; a case alone with its text by how
// often all others are.
func rates(truth []bool, texts []string) []float64 {
	count, hits, all := map[string]int{}, map[string]int{}, 0
	for i, t := range texts {
		count[t]++
		if truth[i] {
			hits[t]++
			all++
		}
	}
	scores := make([]float64, len(texts))
	for i, t := range texts {
		own := 0
		if truth[i] {
			own = 1
		}
		if n := count[t] - 1; n > 0 {
			scores[i] = float64(hits[t]-own) / float64(n)
		} else {
			scores[i] = float64(all-own) / float64(len(texts)-1)
		}
	}
	return scores
}
