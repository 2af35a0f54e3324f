package cohort

import (
	"context"

	"github.com/universal-classifier/uc/internal/defaults"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

// Standing is how far planning and preprocessing of a task have come, as its files say. Cases are in the order in which
// shards divide them.
type Standing struct {
	Cases        []string
	Measured     []bool
	Plans        *plan.Plans // nil while the plans are not made, or were made from other cases
	Preprocessed []bool
}

// Stand looks at the files of a task and changes none.
func Stand(ctx context.Context, t *task.Task, plansIdentifier string) (*Standing, error) {
	j := &job{task: t, options: Options{Workers: defaults.PlanWorkers, PlansIdentifier: plansIdentifier}, progress: progress.Discard, dir: t.Folders.PreprocessedTask(t.Name)}
	j.limitMemory()
	c := &cohort{job: j, cases: sortedCases(t.Dataset.Cases)}
	known, err := loadManifest(j.dir)
	if err != nil {
		return nil, err
	}
	if err := c.adoptParts(known); err != nil {
		return nil, err
	}
	const nobody = 1 << 30 // a shard without cases: only what is known already is looked at
	if err := known.update(ctx, c, shard.Shard{Index: nobody, Count: nobody}); err != nil {
		return nil, err
	}
	s := &Standing{Measured: make([]bool, len(c.cases)), Preprocessed: make([]bool, len(c.cases))}
	for i, one := range c.cases {
		s.Cases = append(s.Cases, one.ID)
		s.Measured[i] = known.Cases[one.ID].Measured != nil
	}
	fp, _, err := c.fingerprintBefore(known)
	if err != nil || fp == nil {
		return s, err
	}
	if s.Plans, err = j.plansOf(fp); err != nil || s.Plans == nil {
		return s, err
	}
	setting, err := preprocess.SettingKey(s.Plans)
	if err != nil {
		return s, err
	}
	stage := t.Folders.Stage(t.Name, s.Plans.DataIdentifier)
	for i, one := range c.cases {
		p, _ := c.stored(stage, one, setting, known.Cases[one.ID].Files)
		s.Preprocessed[i] = p != nil
	}
	return s, nil
}
