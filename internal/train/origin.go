package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/cohort"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/split"
	"github.com/universal-classifier/uc/internal/task"
	"github.com/universal-classifier/uc/internal/words"
)

// recordOrigin gathers what the fold is made from, and compares the preprocessed cases with the plans and with
// dataset.json.
func (f *fold) recordOrigin(ctx context.Context) error {
	plans, err := preprocess.Sources(f.plans)
	if err != nil {
		return err
	}
	f.origin = &provenance.Fold{Plans: plans}
	for half, to := range []*[]provenance.Case{&f.origin.Training, &f.origin.Validation} {
		for _, i := range f.members[half] {
			*to = append(*to, f.data.Case(i))
		}
	}
	other, unknown, err := f.data.Made(f.plans)
	switch {
	case err != nil:
		return err
	case len(other) > 0:
		return remedy.With(fmt.Errorf("%d cases are not preprocessed as the plans say (%s); preprocess the task again, which makes them anew", len(other), words.Some(other)), f.replan())
	case len(unknown) > 0:
		f.log.warn("%s", remedy.Notef("%d cases were preprocessed by the reference or an earlier version, which did not record from what; preprocessing the task again records it",
			len(unknown)).See(f.replan()))
	}
	if err := f.refuseDuplicates(); err != nil {
		return err
	}
	if err := f.checkListing(); err != nil {
		return err
	}
	return f.checkInputs(ctx)
}

// checkInputs compares the images and masks of the fold's cases with those that were preprocessed.
func (f *fold) checkInputs(ctx context.Context) error {
	cases := slices.Compact(slices.Sorted(slices.Values(slices.Concat(f.split.Train, f.split.Val))))
	changed, err := cohort.ChangedInputs(ctx, f.o.Folders, f.o.Task, cases, f.log)
	if err == nil && len(changed) > 0 {
		err = remedy.With(fmt.Errorf("the images or masks of %d cases have changed since they were preprocessed (%s); preprocess the task again, which makes anew only what has changed",
			len(changed), words.Some(changed)), f.replan())
	}
	return err
}

// checkListing compares the preprocessed cases with dataset.json as it is now.
func (f *fold) checkListing() error {
	l, err := task.ListedToday(f.o.Folders, f.o.Task)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the raw data are elsewhere
	}
	if err != nil {
		return err
	}
	planned := provenance.Sources{"classification labels": f.origin.Plans["classification labels"]}
	if f.o.Plans == plan.Identifier { // other plans keep the names of another task's modalities
		planned["modalities"] = f.origin.Plans["modalities"]
	}
	changes := planned.Changes(l.Sources())
	used := f.origin.Training
	if f.o.Fold != task.FoldAll {
		used = append(used[:len(used):len(used)], f.origin.Validation...)
	}
	cases := l.Changes(used)
	cases.Added = nil
	if cases.Any() {
		changes = append(changes, cases.Text("cases"))
	}
	if len(changes) > 0 {
		return remedy.With(fmt.Errorf("%s has changed since the task was planned: %s; plan it again, which makes anew only what has changed", l.Path, strings.Join(changes, "; ")), f.replan())
	}
	if n := len(f.plans.ListOfNpzFiles); n > 0 && len(l.Targets) > n {
		f.log.warn("%s", remedy.Notef("%s lists %d cases, %d are planned; plan the task again to use them all", l.Path, len(l.Targets), n).See(f.replan()))
	}
	return nil
}

// mayContinue refuses to continue a training whose data or plans have changed: it would be neither the one nor the
// other.
func (f *fold) mayContinue(last *saved) error {
	if last.Origin == nil {
		f.warnOfEarlierVersion(last.name, last.Checkpoint)
		return nil
	}
	f.origin.Before = last.Origin.Before
	changes := last.Origin.Plans.Changes(f.origin.Plans)
	for _, part := range []struct {
		kind      string
		then, now []provenance.Case
	}{{"training cases", last.Origin.Training, f.origin.Training}, {"validation cases", last.Origin.Validation, f.origin.Validation}} {
		c := provenance.CompareCases(part.then, part.now)
		text := c.Text(part.kind)
		if len(c.Added)+len(c.Removed) > 0 {
			text = "the split: " + text
		}
		if c.Any() {
			changes = append(changes, text)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return remedy.With(fmt.Errorf("fold %s cannot go on as it began: %s. Put that back as it was, or train the fold anew", f.o.Fold, strings.Join(changes, "; ")), f.retrain(remedy.Anew))
}

// mayValidate refuses to validate a network on cases that it was trained on, or under plans that are not its own, and
// tells what else has changed since it was trained.
func (f *fold) mayValidate(name string, c *checkpoint.Checkpoint) error {
	if c.Origin == nil {
		f.warnOfEarlierVersion(name, c)
		return nil
	}
	if changes := c.Origin.Plans.Without(preprocess.VersionSource).Changes(f.origin.Plans); len(changes) > 0 {
		return remedy.With(fmt.Errorf("fold %s was trained under other plans: %s. Put that back as it was, or train the fold anew", f.o.Fold, strings.Join(changes, "; ")), f.retrain(remedy.Anew))
	}
	if f.o.Fold != task.FoldAll {
		trained := map[string]bool{}
		for _, of := range c.Origin.Training {
			trained[of.ID] = true
		}
		var leaked []string
		for _, of := range f.origin.Validation {
			if trained[of.ID] {
				leaked = append(leaked, of.ID)
			}
		}
		if len(leaked) > 0 {
			return remedy.With(fmt.Errorf("the split has changed since fold %s was trained: its network was trained on %d of the %d cases that it would be validated on (%s). "+
				"Put the former %s back, or train the fold anew", f.o.Fold, len(leaked), len(f.origin.Validation), words.Some(leaked), split.SplitsFile), f.retrain(remedy.Anew))
		}
		if known := provenance.Shared(f.origin.Validation, c.Origin.Before); len(known) > 0 {
			f.warnOfLeak(known)
		}
	}
	if changes := c.Origin.Plans.Changes(f.origin.Plans); len(changes) > 0 {
		f.log.warn("fold %s was trained by an earlier version: %s", f.o.Fold, strings.Join(changes, "; "))
	}
	changes := provenance.CompareCases(c.Origin.Training, f.origin.Training)
	if changes.Added = nil; changes.Any() {
		f.log.warn("the network was trained on what has changed since: %s; train the fold anew for it to learn from that", changes.Text("training cases"))
	}
	if changes := provenance.CompareCases(c.Origin.Validation, f.origin.Validation); changes.Any() {
		f.log.warn("not as when the fold was trained: %s", changes.Text("validation cases"))
	}
	return nil
}

// warnOfEarlierVersion says of a checkpoint without origin what cannot be checked. Weights from elsewhere are their
// owner's concern.
func (f *fold) warnOfEarlierVersion(name string, c *checkpoint.Checkpoint) {
	if c.Model.Task != "" {
		f.log.warn("%s was trained by an earlier version, which did not record its plans and cases: see to it yourself that they are those of today", checkpoint.Path(f.foldDir, name))
	}
}

// warnOfLeak says that validation cases are known to the weights that the training started from.
func (f *fold) warnOfLeak(cases []string) {
	f.log.warn("the pretrained weights were trained on %d of the validation cases (%s): the validation of this fold will look better than new cases would",
		len(cases), words.Some(cases))
}

// notePretrained records which cases pretrained weights of this program were trained on.
func (f *fold) notePretrained(path string) {
	dir, file := filepath.Split(path)
	name, ok := strings.CutSuffix(file, checkpoint.Suffix)
	if !ok {
		return // another program's
	}
	c, err := checkpoint.Read(dir, name)
	if err != nil || c.Origin == nil {
		return
	}
	f.origin.Before = c.Origin.Learned()
	if known := provenance.Shared(f.origin.Validation, f.origin.Before); f.o.Fold != task.FoldAll && len(known) > 0 {
		f.warnOfLeak(known)
	}
}

// savedOrigin is what goes into a checkpoint.
func (t *training) savedOrigin() (*provenance.Fold, error) {
	recipe, err := json.Marshal(t.state.Recipe)
	if err != nil {
		return nil, err
	}
	o := *t.origin
	o.Recipe = recipe
	return &o, nil
}

// keepPlans writes the plans next to the folds of the model, and into this one, and warns of folds that were trained
// under others. Folds of earlier versions, which have no plans of their own, are given those that stood next to them.
func (f *fold) keepPlans(ctx context.Context) error {
	model := filepath.Dir(f.foldDir)
	lock, err := lockfile.Enter(ctx, model, false, f.log)
	if err != nil {
		return err
	}
	defer lock.Release()
	beside := filepath.Join(model, checkpoint.PlansFile)
	former, formerErr := plan.Load(beside)
	entries, err := os.ReadDir(model)
	if err != nil {
		return err
	}
	var others, changes []string
	for _, e := range entries {
		dir := filepath.Join(model, e.Name())
		if dir == f.foldDir || !checkpoint.Any(dir) {
			continue
		}
		own, err := plan.Load(filepath.Join(dir, checkpoint.PlansFile))
		if errors.Is(err, fs.ErrNotExist) && formerErr == nil {
			if own, err = former, nil; !f.samePlans(former) {
				err = former.Save(filepath.Join(dir, checkpoint.PlansFile))
			}
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				f.log.warn("%s: its plans are not known: %v", e.Name(), err)
			}
			continue
		}
		if sources, err := own.Sources(); err == nil && !f.samePlans(own) {
			others, changes = append(others, e.Name()), sources.Changes(f.origin.Plans)
		}
	}
	if len(others) > 0 {
		f.log.warn("other folds of this model were trained under other plans (%s: %s); they will not be averaged or evaluated together with this fold: train them anew, too",
			words.Some(others), strings.Join(changes, "; "))
	}
	for _, path := range []string{filepath.Join(f.foldDir, checkpoint.PlansFile), beside} {
		if err := f.plans.Save(path); err != nil {
			return err
		}
	}
	return nil
}

// samePlans reports whether plans decide what those of this fold do.
func (f *fold) samePlans(p *plan.Plans) bool {
	sources, err := p.Sources()
	return err == nil && len(sources.Changes(f.origin.Plans)) == 0
}
