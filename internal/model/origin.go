package model

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/universal-classifier/uc/internal/checkpoint"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/provenance"
	"github.com/universal-classifier/uc/internal/remedy"
)

// comparison finds what keeps folds from being averaged.
type comparison struct {
	model   *Model
	sources provenance.Sources // of the model's plans
	first   *Fold              // that says what it was made from
	earlier []string           // folds that do not say
	notes   []string
}

// ownPlans takes the plans that the folds were trained under for those of the model. Where a fold has none of its own,
// as in a model of an earlier version or one that was carried here without them, those next to the folds count.
func (c *comparison) ownPlans(folds []string) error {
	m := c.model
	if m.Reference {
		return nil
	}
	beside := m.Plans
	var first provenance.Sources
	for i, fold := range folds {
		p, err := plan.Load(filepath.Join(m.foldDir(fold), checkpoint.PlansFile))
		if errors.Is(err, fs.ErrNotExist) {
			p, err = beside, nil
		}
		if err != nil {
			return fmt.Errorf("fold %s: %w", fold, err)
		}
		sources, err := p.Sources()
		if err != nil {
			return err
		}
		if i == 0 {
			m.Plans, first = p, sources
		} else if changes := first.Changes(sources); len(changes) > 0 {
			return remedy.With(fmt.Errorf("fold %s was trained under other plans than fold %s (%s), and they must not be averaged; choose folds of one kind, or train the older ones anew",
				fold, folds[0], strings.Join(changes, "; ")), remedy.Set{Option: remedy.Folds})
		}
	}
	return nil
}

// origin compares a fold with the plans, and with the folds before it.
func (c *comparison) origin(f *Fold) error {
	f.Digest = checkpoint.Digest(f.Weights)
	if f.Origin == nil {
		if f.earlier {
			c.earlier = append(c.earlier, f.Name)
		}
		return nil
	}
	if changes := f.Origin.Plans.Without(preprocess.VersionSource).Changes(c.sources); len(changes) > 0 {
		return fmt.Errorf("fold %s was trained under other plans than those in %s (%s); put the plans of its training into its folder, or train it anew",
			f.Name, c.model.Dir, strings.Join(changes, "; "))
	}
	if changes := f.Origin.Plans.Changes(c.sources); len(changes) > 0 {
		c.notes = append(c.notes, fmt.Sprintf("fold %s was trained by an earlier version, which preprocessed cases in another way (%s): train it anew when you can",
			f.Name, strings.Join(changes, "; ")))
	}
	if c.first == nil {
		c.first = f
	} else if changes := c.first.Origin.RecipeChanges(f.Origin); len(changes) > 0 {
		c.notes = append(c.notes, fmt.Sprintf("fold %s was trained by another recipe than fold %s: %s", f.Name, c.first.Name, strings.Join(changes, "; ")))
	}
	return nil
}

// tell gives the warnings.
func (c *comparison) tell(r progress.Reporter) {
	if len(c.earlier) > 0 {
		r.Warn("folds %s were trained by an earlier version, which did not record its plans and cases: whether they belong to %s and to one another is not known",
			strings.Join(c.earlier, " "), checkpoint.PlansFile)
	}
	for _, note := range c.notes {
		r.Warn("%s", note)
	}
}
