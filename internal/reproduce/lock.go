// Package reproduce records what the results of a task were made from in a lock, and makes them again from it.
//
// A lock names data, plans, folds, recipes, seeds, program and processor by digest or by value, and what came of them.
// It holds no image and no path of the machine. Check compares it with what is there; Run trains and validates the same
// folds into a folder of their own and compares the outcome.
package reproduce

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/task"
)

// File is the usual name of a lock.
const File = "uc.lock"

// format is the version of the file's form.
const format = 1

// Lock is the content of a uc.lock.
type Lock struct {
	Format  int     `json:"format"`
	Program Program `json:"program"`

	Task       string `json:"task"` // full name
	Trainer    string `json:"trainer"`
	Identifier string `json:"plans_identifier"`

	Dataset string `json:"dataset.json"` // digest; empty where it was not there
	Plans   string `json:"plans"`        // digest
	Splits  string `json:"splits"`       // digest; empty where no fold is of the file
	Cases   []Case `json:"cases"`

	Folds   []Fold  `json:"folds"`
	Results []Label `json:"results"`
}

// Program is the program that wrote the lock.
type Program struct {
	Version string `json:"version"`
	Binary  string `json:"binary"` // digest of the executable; empty where it cannot be read
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	CPU     string `json:"cpu_kernels"` // instruction level that kernels are chosen by
}

// Case is a case of the cohort.
type Case struct {
	ID      string `json:"case"`
	Files   string `json:"files,omitempty"` // digest of images and mask; empty where they were not there
	Arrays  string `json:"arrays"`          // digest of the preprocessed case
	Targets []int  `json:"targets"`         // class per classification label
}

// Fold is a training with what came of it.
type Fold struct {
	Fold       string          `json:"fold"`
	Recipe     json.RawMessage `json:"recipe"` // with the seed
	Training   []string        `json:"training_cases"`
	Validation []string        `json:"validation_cases"`

	Device        string `json:"device"`
	Precision     string `json:"precision"`
	FP32          bool   `json:"fp32"`
	Deterministic bool   `json:"deterministic"`
	Threads       int    `json:"threads"`
	Workers       int    `json:"workers"`
	Pretrained    string `json:"pretrained_weights,omitempty"` // digest of the weights that it started from

	Checkpoint string `json:"checkpoint"`  // name of the one that was validated
	Weights    string `json:"weights"`     // digest of its network
	Results    string `json:"predictions"` // digest of the logits of the validation cases
}

// Label is the performance on a classification label, for people and for comparisons where bits may differ.
type Label struct {
	Name     string            `json:"label"`
	Accuracy evaluate.Estimate `json:"accuracy"`
	Values   []Value           `json:"values"`
}

// Value is the performance on one class against all others.
type Value struct {
	Name string            `json:"value"`
	AUC  evaluate.Estimate `json:"auc"`
}

// results are the numbers of a report that a lock keeps.
func results(r *evaluate.Report) []Label {
	labels := []Label{}
	for _, l := range r.Labels {
		of := Label{Name: l.Name, Accuracy: l.Accuracy, Values: []Value{}}
		for _, v := range l.Values {
			of.Values = append(of.Values, Value{v.Name, v.AUC})
		}
		labels = append(labels, of)
	}
	return labels
}

// Write writes the lock to path.
func (l *Lock) Write(path string) error {
	return jsonfile.Write(path, l, "  ")
}

// ErrNotALock is wrapped by the error about a file that is no lock, or one of a later version.
var ErrNotALock = errors.New("not a lock that this version reads")

// Read reads a lock and checks that it is whole.
func Read(path string) (*Lock, error) {
	l := new(Lock)
	if err := jsonfile.Read(path, l); jsonfile.Damaged(err) {
		return nil, fmt.Errorf("%w: %w", ErrNotALock, err)
	} else if err != nil {
		return nil, err
	}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrNotALock, err)
	}
	return l, nil
}

// check refuses what no lock holds; names become names of folders.
func (l *Lock) check() error {
	switch {
	case l.Format != format:
		return fmt.Errorf("format %d, expected %d", l.Format, format)
	case len(l.Folds) == 0:
		return errors.New("it names no folds")
	case len(l.Cases) == 0:
		return errors.New("it names no cases")
	}
	if _, ok := task.ParseName(l.Task); !ok {
		return fmt.Errorf("task %q, expected TaskXXX_Name", l.Task)
	}
	for _, name := range []string{l.Task, l.Trainer, l.Identifier} {
		if name == "" || !filepath.IsLocal(name) || name != filepath.Base(name) {
			return fmt.Errorf("%q is not a name", name)
		}
	}
	known := map[string]bool{}
	for _, c := range l.Cases {
		if c.ID == "" || c.ID != filepath.Base(c.ID) || !filepath.IsLocal(c.ID) || known[c.ID] {
			return fmt.Errorf("case %q is not a name, or there twice", c.ID)
		}
		known[c.ID] = true
	}
	var folds []string
	for _, f := range l.Folds {
		if f.Fold != task.FoldAll {
			if _, err := task.ParseFold(f.Fold); err != nil {
				return err
			}
		}
		if slices.Contains(folds, f.Fold) {
			return fmt.Errorf("fold %s is there twice", f.Fold)
		}
		folds = append(folds, f.Fold)
		for _, id := range slices.Concat(f.Training, f.Validation) {
			if !known[id] {
				return fmt.Errorf("fold %s: case %q is not among the cases", f.Fold, id)
			}
		}
		if !strings.HasPrefix(string(f.Recipe), "{") || len(f.Training) == 0 {
			return fmt.Errorf("fold %s: no recipe, or no training cases", f.Fold)
		}
	}
	return nil
}

// resultsDigest identifies the predictions of a fold by their logits, whatever version stored them.
func resultsDigest(f *evaluate.Fold) string {
	texts := make([]string, 0, len(f.Predictions))
	for _, p := range f.Predictions {
		texts = append(texts, fmt.Sprintf("%q %v %x", p.Case, p.Targets, p.Logits))
	}
	slices.Sort(texts)
	return provenance.DigestOf(texts...)
}

// RecipeChanges says in which settings other than the seed the recipes of two folds differ.
func RecipeChanges(a, b Fold) []string {
	first, second := &provenance.Fold{Recipe: a.Recipe}, &provenance.Fold{Recipe: b.Recipe}
	return first.RecipeChanges(second)
}
