// Package cohort plans and preprocesses all cases of a task, as many at a time as fit the memory, and redoes only
// what has changed.
package cohort

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/defaults"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/memory"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/preprocess"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/reference"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

// Options of plan-and-preprocess.
type Options struct {
	Workers             int        // cases worked on at a time; 0: defaults.PlanWorkers
	Memory              int64      // bytes that all workers together may hold; 0: memory.Default
	NoPreprocess        bool       // stop after the plans
	KeepCropped         bool       // also write the cropped cases to nnUNet_cropped_data
	OverwritePlans      string     // plans file to follow instead of planning, JSON or a pickle of the reference
	OverwriteIdentifier string     // under which the followed plans and their data are stored
	PlansIdentifier     string     // name of the plans; empty: plan.Identifier
	Verify              bool       // first read every file to the end and check what only its voxels show
	Watch               task.Watch // with Verify, is shown every image
	AllowOutliers       []string   // cases that are planned with although their headers are far from the cohort's
	Exclude             []string   // cases that are left out, as if dataset.json did not list them
	NoWait              bool       // an error, rather than waiting, while another process writes the task's folder
}

// job is one task under work.
type job struct {
	task     *task.Task
	options  Options
	progress progress.Reporter
	budget   *memory.Budget
	kept     *kept
	dir      string      // of the preprocessed task
	given    *plan.Plans // to follow instead of planning; may be nil
}

// Preprocess plans a task and preprocesses its cases. Cases that are done already, with the same input files, plans and
// preprocess.Version, are left alone. If cases fail in the look at the cohort there can be no plans, and the error
// names each of them; if cases fail afterwards the others are finished first.
func Preprocess(ctx context.Context, t *task.Task, o Options, r progress.Reporter) (*plan.Plans, error) {
	j, err := newJob(ctx, t, o, r)
	if err != nil {
		return nil, err
	}
	lock, err := lockfile.Enter(ctx, j.dir, o.NoWait, r)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if o.KeepCropped {
		lock, err := lockfile.Enter(ctx, t.Folders.CroppedTask(t.Name), o.NoWait, r)
		if err != nil {
			return nil, err
		}
		defer lock.Release()
	}
	c, known, err := j.cohort(ctx, t, shard.Shard{})
	if err != nil {
		return nil, err
	}
	fp, err := c.fingerprintOnce(ctx, known)
	if err != nil {
		return nil, err
	}
	if err := c.checkExtents(); err != nil {
		return nil, err
	}
	c.tellNonFinite()
	p, err := j.plan(fp)
	if err != nil {
		return nil, err
	}
	if err := j.write(fp, p); err != nil {
		return nil, err
	}
	if j.options.NoPreprocess {
		return p, nil
	}
	return p, c.preprocess(ctx, p, known)
}

// newJob completes the options, checks the files of the task, and makes its folders.
func newJob(ctx context.Context, t *task.Task, o Options, r progress.Reporter) (*job, error) {
	if o.Workers <= 0 {
		o.Workers = defaults.PlanWorkers
	}
	if o.Memory <= 0 {
		o.Memory = memory.Default()
	}
	if o.PlansIdentifier == "" {
		o.PlansIdentifier = plan.Identifier
	}
	j := &job{progress: r, dir: t.Folders.PreprocessedTask(t.Name)}
	if o.OverwritePlans != "" {
		var err error
		if j.given, err = reference.LoadPlans(o.OverwritePlans); err != nil {
			return nil, err
		}
		o.PlansIdentifier = plan.PretrainedIdentifier(o.OverwriteIdentifier)
	}
	j.options = o
	if err := check(ctx, t.Without(o.Exclude), o, r); err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(j.dir); err != nil {
		return nil, fmt.Errorf("cannot write the preprocessed task: %w", err)
	}
	if o.KeepCropped {
		if err := atomicfile.MkdirAll(t.Folders.CroppedTask(t.Name)); err != nil {
			return nil, fmt.Errorf("cannot write the cropped cases: %w", err)
		}
	}
	return j, nil
}

// cohort reads the task again, since what was known of it before the lock may be old by now, and identifies the files
// of its cases, or of a shard of them.
func (j *job) cohort(ctx context.Context, t *task.Task, s shard.Shard) (*cohort, *manifest, error) {
	var err error
	if j.task, err = task.Load(t.Folders, t.Name); err != nil {
		return nil, nil, err
	}
	if err := j.task.EnsureMasks(ctx, j.progress); err != nil {
		return nil, nil, err
	}
	if j.task = j.task.Without(j.options.Exclude); len(j.task.Dataset.Cases) == 0 {
		return nil, nil, fmt.Errorf("%s: all %d cases are excluded", t.Name, len(j.task.Dataset.Excluded))
	}
	j.limitMemory()
	co := &cohort{job: j, cases: sortedCases(j.task.Dataset.Cases)}
	known, err := loadManifest(j.dir)
	if err != nil {
		return nil, nil, err
	}
	if err := co.adoptParts(known); err != nil {
		return nil, nil, err
	}
	return co, known, known.update(ctx, co, s)
}

// check looks at the files of the task before anything is made of them.
func check(ctx context.Context, t *task.Task, o Options, r progress.Reporter) error {
	if err := t.CheckHeaders(ctx, o.AllowOutliers, r); err != nil {
		return err
	}
	if o.Verify {
		return t.Verify(ctx, o.Workers, o.Watch, r)
	}
	t.WarnOfStragglers(r)
	return nil
}

// plan makes the plans of a cohort, or adapts those that were given to it.
func (j *job) plan(fp *fingerprint.Fingerprint) (*plan.Plans, error) {
	d := j.task.Dataset
	p, err := plan.Make(fp, plan.Subject{TaskName: j.task.Name, Labels: d.Labels, RealMasks: d.HasMasks})
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", j.task.Name, err)
	}
	if j.given != nil {
		if p, err = plan.Follow(j.given, p, j.options.OverwriteIdentifier); err != nil {
			return nil, fmt.Errorf("%s: %w", j.options.OverwritePlans, err)
		}
	}
	p.ExcludedCases = nil
	for _, c := range d.Excluded {
		p.ExcludedCases = append(p.ExcludedCases, c.ID)
	}
	slices.Sort(p.ExcludedCases)
	return p, nil
}

// write writes the plans and dataset.json to the folder of the preprocessed task.
func (j *job) write(fp *fingerprint.Fingerprint, p *plan.Plans) error {
	if err := jsonfile.WriteIfNew(filepath.Join(j.dir, fingerprint.File), fp, jsonfile.LikeNNUNet); err != nil {
		return err
	}
	if err := jsonfile.WriteIfNew(filepath.Join(j.dir, plan.File(j.options.PlansIdentifier)), p, jsonfile.LikeNNUNet); err != nil {
		return err
	}
	b, err := infile.ReadFile(filepath.Join(j.task.Dir, task.DatasetFile), infile.MaxText)
	if err != nil {
		return err
	}
	return atomicfile.WriteIfNew(filepath.Join(j.dir, task.DatasetFile), b)
}

// preprocess writes the arrays and properties of every case that is not there yet.
func (co *cohort) preprocess(ctx context.Context, p *plan.Plans, known *manifest) error {
	stage := co.task.Folders.Stage(co.task.Name, p.DataIdentifier)
	if err := atomicfile.MkdirAll(stage); err != nil {
		return fmt.Errorf("cannot write the preprocessed cases: %w", err)
	}
	// Trainings unpack their cases into this folder.
	lock, err := lockfile.Enter(ctx, stage, co.options.NoWait, co.progress)
	if err != nil {
		return err
	}
	defer lock.Release()
	todo, setting, err := co.todo(stage, p, known, shard.Shard{})
	if err != nil {
		return err
	}
	co.kept.retain(todo)
	stale, err := removeStale(stage, co.cases)
	if err != nil {
		return err
	}
	if stale > 0 {
		why := "that dataset.json no longer lists"
		if len(co.task.Dataset.Excluded) > 0 {
			why += " or that are excluded"
		}
		co.progress.Note("%s: removed %d cases %s", stage, stale, why)
	}
	return co.finish(ctx, stage, todo, len(co.cases), setting, p, known)
}

// todo are the cases of a shard whose arrays are not there yet, by their place in the cohort; setting is the key of the
// plans.
func (co *cohort) todo(stage string, p *plan.Plans, known *manifest, s shard.Shard) (todo []int, setting string, err error) {
	if setting, err = preprocess.SettingKey(p); err != nil {
		return nil, "", err
	}
	for i, c := range co.cases {
		if !s.Has(i) {
			continue
		}
		done, err := co.upToDate(stage, c, setting, known.Cases[c.ID].Files)
		if err != nil {
			return nil, "", err
		}
		if !done {
			todo = append(todo, i)
		}
	}
	return todo, setting, nil
}

// finish preprocesses what there is to do of so many cases.
func (co *cohort) finish(ctx context.Context, stage string, todo []int, of int, setting string, p *plan.Plans, known *manifest) error {
	if len(todo) == 0 {
		co.progress.Note("%s: all %d cases are up to date", stage, of)
		return nil
	}
	if kept := of - len(todo); kept > 0 {
		co.progress.Note("%s: %d of %d cases are up to date", stage, kept, of)
	}
	co.progress.Stage("preprocessing", len(todo))
	need := func(i int) (int64, error) { return co.needToFinish(i, p), nil }
	return co.each(ctx, todo, need, func(i int) error {
		c := co.cases[i]
		crop := co.kept.take(i)
		if crop == nil {
			var err error
			if crop, err = co.load(i); err != nil {
				return err
			}
		}
		out, err := preprocess.Finish(ctx, c, crop, p)
		if err != nil {
			return err
		}
		if shape := p.Stage().ImageSize; out.Properties.SizeAfterPad != shape {
			return task.CaseErrorf(c.ID, "%v voxels after resampling, but the plans' shape is %v; training needs one shape: use plans whose shape fits the case, or plan this task on its own", out.Properties.SizeAfterResampling, shape)
		}
		return co.save(stage, out, c, setting, known.Cases[c.ID].Files)
	})
}
