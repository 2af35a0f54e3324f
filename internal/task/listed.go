package task

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/provenance"
)

// Snapshot is what the dataset.json in a folder lists now, without a look at its rules and at its files. Cases and
// labels that break a rule may be incomplete.
type Snapshot struct {
	Path       string
	Modalities []string
	Labels     []Label
	Targets    map[string][]int // per case
	Cases      []Case           // with patients and sites; of what images there are nothing is said
	Test       []Case           // of an external test set
}

// Listed reads the dataset.json in dir. The error wraps fs.ErrNotExist if there is none. Patients and sites that are
// not clear are an error: folds and intervals rest on them.
func Listed(dir string) (*Snapshot, error) {
	path := filepath.Join(dir, DatasetFile)
	b, err := infile.ReadFile(path, infile.MaxText)
	if err != nil {
		return nil, err
	}
	document, _, err := parseJSON(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	v := &validator{dir: dir, files: map[string]map[string]bool{}}
	d := v.dataset(&document)
	if err := v.unclear.err(path); err != nil {
		return nil, err
	}
	l := &Snapshot{Path: path, Modalities: d.Modalities, Labels: d.Labels, Targets: map[string][]int{}, Cases: d.Cases, Test: d.Test}
	for _, c := range d.Cases {
		if c.ID != "" {
			l.Targets[c.ID] = c.Targets
		}
	}
	return l, nil
}

// ListedToday reads the dataset.json of a task: that of the raw data, or, where those are not at hand, the copy made
// when the task was planned.
func ListedToday(f Folders, name string) (*Snapshot, error) {
	l, err := Listed(f.RawTask(name))
	if err != nil {
		if copied, copyErr := Listed(f.PreprocessedTask(name)); copyErr == nil && errors.Is(err, fs.ErrNotExist) {
			return copied, nil
		}
	}
	return l, err
}

// Sources are the modalities and the classification labels, to be compared with those of the plans.
func (l *Snapshot) Sources() provenance.Sources {
	return provenance.Sources{"modalities": ModalitiesText(l.Modalities), "classification labels": LabelsText(l.Labels)}
}

// ModalitiesText names modalities in their order.
func ModalitiesText(modalities []string) string {
	quoted := make([]string, len(modalities))
	for i, m := range modalities {
		quoted[i] = fmt.Sprintf("%q", m)
	}
	return strings.Join(quoted, ", ")
}

// LabelsText names labels with their classes.
func LabelsText(labels []Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = fmt.Sprintf("%q (%s)", l.Name, strings.Join(l.Values, ", "))
	}
	return strings.Join(texts, "; ")
}

// Changes compares the listed cases with those of a former time: which of them are listed with other classes, which are
// not listed any more, and which are new.
func (l *Snapshot) Changes(former []provenance.Case) provenance.CaseChanges {
	now := make([]provenance.Case, 0, len(l.Targets))
	for id, targets := range l.Targets {
		now = append(now, provenance.Case{ID: id, Targets: targets})
	}
	slices.SortFunc(now, func(a, b provenance.Case) int { return strings.Compare(a.ID, b.ID) })
	return provenance.CompareCases(former, now)
}
