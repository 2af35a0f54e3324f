package evaluate

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/task"
)

// Today is the task as it is now. What is nil is not compared.
type Today struct {
	Listing *task.Snapshot    // of dataset.json
	Files   map[string]string // per preprocessed case, digest of its images and mask
	Folds   []string          // of the splits
}

// folds are those of the cross-validation.
func (t Today) folds() []string {
	if len(t.Folds) > 0 {
		return t.Folds
	}
	return usualFolds
}

// again is an error of a validation that does not stand any more.
func again(fold, format string, args ...any) error {
	return remedy.With(fmt.Errorf(format+"; validate the fold again", args...), remedy.Train{Fold: fold, Mode: remedy.Validate})
}

// check compares a validation with the network in its fold, and with the validations before it.
func (p *pool) check(fold string, f *Fold) error {
	if p.first == nil {
		p.first, p.firstFold = f, fold
	} else if !slices.EqualFunc(p.first.Labels, f.Labels, sameLabel) {
		return fmt.Errorf("validated with classification labels %s, but fold %s with %s; train and validate them on one dataset.json",
			labelNames(f.Labels), p.firstFold, labelNames(p.first.Labels))
	}
	if f.Origin == nil {
		p.unknown = append(p.unknown, fold)
		return nil
	}
	p.sources["fold "+fold] = f.Origin.Weights
	dir := filepath.Join(p.model, task.FoldDir(fold))
	c, err := checkpoint.Read(dir, f.Origin.Checkpoint)
	switch {
	case errors.Is(err, checkpoint.ErrNotFound): // it was not kept
	case err != nil:
		p.notes = append(p.notes, fmt.Sprintf("fold %s: whether its validation is that of its network is not known: %v", fold, err))
	case checkpoint.Digest(c.Weights) != f.Origin.Weights:
		return again(fold, "its validation is of another network than %s", checkpoint.Path(dir, f.Origin.Checkpoint))
	}
	network := f.Origin.Network
	if network == nil {
		p.unknown = append(p.unknown, fold)
		return nil
	}
	if trained := provenance.Shared(f.cases(), network.Training); fold != task.FoldAll && len(trained) > 0 {
		return fmt.Errorf("%d of its validation cases trained its network (%s); train the fold anew", len(trained), shortened(trained))
	}
	return p.compare(fold, f.Origin)
}

// compare finds what should not differ between the networks of one model.
func (p *pool) compare(fold string, o *Origin) error {
	if p.recorded == nil {
		p.recorded, p.recordedFold = o, fold
		return nil
	}
	first := p.recorded
	if changes := first.Network.Plans.Changes(o.Network.Plans); len(changes) > 0 {
		return remedy.With(fmt.Errorf("trained under other plans than fold %s (%s); train the older one anew, or choose folds of one kind",
			p.recordedFold, strings.Join(changes, "; ")), remedy.Set{Option: remedy.Folds})
	}
	if changes := first.Network.RecipeChanges(o.Network); len(changes) > 0 {
		p.notes = append(p.notes, fmt.Sprintf("fold %s was trained by another recipe than fold %s: %s", fold, p.recordedFold, strings.Join(changes, "; ")))
	}
	if o.Checkpoint != first.Checkpoint {
		p.notes = append(p.notes, fmt.Sprintf("fold %s was validated with %s, fold %s with %s", fold, o.Checkpoint, p.recordedFold, first.Checkpoint))
	}
	return nil
}

// cases are the validated cases.
func (f *Fold) cases() []provenance.Case {
	out := make([]provenance.Case, len(f.Predictions))
	for i, p := range f.Predictions {
		out[i] = provenance.Case{ID: p.Case, Files: p.Files, Targets: p.Targets}
	}
	return out
}

// update brings a validation up to date: cases that are gone are left out, corrected classes are taken.
func (p *pool) update(fold string, f *Fold) error {
	var replaced []string
	for _, c := range f.Predictions {
		if now := p.today.Files[c.Case]; c.Files != "" && now != "" && now != c.Files {
			replaced = append(replaced, c.Case)
		}
	}
	if len(replaced) > 0 {
		return again(fold, "the images or masks of %d of its cases have changed since it was validated (%s)", len(replaced), shortened(replaced))
	}
	l := p.today.Listing
	if l == nil || len(l.Labels) == 0 {
		return nil
	}
	if !slices.EqualFunc(l.Labels, f.Labels, sameLabel) {
		return fmt.Errorf("validated with classification labels %s, but %s has %s; plan the task and train anew, or put the former labels back",
			labelNames(f.Labels), l.Path, labelNames(l.Labels))
	}
	kept := f.Predictions[:0]
	for _, c := range f.Predictions {
		now, listed := l.Targets[c.Case]
		if !listed {
			p.gone = append(p.gone, c.Case)
			continue
		}
		if !slices.Equal(now, c.Targets) {
			p.corrected = append(p.corrected, c.Case)
			c.Targets = now
		}
		if err := c.check(f.Labels); err != nil {
			return fmt.Errorf("%s: %w", l.Path, err)
		}
		c.Patient = p.patients[c.Case]
		kept = append(kept, c)
	}
	f.Predictions = kept
	if f.Origin != nil && f.Origin.Network != nil {
		p.comparePatients(fold, f)
		changes := l.Changes(f.Origin.Network.Training)
		changes.Added = nil
		for _, c := range f.Origin.Network.Training {
			if now := p.today.Files[c.ID]; c.Files != "" && now != "" && now != c.Files {
				changes.Files = append(changes.Files, c.ID)
			}
		}
		if changes.Any() {
			p.notes = append(p.notes, fmt.Sprintf("the network of fold %s was trained on what has changed since: %s; train the fold anew for it to learn from the task of today",
				fold, changes.Text("training cases")))
		}
	}
	return nil
}

// comparePatients warns of validation cases whose patients trained the network.
func (p *pool) comparePatients(fold string, f *Fold) {
	trained := map[string]string{}
	for _, c := range f.Origin.Network.Training {
		if patient := p.patients[c.ID]; patient != "" {
			trained[patient] = c.ID
		}
	}
	var known []string
	for _, c := range f.Predictions {
		if other, both := trained[c.Patient]; both && other != c.Case {
			known = append(known, fmt.Sprintf("%s, as %s of patient %s", c.Case, other, c.Patient))
		}
	}
	if len(known) > 0 && fold != task.FoldAll {
		p.notes = append(p.notes, fmt.Sprintf("fold %s: the network was trained on other scans of the patients of %d of its %d validation cases (%s): the results look better than those of new patients would; draw folds grouped by patient and train anew",
			fold, len(known), len(f.Predictions), strings.Join(known[:min(len(known), 3)], "; ")))
	}
}

// todayNotes says what was made of the differences between the validations and today, given all cases that are left.
func (p *pool) todayNotes(cases []Prediction) []string {
	var notes []string
	if len(p.unknown) > 0 {
		notes = append(notes, fmt.Sprintf("folds %s were trained or validated by an earlier version, which did not record from what: whether their results still belong to their networks "+
			"and to one another is not known; validating them again records it", strings.Join(p.unknown, ", ")))
	}
	l := p.today.Listing
	if l == nil {
		return notes
	}
	if len(p.corrected) > 0 {
		notes = append(notes, fmt.Sprintf("the classes of %d cases have changed in %s since they were validated; those of today count: %s",
			len(p.corrected), l.Path, shortened(p.corrected)))
	}
	if len(p.gone) > 0 {
		notes = append(notes, fmt.Sprintf("%d validated cases are not in %s any more and left out: %s", len(p.gone), l.Path, shortened(p.gone)))
	}
	held := map[string]bool{}
	for _, c := range cases {
		held[c.Case] = true
	}
	var never []string
	for id := range l.Targets {
		if !held[id] {
			never = append(never, id)
		}
	}
	if slices.SortFunc(never, compareNames); len(never) > 0 && len(p.missing) == 0 && p.wholeCrossValidation() {
		notes = append(notes, fmt.Sprintf("%d cases of %s are held out by no fold and are not in these results: %s", len(never), l.Path, shortened(never)))
	}
	return notes
}

// wholeCrossValidation reports whether the folds of the cross-validation are all there.
func (p *pool) wholeCrossValidation() bool {
	for _, fold := range p.today.folds() {
		if !slices.ContainsFunc(p.perFold, func(f FoldReport) bool { return f.Fold == fold }) {
			return false
		}
	}
	return true
}
