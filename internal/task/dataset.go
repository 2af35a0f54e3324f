package task

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/infile"
)

// Label is one classification label.
type Label struct {
	Name    string
	Ordinal bool
	Values  []string // what each class means; class i is Values[i]
}

// Case is one case: files by absolute path, and the class of each classification label.
type Case struct {
	ID      string
	Images  []string // one per modality
	Mask    string   // ROI mask; empty if there is none
	Targets []int    // per classification label; nil at prediction

	Patient    string         // of whom it was taken; empty if dataset.json names no patients
	Site       string         // where; empty if not known
	Covariates map[string]any // what else is known: float64 or int64, string, bool by name
}

// Dataset is what dataset.json says.
type Dataset struct {
	Name, Description string
	Modalities        []string
	ROILabels         []string // names of the mask values 0, 1, ...; 0 is the background
	Labels            []Label
	Cases             []Case // in the order of dataset.json
	Test              []Case // of an external test set; see Task.Test
	Excluded          []Case // that Without left out
	HasMasks          bool   // whether masks came with the data; false for none and for generated ones
	Warnings          []string
	Raw               map[string]any

	testProblems problems
}

// Task is a raw task whose dataset.json obeys every rule.
type Task struct {
	ID      int
	Name    string // TaskXXX_Name
	Dir     string // raw folder
	Folders Folders
	Dataset *Dataset

	document  node // dataset.json as it stands
	generated bool // masks were generated, or their generation was begun
}

// Without is the task without some of its cases, to be planned and trained on as if dataset.json did not list them.
// Their files are no stragglers.
func (t *Task) Without(ids []string) *Task {
	out, d := *t, *t.Dataset
	d.Cases, d.Excluded = nil, nil
	for _, c := range t.Dataset.Cases {
		if slices.Contains(ids, c.ID) {
			d.Excluded = append(d.Excluded, c)
		} else {
			d.Cases = append(d.Cases, c)
		}
	}
	out.Dataset = &d
	return &out
}

// generatedLabels are the ROI labels of a task without masks of its own.
var generatedLabels = []string{"background", "foreground"}

// Load finds the task and reads its dataset.json. All broken rules come back in one *ValidationError; a file that is no
// JSON at all is an error with line and column. Image files are looked for, not opened.
func Load(f Folders, idOrName string) (*Task, error) {
	name, err := FindName(f, idOrName)
	if err != nil {
		return nil, err
	}
	id, _ := ParseName(name)
	t := &Task{ID: id, Name: name, Dir: f.RawTask(name), Folders: f}
	path := filepath.Join(t.Dir, DatasetFile)
	b, err := infile.ReadFile(path, infile.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: not found; task %s needs its raw folder with images and dataset.json", path, name)
	}
	if err != nil {
		return nil, err
	}
	var warnings []string
	t.document, warnings, err = parseJSON(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if t.generated, err = originalWithoutMasks(filepath.Join(t.Dir, OriginalFile)); err != nil {
		return nil, err
	}
	v := &validator{dir: t.Dir, generated: t.generated, files: map[string]map[string]bool{}}
	t.Dataset = v.dataset(&t.document)
	t.Dataset.Warnings = append(warnings, t.Dataset.Warnings...)
	for i, w := range t.Dataset.Warnings {
		t.Dataset.Warnings[i] = path + ": " + w
	}
	if err := v.err(path); err != nil {
		return nil, err
	}
	return t, nil
}

// originalWithoutMasks reports whether path, the dataset.json from before masks were generated, exists and declares no
// mask. The reference writes it in this case only, so next to the labels "background" and "foreground" it is the
// record that the masks are not real; next to a dataset.json without labels it shows that a generation was cut short.
func originalWithoutMasks(path string) (bool, error) {
	b, err := infile.ReadFile(path, infile.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, _, err := parseJSON(b)
	if err != nil {
		return false, fmt.Errorf("%s: %w; it records how the task was before masks were generated: repair it, or remove it if the masks are real", path, err)
	}
	if n.get("labels") != nil {
		return false, nil
	}
	if training := n.get("training"); training != nil {
		for i := range training.items {
			if training.items[i].get("label") != nil {
				return false, nil
			}
		}
	}
	return true, nil
}
