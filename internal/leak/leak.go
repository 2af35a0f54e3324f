// Package leak finds what lets a network look better than it is: one picture in two cases, one patient under two names,
// and labels that a header predicts.
package leak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/universal-classifier/uc/internal/duplicate"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/volume"
)

// File is the file in the preprocessed folder of a task that holds what was found.
const File = "leaks.json"

// Findings are what was found in a task.
type Findings struct {
	Duplicates []Duplicate `json:"duplicates"`
	Patients   []Patient   `json:"patients"`
	Headers    []Header    `json:"headers"`
}

// Duplicate is two cases, or two modalities, with one picture.
type Duplicate struct {
	Cases      [2]string `json:"cases"`
	Modalities [2]int    `json:"modalities"`
	Test       [2]bool   `json:"test"`      // whether the case is of the external test set
	Identical  bool      `json:"identical"` // voxel for voxel
	Similarity float64   `json:"similarity"`
}

// String names the pair and says what to do.
func (d Duplicate) String() string {
	name := func(i int) string {
		text := "case " + d.Cases[i]
		if d.Test[i] {
			text = "test " + text
		}
		return text
	}
	what := "hold the same voxels"
	if !d.Identical {
		what = fmt.Sprintf("are nearly the same scan (similarity %.2f: another window, grid or position of one picture)", d.Similarity)
	}
	of := ""
	if d.Modalities != [2]int{} {
		of = fmt.Sprintf(" (modalities %04d and %04d)", d.Modalities[0], d.Modalities[1])
	}
	remedy := "remove one of them, or give both one \"patient\" if they are meant to be there"
	switch {
	case d.Cases[0] == d.Cases[1] && d.Test[0] == d.Test[1]:
		return fmt.Sprintf("%s: two of its modalities %s%s; export the missing one again", name(0), what, of)
	case d.Test[0] != d.Test[1]:
		remedy = "a network that trained on one knows the other: remove it from the test set"
	}
	return fmt.Sprintf("%s and %s %s%s; %s", name(0), name(1), what, of, remedy)
}

// Watcher looks at the scans of a task while they are read. It may be used by several goroutines.
type Watcher struct {
	mu    sync.Mutex
	scans []scan
}

type scan struct {
	id       string
	modality int
	test     bool
	view     duplicate.View
}

// Watch begins a scan: visit takes its voxels, done its end.
func (w *Watcher) Watch(c task.Case, modality int, test bool) (visit func(g volume.Geometry, values []float32), done func()) {
	var v *duplicate.Viewer
	visit = func(g volume.Geometry, values []float32) {
		if v == nil {
			v = duplicate.NewViewer(g)
		}
		v.Visit(values)
	}
	return visit, func() {
		if v == nil {
			return
		}
		seen := scan{c.ID, modality, test, v.View()}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.scans = append(w.scans, seen)
	}
}

// Duplicates compares all scans that were watched: each modality with itself in other cases, and, voxel for voxel, with
// the others of its case. A pair of cases is named once.
func (w *Watcher) Duplicates(ctx context.Context) ([]Duplicate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortFunc(w.scans, func(a, b scan) int {
		return cmp.Or(compareBool(a.test, b.test), cmp.Compare(a.id, b.id), cmp.Compare(a.modality, b.modality))
	})
	views := make([]duplicate.View, len(w.scans))
	for i, s := range w.scans {
		views[i] = s.view
	}
	same := func(a, b scan) bool { return a.id == b.id && a.test == b.test }
	pairs, err := duplicate.Search(ctx, views, func(a, b int) bool {
		x, y := w.scans[a], w.scans[b]
		return !same(x, y) && x.modality != y.modality || same(x, y) && x.view.Voxels != y.view.Voxels
	})
	if err != nil {
		return nil, err
	}
	found := []Duplicate{}
	known := map[[2]string]bool{}
	for _, p := range pairs {
		a, b := w.scans[p.A], w.scans[p.B]
		key := [2]string{fmt.Sprint(a.test, a.id), fmt.Sprint(b.test, b.id)}
		if known[key] {
			continue
		}
		known[key] = true
		found = append(found, Duplicate{[2]string{a.id, b.id}, [2]int{a.modality, b.modality}, [2]bool{a.test, b.test}, p.Identical, p.Similarity})
	}
	return found, nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Across are the duplicates with one case among training and the other among validation cases.
func Across(found []Duplicate, training, validation []string) []Duplicate {
	var across []Duplicate
	for _, d := range found {
		if d.Test[0] || d.Test[1] || d.Cases[0] == d.Cases[1] {
			continue
		}
		for i := range 2 {
			if slices.Contains(training, d.Cases[i]) && slices.Contains(validation, d.Cases[1-i]) {
				across = append(across, d)
				break
			}
		}
	}
	return across
}

// Write writes findings to the preprocessed folder of a task.
func Write(dir string, f *Findings) error {
	return jsonfile.Write(filepath.Join(dir, File), f, jsonfile.Indent)
}

// Read reads what was found when the files of a task were last verified; nil if they never were.
func Read(dir string) (*Findings, error) {
	f := new(Findings)
	switch err := jsonfile.Read(filepath.Join(dir, File), f); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case jsonfile.Damaged(err):
		return nil, remedy.With(fmt.Errorf("%w; remove the file, or verify the task again", err), remedy.Plan{Verify: true})
	case err != nil:
		return nil, err
	}
	return f, nil
}

// Warnings are the findings in words.
func (f *Findings) Warnings() []string {
	var out []string
	for _, d := range f.Duplicates {
		out = append(out, d.String())
	}
	for _, p := range f.Patients {
		out = append(out, p.String())
	}
	for _, h := range f.Headers {
		if h.Suspicious() {
			out = append(out, h.String())
		}
	}
	return out
}

// SuspiciousHeaders is how many fields of the headers tell a class apart.
func (f *Findings) SuspiciousHeaders() (n int) {
	for _, h := range f.Headers {
		if h.Suspicious() {
			n++
		}
	}
	return n
}
