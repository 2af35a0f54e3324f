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

	"github.com/universal-classifier/uc/internal/atomicfile"
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
func (t *trainer) recordOrigin(ctx context.Context) error {
	plans, err := preprocess.Sources(t.plans)
	if err != nil {
		return err
	}
	t.origin = &provenance.Fold{Plans: plans}
	for half, to := range []*[]provenance.Case{&t.origin.Training, &t.origin.Validation} {
		for _, i := range t.members[half] {
			*to = append(*to, t.data.Case(i))
		}
	}
	other, unknown, err := t.data.Made(t.plans)
	switch {
	case err != nil:
		return err
	case len(other) > 0:
		return remedy.With(fmt.Errorf("%d cases are not preprocessed as the plans say (%s); preprocess the task again, which makes them anew", len(other), words.Some(other)), t.replan())
	case len(unknown) > 0:
		t.log.warn("%s", remedy.Notef("%d cases were preprocessed by the reference or an earlier version, which did not record from what; preprocessing the task again records it",
			len(unknown)).See(t.replan()))
	}
	if err := t.refuseDuplicates(); err != nil {
		return err
	}
	if err := t.checkListing(); err != nil {
		return err
	}
	return t.checkInputs(ctx)
}

// checkInputs compares the images and masks of the fold's cases with those that were preprocessed.
func (t *trainer) checkInputs(ctx context.Context) error {
	cases := slices.Compact(slices.Sorted(slices.Values(slices.Concat(t.split.Train, t.split.Val))))
	changed, err := cohort.ChangedInputs(ctx, t.o.Folders, t.o.Task, cases, t.log)
	if err == nil && len(changed) > 0 {
		err = remedy.With(fmt.Errorf("the images or masks of %d cases have changed since they were preprocessed (%s); preprocess the task again, which makes anew only what has changed",
			len(changed), words.Some(changed)), t.replan())
	}
	return err
}

// checkListing compares the preprocessed cases with dataset.json as it is now.
func (t *trainer) checkListing() error {
	l, err := task.ListedToday(t.o.Folders, t.o.Task)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the raw data are elsewhere
	}
	if err != nil {
		return err
	}
	planned := provenance.Sources{"classification labels": t.origin.Plans["classification labels"]}
	if t.o.Plans == plan.Identifier { // other plans keep the names of another task's modalities
		planned["modalities"] = t.origin.Plans["modalities"]
	}
	changes := planned.Changes(l.Sources())
	used := t.origin.Training
	if t.o.Fold != task.FoldAll {
		used = append(used[:len(used):len(used)], t.origin.Validation...)
	}
	cases := l.Changes(used)
	cases.Added = nil
	if cases.Any() {
		changes = append(changes, cases.Text("cases"))
	}
	if len(changes) > 0 {
		return remedy.With(fmt.Errorf("%s has changed since the task was planned: %s; plan it again, which makes anew only what has changed", l.Path, strings.Join(changes, "; ")), t.replan())
	}
	if n := len(t.plans.ListOfNpzFiles); n > 0 && len(l.Targets) > n {
		t.log.warn("%s", remedy.Notef("%s lists %d cases, %d are planned; plan the task again to use them all", l.Path, len(l.Targets), n).See(t.replan()))
	}
	return nil
}

// mayContinue refuses to continue a training whose data or plans have changed: it would be neither the one nor the
// other.
func (t *trainer) mayContinue(last *saved) error {
	if last.Origin == nil {
		t.warnOfEarlierVersion(last.name, last.Checkpoint)
		return nil
	}
	t.origin.Before = last.Origin.Before
	changes := last.Origin.Plans.Changes(t.origin.Plans)
	for _, part := range []struct {
		kind      string
		then, now []provenance.Case
	}{{"training cases", last.Origin.Training, t.origin.Training}, {"validation cases", last.Origin.Validation, t.origin.Validation}} {
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
	return remedy.With(fmt.Errorf("fold %s cannot go on as it began: %s. Put that back as it was, or train the fold anew", t.o.Fold, strings.Join(changes, "; ")), t.retrain(remedy.Anew))
}

// mayValidate refuses to validate a network on cases that it was trained on, or under plans that are not its own, and
// tells what else has changed since it was trained.
func (t *trainer) mayValidate(name string, c *checkpoint.Checkpoint) error {
	if c.Origin == nil {
		t.warnOfEarlierVersion(name, c)
		return nil
	}
	if changes := c.Origin.Plans.Without(preprocess.VersionSource).Changes(t.origin.Plans); len(changes) > 0 {
		return remedy.With(fmt.Errorf("fold %s was trained under other plans: %s. Put that back as it was, or train the fold anew", t.o.Fold, strings.Join(changes, "; ")), t.retrain(remedy.Anew))
	}
	if t.o.Fold != task.FoldAll {
		trained := map[string]bool{}
		for _, of := range c.Origin.Training {
			trained[of.ID] = true
		}
		var leaked []string
		for _, of := range t.origin.Validation {
			if trained[of.ID] {
				leaked = append(leaked, of.ID)
			}
		}
		if len(leaked) > 0 {
			return remedy.With(fmt.Errorf("the split has changed since fold %s was trained: its network was trained on %d of the %d cases that it would be validated on (%s). "+
				"Put the former %s back, or train the fold anew", t.o.Fold, len(leaked), len(t.origin.Validation), words.Some(leaked), split.SplitsFile), t.retrain(remedy.Anew))
		}
		if known := provenance.Shared(t.origin.Validation, c.Origin.Before); len(known) > 0 {
			t.warnOfLeak(known)
		}
	}
	if changes := c.Origin.Plans.Changes(t.origin.Plans); len(changes) > 0 {
		t.log.warn("fold %s was trained by an earlier version: %s", t.o.Fold, strings.Join(changes, "; "))
	}
	changes := provenance.CompareCases(c.Origin.Training, t.origin.Training)
	if changes.Added = nil; changes.Any() {
		t.log.warn("the network was trained on what has changed since: %s; train the fold anew for it to learn from that", changes.Text("training cases"))
	}
	if changes := provenance.CompareCases(c.Origin.Validation, t.origin.Validation); changes.Any() {
		t.log.warn("not as when the fold was trained: %s", changes.Text("validation cases"))
	}
	return nil
}

// warnOfEarlierVersion says of a checkpoint without origin what cannot be checked. Weights from elsewhere are their
// owner's concern.
func (t *trainer) warnOfEarlierVersion(name string, c *checkpoint.Checkpoint) {
	if c.Model.Task != "" {
		t.log.warn("%s was trained by an earlier version, which did not record its plans and cases: see to it yourself that they are those of today", checkpoint.Path(t.foldDir, name))
	}
}

// warnOfLeak says that validation cases are known to the weights that the training started from.
func (t *trainer) warnOfLeak(cases []string) {
	t.log.warn("the pretrained weights were trained on %d of the validation cases (%s): the validation of this fold will look better than new cases would",
		len(cases), words.Some(cases))
}

// notePretrained records which cases pretrained weights of this program were trained on.
func (t *trainer) notePretrained(path string) {
	dir, file := filepath.Split(path)
	name, ok := strings.CutSuffix(file, checkpoint.Suffix)
	if !ok {
		return // another program's
	}
	c, err := checkpoint.Read(dir, name)
	if err != nil || c.Origin == nil {
		return
	}
	t.origin.Before = c.Origin.Learned()
	if known := provenance.Shared(t.origin.Validation, t.origin.Before); t.o.Fold != task.FoldAll && len(known) > 0 {
		t.warnOfLeak(known)
	}
}

// savedOrigin is what goes into a checkpoint.
func (t *trainer) savedOrigin() (*provenance.Fold, error) {
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
func (t *trainer) keepPlans(ctx context.Context) error {
	model := filepath.Dir(t.foldDir)
	lock, err := lockfile.Enter(ctx, model, false, t.log)
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
		if dir == t.foldDir || !checkpoint.Any(dir) {
			continue
		}
		own, err := plan.Load(filepath.Join(dir, checkpoint.PlansFile))
		if errors.Is(err, fs.ErrNotExist) && formerErr == nil {
			if own, err = former, nil; !t.samePlans(former) {
				err = former.Save(filepath.Join(dir, checkpoint.PlansFile))
			}
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				t.log.warn("%s: its plans are not known: %v", e.Name(), err)
			}
			continue
		}
		if sources, err := own.Sources(); err == nil && !t.samePlans(own) {
			others, changes = append(others, e.Name()), sources.Changes(t.origin.Plans)
		}
	}
	if len(others) > 0 {
		t.log.warn("other folds of this model were trained under other plans (%s: %s); they will not be averaged or evaluated together with this fold: train them anew, too",
			words.Some(others), strings.Join(changes, "; "))
	}
	for _, path := range []string{filepath.Join(t.foldDir, checkpoint.PlansFile), beside} {
		if err := t.plans.Save(path); err != nil {
			return err
		}
	}
	return nil
}

// samePlans reports whether plans decide what those of this fold do.
func (t *trainer) samePlans(p *plan.Plans) bool {
	sources, err := p.Sources()
	return err == nil && len(sources.Changes(t.origin.Plans)) == 0
}

// lockCases keeps plan-and-preprocess from writing the task while its cases are opened. Where that is impossible, as in
// a folder that is not ours, what does not fit together is found by the records in the files.
func (t *trainer) lockCases(ctx context.Context) (*lockfile.Lock, error) {
	lock, err := lockfile.Enter(ctx, t.o.Folders.PreprocessedTask(t.o.Task), t.o.NoWait, t.log)
	if err == nil || errors.Is(err, lockfile.ErrHeld) || ctx.Err() != nil {
		return lock, err
	}
	t.log.quiet("reading without a lock: %v", err)
	return &lockfile.Lock{}, nil
}

// clearLeftovers removes what a killed process had begun to write into the fold's folders, which is locked by now.
func (t *trainer) clearLeftovers() error {
	return errors.Join(atomicfile.RemoveLeftovers(t.foldDir), atomicfile.RemoveLeftovers(filepath.Join(t.foldDir, t.o.ValFolder)))
}
