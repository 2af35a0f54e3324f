package predict

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/evaluate"
	"github.com/universal-classifier/uc/internal/interrupt"
	"github.com/universal-classifier/uc/internal/lockfile"
	"github.com/universal-classifier/uc/internal/progress"
	"github.com/universal-classifier/uc/internal/remedy"
	"github.com/universal-classifier/uc/internal/shard"
	"github.com/universal-classifier/uc/internal/task"
)

// maxAhead bounds how many preprocessed cases wait for the network, and how many it takes per loading of a fold's
// weights.
const maxAhead = 4

// ready is a preprocessed case, or why there is none.
type ready struct {
	id  string
	ok  *prepared
	err error
}

// Folder predicts cases into the folder out: <case>.npz each, predictions.csv and predictions.json. found is what
// task.PredictionCases found wrong apart from the cases: it counts as failed cases and unused files. Results that are
// there already are kept unless overwrite, if they are valid for the current networks, images and masks; results of
// other settings are an error. A case that fails is reported in the summary and does not stop the others; the error is
// for what concerns all cases. While the network works on a case the next ones are preprocessed.
func (m *Model) Folder(ctx context.Context, cases []task.Case, found []task.Problem, out string, overwrite bool, r progress.Reporter) (*Summary, error) {
	return m.FolderShard(ctx, cases, found, out, overwrite, shard.Shard{}, r)
}

// FolderShard is Folder for a part of the cases, while other processes predict the others into the same folder. The
// tables are written by the shard after which all cases have results; if none does, since cases fail, Folder does.
// Summary names the tables only where they were written. Results are byte for byte those of Folder.
func (m *Model) FolderShard(ctx context.Context, all []task.Case, found []task.Problem, out string, overwrite bool, part shard.Shard, r progress.Reporter) (*Summary, error) {
	if err := atomicfile.MkdirAll(out); err != nil {
		return nil, err
	}
	enter := lockfile.Enter
	if !part.Whole() {
		enter = lockfile.Share
	}
	lock, err := enter(ctx, out, m.options.NoWait, r)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	s := &Summary{CSV: filepath.Join(out, csvFile), JSON: filepath.Join(out, evaluate.TableFile), warnings: map[string][]string{}, valid: map[string]bool{}}
	cases := shard.Of(part, all)
	if part.Index > 1 { // the first of the shards tells
		found = nil
	}
	s.Failed, s.Unused = task.Broken(all, found)
	results, err := m.stored(out)
	if err != nil {
		return nil, err
	}
	todo := cases
	if !overwrite {
		if err := m.refuseOtherSettings(out, results); err != nil {
			return nil, err
		}
		if todo, err = m.outdated(ctx, cases, results, r); err != nil {
			return nil, err
		}
		if s.Kept = len(cases) - len(todo); s.Kept > 0 {
			r.Note("%s", remedy.Notef("%d of %d cases have results already, which are kept unless they are overwritten", s.Kept, len(cases)).See(remedy.Set{Option: remedy.Overwrite}))
		}
	}
	s.keep(cases, todo)
	warnOfOthers(out, results, all, s, r)
	r.Stage("prediction", len(todo))
	err = m.predictAll(ctx, todo, out, s, r)
	m.warnOfLearned(s, r)
	defer interrupt.Hold(ctx)()
	if !part.Whole() {
		done, doneErr := m.addOthers(all, out, s)
		if !done || err != nil || doneErr != nil {
			s.CSV, s.JSON = "", ""
			return s, errors.Join(err, doneErr)
		}
	}
	if writeErr := m.writeTables(out, s); err == nil {
		err = writeErr
	}
	return s, err
}

// addOthers takes the results that other shards have written for valid, if they are of these networks and settings, and
// reports whether all cases have one. That they are of the images of today was for those shards to see.
func (m *Model) addOthers(all []task.Case, out string, s *Summary) (bool, error) {
	results, err := m.stored(out)
	if err != nil {
		return false, err
	}
	now := m.folderSources()
	for _, c := range all {
		if s.valid[c.ID] {
			continue
		}
		r := results[c.ID]
		if r == nil || r.result == nil || r.madeFrom == nil || len(r.madeFrom.Without(fromFiles).Changes(now)) > 0 {
			return false, nil
		}
		s.valid[c.ID] = true
	}
	return true, nil
}

// keep takes the results of the cases that need no prediction for valid.
func (s *Summary) keep(cases, todo []task.Case) {
	for _, c := range cases {
		s.valid[c.ID] = true
	}
	for _, c := range todo {
		delete(s.valid, c.ID)
	}
}

// predictAll preprocesses in one goroutine and predicts in this one.
func (m *Model) predictAll(ctx context.Context, cases []task.Case, out string, s *Summary, r progress.Reporter) error {
	ctx, cancel := context.WithCancel(ctx)
	queue := make(chan ready, maxAhead)
	defer func() { // what an interruption leaves in the queue
		cancel()
		for r := range queue {
			m.leave(r.ok)
		}
	}()
	go func() {
		defer close(queue)
		for _, c := range cases {
			p, err := m.prepare(ctx, input{Case: c})
			select {
			case queue <- ready{c.ID, p, err}:
			case <-ctx.Done():
				m.leave(p)
				return
			}
		}
	}()
	for first := range queue {
		taken := group(first, queue)
		outcomes := m.predictGroup(ctx, taken)
		for _, c := range taken {
			m.leave(c.ok)
		}
		for _, done := range outcomes {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("prediction interrupted after %d of %d cases: %w", s.Predicted, len(cases), err)
			}
			if done.err == nil {
				done.err = m.writeResult(out, done.result, done.files)
			}
			if done.err != nil {
				err := task.InCase(done.id, done.err)
				s.Failed = append(s.Failed, task.Failed(done.id, err))
				r.Warn("%v", err)
			} else {
				s.Predicted++
				s.valid[done.id] = true
				if m.learned[done.files] {
					s.learned = append(s.learned, done.id)
				}
				s.warnings[done.id] = done.result.Warnings
				for _, w := range done.result.Warnings {
					r.Warn("case %s: %s", done.id, w)
				}
			}
			r.Advance(done.id)
		}
	}
	return ctx.Err()
}

// group is first and whatever else is ready by now, at most maxAhead cases.
func group(first ready, queue <-chan ready) []ready {
	cases := []ready{first}
	for len(cases) < maxAhead {
		select {
		case next, more := <-queue:
			if !more {
				return cases
			}
			cases = append(cases, next)
		default:
			return cases
		}
	}
	return cases
}

// outcome is the result of a case, or why there is none.
type outcome struct {
	id     string
	files  string // digest
	result *Result
	err    error
}

// predictGroup predicts the cases of a group that could be preprocessed. If the network fails on them together, each is
// tried on its own, to identify the failing case.
func (m *Model) predictGroup(ctx context.Context, cases []ready) []outcome {
	outcomes := make([]outcome, len(cases))
	var whole []*prepared
	var at []int
	for i, c := range cases {
		outcomes[i] = outcome{id: c.id, err: c.err}
		if c.err == nil {
			whole, at = append(whole, c.ok), append(at, i)
			outcomes[i].files = c.ok.files
		}
	}
	results, err := m.predict(ctx, whole)
	for k, i := range at {
		if err == nil {
			outcomes[i].result = results[k]
			continue
		}
		alone, err := m.predict(ctx, whole[k:k+1])
		if outcomes[i].err = err; err == nil {
			outcomes[i].result = alone[0]
		}
	}
	return outcomes
}
