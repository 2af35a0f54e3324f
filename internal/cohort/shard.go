package cohort

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/fingerprint"
	"github.com/universal-classifier/uc/internal/infile"
	"github.com/universal-classifier/uc/internal/jsonfile"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/plan"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

// PreprocessShard does the part of a cohort that is one process's among several on one file system. There are two
// rounds: as long as the plans are not there, the shard measures its cases, leaves the numbers to whoever makes the
// plans (Preprocess, with NoPreprocess), and returns no plans; afterwards it preprocesses its cases by the plans and
// returns them. Shards may run at the same time, on several machines, in any order and again: what is done is known
// from the files. What none has done, Preprocess does. All files are byte for byte those of Preprocess alone, but for
// the times in the records.
func PreprocessShard(ctx context.Context, t *task.Task, s shard.Shard, o Options, r progress.Reporter) (*plan.Plans, error) {
	j, err := newJob(ctx, t, o, r)
	if err != nil {
		return nil, err
	}
	// Before the lock, which a process would wait for that already has it.
	if err := t.EnsureMasks(ctx, r); err != nil {
		return nil, err
	}
	for _, dir := range j.shared(t) {
		lock, err := lockfile.Share(ctx, dir, o.NoWait, r)
		if err != nil {
			return nil, err
		}
		defer lock.Release()
	}
	c, known, err := j.cohort(ctx, t, s)
	if err != nil {
		return nil, err
	}
	fp, _, err := c.fingerprintBefore(known)
	if err != nil {
		return nil, err
	}
	if fp != nil {
		p, err := j.plansOf(fp)
		if err != nil {
			return nil, err
		}
		if p != nil {
			if j.options.NoPreprocess {
				return p, nil
			}
			return p, c.preprocessShard(ctx, s, p, known)
		}
		r.Note("%s: the fingerprint is up to date, but the plans are not made yet", c.task.Name)
		return nil, nil
	}
	return nil, c.measureShard(ctx, s, known)
}

// shared are the folders that shards write to at the same time.
func (j *job) shared(t *task.Task) []string {
	dirs := []string{j.dir}
	if j.options.KeepCropped {
		dirs = append(dirs, t.Folders.CroppedTask(t.Name))
	}
	return dirs
}

// plansOf returns the plans of a cohort if they are on disk, else nil.
func (j *job) plansOf(fp *fingerprint.Fingerprint) (*plan.Plans, error) {
	p, err := j.plan(fp)
	if err != nil {
		return nil, err
	}
	want, err := jsonfile.Encode(p, jsonfile.LikeNNUNet)
	if err != nil {
		return nil, err
	}
	got, err := infile.ReadFile(filepath.Join(j.dir, plan.File(j.options.PlansIdentifier)), infile.MaxText)
	if err != nil || !bytes.Equal(got, want) {
		return nil, nil
	}
	return p, nil
}

// measureShard measures the cases of a shard that no process has measured yet.
func (co *cohort) measureShard(ctx context.Context, s shard.Shard, known *manifest) error {
	if err := atomicfile.MkdirAll(filepath.Join(co.dir, partsFolder)); err != nil {
		return err
	}
	stride := co.strideSoFar(known)
	var look []int
	own := 0
	for i, one := range co.cases {
		if !s.Has(i) {
			continue
		}
		own++
		rec := known.Cases[one.ID]
		done := rec.Measured != nil && stride == 0
		if !done {
			_, done = co.measuredBefore(i, stride, rec.Files)
		}
		if !done || !co.croppedDone(one, rec.Files) {
			look = append(look, i)
		}
	}
	if n := own - len(look); n > 0 {
		co.progress.Note("shard %s: %d of %d cases are measured already", s, n, own)
	}
	co.progress.Stage("measuring", len(look))
	return co.each(ctx, look, co.needToCrop, func(i int) error {
		id := co.cases[i].ID
		files := known.Cases[id].Files
		m, _, err := co.look(i, stride, files)
		if err != nil {
			return err
		}
		return co.writePart(id, files, m, stride)
	})
}

// strideSoFar is every how manieth voxel is sampled: the least there is, unless all cases are measured and the cohort
// turns out to be huge; 0 if no intensities are asked for.
func (co *cohort) strideSoFar(known *manifest) int {
	if !fingerprint.NeedsIntensities(co.task.Dataset.Modalities) {
		return 0
	}
	var sizes [][3]int
	for _, one := range co.cases {
		m := known.Cases[one.ID].Measured
		if m == nil {
			return fingerprint.Stride(nil)
		}
		sizes = append(sizes, m.CropBox.Box().Size())
	}
	return fingerprint.Stride(sizes)
}

// preprocessShard writes the arrays and properties of the cases of a shard that are not there yet.
func (co *cohort) preprocessShard(ctx context.Context, s shard.Shard, p *plan.Plans, known *manifest) error {
	stage := co.task.Folders.Stage(co.task.Name, p.DataIdentifier)
	if err := atomicfile.MkdirAll(stage); err != nil {
		return fmt.Errorf("cannot write the preprocessed cases: %w", err)
	}
	lock, err := lockfile.Share(ctx, stage, co.options.NoWait, co.progress)
	if err != nil {
		return err
	}
	defer lock.Release()
	todo, setting, err := co.todo(stage, p, known, s)
	if err != nil {
		return err
	}
	return co.finish(ctx, stage, todo, len(shard.Of(s, co.cases)), setting, p, known)
}
