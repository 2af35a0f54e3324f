package task

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/imagefile"
	"github.com/universal-classifier/uc/internal/infile"
)

// Listing is what a dataset.json says of labels and cases, wherever it lies: no image needs to be there.
type Listing struct {
	Labels    []Label
	ROILabels []string         // names of the mask values 0, 1, ...; 0 is the background
	Targets   map[string][]int // class per classification label, by case
	Masks     MaskOrigin
}

// MaskOrigin is where the masks of the region of interest came from.
type MaskOrigin int

// Origins of masks.
const (
	MasksUnknown   MaskOrigin = iota
	MasksReal                 // came with the data
	MasksGenerated            // were made by the program and say foreground everywhere
)

// ReadListing reads a dataset.json. Generated masks are told from real ones by their labels (background, foreground)
// and by the original_dataset.json next to the file or in originalDir (may be empty), as the reference leaves them;
// where the labels are those of generated masks and no original is found, the origin is unknown, unless the file itself
// says that no case has a mask.
func ReadListing(file, originalDir string) (*Listing, error) {
	b, err := infile.ReadFile(file, infile.MaxText)
	if err != nil {
		return nil, err
	}
	document, _, err := parseJSON(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	v := &validator{dir: filepath.Dir(file)}
	v.labels(document.get("classification_labels"))
	v.roiLabels(document.get("labels"))
	l := &Listing{Targets: map[string][]int{}}
	training := document.get("training")
	if training == nil {
		training = &node{}
	}
	for i := range training.items {
		item := &training.items[i]
		image := item.get("image")
		if image == nil || image.kind != kindString {
			v.add("", fmt.Sprintf("training[%d]", i), "line %d: no image", item.line)
			continue
		}
		id, _ := imagefile.SplitExtension(path.Base(image.text))
		c := Case{ID: id}
		v.targets(&c, id, item)
		l.Targets[id] = c.Targets
	}
	if err := v.err(file); err != nil {
		return nil, err
	}
	l.Labels, l.ROILabels = v.out.Labels, v.out.ROILabels
	l.Masks, err = maskOrigin(v, training, filepath.Dir(file), originalDir)
	return l, err
}

func maskOrigin(v *validator, training *node, dirs ...string) (MaskOrigin, error) {
	if v.declared && !slices.Equal(v.out.ROILabels, generatedLabels) {
		return MasksReal, nil
	}
	if !v.declared && !slices.ContainsFunc(training.items, func(item node) bool { return item.get("label") != nil }) {
		return MasksGenerated, nil // the file as it was before masks were generated
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		generated, err := originalWithoutMasks(filepath.Join(dir, OriginalFile))
		if err != nil {
			return MasksUnknown, err
		}
		if generated {
			return MasksGenerated, nil
		}
	}
	return MasksUnknown, nil
}
